"""What an interval keeps of its intents and openings, for the keypers that check its settlement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crypto.bfv.ciphertext import Ciphertext
from crypto.ring.params import ParameterSet
from crypto.threshold.masks import DrawnMask
from crypto.threshold.revealing import Revealed
from darkpool.record.forms import CancellationRecord, IntentRecord
from darkpool.record.opened import OpenedRecord, opening_record
from darkpool.record.writer import RecordSink


@dataclass(slots=True)
class Kept:
    """Hands what becomes public on to a record, and keeps what the core of it is made of."""

    record: RecordSink
    parameters: ParameterSet
    intents: list[IntentRecord] = field(default_factory=list)
    cancellations: list[CancellationRecord] = field(default_factory=list)
    opened: list[OpenedRecord] = field(default_factory=list)

    def add_intent(self, intent: IntentRecord, ciphertext: Ciphertext) -> None:
        """Take an admitted intent, in batch order."""
        self.record.add_intent(intent, ciphertext)
        self.intents.append(intent)

    def add_cancellation(self, cancelled: CancellationRecord) -> None:
        """Take an intent that was taken back."""
        self.record.add_cancellation(cancelled)
        self.cancellations.append(cancelled)

    def add_mask(self, mask: DrawnMask, attestations: Mapping[int, bytes]) -> None:
        """Take a mask that is about to be used."""
        self.record.add_mask(mask, attestations)

    def add_opening(self, opened: Revealed) -> None:
        """Take an opening, in the order in which they are made."""
        self.record.add_opening(opened)
        covered = opened.request.covered
        entry = opening_record(opened, self.parameters)
        kept = (covered.ciphertext, covered.support, opened.shares, opened.values)
        self.opened.append(OpenedRecord(entry, *kept))
