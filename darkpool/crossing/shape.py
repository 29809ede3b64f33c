"""Which intents of a final batch are no orders: two openings where all are, a search where not.

What is opened of a search are weighted sums over some intents that are all zero but for what
malformed intents add, and their senders know what they sealed.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from crypto.bfv.lanes import Lanes
from crypto.bfv.seal import Evaluator
from crypto.circuits.wellformed import COMBINATIONS, ShapeSum, shape_weights
from crypto.ring.ring import Words
from darkpool.crossing.lane_comparison import OpeningSession


@dataclass(frozen=True, slots=True)
class ShapeRows:
    """What the check needs of a batch.

    Attributes:
        words: `crypto.circuits.wellformed.shape_words` by row.
        rows: of the intents, by batch index.
        minimum_fills: which intents are minimum-fill orders, by batch index.
    """

    words: Words
    rows: Sequence[int]
    minimum_fills: Sequence[bool]


class ShapeCheck:
    """The shape check of one batch; the beacon was drawn after the batch was final."""

    def __init__(
        self,
        evaluator: Evaluator,
        session: OpeningSession,
        ticks: int,
        batch: ShapeRows,
        beacon: bytes,
    ) -> None:
        self._evaluator = evaluator
        self._session = session
        self._ticks = ticks
        self._batch = batch
        self._weights = shape_weights(evaluator.ring, beacon, len(batch.rows))

    def malformed(self, members: Sequence[int]) -> list[int]:
        """Batch indices of the intents among `members`, ascending, that are no orders; ascending.

        Raises:
            CryptoError, DarkpoolError: an opening is refused.
        """
        if not members:
            return []
        with ThreadPoolExecutor(COMBINATIONS) as threads:
            sums = list(threads.map(lambda c: self._sum(c, members), range(COMBINATIONS)))
        guilty: set[int] = set()
        for combination, total in enumerate(sums):
            left = [member for member in members if member not in guilty]
            if not left:
                break
            total = self._sum(combination, left) if guilty else total
            values = self._open(f"shape {combination}", total)
            guilty.update(self._search(combination, left, values))
        return sorted(guilty)

    def _search(self, combination: int, members: Sequence[int], values: Lanes) -> list[int]:
        """The guilty among members whose sum is known; of halves only the first is opened."""
        if not values.any():
            return []
        if len(members) == 1:
            return list(members)
        middle = len(members) // 2
        first, second = members[:middle], members[middle:]
        name = f"shape {combination} from {first[0]} to {first[-1]}"
        part = self._open(name, self._sum(combination, first))
        rest = np.mod(values - part, self._evaluator.ring.plain_modulus)
        return self._search(combination, first, part) + self._search(combination, second, rest)

    def _sum(self, combination: int, members: Sequence[int]) -> ShapeSum:
        total = ShapeSum(self._evaluator.ring)
        rows = [self._batch.rows[member] for member in members]
        weights = self._weights[combination, list(members)].tolist()
        minimum_fills = [self._batch.minimum_fills[member] for member in members]
        total.add(self._batch.words, rows, weights, minimum_fills)
        return total

    def _open(self, purpose: str, total: ShapeSum) -> Lanes:
        return self._session.open(purpose, total.covered(self._evaluator, self._ticks))
