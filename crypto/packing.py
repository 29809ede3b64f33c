"""From sealed step curves to lanes: aggregation, price lanes, one-hot packing, prefix sums.

All in the order ring, on public positions, so every function is deterministic and anybody who has
the ciphertexts can repeat it to the byte.

Columns of price lanes, for an instrument at offset o with W = the power of two above its T ticks,
D and S demand and supply, dead lanes -1 so that their bits are 0:

| columns | row 0 | row 1 |
| --- | --- | --- |
| o .. o + W - 1 | D(p) - S(p) | S(p) - D(p + 1), and -1 at p = T - 1 |
| o + W .. o + 2 W - 1 | D(p) - 1 | S(p) - 1 |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from crypto.ciphertext import Ciphertext, level_basis
from crypto.errors import OutOfRange
from crypto.lanes import Lanes, LaneShape, smallest_shape
from crypto.params import ParameterSet, RingParameters
from crypto.products import (
    add_slots,
    coefficient_form,
    sum_of_products,
    transformed,
)
from crypto.ring import Words
from crypto.seal import Evaluator
from crypto.slots import column_element, lift, rotation_element

GROUP: Final = 64
"""Intents that one packed group holds in neighbouring slots."""

LANES_LEVEL: Final = 3
"""Level of lane ciphertexts in the order ring when they are masked."""


def rotate(evaluator: Evaluator, handle: Any, steps: int) -> Any:
    """Rotate both rows left by any number of steps, as few power-of-two rotations as possible."""
    row = evaluator.ring.row
    left = steps % row
    sign = 1
    if left > row // 2:
        left, sign = row - left, -1
    while left:
        power = left & -left
        digit = -power if left & (power << 1) and left != power else power
        element = rotation_element(evaluator.ring.degree, sign * digit)
        handle = evaluator.apply_galois(handle, element)
        left -= digit
    return handle


def power_of_two(count: int) -> int:
    """The smallest power of two that is at least `count`."""
    return 1 << max(0, count - 1).bit_length()


@dataclass(frozen=True, slots=True)
class LaneCiphertext:
    """A ciphertext of lanes that is zero by construction outside `support`, shape (degree,)."""

    ciphertext: Ciphertext
    support: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PriceLayout:
    """Where the price lanes of the instruments of one comparison lie.

    Attributes:
        ticks: T, of every instrument.
        instruments: how many share the comparison.
    """

    parameters: ParameterSet
    ticks: int
    instruments: int

    def __post_init__(self) -> None:
        if not 1 <= self.ticks <= self.parameters.ticks_max:
            raise OutOfRange("ticks of a grid", f"1 .. {self.parameters.ticks_max}", self.ticks)

    @property
    def width(self) -> int:
        """W: columns of one block of an instrument."""
        return power_of_two(self.ticks)

    @property
    def shape(self) -> LaneShape:
        """The smallest shape that holds all instruments."""
        return smallest_shape(self.parameters, 2 * self.width * self.instruments)

    def offset(self, instrument: int) -> int:
        """First column of an instrument."""
        return 2 * self.width * instrument

    def lane(self, row: int, column: int) -> int:
        """Number of a lane."""
        return row * self.shape.width + column


def instruments_max(parameters: ParameterSet, ticks: int) -> int:
    """Most instruments of `ticks` ticks that share one comparison."""
    return parameters.comparison.row // (2 * power_of_two(ticks))


def price_lanes(
    evaluator: Evaluator, layout: PriceLayout, aggregates: Sequence[Ciphertext]
) -> tuple[LaneCiphertext, ...]:
    """Lane ciphertexts of the instruments' aggregated curves, at LANES_LEVEL.

    Depth: one plaintext product and rotations.
    """
    row = layout.parameters.order.row
    out = []
    for number in range(layout.shape.order_ciphertexts):
        terms: list[tuple[Ciphertext, Lanes]] = []
        constant = np.zeros((2, row), dtype=np.int64)
        for instrument, aggregate in enumerate(aggregates):
            if layout.offset(instrument) // row == number:
                _instrument_terms(evaluator, layout, instrument, aggregate, terms, constant)
        if not terms:
            raise OutOfRange("instruments of a comparison", "one for each ciphertext", number)
        support = constant.reshape(-1) != 0
        for _, weights in terms:
            support |= weights != 0
        lanes = add_slots(sum_of_products(terms), constant.reshape(-1))
        out.append(LaneCiphertext(_lower(evaluator, lanes), support))
    return tuple(out)


def _lower(evaluator: Evaluator, ciphertext: Ciphertext) -> Ciphertext:
    return evaluator.store(evaluator.switch_to(evaluator.load(ciphertext), LANES_LEVEL))


def _instrument_terms(
    evaluator: Evaluator,
    layout: PriceLayout,
    instrument: int,
    aggregate: Ciphertext,
    terms: list[tuple[Ciphertext, Lanes]],
    constant: Lanes,
) -> None:
    width, ticks, row = layout.width, layout.ticks, layout.parameters.order.row
    start = layout.offset(instrument) % row
    curves = rotate(evaluator, evaluator.load(aggregate), -start)
    swapped = evaluator.apply_galois(curves, column_element(evaluator.ring.degree))
    excess, tie, present = (np.zeros((2, row), dtype=np.int64) for _ in range(3))
    excess[0, start : start + ticks] = 1
    tie[1, start : start + ticks - 1] = 1
    present[:, start + width : start + width + ticks] = 1
    terms.append((evaluator.store(curves), (excess + tie).reshape(-1)))
    terms.append((evaluator.store(swapped), -excess.reshape(-1)))
    terms.append((evaluator.store(rotate(evaluator, swapped, 1)), -tie.reshape(-1)))
    terms.append((evaluator.store(rotate(evaluator, curves, -width)), present.reshape(-1)))
    constant[:, start : start + 2 * width] = (excess + tie)[:, start : start + 2 * width] - 1


class Packer:
    """Gathers intents on arrival so that one slot of each can be packed fast after close.

    Intent k is rotated right by k mod 64 and kept in transform form: about 12 ms an intent, paid
    before close. Memory: one ciphertext an intent.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._groups: list[Words] = []
        self.count = 0

    def add(self, ciphertext: Ciphertext) -> None:
        """Add the next intent, at index `count`.

        Raises:
            OutOfRange: more intents than half a row holds.
        """
        ring = self._evaluator.ring
        if self.count >= ring.row // 2:
            raise OutOfRange("intents of an auction", f"at most {ring.row // 2}", self.count + 1)
        group, index = divmod(self.count, GROUP)
        if index == 0:
            shape = (GROUP, 2, ciphertext.level, ring.degree)
            self._groups.append(np.zeros(shape, dtype=np.uint64))
        handle = rotate(self._evaluator, self._evaluator.load(ciphertext), -index)
        self._groups[group][index] = transformed(self._evaluator.store(handle))
        self.count += 1

    def pack(self, tick: int) -> Ciphertext:
        """Slot k of both rows = slot `tick` of intent k; every other slot zero.

        Depth: one plaintext product and rotations.
        """
        evaluator, ring = self._evaluator, self._evaluator.ring
        one_hot = np.zeros((GROUP, 2, ring.row), dtype=np.int64)
        for index in range(GROUP):
            one_hot[index, :, tick + index] = 1
        weights = lift(ring, one_hot.reshape(GROUP, -1), len(ring.data_primes))
        total: Any = None
        for words in reversed(self._groups):
            if total is not None:
                total = rotate(evaluator, total, -GROUP)
            part = self._group(weights, words)
            total = part if total is None else evaluator.add(total, part)
        return evaluator.store(rotate(evaluator, total, tick))

    def _group(self, weights: Words, words: Words) -> Any:
        ring = self._evaluator.ring
        basis = level_basis(ring, words.shape[2])
        return self._evaluator.load(coefficient_form(ring, basis.weighted_sum(weights, words)))


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
    operands = lift(ring, _diagonals(ring, before, baby), LANES_LEVEL)
    return PriorityMatrix(period, baby, operands.reshape(-1, baby, LANES_LEVEL, ring.degree))


