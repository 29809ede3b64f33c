"""The plaintext of an order: step curves of demand and supply, and its size, in the order ring.

Two rows of `row` slots. With half = row / 2 and T ticks, an order of size q fills

| slots of a row  | row 0 (demand)             | row 1 (what is not supplied) |
| --------------- | -------------------------- | ---------------------------- |
| 0 .. T-1        | q up to the limit of a buy | q below the limit of a sell  |
| T .. half-1     | 0                          | 0                            |
| half .. row-1   | q                          | q                            |

Demand of a sell is 0 throughout; of a buy, nothing is supplied: q throughout. Supply is the size
less row 1. Written so, both rows are chains that fall at most once, from q to 0, and begin at slot
row-1, which a rotation by one slot brings before tick 0: `crypto.circuits.wellformed` checks them
at the price of one product. Size 0 is an order like any other: cover traffic.

A *minimum-fill order* has a minimum m as well, and m - 1 instead of q at slot half of row 1, where
nothing else is read. Cover traffic has m = 1, so a cover of either kind is zero throughout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crypto.errors import OutOfRange
from crypto.ring.params import RingParameters

Slots = npt.NDArray[np.int64]

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
    def unsupplied(self) -> slice:
        """Live slots of row 1: the size less the quantity offered at each tick."""
        return slice(self.ring.row, self.ring.row + self.ticks)

    @property
    def sizes(self) -> tuple[slice, slice]:
        """Slots of row 0 and of row 1 that hold the size q."""
        row, half = self.ring.row, self.ring.row // 2
        return slice(half, row), slice(row + half, 2 * row)

    @property
    def minimum(self) -> int:
        """The slot of a plain order's size, and of a minimum-fill order's minimum less one."""
        return self.ring.row + self.ring.row // 2

    @property
    def empty(self) -> Slots:
        """Slots that hold zero, ascending."""
        row, half = self.ring.row, self.ring.row // 2
        ticks = np.arange(self.ticks, half)
        return np.concatenate([ticks, row + ticks]).astype(np.int64)

    def vector(self, side: int, size: int, limit_tick: int, minimum: int = 0) -> Slots:
        """Slot vector of an order, residues mod t, shape (degree,).

        Args:
            side: 0 to buy, 1 to sell.
            size: in lots, from 0.
            limit_tick: highest tick a buy accepts, lowest a sell does.
            minimum: in lots, from 1 to the size (1 for cover traffic) for a minimum-fill order; 0
                for a plain one.

        Raises:
            OutOfRange: a number outside its interval.
        """
        if side not in (BUY, SELL):
            raise OutOfRange("side", "0 (buy) or 1 (sell)", side)
        if not 0 <= size <= size_max(self.ring):
            raise OutOfRange("size in lots", f"0 .. {size_max(self.ring)}", size)
        if not 0 <= limit_tick < self.ticks:
            raise OutOfRange("limit tick", f"0 .. {self.ticks - 1}", limit_tick)
        if not 0 <= minimum <= max(size, 1):
            raise OutOfRange("minimum in lots", f"0 .. {max(size, 1)}", minimum)
        vector = np.zeros(self.ring.degree, dtype=np.int64)
        for sizes in self.sizes:
            vector[sizes] = size
        if side == BUY:
            vector[self.demand][: limit_tick + 1] = size
            vector[self.unsupplied] = size
        else:
            vector[self.unsupplied][:limit_tick] = size
        if minimum:
            vector[self.minimum] = minimum - 1
        return vector


def size_max(ring: RingParameters) -> int:
    """Largest size of an order, below t/4: that far, two comparisons tell it from all above."""
    return ring.plain_modulus // 2 - (1 << 24)
