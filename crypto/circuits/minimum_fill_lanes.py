"""Minimum-fill lanes: comparisons with zero that tell which such orders take from the surplus.

With D and S the sizes of plain orders that the price suits, T the one in a row and T' the other, so
that T' - T is the surplus E in the row of the short side and -E in the other; x_k a minimum-fill
order's size if the price suits it, B_k the sum of those before it in priority, h_k its minimum less
one:

| block | lane of intent k, in either row | bit |
| --- | --- | --- |
| 0 | T' - T - 1 - B_k - h_k | it accepts what it is offered |
| 1 | x_k - 1 | the price suits it |
| 2 | B_k + x_k - (T' - T) | with it, the surplus is used up |

Example: plain buyers want 10 lots and plain sellers offer 4, so sellers are short and E = 6. Three
minimum-fill sellers, in priority, whom the price suits:

| intent | size x | minimum | B | h | block 0 | block 1 | block 2 |
| --- | --- | --- | --- | --- | --- | --- | --- |
| 0 | 3 | 2 | 0 | 1 | 6 - 1 - 0 - 1 = 4 | 2 | 0 + 3 - 6 = -3 |
| 1 | 5 | 3 | 3 | 2 | 6 - 1 - 3 - 2 = 0 | 4 | 3 + 5 - 6 = 2 |
| 2 | 4 | 1 | 8 | 0 | 6 - 1 - 8 - 0 = -3 | 3 | 8 + 4 - 6 = 6 |

Intents 0 and 1 have 1 in blocks 0 and 1, so they fill. The last of them, 1, has 1 in block 2: the
surplus is used up, and it gets the 6 - 3 = 3 lots that are left, no less than its minimum.

Blocks begin at quarters of the columns, where instruments stand side by side. All in the order
ring, on public positions, so every function is deterministic: each holder of the ciphertexts can
repeat it to the byte. Why this and nothing else: docs/protocol/minimum.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.lanes import LaneCiphertext, Lanes, LaneShape, smallest_shape
from crypto.bfv.products import product
from crypto.bfv.seal import Evaluator
from crypto.circuits.lane_sum import LaneSum
from crypto.circuits.packing import lane_level, rotate
from crypto.ring.params import ParameterSet
from crypto.ring.slots import column_element, rotation_element

ACCEPTS: Final = 0
SUITED: Final = 1
USED_UP: Final = 2
_BLOCKS: Final = 4
"""Quarters of the columns, so that a block's distance is a power of two; the last is empty."""


@dataclass(frozen=True, slots=True)
class MinimumFillLayout:
    """Where the minimum-fill lanes of the instruments of one comparison lie.

    Attributes:
        counts: intents of each instrument.
    """

    parameters: ParameterSet
    counts: tuple[int, ...]

    @property
    def shape(self) -> LaneShape:
        """The smallest shape that holds all instruments."""
        return smallest_shape(self.parameters, _BLOCKS * sum(self.counts))

    @property
    def block_width(self) -> int:
        """Columns from one block to the next."""
        return self.shape.width // _BLOCKS

    def start(self, instrument: int, block: int) -> int:
        """First column of an instrument's lanes of a block."""
        return block * self.block_width + sum(self.counts[:instrument])

    def lanes(self, instrument: int, block: int) -> Lanes:
        """Lane numbers of an instrument's intents in a block, shape (2, count)."""
        start = self.start(instrument, block)
        columns = np.arange(start, start + self.counts[instrument])
        return np.stack([columns, self.shape.width + columns])


def minimum_fill_groups(parameters: ParameterSet, counts: dict[int, int]) -> list[list[int]]:
    """Instruments, by number, that share a comparison; `counts` are their intents."""
    groups: list[list[int]] = []
    used = 0
    for number, count in counts.items():
        if not groups or _BLOCKS * (used + count) > parameters.comparison_ring.row:
            groups.append([])
            used = 0
        groups[-1].append(number)
        used += count
    return groups


@dataclass(frozen=True, slots=True)
class MinimumFillBook:
    """What one instrument's minimum-fill lanes are made from, at its price.

    Attributes:
        plain, minimum_fill: from `Packer.pack`, of plain and of minimum-fill orders.
        before: from `prefix_sums`, of minimum-fill orders.
        minimums: from `Packer.minimums`.
    """

    plain: Ciphertext
    minimum_fill: Ciphertext
    before: Ciphertext
    minimums: Ciphertext


def minimum_fill_lanes(
    evaluator: Evaluator, layout: MinimumFillLayout, books: Sequence[MinimumFillBook]
) -> tuple[LaneCiphertext, ...]:
    """Lane ciphertexts of the instruments' minimum-fill orders, at LANES_LEVEL.

    Depth: one plaintext product after packing, and rotations.
    """
    total, row = LaneSum(evaluator, layout.shape), layout.parameters.order_ring.row
    for instrument, book in enumerate(books):
        count = layout.counts[instrument]
        surplus = _surplus(evaluator, book.plain, count)
        for block, handle in _blocks(evaluator, book, surplus).items():
            start = layout.start(instrument, block)
            moved = evaluator.store(rotate(evaluator, handle, -(start % row)))
            constant = 0 if block == USED_UP else -1
            total.add(start, moved, np.full((2, count), constant))
    return total.lanes()


def _surplus(evaluator: Evaluator, packed: Ciphertext, count: int) -> Any:
    """T' - T at the first `count` slots of either row, else zero."""
    handle = evaluator.load(lane_level(evaluator, packed))
    swap = column_element(evaluator.ring.degree)
    total = evaluator.subtract(evaluator.apply_galois(handle, swap), handle)
    distance = 1
    while distance < evaluator.ring.row:
        element = rotation_element(evaluator.ring.degree, distance)
        total = evaluator.add(total, evaluator.apply_galois(total, element))
        distance *= 2
    slots = np.zeros((2, evaluator.ring.row), dtype=np.int64)
    slots[:, :count] = 1
    return evaluator.load(product(evaluator.store(total), slots.reshape(-1)))


def _blocks(evaluator: Evaluator, book: MinimumFillBook, surplus: Any) -> dict[int, Any]:
    """Handles of the blocks, by block, without their constants and from slot 0 on."""
    load, add, subtract = evaluator.load, evaluator.add, evaluator.subtract
    swap = column_element(evaluator.ring.degree)
    minimums = load(lane_level(evaluator, book.minimums))
    least = rotate(evaluator, minimums, evaluator.ring.row // 2)
    least = add(least, evaluator.apply_galois(least, swap))
    minimum_fill, before = load(lane_level(evaluator, book.minimum_fill)), load(book.before)
    left = subtract(surplus, before)
    return {
        ACCEPTS: subtract(left, least),
        SUITED: minimum_fill,
        USED_UP: subtract(minimum_fill, left),
    }


def minimum_fill_bits(
    evaluator: Evaluator, layout: MinimumFillLayout, bits: Ciphertext
) -> Ciphertext:
    """Multiply block 0 by block 1 in the comparison ring: which minimum-fill orders fill.

    Every slot holds something: select before opening.
    """
    accepts = evaluator.load(bits)
    element = rotation_element(evaluator.ring.degree, layout.block_width)
    suited = evaluator.apply_galois(accepts, element)
    return evaluator.store(evaluator.multiply(accepts, suited))
