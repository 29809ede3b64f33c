"""An instrument on its way through a crossing: sealed, priced, and with two sides that fill."""

from __future__ import annotations

from dataclasses import dataclass

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.lanes import Lanes
from darkpool.crossing.sealed_book import SealedBook
from darkpool.units import Lots, Side, Tick


@dataclass(frozen=True, slots=True)
class CrossingBook:
    """An instrument that is to be crossed.

    Attributes:
        number: among the instruments that have intents.
        ranks: priority of each intent that arrived, int64 (n,); 0 is first.
    """

    number: int
    sealed: SealedBook
    ranks: Lanes

    @property
    def count(self) -> int:
        """Intents that arrived."""
        return self.sealed.count


@dataclass(frozen=True, slots=True)
class Price:
    """A price; without a short side where plain orders do not cross at a reference price."""

    tick: Tick
    short_side: Side | None


@dataclass(frozen=True, slots=True)
class PricedBook:
    """An instrument that has a price; `packed` has its plain sizes at that price, by intent."""

    book: CrossingBook
    price: Price
    packed: Ciphertext

    @property
    def number(self) -> int:
        """See `CrossingBook`."""
        return self.book.number


@dataclass(frozen=True, slots=True)
class EncryptedCross:
    """Price, volume and fills of an instrument that crossed.

    `bought` and `sold` are lots by intent, int64 of shape (n,). `exhausted` says that minimum-fill
    orders took the whole surplus.
    """

    tick: Tick
    volume: Lots
    short_side: Side
    exhausted: bool
    bought: Lanes
    sold: Lanes


@dataclass(slots=True)
class Sides:
    """What the two sides of an instrument fill: lots by intent, shape (row slots,)."""

    short_side: Side
    short: Lanes
    long: Lanes
    exhausted: bool = False

    @property
    def long_row(self) -> int:
        """The row of the packed long side."""
        return 1 - int(self.short_side)

    @property
    def volume(self) -> int:
        """Lots of the short side."""
        return int(self.short.sum())

    def outcome(self, tick: Tick, count: int) -> EncryptedCross:
        """The result, once both sides are known."""
        rows = (self.short[:count], self.long[:count])
        bought, sold = rows if self.short_side is Side.BUY else rows[::-1]
        volume = Lots(self.volume)
        return EncryptedCross(tick, volume, self.short_side, self.exhausted, bought, sold)
