"""Fills, read from the openings of rows and of the comparisons that say who fills."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from crypto.bfv.lanes import Lanes
from crypto.circuits.minimum_fill_lanes import (
    ACCEPTS,
    USED_UP,
    MinimumFillLayout,
    minimum_fill_groups,
)
from crypto.circuits.packing import power_of_two
from crypto.circuits.rationing import RationLayout
from darkpool.record.core import RecordView
from darkpool.verification.errors import Unsound
from darkpool.verification.opening_walk import OpeningWalk
from darkpool.verification.steps import (
    MinimumFillChunk,
    Price,
    RationChunk,
    ShortFills,
    SideFills,
    SurplusFills,
)


class FillReader:
    """Reads the fills of all instruments.

    Args:
        ranks: priority of each instrument's intents, shape (n,) each.
    """

    def __init__(self, record: RecordView, walk: OpeningWalk, ranks: Sequence[Lanes]) -> None:
        self._parameters = record.parameters
        self._walk = walk
        self._ranks = ranks
        self._counts = [len(instrument.intents) for instrument in record.summary.instruments]

    def minimum_fill_chunks(self, instruments: Sequence[int]) -> tuple[MinimumFillChunk, ...]:
        """Which minimum-fill orders of some instruments fill, and which use the surplus up.

        Raises:
            Unsound: an opening that the protocol does not make at this point, or orders that fill
                on both sides.
        """
        counts = {k: self._counts[k] for k in instruments}
        groups = minimum_fill_groups(self._parameters, counts)
        return tuple(self._minimum_fill_chunk(n, tuple(group)) for n, group in enumerate(groups))

    def shorts(
        self, prices: Mapping[int, Price], surplus: Mapping[int, SurplusFills]
    ) -> dict[int, ShortFills]:
        """Fills of the short sides, by instrument; not of those that do not cross.

        Raises:
            Unsound: an opening that the protocol does not make at this point, or fills that do not
                go together.
        """
        shorts = {
            k: short
            for k, price in prices.items()
            if (short := self._plain_fills(k, price, surplus.get(k))) is not None
        }
        for k, fills in surplus.items():
            shorts[k] = self._minimum_fills(k, fills, shorts[k])
        return shorts

    def ration_chunks(self, shorts: Mapping[int, ShortFills]) -> tuple[RationChunk, ...]:
        """Fills of the long sides that are rationed.

        Raises:
            Unsound: an opening that the protocol does not make at this point, or fills out of
                priority.
        """
        rationed = [k for k, short in shorts.items() if short.exhausted_long is None]
        groups = enumerate(self._ration_groups(rationed))
        return tuple(self._ration_chunk(number, group, shorts) for number, group in groups)

    def _minimum_fill_chunk(self, number: int, instruments: tuple[int, ...]) -> MinimumFillChunk:
        layout = MinimumFillLayout(self._parameters, tuple(self._counts[k] for k in instruments))
        lane_openings = self._walk.masked_lanes(f"minimum-fill lanes {number}", layout.shape)
        lanes = [layout.lanes(i, ACCEPTS) for i in range(len(instruments))]
        every = np.concatenate([lane.reshape(-1) for lane in lanes])
        filling = self._walk.lane_bits(f"minimum-fill bits {number}", layout.shape, every)
        ends = np.cumsum([lane.size for lane in lanes])[:-1]
        surplus: dict[int, SurplusFills] = {}
        last_lanes = []
        for i, bits in enumerate(np.split(filling.bits, ends)):
            rows = bits.reshape(2, -1)
            sides, k = np.flatnonzero(rows.any(axis=1)), instruments[i]
            if sides.size > 1:
                part = f"opening {filling.opening}, minimum-fill bits of instrument {k}"
                raise Unsound(part, "fills on one side", "fills on both")
            if sides.size:
                side = int(sides[0])
                numbers = np.flatnonzero(rows[side])
                numbers = numbers[np.argsort(self._ranks[k][numbers])]
                surplus[k] = SurplusFills(side, numbers, exhausted=False)
                last_lanes.append(layout.lanes(i, USED_UP)[side, numbers[-1]])
        exhausted_opening = None
        if surplus:
            purpose = f"exhausted {number}"
            exhausted = self._walk.lane_bits(purpose, layout.shape, np.array(last_lanes))
            exhausted_opening = exhausted.opening
            for (k, fills), bit in zip(surplus.items(), exhausted.bits, strict=True):
                surplus[k] = replace(fills, exhausted=bool(bit))
        return MinimumFillChunk(
            layout, instruments, lane_openings, filling.opening, exhausted_opening, surplus
        )

    def _plain_fills(
        self, number: int, price: Price, surplus: SurplusFills | None
    ) -> ShortFills | None:
        """Plain fills of the short side; not opened where plain orders do not cross."""
        count, side = self._counts[number], price.short_side
        if side is None:
            unopened = SideFills(np.zeros(count, dtype=np.int64), None)
            return None if surplus is None else ShortFills(surplus.side, unopened)
        if surplus is not None and surplus.side != side:
            part = f"minimum-fill bits of instrument {number}"
            raise Unsound(part, f"fills of side {side}", f"fills of side {surplus.side}")
        purpose = f"short row {number}"
        fills = self._walk.fills(purpose, side, np.arange(count), count)
        if not fills.volume:
            raise Unsound(f"opening {fills.opening}, {purpose}", "a volume above 0", 0)
        return ShortFills(side, fills)

    def _minimum_fills(self, number: int, surplus: SurplusFills, short: ShortFills) -> ShortFills:
        """Fills of minimum-fill orders; if they use the surplus up, of the whole long side too.

        Then the lots of the last of them are not opened: they are what is left of the long side.
        """
        count = self._counts[number]
        fills = SideFills(np.zeros(count, dtype=np.int64), None)
        shown = surplus.numbers[:-1] if surplus.exhausted else surplus.numbers
        if shown.size:
            fills = self._walk.fills(f"minimum-fill row {number}", surplus.side, shown, count)
        if not surplus.exhausted:
            return replace(short, minimum_fill=fills)
        purpose = f"long row {number}"
        long = self._walk.fills(purpose, 1 - short.side, np.arange(count), count)
        rest = long.volume - short.volume - fills.volume
        if rest <= 0:
            part = f"opening {long.opening}, {purpose}"
            raise Unsound(part, "more lots than other orders fill", rest)
        fills = fills.with_rest(surplus.numbers[-1], rest)
        return replace(short, minimum_fill=fills, exhausted_long=long)

    def _ration_groups(self, crossing: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Instruments that cross, grouped as their rationing lanes fill half a row of columns."""
        group: tuple[int, ...] = ()
        for k in crossing:
            columns = sum(power_of_two(self._counts[i]) for i in (*group, k))
            if group and columns > self._parameters.comparison_ring.row // 2:
                yield group
                group = ()
            group = (*group, k)
        if group:
            yield group

    def _ration_chunk(
        self, number: int, instruments: tuple[int, ...], shorts: Mapping[int, ShortFills]
    ) -> RationChunk:
        long_rows = tuple(1 - shorts[k].side for k in instruments)
        counts = tuple(self._counts[k] for k in instruments)
        layout = RationLayout(self._parameters, counts, long_rows)
        volumes = tuple(shorts[k].volume for k in instruments)
        lane_openings = self._walk.masked_lanes(f"ration lanes {number}", layout.shape)
        lanes = np.concatenate([layout.lanes(i) for i in range(len(instruments))])
        filling = self._walk.lane_bits(f"ration bits {number}", layout.shape, lanes)
        longs = {}
        for i, bits in enumerate(np.split(filling.bits, np.cumsum(counts)[:-1])):
            k, ranks = instruments[i], self._ranks[instruments[i]]
            last = int(bits.sum()) - 1
            if last < 0 or not np.array_equal(bits == 1, ranks <= last):
                part = f"opening {filling.opening}, ration bits of instrument {k}"
                got = f"{last + 1} fills, the last of rank {ranks[bits == 1].max(initial=-1)}"
                raise Unsound(part, "a step in the beacon's order", got)
            longs[k] = self._long_fills(k, long_rows[i], last, volumes[i])
        return RationChunk(layout, instruments, volumes, lane_openings, filling.opening, longs)

    def _long_fills(self, number: int, row: int, last: int, volume: int) -> SideFills:
        """Fills of the long side: opened before the last rank that fills, which gets the rest."""
        ranks, count = self._ranks[number], self._counts[number]
        before = np.flatnonzero(ranks < last)
        fills = SideFills(np.zeros(count, dtype=np.int64), None)
        if before.size:
            fills = self._walk.fills(f"long row {number}", row, before, count)
        rest = volume - fills.volume
        if rest <= 0:
            raise Unsound(f"long row {number}", f"less than {volume} lots", fills.volume)
        return fills.with_rest(np.flatnonzero(ranks == last)[0], rest)
