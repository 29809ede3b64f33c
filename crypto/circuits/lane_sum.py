"""Lane ciphertexts, put together from blocks of columns."""

from __future__ import annotations

from functools import reduce

import numpy as np

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.lanes import LaneCiphertext, Lanes, LaneShape
from crypto.bfv.products import add_slots
from crypto.bfv.seal import Evaluator
from crypto.circuits.packing import lane_level
from crypto.errors import OutOfRange


class LaneSum:
    """The sum of blocks of lanes, each in columns of its own and zero outside them."""

    def __init__(self, evaluator: Evaluator, shape: LaneShape) -> None:
        self._evaluator = evaluator
        self._parts: list[list[Ciphertext]] = [[] for _ in range(shape.order_ciphertexts)]
        size = (shape.order_ciphertexts, 2, evaluator.ring.row)
        self._constants = np.zeros(size, dtype=np.int64)
        self._support = np.zeros(size, dtype=np.bool_)

    def add(self, start: int, block: Ciphertext, constants: Lanes) -> None:
        """Add a block that begins at a column, and public constants, shape (2, columns).

        The block is at its slots already: column start is slot start mod row of both rows.
        """
        number, slot = divmod(start, self._evaluator.ring.row)
        columns = slice(slot, slot + constants.shape[1])
        self._parts[number].append(block)
        self._constants[number, :, columns] = constants
        self._support[number, :, columns] = True

    def lanes(self) -> tuple[LaneCiphertext, ...]:
        """The lane ciphertexts, at LANES_LEVEL.

        Raises:
            OutOfRange: no block was added to one of them.
        """
        return tuple(map(self._lanes, range(len(self._parts))))

    def _lanes(self, number: int) -> LaneCiphertext:
        if not self._parts[number]:
            raise OutOfRange("instruments of a comparison", "one for each ciphertext", number)
        total = reduce(Ciphertext.add, self._parts[number])
        total = add_slots(total, self._constants[number].reshape(-1))
        lanes = lane_level(self._evaluator, total)
        return LaneCiphertext(lanes, self._support[number].reshape(-1))
