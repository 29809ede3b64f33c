"""What an auction may open, in which order, and what follows from the values.

The protocol leaves no choice: given the batch and the results so far, the next opening, its ring
and level, its mask and the slots that may be other than zero are determined. Here they are worked
out from public data alone, opening by opening, and compared with what the record says was opened;
a missing, extra, early or wider opening is found. No ciphertext is touched: whether each is what
the circuit gives, `darkpool.verification.circuits` finds out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from crypto.bfv.lanes import Lanes, LaneShape
from crypto.circuits.comparison import BITS_LEVEL
from crypto.circuits.minimum_fill_lanes import USED_UP, MinimumFillLayout, minimum_fill_groups
from crypto.circuits.packing import LANES_LEVEL, power_of_two
from crypto.circuits.price_lanes import PriceLayout, price_groups
from crypto.circuits.rationing import RationLayout
from darkpool.record.forms import Ring
from darkpool.record.reader import Record
from darkpool.verification.errors import Unsound
from darkpool.verification.participation import covered, taking_part
from darkpool.verification.report import Findings
from darkpool.verification.shape import ShapeOpening, ShapeReader
from darkpool.verification.steps import (
    BUY,
    SELL,
    MinimumFillChunk,
    Price,
    PriceChunk,
    RationChunk,
    Rows,
    Taking,
    Transcript,
)


class TranscriptReader:
    """Walks through the openings of a record.

    Args:
        values: decoded openings, shape (degree,) each, None where one cannot be read.
        ranks: priority of each instrument's intents, shape (n,) each.
    """

    def __init__(
        self,
        record: Record,
        values: Sequence[Lanes | None],
        ranks: Sequence[Lanes],
        findings: Findings,
    ) -> None:
        self._record = record
        self._parameters = record.parameters
        self._values = values
        self._ranks = ranks
        self._findings = findings
        self._next = 0
        self._masks_used: list[int] = []
        self._ticks = record.summary.ticks
        fixed = record.summary.pricing == "reference"
        self._reference = self._ticks // 2 if fixed else None
        left = covered(record)
        self._present = [set(i.intents) & left for i in record.summary.instruments]

    def read(self) -> Transcript:
        """Understand all openings.

        Raises:
            Unsound: an opening that the protocol does not make at this point, or values that no
                well-formed batch leads to.
        """
        self._leave_out()
        shape, malformed = self._shape()
        prices: dict[int, Price] = {}
        chunks: list[PriceChunk] = []
        live = [k for k in range(len(self._present)) if self._has(k, minimum_fill=False)]
        counts = [self._count(k) for k in live]
        minimum_fills = [self._has(k, minimum_fill=True) for k in live]
        for group in price_groups(self._parameters, self._ticks, counts, minimum_fills):
            self._price_group([live[i] for i in group], prices, chunks)
        prices = dict(sorted(prices.items()))
        takings: dict[int, Taking] = {}
        asked = {k: self._count(k) for k in prices if self._has(k, minimum_fill=True)}
        compared = [
            self._minimum_fill_chunk(number, tuple(members), takings)
            for number, members in enumerate(minimum_fill_groups(self._parameters, asked))
        ]
        rows = {
            k: found
            for k, price in prices.items()
            if (found := self._short_row(k, price, takings.get(k))) is not None
        }
        for k, taking in takings.items():
            self._minimum_fill_row(k, taking, rows[k])
        rationed = [k for k, found in rows.items() if not found.exhausted]
        rations = [
            self._ration_chunk(number, members, rows)
            for number, members in enumerate(self._ration_groups(rationed))
        ]
        outcomes = {k: found.derived(prices[k].tick) for k, found in rows.items()}
        if self._next != len(self._record.openings):
            got = self._record.openings[self._next].purpose
            raise Unsound(f"opening {self._next}", "no further opening", got)
        listed = [mask.number for mask in self._record.masks]
        self._findings.equal("masks, in order of use", self._masks_used, listed)
        ticks = {k: price.tick for k, price in prices.items()}
        return Transcript(
            shape, malformed, tuple(chunks), ticks, tuple(compared), tuple(rations), outcomes
        )

    def _has(self, number: int, *, minimum_fill: bool) -> bool:
        """Whether an intent of that kind takes part in an instrument."""
        intents = self._record.intents
        return any(
            intents[place].sealed.minimum_fill == minimum_fill for place in self._present[number]
        )

    def _take(
        self,
        purpose: str,
        ring: Ring,
        support: npt.NDArray[np.bool_],
        mask: tuple[int | None, int | None] = (None, None),
    ) -> int:
        """Number of the next opening, after checking that it is this one.

        `mask` is its number, and which of its ciphertexts.
        """
        index = self._next
        part = f"opening {index}"
        if index >= len(self._record.openings):
            raise Unsound(part, purpose, "none")
        entry = self._record.openings[index]
        if entry.purpose != purpose:
            raise Unsound(f"{part}, purpose", purpose, entry.purpose)
        level = LANES_LEVEL if ring == "order" else BITS_LEVEL
        summary = self._record.summary
        for what, expected, got in (
            ("context", summary.context, entry.context),
            ("epoch", summary.committee.epoch, entry.epoch),
            ("sequence", index, entry.sequence),
            ("ring", ring, entry.ring),
            ("level", level, entry.level),
            ("mask number", mask[0], entry.mask_number),
            ("mask part", mask[1], entry.mask_part),
        ):
            self._findings.equal(f"{part}, {what}", expected, got)
        if (ring, level) != (entry.ring, entry.level):
            raise Unsound(part, f"{ring} ring, level {level}", f"{entry.ring}, {entry.level}")
        stated = self._record.opening(index).support
        different = np.flatnonzero(stated != support)
        if different.size:
            slot = int(different[0])
            self._findings.add(f"{part}, support of slot {slot}", support[slot], stated[slot])
        self._next += 1
        return index

    def _read(self, index: int) -> Lanes:
        values = self._values[index]
        if values is None:
            raise Unsound(f"opening {index}", "an opening that can be read", "none")
        return values

    def _masked(self, name: str, shape: LaneShape) -> tuple[int, ...]:
        """Openings of masked lanes, all under one fresh mask of the shape."""
        part = f"opening {self._next}, mask number"
        if self._next >= len(self._record.openings):
            raise Unsound(f"opening {self._next}", f"{name}.0", "none")
        mask = self._record.openings[self._next].mask_number
        shapes = {m.number: m.lanes for m in self._record.masks}
        if mask is None or mask not in shapes:
            raise Unsound(part, "a mask of the record", mask)
        self._findings.equal(f"{part}, lanes of its mask", shape.lanes, shapes[mask])
        if mask in self._masks_used:
            self._findings.add(part, "a mask not used before", mask)
        self._masks_used.append(mask)
        active = shape.to_order(np.ones(shape.lanes, dtype=np.int64)) == 1
        return tuple(
            self._take(f"{name}.{number}", "order", active[number], (mask, number))
            for number in range(shape.order_ciphertexts)
        )

    def _lane_bits(self, purpose: str, shape: LaneShape, lanes: Lanes) -> tuple[int, Lanes]:
        """Opening of the bits of some lanes, and those bits in the order of `lanes`."""
        flags = np.zeros(shape.lanes, dtype=np.int64)
        flags[lanes] = 1
        index = self._take(purpose, "comparison", shape.first_block(flags) == 1)
        bits = shape.from_first_block(self._read(index))[lanes]
        if bits.max(initial=0) > 1:
            raise Unsound(f"opening {index}, {purpose}", "bits", int(bits.max()))
        return index, bits

    def _shape(self) -> tuple[tuple[ShapeOpening, ...], tuple[int, ...]]:
        """The shape check of the whole batch; takes those out that it found."""
        ring = self._parameters.order_ring
        everywhere = np.ones(ring.degree, dtype=np.bool_)

        def take(purpose: str) -> tuple[int, Lanes]:
            index = self._take(purpose, "order", everywhere)
            return index, self._read(index)

        reader = ShapeReader(ring.plain_modulus, take)
        malformed = reader.read(sorted(set().union(*self._present)))
        self._take_out(malformed)
        return tuple(reader.openings), malformed

    def _take_out(self, places: Sequence[int]) -> None:
        for present in self._present:
            present.difference_update(places)
        self._leave_out()

    def _leave_out(self) -> None:
        """Whoever may not take part beside those that are left, at no fault of theirs."""
        instruments = self._record.summary.instruments
        for number, (instrument, present) in enumerate(
            zip(instruments, self._present, strict=True)
        ):
            self._present[number] = set(taking_part(self._record, instrument, present).participants)

    def _price_group(
        self, group: list[int], prices: dict[int, Price], chunks: list[PriceChunk]
    ) -> None:
        """Comparisons of some instruments, until all intents in one are within their caps."""
        while group:
            chunk = self._price_chunk(len(chunks), tuple(group), prices)
            chunks.append(chunk)
            if not chunk.above:
                return
            self._take_out(chunk.above)
            group = [k for k in group if self._has(k, minimum_fill=False)]

    def _price_chunk(
        self, number: int, members: tuple[int, ...], prices: dict[int, Price]
    ) -> PriceChunk:
        counts = tuple(map(self._count, members))
        minimum_fills = tuple(self._has(k, minimum_fill=True) for k in members)
        layout = PriceLayout(self._parameters, self._ticks, counts, minimum_fills)
        shape = layout.shape
        present = frozenset().union(*self._present)
        lanes = self._masked(f"price lanes {number}", shape)
        caps, above = self._cap_bits(number, layout, members)
        if above:
            return PriceChunk(layout, members, present, lanes, caps, above)
        first = 0 if self._reference is None else self._reference
        columns = [layout.offset(i) + layout.width + first for i in range(len(members))]
        no_cross, answers = self._lane_bits(f"no-cross {number}", shape, np.array(columns))
        crossing = np.flatnonzero(answers == 1).tolist()
        bits = ties = None
        if crossing and self._reference is not None:
            at = np.array([layout.offset(i) + self._reference for i in crossing])
            bits, signs = self._lane_bits(f"price bits {number}", shape, at)
            for i, sign in zip(crossing, signs, strict=True):
                prices[members[i]] = Price(self._reference, SELL if sign else BUY)
        elif crossing:
            bits, counted = self._price_bits(number, layout, crossing)
            ties, tied = self._tie_bits(number, layout, counted)
            for i, count in counted.items():
                sellers_short = count == self._ticks or tied.get(i) == 1
                price = Price(count - 1, SELL) if sellers_short else Price(count, BUY)
                prices[members[i]] = price
        if self._reference is not None:
            for k, minimum_fill in zip(members, minimum_fills, strict=True):
                if minimum_fill:
                    prices.setdefault(k, Price(self._reference, None))
        return PriceChunk(layout, members, present, lanes, caps, (), no_cross, bits, ties)

    def _cap_bits(
        self, number: int, layout: PriceLayout, members: tuple[int, ...]
    ) -> tuple[int, tuple[int, ...]]:
        """Opening of the bits of each intent's bounds, and the places of those with a 0."""
        lanes = [layout.cap_lanes(i) for i in range(len(members))]
        every = np.concatenate([lane.reshape(-1) for lane in lanes])
        index, bits = self._lane_bits(f"cap bits {number}", layout.shape, every)
        above: list[int] = []
        for k, lane in zip(members, lanes, strict=True):
            own, bits = bits[: lane.size].reshape(lane.shape), bits[lane.size :]
            places = self._record.summary.instruments[k].intents
            above += [places[number] for number in np.flatnonzero(own.min(axis=0) == 0)]
        return index, tuple(above)

    def _price_bits(
        self, number: int, layout: PriceLayout, crossing: Sequence[int]
    ) -> tuple[int, dict[int, int]]:
        """Number of ticks at which demand is not below supply, of each instrument."""
        starts = np.array([layout.offset(i) for i in crossing])
        at = (starts[:, None] + np.arange(self._ticks)).reshape(-1)
        index, steps = self._lane_bits(f"price bits {number}", layout.shape, at)
        steps = steps.reshape(len(crossing), -1)
        if (np.diff(steps, axis=1) > 0).any():
            raise Unsound(f"opening {index}, price bits {number}", "a step down", "a step up")
        return index, dict(zip(crossing, map(int, steps.sum(axis=1)), strict=True))

    def _tie_bits(
        self, number: int, layout: PriceLayout, counts: dict[int, int]
    ) -> tuple[int | None, dict[int, int]]:
        """[S(c - 1) >= D(c)] where 0 < c < T; nothing is opened where no instrument has one."""
        inner = [i for i, count in counts.items() if 0 < count < self._ticks]
        if not inner:
            return None, {}
        lanes = np.array([layout.lane(1, layout.offset(i) + counts[i] - 1) for i in inner])
        index, bits = self._lane_bits(f"tie lanes {number}", layout.shape, lanes)
        return index, dict(zip(inner, map(int, bits), strict=True))

    def _row(self, purpose: str, row: int, slots: Lanes, count: int) -> tuple[int, Lanes]:
        """Opening of some intents' slots of one row, and all intents' lots in it, shape (n,)."""
        width = self._parameters.order_ring.row
        support = np.zeros((2, width), dtype=np.bool_)
        support[row, slots] = True
        index = self._take(purpose, "order", support.reshape(-1))
        lots = self._read(index).reshape(2, width)[row]
        return index, np.where(support[row], lots, 0)[:count]

    def _minimum_fill_chunk(
        self, number: int, members: tuple[int, ...], takings: dict[int, Taking]
    ) -> MinimumFillChunk:
        """Which minimum-fill orders fill, and whether the last of them uses the surplus up."""
        layout = MinimumFillLayout(self._parameters, tuple(map(self._count, members)))
        lanes = self._masked(f"minimum-fill lanes {number}", layout.shape)
        places = [layout.lanes(i, 0) for i in range(len(members))]
        every = np.concatenate([place.reshape(-1) for place in places])
        bits, opened = self._lane_bits(f"minimum-fill bits {number}", layout.shape, every)
        filling: dict[int, tuple[int, Lanes]] = {}
        for i, (k, place) in enumerate(zip(members, places, strict=True)):
            own, opened = opened[: place.size].reshape(place.shape), opened[place.size :]
            sides = np.flatnonzero(own.any(axis=1))
            if sides.size > 1:
                part = f"opening {bits}, minimum-fill bits of instrument {k}"
                raise Unsound(part, "fills on one side", "fills on both")
            if sides.size:
                numbers = np.flatnonzero(own[sides[0]])
                filling[i] = int(sides[0]), numbers[np.argsort(self._ranks[k][numbers])]
        if not filling:
            return MinimumFillChunk(layout, members, lanes, bits, None)
        at = [layout.lanes(i, USED_UP)[side, own[-1]] for i, (side, own) in filling.items()]
        last, answers = self._lane_bits(f"exhausted {number}", layout.shape, np.array(at))
        for (i, (side, numbers)), answer in zip(filling.items(), answers, strict=True):
            takings[members[i]] = Taking(side, numbers, bool(answer))
        return MinimumFillChunk(layout, members, lanes, bits, last)

    def _short_row(self, number: int, price: Price, taking: Taking | None) -> Rows | None:
        """Plain fills of the short side; not opened where plain orders do not cross."""
        count, side = self._count(number), price.short_side
        none = np.zeros(count, dtype=np.int64)
        if side is None:
            return None if taking is None else Rows(taking.side, none, none)
        if taking is not None and taking.side != side:
            part = f"minimum-fill bits of instrument {number}"
            raise Unsound(part, f"fills of side {side}", f"fills of side {taking.side}")
        index, lots = self._row(f"short row {number}", side, np.arange(count), count)
        if not lots.any():
            raise Unsound(f"opening {index}, short row {number}", "a volume above 0", 0)
        return Rows(side, lots, none, index)

    def _minimum_fill_row(self, number: int, taking: Taking, rows: Rows) -> None:
        """Fills of minimum-fill orders; if they use the surplus up, of the whole long side too."""
        count = self._count(number)
        lots = np.zeros(count, dtype=np.int64)
        shown = taking.numbers[:-1] if taking.exhausted else taking.numbers
        if shown.size:
            rows.minimum_fill_opening, lots = self._row(
                f"minimum-fill row {number}", taking.side, shown, count
            )
        if taking.exhausted:
            rows.exhausted = True
            rows.long_opening, rows.long = self._row(
                f"long row {number}", 1 - rows.side, np.arange(count), count
            )
            rest = int(rows.long.sum()) - rows.volume - int(lots.sum())
            if rest <= 0:
                part = f"opening {rows.long_opening}, long row {number}"
                raise Unsound(part, "more lots than other orders fill", rest)
            lots[taking.numbers[-1]] = rest
        rows.short = rows.short + lots

    def _ration_groups(self, crossing: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Instruments that cross, grouped as their rationing lanes fill half a row of columns."""
        group: tuple[int, ...] = ()
        for k in crossing:
            columns = sum(power_of_two(self._count(i)) for i in (*group, k))
            if group and columns > self._parameters.comparison_ring.row // 2:
                yield group
                group = ()
            group = (*group, k)
        if group:
            yield group

    def _ration_chunk(
        self, number: int, members: tuple[int, ...], rows: dict[int, Rows]
    ) -> RationChunk:
        long_rows = tuple(1 - rows[k].side for k in members)
        layout = RationLayout(self._parameters, tuple(map(self._count, members)), long_rows)
        volumes = tuple(rows[k].volume for k in members)
        lanes = self._masked(f"ration lanes {number}", layout.shape)
        places = [layout.lanes(i) for i in range(len(members))]
        purpose = f"ration bits {number}"
        bits, opened = self._lane_bits(purpose, layout.shape, np.concatenate(places))
        filled = np.split(opened, np.cumsum([place.size for place in places])[:-1])
        for i, k in enumerate(members):
            rows[k].long_opening, rows[k].long = self._long_row(
                k, long_rows[i], filled[i], volumes[i], bits
            )
        return RationChunk(layout, members, volumes, lanes, bits)

    def _long_row(
        self, number: int, row: int, filled: Lanes, volume: int, bits: int
    ) -> tuple[int | None, Lanes]:
        """Lots of the long side: opened before the last that fills, which gets the rest."""
        ranks, count = self._ranks[number], self._count(number)
        last = int(filled.sum()) - 1
        if last < 0 or not np.array_equal(filled == 1, ranks <= last):
            part = f"opening {bits}, ration bits of instrument {number}"
            got = f"{last + 1} fills, the last of rank {ranks[filled == 1].max(initial=-1)}"
            raise Unsound(part, "a step in the beacon's order", got)
        before = np.flatnonzero(ranks < last)
        index, lots = None, np.zeros(count, dtype=np.int64)
        if before.size:
            index, lots = self._row(f"long row {number}", row, before, count)
        rest = volume - int(lots.sum())
        if rest <= 0:
            raise Unsound(f"long row {number}", f"less than {volume} lots", volume - rest)
        lots[np.flatnonzero(ranks == last)] = rest
        return index, lots

    def _count(self, number: int) -> int:
        return len(self._record.summary.instruments[number].intents)
