"""Generated orders, and what orders give in the clear."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import numpy as np

from darkpool.auction.terms import VenueTerms
from darkpool.crossing.clearing import Book, Cross, clear_reference, clear_uniform
from darkpool.fills.priority import priority_permutation
from darkpool.protocol.terms import Pricing
from darkpool.simulation.errors import TwinDiffers
from darkpool.simulation.order_file import HEADER_ROW, Order
from darkpool.simulation.result import Crossing, InstrumentOutcome, RowFill, VenueResult
from darkpool.units import (
    AccountLabel,
    InstrumentName,
    Lots,
    PriceGrid,
    Side,
    Tick,
    identifier,
    within,
)

GRID: Final = PriceGrid(Decimal("0.25"), Decimal("4805.00"), 256)


INSTRUMENTS: Final = (InstrumentName("ES-MAR"), InstrumentName("ES-JUN"))


CLIENTS: Final = 12


SEED_MAX: Final = (1 << 32) - 1


_SIZE_MAX_LOTS: Final = 40


_SPREAD_TICKS: Final = 12


def generated_orders(seed: int) -> list[Order]:
    """Orders of `CLIENTS` clients, one each for every instrument; the same for the same seed.

    Rows are counted as if the orders stood in a file.

    Raises:
        WrongType: the seed is no whole number.
        OutOfBounds: the seed is negative or above `SEED_MAX`.
    """
    random = np.random.default_rng(within("seed", 0, SEED_MAX, seed))
    orders: list[Order] = []
    for instrument in INSTRUMENTS:
        for client in range(CLIENTS):
            side = Side(int(random.integers(2)))
            edge = _SPREAD_TICKS // 3 if side is Side.BUY else -_SPREAD_TICKS // 3
            limit = GRID.reference_tick + edge + round(random.normal(0, _SPREAD_TICKS))
            size = Lots(int(random.integers(1, _SIZE_MAX_LOTS + 1)))
            account = AccountLabel(f"client-{client:02}")
            tick = Tick(min(max(limit, 0), GRID.ticks - 1))
            row = HEADER_ROW + 1 + len(orders)
            orders.append(Order(row, account, instrument, side, size, tick))
    return orders


def plain_twin(
    orders: Sequence[Order], terms: VenueTerms, beacon: bytes
) -> tuple[tuple[InstrumentOutcome, ...], tuple[RowFill, ...]]:
    """What the same orders give in the clear: every instrument's result, and fills by row."""
    grids = terms.listing.of(order.instrument for order in orders).grids
    outcomes, fills = [], []
    for instrument in dict.fromkeys(order.instrument for order in orders):
        mine = [order for order in orders if order.instrument == instrument]
        grid = grids[instrument]
        book = Book.from_orders([order.limit_order for order in mine], grid.ticks)
        priority = priority_permutation(beacon, identifier(instrument), len(mine))
        if len({order.account for order in mine if not order.minimum}) < terms.owners_min:
            outcomes.append(InstrumentOutcome(instrument, Crossing.TOO_FEW_OWNERS))
            continue
        if terms.pricing is Pricing.UNIFORM:
            cross = clear_uniform(book, grid.reference_tick, priority)
        else:
            cross = clear_reference(book, grid.reference_tick, priority)
        if not isinstance(cross, Cross):
            outcomes.append(InstrumentOutcome(instrument, Crossing.NO_CROSS))
            continue
        price = grid.price_of(cross.tick)
        outcomes.append(
            InstrumentOutcome(
                *(instrument, Crossing.CROSSED, price, cross.volume, cross.short_side),
                exhausted=cross.exhausted,
            )
        )
        for order, lots in zip(mine, cross.fills.tolist(), strict=True):
            if lots:
                size = Lots(lots)
                fill = RowFill(order.row, order.account, instrument, order.side, size, price)
                fills.append(fill)
    return tuple(outcomes), tuple(sorted(fills, key=lambda fill: fill.row))


def verify_twin(orders: Sequence[Order], terms: VenueTerms, result: VenueResult) -> None:
    """Check that the encrypted auction gave what the plain twin gives.

    Raises:
        TwinDiffers: names the first part that differs.
    """
    outcomes, fills = plain_twin(orders, terms, result.outcome.beacon.value)
    for part, expected, got in (
        ("results", outcomes, result.instruments),
        ("fills", fills, result.fills),
    ):
        if expected != got:
            raise TwinDiffers(part, expected, got)
