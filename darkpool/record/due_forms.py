"""The forms of what waits to be booked when an interval opens, besides flows."""

from __future__ import annotations

from dataclasses import dataclass

from darkpool.record.kinds import Address, Cash, Hash, Price


@dataclass(frozen=True, slots=True)
class DueExpiry:
    """A contract settles in cash at a price, which is that of the market of `interval`."""

    interval: int
    instrument: Hash
    price: Price


@dataclass(frozen=True, slots=True)
class DueFunding:
    """Longs pay shorts for a unit of the underlying, by the market of `interval`."""

    interval: int
    instrument: Hash
    for_a_unit: Price


@dataclass(frozen=True, slots=True)
class DueCharge:
    """What rejected intents of the void `interval` cost an account, in cash units."""

    interval: int
    account: Address
    amount: Cash


@dataclass(frozen=True, slots=True)
class DueRecord:
    """What waits when an interval opens, besides flows: void intervals left it.

    Attributes:
        settled_ms: time of the market of the last settlement, Unix ms; 0 before the first.
        market_ms: of the last interval whose batch was committed.
        expiries, fundings, charges: in the order in which they are booked.
    """

    settled_ms: int
    market_ms: int
    expiries: tuple[DueExpiry, ...]
    fundings: tuple[DueFunding, ...]
    charges: tuple[DueCharge, ...]
