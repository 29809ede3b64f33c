"""Rationing lanes: what is compared with zero to find out which intents of the long side fill.

Example: four intents of the long side with sizes v = (5, 7, 2, 4) and ranks (2, 0, 3, 1) share 12
lots. Intents 1, 3, 0 and 2 come in this order, so before each of them in priority there are

    prefix = (7 + 4, 0, 7 + 4 + 5, 7) = (11, 0, 16, 7).

The lanes 12 - 1 - prefix = (0, 11, -5, 4) are at least 0 for intents 0, 1 and 3, which fill. The
last of them in priority, 0, gets the 12 - 11 = 1 lot that is left.

The prefix sums are M v with M[k, j] = [rank(j) < rank(k)]. Its diagonal d has M[k, k + d mod 4] at
k and multiplies v rotated left by d. Diagonals 0 to 3 here are (0, 0, 0, 0), (1, 0, 1, 0),
(0, 0, 1, 1) and (1, 0, 1, 0), and the products add up to

    (7, 0, 4, 0) + (0, 0, 5, 7) + (4, 0, 7, 0) = (11, 0, 16, 7).

With two baby steps only v and v rotated by 1 are computed: diagonals 2 and 3, moved right by 2,
multiply them, and the sum is rotated left by 2, one giant step.

All in the order ring, on public positions, so every function is deterministic: each holder of the
ciphertexts can repeat it to the byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crypto.bfv.ciphertext import Ciphertext, level_basis
from crypto.bfv.lanes import LaneCiphertext, Lanes, LaneShape, smallest_shape
from crypto.bfv.products import coefficient_form, transformed
from crypto.bfv.seal import Evaluator
from crypto.circuits.lane_sum import LaneSum
from crypto.circuits.packing import LANES_LEVEL, power_of_two, rotate, unbroken
from crypto.errors import OutOfRange
from crypto.ring.params import ParameterSet, RingParameters
from crypto.ring.ring import Words
from crypto.ring.slots import lift


@dataclass(frozen=True, slots=True)
class PriorityMatrix:
    """The n x n matrix [rank(j) < rank(k)] by its diagonals, ready to multiply.

    It depends on the beacon alone, so it is lifted while the price is still being found.

    Attributes:
        period: the power of two above n.
        baby_steps: diagonals of one giant step.
        operands: at LANES_LEVEL, transform form, shape (giant steps, baby steps, level, degree);
            equal in both rows.
    """

    period: int
    baby_steps: int
    operands: Words


def priority_matrix(ring: RingParameters, ranks: Lanes) -> PriorityMatrix:
    """Lift the matrix of a priority: `ranks` is a permutation of 0 .. n - 1, shape (n,)."""
    count = ranks.size
    period = power_of_two(count)
    baby_steps = power_of_two(max(1, int(np.sqrt(period))))
    before = np.zeros((period, period), dtype=np.int64)
    before[:count, :count] = ranks[None, :] < ranks[:, None]
    operands = np.empty(
        (period // baby_steps, baby_steps, LANES_LEVEL, ring.degree), dtype=np.uint64
    )
    for step, lifted in enumerate(operands):
        # slot vectors of one giant step at a time: those of all are a third of the operands
        lifted[:] = lift(ring, _diagonals(ring, before, baby_steps, step), LANES_LEVEL)
    return PriorityMatrix(period, baby_steps, operands)


def _diagonals(ring: RingParameters, before: Lanes, baby_steps: int, step: int) -> Lanes:
    """Slot vectors of the diagonals of one giant step, moved right by the first one's number."""
    period, shift = before.shape[0], step * baby_steps
    number, index = shift + np.arange(baby_steps)[:, None], np.arange(period)[None, :]
    vectors = np.zeros((baby_steps, 2, ring.row), dtype=np.int64)
    vectors[:, :, (index[0] + shift) % ring.row] = before[index, (index + number) % period][:, None]
    return vectors.reshape(baby_steps, -1)


