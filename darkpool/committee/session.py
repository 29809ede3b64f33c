"""The openings of one context, in order."""

from __future__ import annotations

from collections.abc import Callable

from crypto.bfv.lanes import Lanes
from crypto.threshold.attestation import OpeningEntry
from crypto.threshold.quorum import Panel
from crypto.threshold.replicated import Committee
from crypto.threshold.revealing import CoveredCiphertext, OpeningRequest, Revealed, reveal
from darkpool.protocol.keyper import Keyper


class Session:
    """The openings of one context, numbered; keeps what was revealed, for the record."""

    def __init__(
        self,
        panel: Panel[Keyper],
        committee: Committee,
        context: bytes,
        publish: Callable[[Revealed], None],
    ) -> None:
        self._panel = panel
        self._committee = committee
        self.context = context
        self._publish = publish
        self.entries: list[OpeningEntry] = []

    def open(self, purpose: str, covered: CoveredCiphertext) -> Lanes:
        """Open a covered ciphertext; slots in [0, t), shape (degree,)."""
        sequence = len(self.entries)
        request = OpeningRequest(self.context, self._committee.epoch, sequence, purpose, covered)
        revealed = reveal(request, self._committee, self._panel)
        self.entries.append(revealed.entry())
        self._publish(revealed)
        return revealed.values
