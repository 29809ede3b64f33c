"""The shape check, from the auditor's side: what had to be opened, and whom it finds malformed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crypto.bfv.lanes import Lanes
from crypto.circuits.wellformed import COMBINATIONS
from crypto.ring.params import RingParameters
from darkpool.verification.opening_walk import OpeningWalk
from darkpool.verification.steps import ShapeOpening


class ShapeReader:
    """Walks through the openings of a shape check.

    A sum that is zero clears its members. One that is not is halved: the first half is opened, the
    other is what is left. A second combination looks again at all that are not yet found.
    """

    def __init__(self, walk: OpeningWalk, ring: RingParameters) -> None:
        self._walk = walk
        self._ring = ring
        self.openings: list[ShapeOpening] = []

    def read(self, members: Sequence[int]) -> tuple[int, ...]:
        """Batch indices of malformed intents, ascending.

        Raises:
            Unsound: an opening that the protocol does not make at this point.
        """
        malformed: set[int] = set()
        for combination in range(COMBINATIONS):
            left = [index for index in members if index not in malformed]
            if left:
                values = self._open(f"shape {combination}", combination, left)
                malformed |= self._search(combination, left, values)
        return tuple(sorted(malformed))

    def _search(self, combination: int, members: Sequence[int], values: Lanes) -> set[int]:
        pending: list[tuple[tuple[int, ...], Lanes]] = [(tuple(members), values)]
        malformed = set()
        while pending:
            group, total = pending.pop()
            if not total.any():
                continue
            if len(group) == 1:
                malformed.add(group[0])
                continue
            half = group[: len(group) // 2]
            purpose = f"shape {combination} from {half[0]} to {half[-1]}"
            first = self._open(purpose, combination, half)
            second = np.mod(total - first, self._ring.plain_modulus)
            pending.append((group[len(half) :], second))
            pending.append((half, first))
        return malformed

    def _open(self, purpose: str, combination: int, members: Sequence[int]) -> Lanes:
        index = self._walk.step(purpose, "order", np.ones(self._ring.degree, dtype=np.bool_))
        self.openings.append(ShapeOpening(index, combination, tuple(members)))
        return self._walk.values(index)
