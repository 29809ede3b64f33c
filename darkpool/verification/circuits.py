"""The circuits, run again: every ciphertext that was opened is the one that the batch leads to.

Evaluation is deterministic, so equal inputs give equal bytes. Starting from the sealed intents, the
evaluation keys, the attested masks and the opened values, each opened ciphertext is computed again
and compared word by word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crypto.ciphertext import Ciphertext
from crypto.comparison import (
    BITS_LEVEL,
    SIGN,
    Comparator,
    crossing_bits,
    reference_bits,
)
from crypto.keys import PublicMaterial
from crypto.lanes import Lanes, LaneShape
from crypto.packing import (
    LANES_LEVEL,
    LaneCiphertext,
    Packer,
    prefix_sums,
    price_lanes,
    priority_matrix,
    ration_lanes,
)
from crypto.revealing import masked, selected
from crypto.seal import Evaluator
from darkpool.record import OpenedRecord, Record
from darkpool.verification.report import Findings
from darkpool.verification.transcript import PriceChunk, RationChunk, Transcript


@dataclass(frozen=True, slots=True)
class CircuitInputs:
    """What the circuits start from, besides the record itself.

    Attributes:
        aggregates: sum of each instrument's ciphertexts, in the instruments' order.
        values: decoded openings, shape (degree,) each.
        ranks: priority of each instrument's intents, shape (n,) each.
    """

    material: PublicMaterial
    aggregates: Sequence[Ciphertext]
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
        self._order = Evaluator(inputs.material.order.evaluation_keys())
        self._comparison = Evaluator(inputs.material.comparison.evaluation_keys())
        self._comparator = Comparator(self._comparison)

    def run(self, transcript: Transcript) -> None:
        """Compare all openings of a transcript.

        Raises:
            MalformedRecord, CryptoError: a part cannot be read, or cannot be computed on.
        """
        for chunk in transcript.price_chunks:
            self._progress("price circuits")
            self._price_chunk(chunk)
        packed = {
            number: self._pack(number, outcome.tick)
            for number, outcome in transcript.outcomes.items()
        }
        for number, outcome in transcript.outcomes.items():
            self._selected(self._order, packed[number], outcome.short_opening, LANES_LEVEL)
            if outcome.long_opening is not None:
                self._selected(self._order, packed[number], outcome.long_opening, LANES_LEVEL)
        for ration in transcript.ration_chunks:
            self._progress("rationing circuits")
            self._ration_chunk(ration, packed)

    def _price_chunk(self, chunk: PriceChunk) -> None:
        layout, summary = chunk.layout, self._record.summary
        aggregates = [self._inputs.aggregates[k] for k in chunk.members]
        lanes = price_lanes(self._order, layout, aggregates)
        bits = self._compare(lanes, layout.shape, chunk.lanes)
        if summary.pricing == "uniform":
            sums = crossing_bits(self._comparison, bits, layout.width)
        else:
            sums = reference_bits(self._comparison, bits)
        self._selected(self._comparison, sums, chunk.no_cross, BITS_LEVEL)
        for index in (chunk.bits, chunk.ties):
            if index is not None:
                self._selected(self._comparison, bits, index, BITS_LEVEL)

    def _ration_chunk(self, chunk: RationChunk, packed: Mapping[int, Ciphertext]) -> None:
        ring = self._record.parameters.order
        prefixes = [
            prefix_sums(self._order, packed[k], priority_matrix(ring, self._inputs.ranks[k]))
            for k in chunk.members
        ]
        lanes = ration_lanes(self._order, chunk.layout, prefixes, chunk.volumes)
        bits = self._compare(lanes, chunk.layout.shape, chunk.lanes)
        self._selected(self._comparison, bits, chunk.bits, BITS_LEVEL)

    def _compare(
        self, lanes: Sequence[LaneCiphertext], shape: LaneShape, openings: Sequence[int]
    ) -> Ciphertext:
        """Compare the masked lanes with what was opened, and go on from the opened values."""
        number = self._record.openings[openings[0]].mask_number
        mask = self._record.mask(-1 if number is None else number)
        for part, (lane, index) in enumerate(zip(lanes, openings, strict=True)):
            self._equal(index, masked(self._order, lane, mask, part).ciphertext)
        opened = np.stack([self._values(index) for index in openings])
        heights = np.full(shape.lanes, SIGN, dtype=np.int64)
        return self._comparator.compare(mask, shape.from_order(opened), heights)

    def _pack(self, number: int, tick: int) -> Ciphertext:
        """One slot of each intent of an instrument; holds its ciphertexts only meanwhile."""
        packer = Packer(self._order)
        for index in self._record.summary.instruments[number].intents:
            self._progress(f"packing intent {index}")
            packer.add(self._record.ciphertext(index))
        return packer.pack(tick)

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
