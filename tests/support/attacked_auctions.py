"""Auctions that attackers take part in, and what the rest of the orders comes to."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np

from darkpool.auction.listing import OutrightListing
from darkpool.auction.terms import VenueTerms
from darkpool.crossing.clearing import Book, Cross, clear_uniform
from darkpool.fills.priority import priority_permutation
from darkpool.protocol.terms import Pricing
from darkpool.simulation.order_file import Order
from darkpool.simulation.result import VenueResult
from darkpool.simulation.venue import Places
from darkpool.units import PriceGrid
from darkpool.wargames.intruders import Intruder
from tests.support.one_process import run_here
from tests.support.records import TICKS

GRID = PriceGrid(Decimal("0.25"), Decimal(100), TICKS)


TERMS = VenueTerms(OutrightListing(GRID, 100_000, 50), Pricing.UNIFORM)


def run(
    orders: Sequence[Order], strangers: Sequence[Intruder], record: Path | None = None
) -> VenueResult:
    return run_here(orders, TERMS, places=Places(record), strangers=strangers)


def require_twin_of_the_rest(orders: Sequence[Order], result: VenueResult) -> None:
    """Price, volume and fills are those of the orders alone, in the order of the beacon."""
    outcome = result.outcome
    taken = {taken.batch_index for taken in result.taken_out}
    taken |= {left.batch_index for left in result.left_out}
    fills = {(f.row, f.size) for f in result.fills}
    expected: set[tuple[int, int]] = set()
    with_intents = result.instruments[: len(outcome.instruments)]
    assert {o.instrument for o in orders} <= {shown.instrument for shown in with_intents}
    for shown, traded in zip(with_intents, outcome.instruments, strict=True):
        own = [order for order in orders if order.instrument == shown.instrument]
        ranks = priority_permutation(outcome.beacon.value, traded.id, len(traded.batch_indices))
        rest = [
            rank
            for rank, place in zip(ranks, traded.batch_indices, strict=True)
            if place not in taken
        ]
        assert len(rest) == len(own)
        priority = np.argsort(np.argsort(rest)).astype(np.int64)
        book = Book.from_orders([o.limit_order for o in own], GRID.ticks)
        twin = clear_uniform(book, GRID.reference_tick, priority)
        if not isinstance(twin, Cross):
            assert shown.price is None
            continue
        assert (shown.price, shown.volume) == (GRID.price_of(twin.tick), twin.volume)
        expected |= {(o.row, int(f)) for o, f in zip(own, twin.fills, strict=True) if f}
    assert fills == expected