def prefix_sums(evaluator: Evaluator, packed: Ciphertext, matrix: PriorityMatrix) -> Ciphertext:
    """Slot k of each row = sum of that row's slots of all intents before k in priority.

    `packed` comes from `Packer.pack`; slots from n on become zero. The matrix is multiplied by
    diagonals, with baby steps and giant steps. Source: S. Halevi and V. Shoup, "Algorithms in
    HElib" (CRYPTO 2014). Depth: one plaintext product and rotations; result at LANES_LEVEL.

    Raises:
        OutOfRange: a single intent, which has no other to trade with.
    """
    ring, period, baby_steps = evaluator.ring, matrix.period, matrix.baby_steps
    if period < 2:
        raise OutOfRange("intents to ration", "at least 2", period)
    handle = evaluator.switch_to(evaluator.load(packed), LANES_LEVEL)
    if 2 * period <= ring.row:
        # a copy one period to the right, which rotations by less bring in behind the last intent
        handle = evaluator.add(handle, rotate(evaluator, handle, -period))
    rotated = np.empty((baby_steps, 2, LANES_LEVEL, ring.degree), dtype=np.uint64)
    for step in range(baby_steps):
        if step:
            handle = rotate(evaluator, handle, 1)
        rotated[step] = transformed(evaluator.store(handle))
    total: Any = None
    for weights in matrix.operands[::-1]:
        if total is not None:
            total = rotate(evaluator, total, baby_steps)
        if not weights.any():
            continue  # SEAL takes no ciphertext of zeros
        words = level_basis(ring, LANES_LEVEL).weighted_sum(weights, rotated)
        part = evaluator.load(coefficient_form(ring, words))
        total = part if total is None else evaluator.add(total, part)
    return evaluator.store(total)


@dataclass(frozen=True, slots=True)
class RationLayout:
    """Where the rationing lanes of the instruments of one comparison lie.

    Attributes:
        counts: intents of each instrument.
        long_rows: 0 where buyers are rationed, 1 where sellers are.
    """

    parameters: ParameterSet
    counts: tuple[int, ...]
    long_rows: tuple[int, ...]

    @property
    def shape(self) -> LaneShape:
        """The smallest shape that holds all instruments."""
        return smallest_shape(self.parameters, self._end(len(self.counts)))

    def _end(self, number: int) -> int:
        """First column after the first `number` instruments; none straddles two ciphertexts."""
        row, column = self.parameters.order_ring.row, 0
        for index in range(number):
            width = power_of_two(self.counts[index])
            column = unbroken(column, width, row) + width
        return column

    def start(self, instrument: int) -> int:
        """First column of an instrument."""
        width, row = power_of_two(self.counts[instrument]), self.parameters.order_ring.row
        return unbroken(self._end(instrument), width, row)

    def lanes(self, instrument: int) -> Lanes:
        """Lane numbers of an instrument's intents, shape (count,)."""
        start = self.long_rows[instrument] * self.shape.width + self.start(instrument)
        return np.arange(start, start + self.counts[instrument])


def ration_lanes(
    evaluator: Evaluator,
    layout: RationLayout,
    prefixes: Sequence[Ciphertext],
    volumes: Sequence[int],
) -> tuple[LaneCiphertext, ...]:
    """Lanes volume - 1 - (prefix sum), whose sign says which intents fill, at LANES_LEVEL.

    Both rows have lanes; those of the short row are masked like all others and never looked at.

    Args:
        prefixes: from `prefix_sums`, one for each instrument.
        volumes: executed volume of each instrument.
    """
    total, row = LaneSum(evaluator, layout.shape), layout.parameters.order_ring.row
    for instrument, prefix in enumerate(prefixes):
        start = layout.start(instrument)
        handle = rotate(evaluator, evaluator.load(prefix), -(start % row))
        block = evaluator.store(evaluator.negate(handle))
        constant = volumes[instrument] - 1
        total.add(start, block, np.full((2, layout.counts[instrument]), constant))
    return total.lanes()
