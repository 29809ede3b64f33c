"""A slot vector in the making, and the shape that honest ones have.

Two rows of `row` slots. With half = row / 2, T ticks and size q, modulo t, an order is

| slots         | row 0: demand               | row 1: complement of supply        |
| ------------- | --------------------------- | ---------------------------------- |
| 0 .. T-1      | a buy: q up to its limit    | a buy: q                           |
|               | a sell: 0                   | a sell: q below its limit, then 0  |
| T .. half-1   | 0                           | 0                                  |
| half .. row-1 | q                           | q                                  |

An attacker is not bound by `crypto.circuits.curves`: here a size is any residue; t - 1 is minus
one.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from crypto.circuits.curves import BUY
from crypto.ring.params import RingParameters
from darkpool.errors import OutOfBounds

Vector = npt.NDArray[np.int64]
"""Residues mod t of all slots, shape (degree,), row 0 before row 1."""

TICKS_MIN: Final = 3
"""Fewest ticks on which all kinds differ from an order: some need a tick between first and last."""

_SIZE_MAX: Final = 10_000


def honest_shape(ring: RingParameters, ticks: int, side: int, size: int, limit: int) -> Vector:
    """The shape of one order, of any residue as its size; nothing is asked of the numbers."""
    rows = np.zeros((2, ring.row), dtype=np.int64)
    rows[:, ring.row // 2 :] = size
    if side == BUY:
        rows[0, : limit + 1] = size
        rows[1, :ticks] = size
    else:
        rows[1, :limit] = size
    return rows.reshape(-1) % ring.plain_modulus


class Draft:
    """A vector in the making.

    Attributes:
        t: the plain modulus.
        half: first slot of the size regions.
        demand: row 0, shape (row,).
        complement: row 1, shape (row,).
        size: q, drawn from 2 .. 10,000.
        limit: a tick that is neither first nor last.

    Raises:
        OutOfBounds: fewer than `TICKS_MIN` ticks, or more than the ring has.
    """

    def __init__(self, ring: RingParameters, ticks: int, rng: np.random.Generator) -> None:
        if not TICKS_MIN <= ticks < ring.row // 2:
            raise OutOfBounds("ticks", TICKS_MIN, ring.row // 2 - 1, ticks)
        self.ring, self.ticks, self.rng = ring, ticks, rng
        self.t, self.row, self.half = ring.plain_modulus, ring.row, ring.row // 2
        self.size = int(rng.integers(2, _SIZE_MAX + 1))
        self.limit = int(rng.integers(1, ticks - 1))
        self.demand = np.zeros(ring.row, dtype=np.int64)
        self.complement = np.zeros(ring.row, dtype=np.int64)

    def fill(self, vector: Vector) -> None:
        """Take over both rows of a vector."""
        self.demand[:], self.complement[:] = vector.reshape(2, self.row)

    def order(self, side: int) -> None:
        """Start from an honest order of the drawn size and limit."""
        self.fill(honest_shape(self.ring, self.ticks, side, self.size, self.limit))

    def either(self) -> None:
        """Start from an honest order of either side."""
        self.order(int(self.rng.integers(2)))

    def vector(self) -> Vector:
        """What was made, modulo t."""
        return np.concatenate([self.demand, self.complement]) % self.t
