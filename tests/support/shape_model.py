"""The shape check of an intent in plain integers: the identities of docs/protocol/shape.md.

It shares no code with the encrypted check or with the layout of `crypto.circuits.curves`, so that
each can be held against it. A vector is a column of 2 * row residues, row 0 before row 1; functions
take many columns at once, shape (2 * row, cases).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

BUY, SELL = 0, 1
ROWS = (0, 1)

Columns = npt.NDArray[np.integer[Any]]
Flags = npt.NDArray[np.bool_]


class Term(NamedTuple):
    """One number that has to be zero: its identity, and where it is taken."""

    identity: str
    row: int
    slot: int


CHAIN = "every value of a chain is zero or the one before it"
EMPTY = "the slots after the ticks are empty"
LEVEL = "the size is the same throughout its region"
EQUAL_SIZES = "both rows have the same size"
ONE_SIDE = "demand begins exactly where the complement of supply never ends"
IDENTITIES = (CHAIN, EMPTY, LEVEL, EQUAL_SIZES, ONE_SIDE)


@dataclass(frozen=True)
class ShapeModel:
    """Layout and identities for a modulus t, a row of `row` slots and `ticks` ticks."""

    t: int
    row: int
    ticks: int
    minimum_fill: bool = False
    """Whether it models minimum-fill orders, which have a minimum at slot half of row 1."""

    @property
    def half(self) -> int:
        return self.row // 2

    def chain_slots(self) -> tuple[int, ...]:
        """Where a link of a chain begins: at the last slot of the row, then at each tick."""
        return (self.row - 1, *range(self.ticks - 1))

    def order(self, side: int, size: int, limit: int) -> Columns:
        """The vector of one order, one column; the size is any residue."""
        demand = [size if side == BUY and tick <= limit else 0 for tick in range(self.ticks)]
        supply = [size if side == SELL and tick >= limit else 0 for tick in range(self.ticks)]
        empty = [0] * (self.half - self.ticks)
        sizes = [size] * self.half
        complement = [size - offered for offered in supply]
        values = [*demand, *empty, *sizes, *complement, *empty, *sizes]
        return np.array(values, dtype=np.int64).reshape(-1, 1) % self.t

    def orders(self) -> Columns:
        """Every vector of one order, no two alike: size 0 is one vector."""
        columns = [self.order(BUY, 0, 0)]
        for size in range(1, self.t):
            for side in (BUY, SELL):
                columns += [self.order(side, size, limit) for limit in range(self.ticks)]
        found = np.concatenate(columns, axis=1)
        if not self.minimum_fill:
            return found
        copies = [found.copy() for _ in range(self.t)]
        for minimum, copy in enumerate(copies):
            copy[self.row + self.half] = minimum
        return np.concatenate(copies, axis=1)

    def terms(self, vectors: Columns) -> Iterator[tuple[Term, Columns]]:
        """Every number that has to be zero modulo t, for each column."""
        rows = vectors.reshape(2, self.row, -1).astype(np.int64)
        for row in ROWS:
            for slot in self.chain_slots():
                before, value = rows[row, slot], rows[row, (slot + 1) % self.row]
                yield Term(CHAIN, row, slot), value * (before - value) % self.t
            for slot in range(self.ticks, self.half):
                yield Term(EMPTY, row, slot), rows[row, slot] % self.t
            for slot in range(self.half + (self.minimum_fill and row == 1), self.row - 1):
                yield Term(LEVEL, row, slot), (rows[row, slot] - rows[row, slot + 1]) % self.t
        sizes = rows[0, self.half + 1] - rows[1, self.half + 1]
        yield Term(EQUAL_SIZES, 0, self.half + 1), sizes % self.t
        yield Term(ONE_SIDE, 0, 0), (rows[0, 0] - rows[1, self.ticks - 1]) % self.t

    def accepted(self, vectors: Columns, without: frozenset[Term] = frozenset()) -> Flags:
        """Whether every term is zero, those of `without` aside, shape (cases,)."""
        good = np.ones(vectors.shape[1], dtype=np.bool_)
        for term, values in self.terms(vectors):
            if term not in without:
                good &= values == 0
        return good

    def names(self) -> tuple[Term, ...]:
        """All terms."""
        return tuple(term for term, _ in self.terms(np.zeros((2 * self.row, 1), dtype=np.int64)))


def all_columns(modulus: int, height: int) -> Columns:
    """Every column of `height` residues, shape (height, modulus ** height)."""
    return np.indices((modulus,) * height, dtype=np.int8).reshape(height, -1)
