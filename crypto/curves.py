"""The plaintext of an order: step curves of demand and supply, and its size, in the order ring.

Two rows of `row` slots. With half = row / 2 and T ticks, an order of size q fills

| slots of a row        | row 0 (demand)             | row 1 (supply)              |
| --------------------- | -------------------------- | --------------------------- |
| 0 .. T-1              | q up to the limit of a buy | q from the limit of a sell  |
| T .. half-2           | 0                          | 0                           |
| half-1                | 0                          | -q                          |
| half .. row-2         | q                          | -q                          |
| row-1                 | q                          | 0                           |

so that one rotation by a slot turns everything a well-formed order must satisfy into zeros. Size 0
is an order like any other: cover traffic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crypto.errors import OutOfRange
from crypto.params import RingParameters

BUY = 0
SELL = 1


@dataclass(frozen=True, slots=True)
class CurveLayout:
    """Regions of an order's slot vector; every slot belongs to exactly one of them.

    All slices and indices count from slot 0 of row 0 through both rows.

    Raises:
        OutOfRange: `ticks` is not from 1 to row / 2 - 1.
    """

    ring: RingParameters
    ticks: int

    def __post_init__(self) -> None:
        most = self.ring.row // 2 - 1
        if not 1 <= self.ticks <= most:
            raise OutOfRange("ticks", f"1 .. {most}", self.ticks)

    @property
    def demand(self) -> slice:
        """Live slots of row 0: the quantity bid for at each tick."""
        return slice(0, self.ticks)

    @property
    def supply(self) -> slice:
        """Live slots of row 1: the quantity offered at each tick."""
        return slice(self.ring.row, self.ring.row + self.ticks)

    @property
    def size(self) -> slice:
        """Slots of row 0 that hold the size q."""
        return slice(self.ring.row // 2, self.ring.row)

    @property
    def negated_size(self) -> slice:
        """Slots of row 1 that hold -q: one slot lower than those of row 0."""
        return slice(self.ring.row + self.ring.row // 2 - 1, self.ring.degree - 1)

    @property
    def empty(self) -> npt.NDArray[np.int64]:
        """Slots that hold zero, ascending."""
        row, half = self.ring.row, self.ring.row // 2
        return np.concatenate(
            [
                np.arange(self.ticks, half),
                np.arange(row + self.ticks, row + half - 1),
                [2 * row - 1],
            ]
        ).astype(np.int64)


def size_max(ring: RingParameters) -> int:
    """Largest size of an order, below t/4: comparisons are exact in (-t/4, t/4)."""
    return (ring.plain_modulus - 1) // 4


def intent_vector(
    ring: RingParameters, ticks: int, side: int, size: int, limit_tick: int
) -> npt.NDArray[np.int64]:
    """Slot vector of an order, residues mod t, shape (degree,).

    Args:
        ring: the order ring.
        ticks: number of ticks of the grid.
        side: 0 to buy, 1 to sell.
        size: in lots, from 0.
        limit_tick: highest tick a buy accepts, lowest a sell does.

    Raises:
        OutOfRange: a number outside its interval.
    """
    layout = CurveLayout(ring, ticks)
    if side not in (BUY, SELL):
        raise OutOfRange("side", "0 (buy) or 1 (sell)", side)
    if not 0 <= size <= size_max(ring):
        raise OutOfRange("size in lots", f"0 .. {size_max(ring)}", size)
    if not 0 <= limit_tick < ticks:
        raise OutOfRange("limit tick", f"0 .. {ticks - 1}", limit_tick)
    vector = np.zeros(ring.degree, dtype=np.int64)
    if side == BUY:
        vector[layout.demand][: limit_tick + 1] = size
    else:
        vector[layout.supply][limit_tick:] = size
    vector[layout.size] = size
    vector[layout.negated_size] = -size % ring.plain_modulus
    return vector
