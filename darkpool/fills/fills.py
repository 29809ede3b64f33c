"""Fills: the executed part of an auction, intent by intent, and the proof that it adds up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkpool.crossing.clearing import Book, Cross
from darkpool.errors import NotConserved
from darkpool.fills.errors import InvalidFill
from darkpool.units import AccountId, InstrumentId, Lots, Side, Tick


@dataclass(frozen=True, slots=True)
class Fill:
    """What one intent traded: `intent` is its index in the batch of its instrument."""

    intent: int
    account: AccountId
    instrument: InstrumentId
    side: Side
    size: Lots
    tick: Tick


@dataclass(frozen=True, slots=True, eq=False)
class FilledLots:
    """Lots bought and lots sold by each intent, int64 of shape (intents,), as they are opened."""

    bought: NDArray[np.int64]
    sold: NDArray[np.int64]

    @classmethod
    def from_cross(cls, book: Book, cross: Cross) -> "FilledLots":
        """Split the fills of the plain twin by side."""
        buys = book.sides == Side.BUY
        return cls(np.where(buys, cross.fills, 0), np.where(buys, 0, cross.fills))


def collect_fills(
    instrument: InstrumentId,
    accounts: Sequence[AccountId],
    tick: Tick,
    volume: Lots,
    lots: FilledLots,
) -> tuple[Fill, ...]:
    """Name the fills of an instrument's auction, in the order of its batch.

    Raises:
        InvalidFill: a fill is negative, an intent is filled on both sides, or there are not as many
            entries as accounts.
        NotConserved: lots bought or lots sold do not add up to the volume.
    """
    intents = len(accounts)
    if not lots.bought.shape == lots.sold.shape == (intents,):
        raise InvalidFill(None, f"{intents} entries", f"{lots.bought.shape} and {lots.sold.shape}")
    fills = []
    for intent in np.flatnonzero((lots.bought != 0) | (lots.sold != 0)).tolist():
        bought, sold = int(lots.bought[intent]), int(lots.sold[intent])
        if bought and sold:
            raise InvalidFill(intent, "a fill on one side", f"{bought} bought and {sold} sold")
        if bought < 0 or sold < 0:
            raise InvalidFill(intent, "a fill above 0", str(bought + sold))
        side = Side.BUY if bought else Side.SELL
        size = Lots(bought + sold)
        fills.append(Fill(intent, accounts[intent], instrument, side, size, tick))
    verify_conservation(fills, volume)
    return tuple(fills)


def verify_conservation(fills: Iterable[Fill], volume: Lots) -> None:
    """Check that an instrument's fills add up to its volume on either side.

    Raises:
        NotConserved: on one side they do not.
    """
    total = {Side.BUY: 0, Side.SELL: 0}
    for fill in fills:
        total[fill.side] += fill.size
    if total[Side.BUY] != volume:
        raise NotConserved("lots bought", volume, total[Side.BUY])
    if total[Side.SELL] != volume:
        raise NotConserved("lots sold", volume, total[Side.SELL])
