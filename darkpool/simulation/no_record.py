"""A run without a record."""

from __future__ import annotations

from collections.abc import Mapping

from crypto.bfv.ciphertext import Ciphertext
from crypto.threshold.masks import DrawnMask
from crypto.threshold.revealing import Revealed
from darkpool.record.forms import CancellationRecord, IntentRecord


class NoRecord:
    """Where what becomes public goes if no record is wanted."""

    def add_intent(self, intent: IntentRecord, ciphertext: Ciphertext) -> None:
        """Forget it."""

    def add_cancellation(self, cancelled: CancellationRecord) -> None:
        """Forget it."""

    def add_mask(self, mask: DrawnMask, attestations: Mapping[int, bytes]) -> None:
        """Forget it."""

    def add_opening(self, opened: Revealed) -> None:
        """Forget it."""
