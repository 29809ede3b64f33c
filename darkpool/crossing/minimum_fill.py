"""Minimum-fill orders at the price: who of them fills, and whether they use the surplus up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.lanes import Lanes
from crypto.circuits.minimum_fill_lanes import (
    USED_UP,
    MinimumFillBook,
    MinimumFillLayout,
    minimum_fill_bits,
    minimum_fill_groups,
    minimum_fill_lanes,
)
from darkpool.crossing.comparison import LaneComparing
from darkpool.crossing.errors import ImplausibleOpening
from darkpool.units import Side

_NONE = np.array([], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Taking:
    """The minimum-fill orders of an instrument that fill; there is at least one.

    Attributes:
        side: theirs, which is the short one.
        numbers: in the order of their priority.
        exhausted: whether they use the surplus up, so that the last may get less than its size.
    """

    side: Side
    numbers: Lanes
    exhausted: bool


def with_last(number: int, taking: Taking, lots: Lanes, surplus: int) -> Lanes:
    """Fills of minimum-fill orders that use the surplus up: the last gets the rest.

    Raises:
        ImplausibleOpening: they leave nothing.
    """
    rest = surplus - int(lots.sum())
    if rest <= 0:
        raise ImplausibleOpening(
            f"minimum-fill row {number}", f"less than {surplus}", str(surplus - rest)
        )
    filled = lots.copy()
    filled[taking.numbers[-1]] = rest
    return filled


class MinimumFillCrossing(LaneComparing):
    """The steps of a crossing that only instruments with minimum-fill orders have."""

    def _takings(
        self, books: Mapping[int, MinimumFillBook], priorities: Sequence[Lanes]
    ) -> dict[int, Taking]:
        """Who fills, of the instruments where somebody does.

        Raises:
            ImplausibleOpening: minimum-fill orders fill on both sides.
        """
        counts = {k: priorities[k].size for k in books}
        found: dict[int, Taking] = {}
        for number, group in enumerate(minimum_fill_groups(self._parameters, counts)):
            layout = MinimumFillLayout(self._parameters, tuple(counts[k] for k in group))
            lanes = minimum_fill_lanes(self._order, layout, [books[k] for k in group])
            bits = self._compare(f"minimum-fill lanes {number}", lanes, layout.shape, _NONE)
            filling = self._filling(number, layout, bits, [priorities[k] for k in group])
            found |= {
                group[i]: taking
                for i, taking in self._exhausted(number, layout, bits, filling).items()
            }
        return found

    def _filling(
        self,
        number: int,
        layout: MinimumFillLayout,
        bits: Ciphertext,
        priorities: Sequence[Lanes],
    ) -> dict[int, tuple[Side, Lanes]]:
        """Side and numbers, in priority, of the minimum-fill orders that fill."""
        purpose, shape = f"minimum-fill bits {number}", layout.shape
        lanes = [layout.lanes(i, 0) for i in range(len(priorities))]
        both = minimum_fill_bits(self._comparison, layout, bits)
        opened = self._open_lanes(purpose, both, shape, np.concatenate(lanes, axis=1))
        parts = np.split(opened, np.cumsum(layout.counts)[:-1], axis=1)
        found = {}
        for i, (part, ranks) in enumerate(zip(parts, priorities, strict=True)):
            sides = np.flatnonzero(part.any(axis=1))
            if sides.size > 1:
                raise ImplausibleOpening(purpose, "fills on one side", "fills on both")
            if sides.size:
                side = Side(int(sides[0]))
                numbers = np.flatnonzero(part[side])
                found[i] = (side, numbers[np.argsort(ranks[numbers])])
        return found

    def _exhausted(
        self,
        number: int,
        layout: MinimumFillLayout,
        bits: Ciphertext,
        filling: Mapping[int, tuple[Side, Lanes]],
    ) -> dict[int, Taking]:
        """Whether the last of those that fill uses the surplus up."""
        if not filling:
            return {}
        last = [
            layout.lanes(i, USED_UP)[side, numbers[-1]] for i, (side, numbers) in filling.items()
        ]
        opened = self._open_lanes(f"exhausted {number}", bits, layout.shape, np.array(last))
        return {
            i: Taking(side, numbers, bool(bit))
            for (i, (side, numbers)), bit in zip(filling.items(), opened, strict=True)
        }

    def _minimum_fill_row(self, number: int, taking: Taking, packed: Ciphertext) -> Lanes:
        """Lots of those that fill; without the last, whose size need not be its fill."""
        shown = taking.numbers[:-1] if taking.exhausted else taking.numbers
        lots = np.zeros(self._parameters.order_ring.row, dtype=np.int64)
        if shown.size:
            lots = self._open_row(f"minimum-fill row {number}", packed, int(taking.side), shown)
        return lots
