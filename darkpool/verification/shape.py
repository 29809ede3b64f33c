"""The shape check, from the auditor's side: what had to be opened, and who was found by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from crypto.bfv.lanes import Lanes
from crypto.circuits.wellformed import COMBINATIONS


@dataclass(frozen=True, slots=True)
class ShapeOpening:
    """A weighted sum that was opened: number of the opening, and places of the intents in it."""

    index: int
    combination: int
    members: tuple[int, ...]


Open = Callable[[str], tuple[int, Lanes]]
"""Takes the next opening by its purpose; returns its number and its values."""


class ShapeReader:
    """Walks through the openings of a shape check.

    A sum that is zero clears its members. One that is not is halved: the first half is opened, the
    other is what is left. A second combination looks again at everybody not yet found.
    """

    def __init__(self, modulus: int, take: Open) -> None:
        self._modulus = modulus
        self._take = take
        self.openings: list[ShapeOpening] = []

    def read(self, members: Sequence[int]) -> tuple[int, ...]:
        """Places of those at fault, ascending."""
        guilty: set[int] = set()
        for combination in range(COMBINATIONS):
            left = [place for place in members if place not in guilty]
            if left:
                values = self._open(f"shape {combination}", combination, left)
                guilty |= self._found(combination, left, values)
        return tuple(sorted(guilty))

    def _found(self, combination: int, members: Sequence[int], values: Lanes) -> set[int]:
        pending, found = [(tuple(members), values)], set()
        while pending:
            group, total = pending.pop()
            if not total.any():
                continue
            if len(group) == 1:
                found.add(group[0])
                continue
            half = group[: len(group) // 2]
            purpose = f"shape {combination} from {half[0]} to {half[-1]}"
            part = self._open(purpose, combination, half)
            pending.append((group[len(half) :], np.mod(total - part, self._modulus)))
            pending.append((half, part))
        return found

    def _open(self, purpose: str, combination: int, members: Sequence[int]) -> Lanes:
        index, values = self._take(purpose)
        self.openings.append(ShapeOpening(index, combination, tuple(members)))
        return values
