"""What the steps of a crossing were understood as, from their openings."""

from __future__ import annotations

from dataclasses import dataclass

from crypto.bfv.lanes import Lanes
from crypto.circuits.minimum_fill_lanes import MinimumFillLayout
from crypto.circuits.price_lanes import PriceLayout
from crypto.circuits.rationing import RationLayout
from darkpool.verification.shape import ShapeOpening

BUY = 0
SELL = 1


@dataclass(frozen=True, slots=True)
class PriceChunk:
    """Instruments whose prices were looked for in one comparison.

    Attributes:
        members: their numbers.
        present: places in the batch of all intents that took part then.
        lanes: numbers of the openings of masked lanes, one for each ciphertext.
        caps: number of the opening of cap bits.
        above: places in the batch of the intents above their caps; where there are any, nothing
            else was opened.
        no_cross, bits, ties: numbers of the other openings, None where the protocol has none.
    """

    layout: PriceLayout
    members: tuple[int, ...]
    present: frozenset[int]
    lanes: tuple[int, ...]
    caps: int
    above: tuple[int, ...]
    no_cross: int | None = None
    bits: int | None = None
    ties: int | None = None


@dataclass(frozen=True, slots=True)
class MinimumFillChunk:
    """Instruments whose minimum-fill orders were compared together; fields as in `PriceChunk`.

    `exhausted` is None where nobody fills.
    """

    layout: MinimumFillLayout
    members: tuple[int, ...]
    lanes: tuple[int, ...]
    bits: int
    exhausted: int | None


@dataclass(frozen=True, slots=True)
class RationChunk:
    """Instruments whose long sides were rationed in one comparison; fields as in `PriceChunk`."""

    layout: RationLayout
    members: tuple[int, ...]
    volumes: tuple[int, ...]
    lanes: tuple[int, ...]
    bits: int


@dataclass(frozen=True, slots=True)
class Derived:
    """What the openings say of an instrument that crossed.

    Attributes:
        exhausted: minimum-fill orders took the whole surplus.
        bought, sold: lots by intent, shape (n,).
        short_opening, minimum_fill_opening, long_opening: numbers of the openings of rows, None
            where the protocol has none.
    """

    tick: int
    short_side: int
    volume: int
    exhausted: bool
    bought: Lanes
    sold: Lanes
    short_opening: int | None
    minimum_fill_opening: int | None
    long_opening: int | None


@dataclass(frozen=True, slots=True)
class Transcript:
    """The openings of an interval, understood.

    Attributes:
        malformed: places in the batch of the intents that the shape check took out.
        ticks: of the instruments that were packed, by number; some of them may not cross.
        outcomes: by number of the instrument.
    """

    shape_openings: tuple[ShapeOpening, ...]
    malformed: tuple[int, ...]
    price_chunks: tuple[PriceChunk, ...]
    ticks: dict[int, int]
    minimum_fill_chunks: tuple[MinimumFillChunk, ...]
    ration_chunks: tuple[RationChunk, ...]
    outcomes: dict[int, Derived]


@dataclass(frozen=True, slots=True)
class Price:
    """A price; without a short side where plain orders do not cross at a reference price."""

    tick: int
    short_side: int | None


@dataclass(frozen=True, slots=True)
class Taking:
    """Minimum-fill orders that fill, by number, in priority; whether they use the surplus up."""

    side: int
    numbers: Lanes
    exhausted: bool


@dataclass(slots=True)
class Rows:
    """What is known of both sides of an instrument; lots by intent, shape (n,)."""

    side: int
    short: Lanes
    long: Lanes
    short_opening: int | None = None
    minimum_fill_opening: int | None = None
    long_opening: int | None = None
    exhausted: bool = False

    @property
    def volume(self) -> int:
        """Lots of the short side."""
        return int(self.short.sum())

    def derived(self, tick: int) -> Derived:
        """The result, once both sides are known."""
        rows = (self.short, self.long)
        bought, sold = rows if self.side == BUY else rows[::-1]
        return Derived(
            tick,
            self.side,
            self.volume,
            self.exhausted,
            bought,
            sold,
            self.short_opening,
            self.minimum_fill_opening,
            self.long_opening,
        )
