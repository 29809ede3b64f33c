"""Comparing lanes and opening their answers: what every step of a crossing is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.lanes import LaneCiphertext, Lanes, LaneShape
from crypto.circuits.comparison import BITS_LEVEL, Comparator
from crypto.circuits.packing import LANES_LEVEL
from crypto.ring.params import ParameterSet
from crypto.threshold.evaluators import Evaluators
from crypto.threshold.masks import DrawnMask
from crypto.threshold.revealing import CoveredCiphertext, masked, selected, selected_sum
from darkpool.crossing.errors import ImplausibleOpening

NO_LANES: Final[Lanes] = np.array([], dtype=np.int64)


class OpeningSession(Protocol):
    """What crossing needs of the committee."""

    def open(self, purpose: str, covered: CoveredCiphertext) -> Lanes:
        """Open a covered ciphertext; slots in [0, t), shape (degree,)."""


TakeMask = Callable[[LaneShape], DrawnMask]
"""Gives a mask of a shape, bound durably to this auction and never given before."""


class LaneComparison:
    """Compares lanes under fresh masks, and opens what the public result implies.

    Attributes:
        parameters: of both rings.
        evaluators: of both rings.
    """

    def __init__(
        self,
        parameters: ParameterSet,
        evaluators: Evaluators,
        session: OpeningSession,
        take_mask: TakeMask,
    ) -> None:
        self.parameters = parameters
        self.evaluators = evaluators
        self._comparator = Comparator(evaluators.comparison)
        self._session = session
        self._take_mask = take_mask

    def compare(
        self, name: str, lanes: Sequence[LaneCiphertext], shape: LaneShape, bounded: Lanes
    ) -> Ciphertext:
        """Encrypted bits of all lanes; `bounded` has the numbers of those that are bounded."""
        mask = self._take_mask(shape)
        opened = np.stack(
            [
                self._session.open(
                    f"{name}.{part}", masked(self.evaluators.order, lane, mask, part)
                )
                for part, lane in enumerate(lanes)
            ]
        )
        flags = np.zeros(shape.lanes, dtype=np.bool_)
        flags[bounded] = True
        return self._comparator.compare(mask, shape.from_order(opened), flags)

    def open_lanes(self, purpose: str, bits: Ciphertext, shape: LaneShape, lanes: Lanes) -> Lanes:
        """Open the bits of some lanes, given by number; returns them in that order.

        Raises:
            ImplausibleOpening: an opened lane holds no bit.
        """
        return self.open_lanes_of(purpose, [(bits, lanes)], shape)

    def open_lanes_of(
        self, purpose: str, parts: Sequence[tuple[Ciphertext, Lanes]], shape: LaneShape
    ) -> Lanes:
        """Open in one the bits of some lanes of each ciphertext; no two have a lane in common.

        Raises:
            ImplausibleOpening: an opened lane holds no bit.
        """
        terms = []
        for bits, lanes in parts:
            flags = np.zeros(shape.lanes, dtype=np.int64)
            flags[lanes] = 1
            terms.append((bits, shape.first_block(flags)))
        covered = selected_sum(self.evaluators.comparison, terms, BITS_LEVEL)
        every = np.concatenate([lanes for _, lanes in parts])
        opened: Lanes = shape.from_first_block(self._session.open(purpose, covered))[every]
        if opened.size and opened.max() > 1:
            raise ImplausibleOpening(purpose, "bits", str(int(opened.max())))
        return opened

    def open_row(self, purpose: str, packed: Ciphertext, row: int, slots: Lanes) -> Lanes:
        """Open some slots of one row; other intents show 0. Shape (row slots,)."""
        ring = self.parameters.order_ring
        keep = np.zeros((2, ring.row), dtype=np.bool_)
        keep[row, slots] = True
        covered = selected(self.evaluators.order, packed, keep.reshape(-1), LANES_LEVEL)
        rows = self._session.open(purpose, covered).reshape(2, ring.row)
        values: Lanes = rows[row]
        return values
