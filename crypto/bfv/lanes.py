"""Lanes: where one comparison lives in the two rings.

A *shape* of L lanes, L a power of two, puts lane (row, column) with column < L / 2

* in the order ring at the same row, in ciphertext number column // row size, and
* in the comparison ring into `blocks` = degree / L copies, one after the other in each row. Copy
  beta carries digits beta * positions .. of the lane's mask, so fewer lanes mean fewer ciphertexts.

Masks have 26 bits, cut into 8 digits of 4 bits, the most significant first (the first digit is
always 0, the second below 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from crypto.bfv.ciphertext import Ciphertext
from crypto.errors import OutOfRange
from crypto.ring.params import ParameterSet, RingParameters

DIGITS: Final = 8
DIGIT_BITS: Final = 4
DIGIT_VALUES: Final = 1 << DIGIT_BITS

Lanes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LaneShape:
    """L lanes of a parameter set.

    Raises:
        OutOfRange: L is not a power of two between degree / 8 and degree of the comparison ring.
    """

    parameters: ParameterSet
    lanes: int

    def __post_init__(self) -> None:
        degree = self.parameters.comparison_ring.degree
        if self.lanes not in tuple(degree >> k for k in range(4)):
            raise OutOfRange("lanes of a shape", [degree >> k for k in range(4)], self.lanes)

    @property
    def width(self) -> int:
        """Columns of a row of lanes."""
        return self.lanes // 2

    @property
    def blocks(self) -> int:
        """Copies of the lanes in one ciphertext of the comparison ring."""
        return self.parameters.comparison_ring.degree // self.lanes

    @property
    def positions(self) -> int:
        """Digits of one lane in one block, so ciphertexts for each digit value."""
        return DIGITS // self.blocks

    @property
    def order_ciphertexts(self) -> int:
        """Ciphertexts of the order ring that carry the lanes."""
        return max(1, self.width // self.parameters.order_ring.row)

    def digit(self, block: int, position: int) -> int:
        """Number of the digit, 0 the most significant, at a block and position."""
        return block * self.positions + position

    def to_order(self, lanes: Lanes) -> Lanes:
        """Slot vectors of the order ring, (order_ciphertexts, degree), of lane values (L,)."""
        ring = self.parameters.order_ring
        vectors = np.zeros((self.order_ciphertexts, 2, ring.row), dtype=np.int64)
        columns = min(self.width, ring.row)
        rows = lanes.reshape(2, self.order_ciphertexts, columns)
        vectors[:, :, :columns] = rows.transpose(1, 0, 2)
        return vectors.reshape(self.order_ciphertexts, ring.degree)

    def from_order(self, slots: Lanes) -> Lanes:
        """Lane values (L,) of slot vectors of the order ring; inverse of `to_order`."""
        ring = self.parameters.order_ring
        columns = min(self.width, ring.row)
        rows = slots.reshape(self.order_ciphertexts, 2, ring.row)[:, :, :columns]
        return np.ascontiguousarray(rows.transpose(1, 0, 2)).reshape(self.lanes)

    def to_comparison(self, blocks: Lanes) -> Lanes:
        """Slot vector (degree,) of the comparison ring of values of shape (blocks, L)."""
        ring = self.parameters.comparison_ring
        rows = blocks.reshape(self.blocks, 2, self.width).transpose(1, 0, 2)
        return np.ascontiguousarray(rows).reshape(ring.degree)

    def first_block(self, lanes: Lanes) -> Lanes:
        """Slot vector (degree,) of the comparison ring with lane values in block 0, else 0."""
        blocks = np.zeros((self.blocks, self.lanes), dtype=np.int64)
        blocks[0] = lanes
        return self.to_comparison(blocks)

    def from_first_block(self, slots: Lanes) -> Lanes:
        """Lane values (L,) in block 0 of a slot vector of the comparison ring."""
        columns = slots.reshape(2, self.parameters.comparison_ring.row)[:, : self.width]
        return np.ascontiguousarray(columns).reshape(self.lanes)


def digits_of(values: Lanes) -> Lanes:
    """Digits of numbers below 2^32, shape (DIGITS, ...), the most significant first."""
    shifts = DIGIT_BITS * np.arange(DIGITS - 1, -1, -1, dtype=np.int64)
    shape = (DIGITS,) + (1,) * values.ndim
    return (values[None] >> shifts.reshape(shape)) & (DIGIT_VALUES - 1)


def smallest_shape(parameters: ParameterSet, columns: int) -> LaneShape:
    """The smallest shape with at least this many columns.

    Raises:
        OutOfRange: more columns than the largest shape has.
    """
    degree = parameters.comparison_ring.degree
    for lanes in (degree >> 3, degree >> 2, degree >> 1, degree):
        if lanes // 2 >= columns:
            return LaneShape(parameters, lanes)
    raise OutOfRange("columns of a comparison", f"at most {degree // 2}", columns)


def plain_modulus_bits(ring: RingParameters) -> int:
    """Bits of a mask: the smallest K with t <= 2^K."""
    return ring.plain_modulus.bit_length()


@dataclass(frozen=True, slots=True)
class LaneCiphertext:
    """A ciphertext of lanes that is zero by construction outside `support`, shape (degree,)."""

    ciphertext: Ciphertext
    support: npt.NDArray[np.bool_]
