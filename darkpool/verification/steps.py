"""What the auditor understands the steps of a crossing as, from their openings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crypto.bfv.lanes import Lanes
from crypto.circuits.minimum_fill_lanes import MinimumFillLayout
from crypto.circuits.price_lanes import PriceLayout
from crypto.circuits.rationing import RationLayout

BUY = 0
SELL = 1


@dataclass(frozen=True, slots=True)
class ShapeOpening:
    """A weighted sum that was opened: number of the opening, and batch indices of its intents."""

    index: int
    combination: int
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Price:
    """A price; without a short side where plain orders do not cross at a reference price."""

    tick: int
    short_side: int | None


@dataclass(frozen=True, slots=True)
class CrossReading:
    """Whether and where instruments cross.

    Attributes:
        no_cross_opening: number of the opening of what crosses.
        price_opening, tie_opening: None where the protocol opens nothing: no instrument crosses,
            or there are no two candidates for a price.
        prices: by number of the instrument; of one that does not cross, only a reference price at
            which minimum-fill orders are looked at.
    """

    no_cross_opening: int
    price_opening: int | None
    tie_opening: int | None
    prices: dict[int, Price]


@dataclass(frozen=True, slots=True)
class PriceChunk:
    """Instruments whose prices were looked for in one comparison.

    Attributes:
        instruments: their numbers.
        present: batch indices of all intents that took part then.
        lane_openings: numbers of the openings of masked lanes, one for each ciphertext.
        cap_opening: number of the opening of cap bits.
        over_cap: batch indices of the intents above their caps.
        cross: None where an intent is above its cap: then nothing else was opened.
    """

    layout: PriceLayout
    instruments: tuple[int, ...]
    present: frozenset[int]
    lane_openings: tuple[int, ...]
    cap_opening: int
    over_cap: tuple[int, ...]
    cross: CrossReading | None


@dataclass(frozen=True, slots=True)
class SurplusFills:
    """Minimum-fill orders of an instrument that fill.

    Attributes:
        side: theirs, which is the short side.
        numbers: of the intents, in priority.
        exhausted: the last of them uses the surplus up.
    """

    side: int
    numbers: Lanes
    exhausted: bool


@dataclass(frozen=True, slots=True)
class MinimumFillChunk:
    """Instruments whose minimum-fill orders were compared together; fields as in `PriceChunk`.

    Attributes:
        exhausted_opening: None where none of these orders fills.
        surplus: by number of the instrument, where some of its orders fill.
    """

    layout: MinimumFillLayout
    instruments: tuple[int, ...]
    lane_openings: tuple[int, ...]
    fill_opening: int
    exhausted_opening: int | None
    surplus: dict[int, SurplusFills]


@dataclass(frozen=True, slots=True)
class SideFills:
    """Fills of one side of an instrument.

    Attributes:
        lots: by intent, shape (n,).
        opening: number of the opening that they were read from, None where nothing was opened.
    """

    lots: Lanes
    opening: int | None

    @property
    def volume(self) -> int:
        """Lots of all intents."""
        return int(self.lots.sum())

    def with_rest(self, number: int, lots: int) -> SideFills:
        """These fills and the lots of one intent more, which follow without being opened."""
        filled = self.lots.copy()
        filled[number] = lots
        return SideFills(filled, self.opening)


@dataclass(frozen=True, slots=True)
class ShortFills:
    """Fills of the short side.

    Attributes:
        plain: of plain orders.
        minimum_fill: of minimum-fill orders, None where none of them fills.
        exhausted_long: fills of the long side, which were opened whole because minimum-fill orders
            use the surplus up; None where they do not, and the long side is rationed.
    """

    side: int
    plain: SideFills
    minimum_fill: SideFills | None = None
    exhausted_long: SideFills | None = None

    @property
    def lots(self) -> Lanes:
        """Lots by intent, shape (n,)."""
        extra = 0 if self.minimum_fill is None else self.minimum_fill.lots
        return self.plain.lots + extra

    @property
    def volume(self) -> int:
        """Lots of all intents."""
        return int(self.lots.sum())


@dataclass(frozen=True, slots=True)
class RationChunk:
    """Instruments whose long sides were rationed in one comparison; fields as in `PriceChunk`.

    `longs` are the fills of the long sides, by number of the instrument.
    """

    layout: RationLayout
    instruments: tuple[int, ...]
    volumes: tuple[int, ...]
    lane_openings: tuple[int, ...]
    fill_opening: int
    longs: dict[int, SideFills]


@dataclass(frozen=True, slots=True)
class OpenedOutcome:
    """What the openings say of an instrument that crossed."""

    tick: int
    short: ShortFills
    long: SideFills

    @property
    def exhausted(self) -> bool:
        """Whether minimum-fill orders took the whole surplus."""
        return self.short.exhausted_long is not None

    def lots(self, side: int) -> Lanes:
        """Lots that the intents bought or sold, shape (n,)."""
        return self.short.lots if side == self.short.side else self.long.lots

    def plain_openings(self) -> Iterator[int]:
        """Numbers of the openings of plain orders' rows."""
        for fills in (self.short.plain, self.long):
            if fills.opening is not None:
                yield fills.opening


@dataclass(frozen=True, slots=True)
class Transcript:
    """The openings of an interval, understood.

    Attributes:
        malformed: batch indices of the intents that the shape check took out.
        ticks: of the instruments that were packed, by number; some of them may not cross.
        outcomes: by number of the instrument.
    """

    shape_openings: tuple[ShapeOpening, ...]
    malformed: tuple[int, ...]
    price_chunks: tuple[PriceChunk, ...]
    ticks: dict[int, int]
    minimum_fill_chunks: tuple[MinimumFillChunk, ...]
    ration_chunks: tuple[RationChunk, ...]
    outcomes: dict[int, OpenedOutcome]
