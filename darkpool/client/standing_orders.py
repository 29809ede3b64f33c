"""Standing orders, and what becomes of one in the grid of an interval."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from darkpool.limits import ORDER_SIZE_MAX_LOTS, PRICE_MAX_UNITS
from darkpool.protocol.intents import LimitOrder
from darkpool.units import (
    FIRST_INTERVAL,
    INSTRUMENT_BYTES,
    AccountId,
    InstrumentId,
    Interval,
    Lots,
    PriceGrid,
    PriceUnits,
    Side,
    Tick,
    account_id,
    octets,
    require_bucket,
    require_kind,
    within,
)

INTERVAL_MAX: Final = (1 << 63) - 1
"""Largest interval that is kept: SQLite's integers are signed."""

COVER: Final = LimitOrder(Side.BUY, Lots(0), Tick(0))
"""What cover traffic seals: always the same, so that an opening of it tells nothing either."""


class OrderState(StrEnum):
    """Where a standing order is in its life; only a live one is sealed."""

    LIVE = "live"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class StandingOrder:
    """Up to `size` lots at `limit` or better, in every interval up to and including `good_until`.

    Attributes:
        account: whose order it is, in any case; kept in EIP-55 mixed case.
        instrument: 32 bytes.
        side: buy or sell.
        size: lots in all, over all intervals.
        limit: worst price, in price units: a grid moves with its reference, a price does not.
        good_until: last interval that the order takes part in.
        cap: public upper bound of the size in each interval, one of the buckets. It stays the same
            through the order's life: one that shrank with what is left would tell of the fills. An
            interval takes at most the cap; the rest goes into later ones.

    Raises:
        InvalidAccount, WrongType, OutOfBounds, NoBucket: a field that no order has.
    """

    account: AccountId
    instrument: InstrumentId
    side: Side
    size: Lots
    limit: PriceUnits
    good_until: Interval
    cap: Lots

    def __post_init__(self) -> None:
        price_max = PRICE_MAX_UNITS
        checked = {
            "account": account_id(self.account),
            "instrument": octets("instrument", INSTRUMENT_BYTES, self.instrument),
            "side": require_kind("side", Side, self.side),
            "size": within("size in lots", 1, ORDER_SIZE_MAX_LOTS, self.size),
            "limit": within("limit in price units", -price_max, price_max, self.limit),
            "good_until": within("last interval", FIRST_INTERVAL, INTERVAL_MAX, self.good_until),
            "cap": require_bucket("cap", self.cap),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """A standing order in the agent's store; `filled` counts the results that were applied."""

    number: int
    order: StandingOrder
    filled: Lots
    state: OrderState

    @property
    def remaining(self) -> Lots:
        """Lots that are not filled."""
        return Lots(self.order.size - self.filled)


def interval_order(placed: PlacedOrder | None, grid: PriceGrid) -> LimitOrder:
    """What is sealed for an interval: of a live order what is left, or else `COVER`.

    At most the order's cap is sealed. A limit between two ticks becomes the one that is no worse
    for the order: it never trades at a price beyond its limit.

    A limit beyond the grid on the aggressive side (a buy above the highest price, a sell below the
    lowest) becomes the last price on that side, as in order files: the grid is the collar. A limit
    beyond it on the passive side cannot trade in this interval. An order file refuses it, because
    somebody is there to mend it. A standing order seals cover instead: an account that fell silent
    whenever the reference had moved far enough would tell its side and about its limit, to whoever
    watches both.
    """
    if placed is None:
        return COVER
    order, highest = placed.order, grid.ticks - 1
    minimum_fill = order.limit - grid.units_of(Tick(0))
    if order.side is Side.BUY:
        tick = minimum_fill // grid.tick_units
        passive = tick < 0
    else:
        tick = -(-minimum_fill // grid.tick_units)
        passive = tick > highest
    if passive:
        return COVER
    size = Lots(min(placed.remaining, order.cap))
    return LimitOrder(order.side, size, Tick(min(max(tick, 0), highest)))
