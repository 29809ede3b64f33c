"""The long side: filled in priority order until the volume is used up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.lanes import Lanes
from crypto.circuits.packing import power_of_two
from crypto.circuits.rationing import RationLayout, ration_lanes
from crypto.ring.params import ParameterSet
from darkpool.crossing.crossing_book import PricedBook, Sides
from darkpool.crossing.errors import ImplausibleOpening
from darkpool.crossing.lane_comparison import NO_LANES, LaneComparison


@dataclass(frozen=True, slots=True)
class RationedBook:
    """A priced instrument whose long side is rationed; `prefixes` are sums in priority order."""

    priced: PricedBook
    sides: Sides
    prefixes: Ciphertext


class RationStep:
    """Finds the last intent of the long side that fills, and opens the fills before it."""

    def __init__(self, comparison: LaneComparison) -> None:
        self._comparison = comparison

    def ration(self, chunk: int, members: Sequence[RationedBook]) -> None:
        """Fill the long sides of instruments that share a comparison.

        Raises:
            ImplausibleOpening: opened values contradict each other.
        """
        layout = RationLayout(
            self._comparison.parameters,
            tuple(one.priced.book.count for one in members),
            tuple(one.sides.long_row for one in members),
        )
        lanes = ration_lanes(
            self._comparison.evaluators.order,
            layout,
            [one.prefixes for one in members],
            [one.sides.volume for one in members],
        )
        bits = self._comparison.compare(f"ration lanes {chunk}", lanes, layout.shape, NO_LANES)
        numbers = [layout.lanes(i) for i in range(len(members))]
        opened = self._comparison.open_lanes(
            f"ration bits {chunk}", bits, layout.shape, np.concatenate(numbers)
        )
        filled = np.split(opened, np.cumsum([lanes.size for lanes in numbers])[:-1])
        for one, bits_of_one in zip(members, filled, strict=True):
            one.sides.long = self._long_row(one, bits_of_one)

    def _long_row(self, rationed: RationedBook, filled: Lanes) -> Lanes:
        """Fills of the long side; the last intent that fills gets the rest of the volume."""
        priced, volume = rationed.priced, rationed.sides.volume
        purpose, ranks = f"long row {priced.number}", priced.book.ranks
        last_rank = int(filled.sum()) - 1
        if last_rank < 0 or not np.array_equal(filled == 1, ranks <= last_rank):
            got = f"{last_rank + 1} fills, the last of rank {ranks[filled == 1].max(initial=-1)}"
            raise ImplausibleOpening(purpose, "a step in priority order", got)
        before = np.flatnonzero(ranks < last_rank)
        lots = np.zeros(self._comparison.parameters.order_ring.row, dtype=np.int64)
        if before.size:
            row = rationed.sides.long_row
            lots = self._comparison.open_row(purpose, priced.packed, row, before).copy()
        rest = volume - int(lots.sum())
        if rest <= 0:
            raise ImplausibleOpening(purpose, f"less than the volume {volume}", str(volume - rest))
        lots[np.flatnonzero(ranks == last_rank)] = rest
        return lots


def ration_groups(
    parameters: ParameterSet, counts: Sequence[int], crossing: Iterable[int]
) -> list[list[int]]:
    """Group instruments, given by number, whose rationing lanes fit into one comparison.

    `counts` are the intents of all instruments.
    """
    groups: list[list[int]] = []
    used = 0
    for k in crossing:
        width = power_of_two(counts[k])
        if not groups or used + width > parameters.order_ring.row:
            groups.append([])
            used = 0
        groups[-1].append(k)
        used += width
    return groups
