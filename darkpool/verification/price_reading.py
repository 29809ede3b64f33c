"""Prices, read from the openings of comparisons of price and cap lanes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crypto.bfv.lanes import Lanes
from crypto.circuits.price_lanes import PriceLayout, price_groups
from darkpool.record.core import RecordView
from darkpool.verification.errors import Unsound
from darkpool.verification.opening_walk import OpeningWalk
from darkpool.verification.participation import ParticipantSets
from darkpool.verification.steps import BUY, SELL, CrossReading, Price, PriceChunk


@dataclass(frozen=True, slots=True)
class _Comparison:
    """One comparison of price lanes: its number, its instruments and where their lanes lie."""

    number: int
    instruments: tuple[int, ...]
    layout: PriceLayout

    def starts(self, members: Sequence[int]) -> Lanes:
        """First column of the price lanes of some of its instruments, counted within it."""
        return np.array([self.layout.price_start(i) for i in members])


class PriceReader:
    """Reads the comparisons that look for prices."""

    def __init__(
        self, record: RecordView, walk: OpeningWalk, participants: ParticipantSets
    ) -> None:
        self._record = record
        self._walk = walk
        self._participants = participants
        self._ticks = record.summary.ticks
        self._reference = self._ticks // 2
        self._fixed = record.summary.pricing == "reference"

    def read(self) -> tuple[PriceChunk, ...]:
        """All comparisons; takes out the intents that are above their caps.

        Raises:
            Unsound: an opening that the protocol does not make at this point, or values that no
                well-formed batch leads to.
        """
        record, has = self._record, self._participants.has
        listed = range(len(record.summary.instruments))
        live = [k for k in listed if has(k, minimum_fill=False)]
        counts = [len(record.summary.instruments[k].intents) for k in live]
        minimum_fills = [has(k, minimum_fill=True) for k in live]
        chunks: list[PriceChunk] = []
        for group in price_groups(record.parameters, self._ticks, counts, minimum_fills):
            instruments = [live[i] for i in group]
            # again without intents above their caps, until there are none
            while instruments:
                chunks.append(self._chunk(len(chunks), tuple(instruments)))
                if not chunks[-1].over_cap:
                    break
                self._participants.take_out(chunks[-1].over_cap)
                instruments = [k for k in instruments if has(k, minimum_fill=False)]
        return tuple(chunks)

    def _chunk(self, number: int, instruments: tuple[int, ...]) -> PriceChunk:
        summary = self._record.summary
        layout = PriceLayout(
            self._record.parameters,
            self._ticks,
            self._reference,
            tuple(len(summary.instruments[k].intents) for k in instruments),
            tuple(self._participants.has(k, minimum_fill=True) for k in instruments),
        )
        comparison = _Comparison(number, instruments, layout)
        present = frozenset(self._participants.all())
        lane_openings = self._walk.masked_lanes(f"price lanes {number}", layout.shape)
        cap_opening, over_cap = self._cap_bits(comparison)
        cross = None if over_cap else self._cross(comparison)
        return PriceChunk(layout, instruments, present, lane_openings, cap_opening, over_cap, cross)

    def _cap_bits(self, comparison: _Comparison) -> tuple[int, tuple[int, ...]]:
        """Number of the opening of cap bits, and batch indices of the intents with a 0."""
        layout, instruments = comparison.layout, comparison.instruments
        lanes = [layout.cap_lanes(i) for i in range(len(instruments))]
        every = np.concatenate([lane.reshape(-1) for lane in lanes])
        opened = self._walk.lane_bits(f"cap bits {comparison.number}", layout.shape, every)
        ends = np.cumsum([lane.size for lane in lanes])[:-1]
        over_cap: list[int] = []
        for k, lane, bits in zip(instruments, lanes, np.split(opened.bits, ends), strict=True):
            intents = self._record.summary.instruments[k].intents
            outside = np.flatnonzero(bits.reshape(lane.shape).min(axis=0) == 0)
            over_cap += [intents[number] for number in outside]
        return opened.opening, tuple(over_cap)

    def _cross(self, comparison: _Comparison) -> CrossReading:
        layout, number = comparison.layout, comparison.number
        everyone = range(len(comparison.instruments))
        first = self._reference if self._fixed else 0
        columns = comparison.starts(everyone) + layout.width + first
        no_cross = self._walk.lane_bits(f"no-cross {number}", layout.shape, columns)
        crossing = np.flatnonzero(no_cross.bits == 1).tolist()
        if self._fixed:
            return self._reference_prices(comparison, crossing, no_cross.opening)
        if not crossing:
            return CrossReading(no_cross.opening, None, None, {})
        price_opening, counts = self._price_bits(comparison, crossing)
        tie_opening, ties = self._tie_bits(comparison, counts)
        prices = {}
        for i, count in counts.items():
            sellers_short = count == self._ticks or ties.get(i) == 1
            price = Price(count - 1, SELL) if sellers_short else Price(count, BUY)
            prices[comparison.instruments[i]] = price
        return CrossReading(no_cross.opening, price_opening, tie_opening, prices)

    def _reference_prices(
        self, comparison: _Comparison, crossing: Sequence[int], no_cross_opening: int
    ) -> CrossReading:
        """Short sides at the reference price; minimum-fill orders are looked at in any case."""
        tick = self._reference
        instruments, layout = comparison.instruments, comparison.layout
        asked = [k for k in instruments if self._participants.has(k, minimum_fill=True)]
        prices = {k: Price(tick, None) for k in asked}
        if not crossing:
            return CrossReading(no_cross_opening, None, None, prices)
        columns = comparison.starts(crossing) + tick
        signs = self._walk.lane_bits(f"price bits {comparison.number}", layout.shape, columns)
        for i, sign in zip(crossing, signs.bits, strict=True):
            prices[instruments[i]] = Price(tick, SELL if sign else BUY)
        return CrossReading(no_cross_opening, signs.opening, None, prices)

    def _price_bits(
        self, comparison: _Comparison, crossing: Sequence[int]
    ) -> tuple[int, dict[int, int]]:
        """Number of the opening, and how many of its bits are 1, by instrument."""
        lanes = np.concatenate([comparison.layout.step_lanes(i) for i in crossing])
        purpose = f"price bits {comparison.number}"
        opened = self._walk.lane_bits(purpose, comparison.layout.shape, lanes)
        curves = opened.bits.reshape(len(crossing), -1)
        if (np.diff(curves, axis=1) > 0).any():
            raise Unsound(f"opening {opened.opening}, {purpose}", "a step down", "a step up")
        counts = dict(zip(crossing, map(int, curves.sum(axis=1)), strict=True))
        return opened.opening, counts

    def _tie_bits(
        self, comparison: _Comparison, counts: Mapping[int, int]
    ) -> tuple[int | None, dict[int, int]]:
        """Tie bits where both ticks at a step exist; nothing is opened where none has one."""
        inner = [i for i, count in counts.items() if 0 < count < self._ticks]
        if not inner:
            return None, {}
        layout = comparison.layout
        lanes = np.array([layout.tie_lane(i, counts[i]) for i in inner])
        opened = self._walk.lane_bits(f"tie lanes {comparison.number}", layout.shape, lanes)
        return opened.opening, dict(zip(inner, map(int, opened.bits), strict=True))
