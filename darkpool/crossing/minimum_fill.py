"""Minimum-fill orders at the price: which of them fill, and whether they use the surplus up."""

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
from darkpool.crossing.crossing_book import PricedBook, Sides
from darkpool.crossing.errors import ImplausibleOpening
from darkpool.crossing.lane_comparison import NO_LANES, LaneComparison
from darkpool.units import Side


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


@dataclass(frozen=True, slots=True)
class MinimumFillOrders:
    """The minimum-fill orders of a priced instrument, and what their lanes are made from."""

    priced: PricedBook
    lanes: MinimumFillBook


class MinimumFillStep:
    """The steps of a crossing that only instruments with minimum-fill orders have."""

    def __init__(self, comparison: LaneComparison) -> None:
        self._comparison = comparison

    def takings(self, orders: Sequence[MinimumFillOrders]) -> dict[int, Taking]:
        """Which fill, by number of the instrument, where any fills.

        Raises:
            ImplausibleOpening: minimum-fill orders fill on both sides.
        """
        counts = {i: one.priced.book.count for i, one in enumerate(orders)}
        takings: dict[int, Taking] = {}
        groups = minimum_fill_groups(self._comparison.parameters, counts)
        for number, group in enumerate(groups):
            members = [orders[i] for i in group]
            for i, taking in self._group_takings(number, members).items():
                takings[members[i].priced.number] = taking
        return takings

    def fill(self, orders: MinimumFillOrders, taking: Taking, sides: Sides) -> None:
        """Add fills of minimum-fill orders, and the long side's if they leave it nothing.

        Raises:
            ImplausibleOpening: orders that use the surplus up leave nothing to the last.
        """
        number = orders.priced.number
        lots = self._row(number, taking, orders.lanes.minimum_fill)
        if taking.exhausted:
            every = np.arange(orders.priced.book.count)
            sides.exhausted = True
            sides.long = self._comparison.open_row(
                f"long row {number}", orders.priced.packed, sides.long_row, every
            )
            lots = with_last(number, taking, lots, int(sides.long.sum()) - sides.volume)
        sides.short = sides.short + lots

    def _group_takings(
        self, number: int, members: Sequence[MinimumFillOrders]
    ) -> dict[int, Taking]:
        """Which fill, by position in a comparison."""
        counts = tuple(one.priced.book.count for one in members)
        layout = MinimumFillLayout(self._comparison.parameters, counts)
        lanes = minimum_fill_lanes(
            self._comparison.evaluators.order, layout, [one.lanes for one in members]
        )
        bits = self._comparison.compare(
            f"minimum-fill lanes {number}", lanes, layout.shape, NO_LANES
        )
        filling = self._filling(number, layout, bits, [one.priced.book.ranks for one in members])
        return self._exhausted(number, layout, bits, filling)

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
        both = minimum_fill_bits(self._comparison.evaluators.comparison, layout, bits)
        opened = self._comparison.open_lanes(purpose, both, shape, np.concatenate(lanes, axis=1))
        parts = np.split(opened, np.cumsum(layout.counts)[:-1], axis=1)
        filling = {}
        for i, (part, ranks) in enumerate(zip(parts, priorities, strict=True)):
            sides = np.flatnonzero(part.any(axis=1))
            if sides.size > 1:
                raise ImplausibleOpening(purpose, "fills on one side", "fills on both")
            if sides.size:
                side = Side(int(sides[0]))
                numbers = np.flatnonzero(part[side])
                filling[i] = (side, numbers[np.argsort(ranks[numbers])])
        return filling

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
        opened = self._comparison.open_lanes(
            f"exhausted {number}", bits, layout.shape, np.array(last)
        )
        return {
            i: Taking(side, numbers, bool(bit))
            for (i, (side, numbers)), bit in zip(filling.items(), opened, strict=True)
        }

    def _row(self, number: int, taking: Taking, packed: Ciphertext) -> Lanes:
        """Lots of those that fill; without the last, whose size need not be its fill."""
        shown = taking.numbers[:-1] if taking.exhausted else taking.numbers
        if not shown.size:
            return np.zeros(self._comparison.parameters.order_ring.row, dtype=np.int64)
        return self._comparison.open_row(
            f"minimum-fill row {number}", packed, int(taking.side), shown
        )


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
