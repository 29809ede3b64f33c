"""The circuits, run again: every ciphertext that was opened is the one that the batch leads to.

Evaluation is deterministic, so equal inputs give equal bytes. Starting from the sealed intents, the
evaluation keys, the attested masks and the opened values, each opened ciphertext is computed again
and compared word by word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.lanes import LaneCiphertext, Lanes, LaneShape
from crypto.bfv.seal import Evaluator
from crypto.circuits.comparison import BITS_LEVEL, Comparator, crossing_bits, reference_bits
from crypto.circuits.minimum_fill_lanes import (
    MinimumFillBook,
    minimum_fill_bits,
    minimum_fill_lanes,
)
from crypto.circuits.packing import LANES_LEVEL
from crypto.circuits.price_lanes import price_lanes
from crypto.circuits.rationing import prefix_sums, priority_matrix, ration_lanes
from crypto.circuits.wellformed import ShapeSum, shape_weights, shape_words
from crypto.threshold.keys import PublicMaterial
from crypto.threshold.revealing import masked, selected
from darkpool.record.reader import OpenedRecord, Record
from darkpool.verification.books import AuditedBook
from darkpool.verification.report import Findings
from darkpool.verification.steps import MinimumFillChunk, PriceChunk, RationChunk, Transcript

SUMS_MAX: Final = 64
"""Sums of a shape check that are computed at once; every such round reads all intents."""


@dataclass(frozen=True, slots=True)
class CircuitInputs:
    """What the circuits start from, besides the record itself.

    Attributes:
        values: decoded openings, shape (degree,) each.
        ranks: priority of each instrument's intents, shape (n,) each.
    """

    material: PublicMaterial
    values: Sequence[Lanes | None]
    ranks: Sequence[Lanes]


class CircuitCheck:
    """Computes every opened ciphertext again.

    Raises:
        MalformedKey: evaluation keys that SEAL refuses.
    """

    def __init__(
        self,
        record: Record,
        inputs: CircuitInputs,
        findings: Findings,
        progress: Callable[[str], None],
    ) -> None:
        self._record = record
        self._inputs = inputs
        self._findings = findings
        self._progress = progress
        self._order = Evaluator(inputs.material.order_keys.evaluation_keys())
        self._comparison = Evaluator(inputs.material.comparison_keys.evaluation_keys())
        self._comparator = Comparator(self._comparison)
        self._books = [AuditedBook(record, k, self._order) for k in range(len(inputs.ranks))]
        self._present = frozenset(range(len(record.intents)))

    def run(self, transcript: Transcript) -> None:
        """Compare all openings of a transcript.

        Raises:
            MalformedRecord, CryptoError: a part cannot be read, or cannot be computed on.
        """
        self._shapes(transcript)
        for chunk in transcript.price_chunks:
            self._progress("price circuits")
            self._leave(chunk.present)
            self._price_chunk(chunk)
        packed = {
            k: self._books[k].intents.plain.pack(tick) for k, tick in transcript.ticks.items()
        }
        minimum_fill: dict[int, MinimumFillBook] = {}
        for minimum_fills in transcript.minimum_fill_chunks:
            self._progress("minimum-fill circuits")
            for k in minimum_fills.members:
                minimum_fill[k] = self._minimum_fill_book(k, transcript.ticks[k], packed[k])
            self._minimum_fill_chunk(minimum_fills, minimum_fill)
        for number, outcome in transcript.outcomes.items():
            for index in (outcome.short_opening, outcome.long_opening):
                if index is not None:
                    self._selected(self._order, packed[number], index, LANES_LEVEL)
            if outcome.minimum_fill_opening is not None:
                own = minimum_fill[number].minimum_fill
                self._selected(self._order, own, outcome.minimum_fill_opening, LANES_LEVEL)
        for ration in transcript.ration_chunks:
            self._progress("rationing circuits")
            self._ration_chunk(ration, packed)

    def _shapes(self, transcript: Transcript) -> None:
        """Read every intent once, into its book and into the sums that it was opened in."""
        ring, intents = self._record.parameters.order_ring, len(self._record.intents)
        weights = shape_weights(ring, self._record.summary.beacon, intents)
        openings = transcript.shape_openings
        for start in range(0, len(openings), SUMS_MAX):
            part = openings[start : start + SUMS_MAX]
            sums = [ShapeSum(ring) for _ in part]
            for place in range(intents):
                self._progress(f"shape of intent {place}")
                ciphertext = self._record.ciphertext(place)
                sealed = self._record.intents[place].sealed
                if start == 0:
                    for book in self._books:
                        book.add(place, ciphertext)
                words = shape_words(self._order, ciphertext)[None]
                for opening, total in zip(part, sums, strict=True):
                    if place in opening.members:
                        weight = int(weights[opening.combination, place])
                        total.add(words, [0], [weight], [sealed.minimum_fill])
            for opening, total in zip(part, sums, strict=True):
                covered = total.covered(self._order, self._record.summary.ticks)
                self._equal(opening.index, covered.ciphertext)

    def _leave(self, present: frozenset[int]) -> None:
        """Take out of the books whoever took no part any more."""
        for place in sorted(self._present - present):
            ciphertext = self._record.ciphertext(place)
            for book in self._books:
                book.drop(place, ciphertext)
        self._present = self._present & present

    def _price_chunk(self, chunk: PriceChunk) -> None:
        layout, summary = chunk.layout, self._record.summary
        lanes = price_lanes(self._order, layout, [self._books[k].sized() for k in chunk.members])
        caps = [layout.cap_lanes(i).reshape(-1) for i in range(layout.instruments)]
        bits = self._compare(lanes, layout.shape, chunk.lanes, np.concatenate(caps))
        self._selected(self._comparison, bits, chunk.caps, BITS_LEVEL)
        if chunk.no_cross is None:
            return
        if summary.pricing == "uniform":
            sums = crossing_bits(self._comparison, bits, layout.width)
        else:
            sums = reference_bits(self._comparison, bits)
        self._selected(self._comparison, sums, chunk.no_cross, BITS_LEVEL)
        for index in (chunk.bits, chunk.ties):
            if index is not None:
                self._selected(self._comparison, bits, index, BITS_LEVEL)

    def _minimum_fill_book(self, number: int, tick: int, packed: Ciphertext) -> MinimumFillBook:
        book, ranks = self._books[number], self._inputs.ranks[number]
        own = book.intents.minimum_fill.pack(tick)
        matrix = priority_matrix(self._record.parameters.order_ring, ranks)
        before = prefix_sums(self._order, own, matrix)
        return MinimumFillBook(packed, own, before, book.intents.minimum_fill.minimums())

    def _minimum_fill_chunk(
        self, chunk: MinimumFillChunk, books: Mapping[int, MinimumFillBook]
    ) -> None:
        lanes = minimum_fill_lanes(self._order, chunk.layout, [books[k] for k in chunk.members])
        none = np.array([], dtype=np.int64)
        bits = self._compare(lanes, chunk.layout.shape, chunk.lanes, none)
        filling = minimum_fill_bits(self._comparison, chunk.layout, bits)
        self._selected(self._comparison, filling, chunk.bits, BITS_LEVEL)
        if chunk.exhausted is not None:
            self._selected(self._comparison, bits, chunk.exhausted, BITS_LEVEL)

    def _ration_chunk(self, chunk: RationChunk, packed: Mapping[int, Ciphertext]) -> None:
        ring = self._record.parameters.order_ring
        prefixes = [
            prefix_sums(self._order, packed[k], priority_matrix(ring, self._inputs.ranks[k]))
            for k in chunk.members
        ]
        lanes = ration_lanes(self._order, chunk.layout, prefixes, chunk.volumes)
        none = np.array([], dtype=np.int64)
        bits = self._compare(lanes, chunk.layout.shape, chunk.lanes, none)
        self._selected(self._comparison, bits, chunk.bits, BITS_LEVEL)

    def _compare(
        self,
        lanes: Sequence[LaneCiphertext],
        shape: LaneShape,
        openings: Sequence[int],
        bounded: Lanes,
    ) -> Ciphertext:
        """Compare the masked lanes with what was opened, and go on from the opened values."""
        number = self._record.openings[openings[0]].mask_number
        mask = self._record.mask(-1 if number is None else number)
        for part, (lane, index) in enumerate(zip(lanes, openings, strict=True)):
            self._equal(index, masked(self._order, lane, mask, part).ciphertext)
        opened = np.stack([self._values(index) for index in openings])
        flags = np.zeros(shape.lanes, dtype=np.bool_)
        flags[bounded] = True
        return self._comparator.compare(mask, shape.from_order(opened), flags)

    def _selected(
        self, evaluator: Evaluator, ciphertext: Ciphertext, index: int, level: int
    ) -> None:
        keep = self._opening(index).support
        self._equal(index, selected(evaluator, ciphertext, keep, level).ciphertext)

    def _equal(self, index: int, expected: Ciphertext) -> None:
        got = self._opening(index).ciphertext
        if got.ring != expected.ring or not np.array_equal(got.words, expected.words):
            purpose = self._record.openings[index].purpose
            part = f"opening {index}, ciphertext of {purpose}"
            self._findings.equal(part, expected.digest(), got.digest())

    def _opening(self, index: int) -> OpenedRecord:
        return self._record.opening(index)

    def _values(self, index: int) -> Lanes:
        values = self._inputs.values[index]
        return self._opening(index).values if values is None else values
