"""The openings of one context, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crypto.bfv.lanes import Lanes
from crypto.threshold.attestation import OpeningEntry
from crypto.threshold.keys import PublicMaterial
from crypto.threshold.revealing import CoveredCiphertext, OpeningRequest, Revealed, reveal
from darkpool.keyper.keyper import Keyper


class Session:
    """The openings of one context, numbered; keeps what was revealed, for the record."""

    def __init__(
        self,
        keypers: Sequence[Keyper],
        material: PublicMaterial,
        context: bytes,
        publish: Callable[[Revealed], None],
    ) -> None:
        self._keypers = keypers
        self._material = material
        self.context = context
        self._publish = publish
        self.entries: list[OpeningEntry] = []

    def open(self, purpose: str, covered: CoveredCiphertext) -> Lanes:
        """Open a covered ciphertext; slots in [0, t), shape (degree,)."""
        committee = self._material.committee
        request = OpeningRequest(self.context, committee.epoch, len(self.entries), purpose, covered)
        revealed = reveal(request, committee, self._keypers)
        self.entries.append(revealed.entry())
        self._publish(revealed)
        return revealed.values
