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
from crypto.circuits.price_lanes import PriceLayout, price_lanes, reference_tie_bits
from crypto.circuits.rationing import prefix_sums, priority_matrix, ration_lanes
from crypto.circuits.wellformed import ShapeSum, shape_weights, shape_words
from crypto.threshold.keys import PublicMaterial
from crypto.threshold.revealing import masked, selected, selected_sum
from darkpool.record.reader import Record
from darkpool.verification.books import AuditedBook
from darkpool.verification.report import Findings
from darkpool.verification.steps import (
    MinimumFillChunk,
    PriceChunk,
    RationChunk,
    ShapeOpening,
    Transcript,
)

SUMS_MAX: Final = 64
"""Sums of a shape check that are computed at once; every such round reads all intents."""

_NO_LANES: Final = np.array([], dtype=np.int64)


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
        self._order_evaluator = Evaluator(inputs.material.order_keys.evaluation_keys())
        self._comparison_evaluator = Evaluator(inputs.material.comparison_keys.evaluation_keys())
        self._comparator = Comparator(self._comparison_evaluator)
        self._books = [
            AuditedBook(record, k, self._order_evaluator) for k in range(len(inputs.ranks))
        ]
        self._present = frozenset(range(len(record.intents)))

    def run(self, transcript: Transcript) -> None:
        """Compare all openings of a transcript.

        Raises:
            MalformedRecord, CryptoError: a part cannot be read, or cannot be computed on.
        """
        self._shapes(transcript.shape_openings)
        for chunk in transcript.price_chunks:
            self._progress("price circuits")
            self._leave(chunk.present)
            self._price_chunk(chunk)
        packed = {
            k: self._books[k].intents.plain.pack(tick) for k, tick in transcript.ticks.items()
        }
        books: dict[int, MinimumFillBook] = {}
        for minimum_fills in transcript.minimum_fill_chunks:
            self._progress("minimum-fill circuits")
            for k in minimum_fills.instruments:
                books[k] = self._minimum_fill_book(k, transcript.ticks[k], packed[k])
            self._minimum_fill_chunk(minimum_fills, books)
        for k, outcome in transcript.outcomes.items():
            for index in outcome.plain_openings():
                self._check_selected(self._order_evaluator, packed[k], index, LANES_LEVEL)
            minimum_fill = outcome.short.minimum_fill
            if minimum_fill is not None and minimum_fill.opening is not None:
                orders, index = books[k].minimum_fill, minimum_fill.opening
                self._check_selected(self._order_evaluator, orders, index, LANES_LEVEL)
        for ration in transcript.ration_chunks:
            self._progress("rationing circuits")
            self._ration_chunk(ration, packed)

    def _shapes(self, openings: Sequence[ShapeOpening]) -> None:
        """Read every intent once, into its book and into the sums that it was opened in."""
        ring, intents = self._record.parameters.order_ring, self._record.intents
        weights = shape_weights(ring, self._record.summary.beacon, len(intents))
        for start in range(0, len(openings), SUMS_MAX):
            part = openings[start : start + SUMS_MAX]
            sums = [ShapeSum(ring) for _ in part]
            for index, intent in enumerate(intents):
                self._progress("shapes of intents")
                ciphertext = self._record.ciphertext(index)
                if start == 0:
                    for book in self._books:
                        book.add(index, ciphertext)
                words = shape_words(self._order_evaluator, ciphertext)[None]
                for opening, total in zip(part, sums, strict=True):
                    if index in opening.members:
                        weight = int(weights[opening.combination, index])
                        total.add(words, [0], [weight], [intent.sealed.minimum_fill])
            for opening, total in zip(part, sums, strict=True):
                covered = total.covered(self._order_evaluator, self._record.summary.ticks)
                self._check_equal(opening.index, covered.ciphertext)

    def _leave(self, present: frozenset[int]) -> None:
        """Take the intents that took no part any more out of the books."""
        for index in sorted(self._present - present):
            ciphertext = self._record.ciphertext(index)
            for book in self._books:
                book.drop(index, ciphertext)
        self._present = self._present & present

    def _price_chunk(self, chunk: PriceChunk) -> None:
        evaluator, layout = self._comparison_evaluator, chunk.layout
        books = [self._books[k].sized() for k in chunk.instruments]
        lanes = price_lanes(self._order_evaluator, layout, books)
        caps = [layout.cap_lanes(i).reshape(-1) for i in range(layout.instruments)]
        bits = self._compare(lanes, layout.shape, chunk.lane_openings, np.concatenate(caps))
        self._check_selected(evaluator, bits, chunk.cap_opening, BITS_LEVEL)
        if chunk.cross is None:
            return
        if self._record.summary.pricing == "uniform":
            sums = crossing_bits(evaluator, bits, layout.width)
        else:
            sums = reference_bits(evaluator, bits)
        self._check_selected(evaluator, sums, chunk.cross.no_cross_opening, BITS_LEVEL)
        if chunk.cross.price_opening is not None:
            self._check_selected(evaluator, bits, chunk.cross.price_opening, BITS_LEVEL)
        if chunk.cross.tie_opening is not None:
            self._check_ties(layout, bits, chunk.cross.tie_opening)

    def _check_ties(self, layout: PriceLayout, bits: Ciphertext, index: int) -> None:
        """Tie bits of the tick above the reference are of a product, the others as compared."""
        evaluator, shape = self._comparison_evaluator, layout.shape
        flags = np.zeros(shape.lanes, dtype=np.int64)
        if layout.reference + 1 < layout.ticks:
            for i in range(layout.instruments):
                flags[layout.tie_lane(i, layout.reference + 1)] = 1
        support = self._record.opening(index).support.astype(np.int64)
        above = shape.first_block(flags) * support
        terms = [(bits, support - above)]
        if above.any():
            terms.append((reference_tie_bits(evaluator, layout, bits), above))
        self._check_equal(index, selected_sum(evaluator, terms, BITS_LEVEL).ciphertext)

    def _minimum_fill_book(self, number: int, tick: int, plain: Ciphertext) -> MinimumFillBook:
        packer, ranks = self._books[number].intents.minimum_fill, self._inputs.ranks[number]
        orders = packer.pack(tick)
        matrix = priority_matrix(self._record.parameters.order_ring, ranks)
        before = prefix_sums(self._order_evaluator, orders, matrix)
        return MinimumFillBook(plain, orders, before, packer.minimums())

    def _minimum_fill_chunk(
        self, chunk: MinimumFillChunk, books: Mapping[int, MinimumFillBook]
    ) -> None:
        evaluator, layout = self._comparison_evaluator, chunk.layout
        compared = [books[k] for k in chunk.instruments]
        lanes = minimum_fill_lanes(self._order_evaluator, layout, compared)
        bits = self._compare(lanes, layout.shape, chunk.lane_openings, _NO_LANES)
        filling = minimum_fill_bits(evaluator, layout, bits)
        self._check_selected(evaluator, filling, chunk.fill_opening, BITS_LEVEL)
        if chunk.exhausted_opening is not None:
            self._check_selected(evaluator, bits, chunk.exhausted_opening, BITS_LEVEL)

    def _ration_chunk(self, chunk: RationChunk, packed: Mapping[int, Ciphertext]) -> None:
        ring, evaluator = self._record.parameters.order_ring, self._order_evaluator
        prefixes = [
            prefix_sums(evaluator, packed[k], priority_matrix(ring, self._inputs.ranks[k]))
            for k in chunk.instruments
        ]
        lanes = ration_lanes(evaluator, chunk.layout, prefixes, chunk.volumes)
        bits = self._compare(lanes, chunk.layout.shape, chunk.lane_openings, _NO_LANES)
        self._check_selected(self._comparison_evaluator, bits, chunk.fill_opening, BITS_LEVEL)

    def _compare(
        self,
        lanes: Sequence[LaneCiphertext],
        shape: LaneShape,
        openings: Sequence[int],
        bounded: Lanes,
    ) -> Ciphertext:
        """Check the masked lanes against what was opened, and go on from the opened values."""
        number = self._record.openings[openings[0]].mask_number
        mask = self._record.mask(-1 if number is None else number)
        for part, (lane, index) in enumerate(zip(lanes, openings, strict=True)):
            self._check_equal(index, masked(self._order_evaluator, lane, mask, part).ciphertext)
        opened = np.stack([self._values(index) for index in openings])
        flags = np.zeros(shape.lanes, dtype=np.bool_)
        flags[bounded] = True
        return self._comparator.compare(mask, shape.from_order(opened), flags)

    def _check_selected(
        self, evaluator: Evaluator, ciphertext: Ciphertext, index: int, level: int
    ) -> None:
        support = self._record.opening(index).support
        self._check_equal(index, selected(evaluator, ciphertext, support, level).ciphertext)

    def _check_equal(self, index: int, expected: Ciphertext) -> None:
        got = self._record.opening(index).ciphertext
        if got.ring != expected.ring or not np.array_equal(got.words, expected.words):
            purpose = self._record.openings[index].purpose
            part = f"opening {index}, ciphertext of {purpose}"
            self._findings.equal(part, expected.digest(), got.digest())

    def _values(self, index: int) -> Lanes:
        values = self._inputs.values[index]
        return self._record.opening(index).values if values is None else values
