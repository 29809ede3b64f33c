"""Rationing lanes: what is compared with zero to find out which intents of the long side fill.

All in the order ring, on public positions, so every function is deterministic and anybody who has
the ciphertexts can repeat it to the byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crypto.bfv.ciphertext import Ciphertext, level_basis
from crypto.bfv.lanes import LaneCiphertext, Lanes, LaneShape, smallest_shape
from crypto.bfv.products import add_slots, coefficient_form, transformed
from crypto.bfv.seal import Evaluator
from crypto.circuits.packing import LANES_LEVEL, lane_level, power_of_two, rotate
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
        baby: diagonals of one giant step.
        operands: at LANES_LEVEL, transform form, shape (giant steps, baby, level, degree); equal in
            both rows.
    """

    period: int
    baby: int
    operands: Words


def priority_matrix(ring: RingParameters, ranks: Lanes) -> PriorityMatrix:
    """Lift the matrix of a priority order: `ranks` is a permutation of 0 .. n - 1, shape (n,)."""
    count = ranks.size
    period = power_of_two(count)
    baby = power_of_two(max(1, int(np.sqrt(period))))
    before = np.zeros((period, period), dtype=np.int64)
    before[:count, :count] = ranks[None, :] < ranks[:, None]
    operands = np.empty((period // baby, baby, LANES_LEVEL, ring.degree), dtype=np.uint64)
    for step, lifted in enumerate(operands):
        # slot vectors of one giant step at a time: those of all are a third of the operands
        lifted[:] = lift(ring, _diagonals(ring, before, baby, step), LANES_LEVEL)
    return PriorityMatrix(period, baby, operands)


def _diagonals(ring: RingParameters, before: Lanes, baby: int, step: int) -> Lanes:
    """Slot vectors of the diagonals of one giant step, moved right by the first one's number."""
    period, shift = before.shape[0], step * baby
    number, index = shift + np.arange(baby)[:, None], np.arange(period)[None, :]
    vectors = np.zeros((baby, 2, ring.row), dtype=np.int64)
    vectors[:, :, (index[0] + shift) % ring.row] = before[index, (index + number) % period][:, None]
    return vectors.reshape(baby, -1)


def prefix_sums(evaluator: Evaluator, packed: Ciphertext, matrix: PriorityMatrix) -> Ciphertext:
    """Slot k of each row = sum of that row's slots of all intents before k in priority.

    `packed` comes from `Packer.pack`; slots from n on become zero. The matrix is multiplied by
    diagonals, with baby steps and giant steps. Source: S. Halevi and V. Shoup, "Algorithms in
    HElib" (CRYPTO 2014). Depth: one plaintext product and rotations; result at LANES_LEVEL.

    Raises:
        OutOfRange: a single intent, which has no other to trade with.
    """
    ring, period, baby = evaluator.ring, matrix.period, matrix.baby
    if period < 2:
        raise OutOfRange("intents to ration", "at least 2", period)
    handle = evaluator.switch_to(evaluator.load(packed), LANES_LEVEL)
    if 2 * period <= ring.row:
        handle = evaluator.add(handle, rotate(evaluator, handle, -period))
    steps = np.empty((baby, 2, LANES_LEVEL, ring.degree), dtype=np.uint64)
    for index in range(baby):
        if index:
            handle = rotate(evaluator, handle, 1)
        steps[index] = transformed(evaluator.store(handle))
    total: Any = None
    for weights in matrix.operands[::-1]:
        if total is not None:
            total = rotate(evaluator, total, baby)
        if not weights.any():
            continue  # SEAL takes no ciphertext of zeros
        words = level_basis(ring, LANES_LEVEL).weighted_sum(weights, steps)
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
            column = self._place(column, row, index) + power_of_two(self.counts[index])
        return column

    def _place(self, column: int, row: int, index: int) -> int:
        width = power_of_two(self.counts[index])
        return column if column % row + width <= row else (column // row + 1) * row

    def offset(self, instrument: int) -> int:
        """First column of an instrument."""
        return self._place(self._end(instrument), self.parameters.order_ring.row, instrument)

    def lanes(self, instrument: int) -> Lanes:
        """Lane numbers of an instrument's intents, shape (count,)."""
        start = self.long_rows[instrument] * self.shape.width + self.offset(instrument)
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
    row = layout.parameters.order_ring.row
    out = []
    for number in range(layout.shape.order_ciphertexts):
        total: Any = None
        constant = np.zeros((2, row), dtype=np.int64)
        for instrument, prefix in enumerate(prefixes):
            place = layout.offset(instrument)
            if place // row != number:
                continue
            handle = rotate(evaluator, evaluator.load(prefix), -(place % row))
            total = handle if total is None else evaluator.add(total, handle)
            stop = place % row + layout.counts[instrument]
            constant[:, place % row : stop] = volumes[instrument] - 1
        support = _ration_support(layout, number)
        if total is None:
            raise OutOfRange("instruments of a comparison", "one for each ciphertext", number)
        lanes = add_slots(evaluator.store(evaluator.negate(total)), constant.reshape(-1))
        out.append(LaneCiphertext(lane_level(evaluator, lanes), support))
    return tuple(out)


def _ration_support(layout: RationLayout, number: int) -> npt.NDArray[np.bool_]:
    lanes = np.zeros(layout.shape.lanes, dtype=np.int64)
    rows = lanes.reshape(2, layout.shape.width)
    for instrument, count in enumerate(layout.counts):
        start = layout.offset(instrument)
        rows[:, start : start + count] = 1
    support: npt.NDArray[np.bool_] = layout.shape.to_order(lanes)[number] == 1
    return support