def _diagonals(ring: RingParameters, before: Lanes, baby: int) -> Lanes:
    """Slot vectors of all diagonals; diagonal d is moved right by d rounded down to `baby`."""
    period = before.shape[0]
    number, index = np.arange(period)[:, None], np.arange(period)[None, :]
    vectors = np.zeros((period, 2, ring.row), dtype=np.int64)
    places = (index + number // baby * baby) % ring.row
    for row in (0, 1):
        vectors[number, row, places] = before[index, (index + number) % period]
    return vectors.reshape(period, -1)


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
        row, column = self.parameters.order.row, 0
        for index in range(number):
            column = self._place(column, row, index) + power_of_two(self.counts[index])
        return column

    def _place(self, column: int, row: int, index: int) -> int:
        width = power_of_two(self.counts[index])
        return column if column % row + width <= row else (column // row + 1) * row

    def offset(self, instrument: int) -> int:
        """First column of an instrument."""
        return self._place(self._end(instrument), self.parameters.order.row, instrument)

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
    row = layout.parameters.order.row
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
        out.append(LaneCiphertext(_lower(evaluator, lanes), support))
    return tuple(out)


def _ration_support(layout: RationLayout, number: int) -> npt.NDArray[np.bool_]:
    lanes = np.zeros(layout.shape.lanes, dtype=np.int64)
    rows = lanes.reshape(2, layout.shape.width)
    for instrument, count in enumerate(layout.counts):
        start = layout.offset(instrument)
        rows[:, start : start + count] = 1
    support: npt.NDArray[np.bool_] = layout.shape.to_order(lanes)[number] == 1
    return support
