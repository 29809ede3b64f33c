"""Writes the record of an auction as it goes along."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from crypto.bfv.ciphertext import Ciphertext, to_wire
from crypto.ring.params import ParameterSet
from crypto.threshold.keys import PublicMaterial
from crypto.threshold.masks import DrawnMask
from crypto.threshold.revealing import Revealed
from darkpool.canonical_json import to_json
from darkpool.record.files import CIPHERTEXTS, MARGIN_FILES, PendingDirectory
from darkpool.record.forms import (
    RECORD_VERSION,
    AuctionSummary,
    CancellationRecord,
    EvidenceRecord,
    IntentRecord,
    IntentsFile,
    MaskRecord,
    MasksFile,
    OpeningRecord,
    OpeningsFile,
    RecordFile,
)
from darkpool.record.margin_forms import MarginInputs
from darkpool.record.opened import opening_record


class RecordWriter:
    """Writes a record as the auction goes along; leaving it by an exception removes everything.

    Raises:
        RecordExists: the directory exists.
        UnwritableFolder: the system refuses to write; so does whatever is added later.
    """

    def __init__(self, directory: Path, parameters: ParameterSet) -> None:
        self._parameters = parameters
        self._pending = PendingDirectory(directory)
        self._ciphertexts = self._pending.stream(CIPHERTEXTS)
        self._envelope_keys: tuple[bytes, ...] = ()
        self._intents: list[IntentRecord] = []
        self._cancellations: list[CancellationRecord] = []
        self._masks: list[MaskRecord] = []
        self._openings: list[OpeningRecord] = []
        self._complete = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._complete:
            self.abandon()

    def add_material(self, material: PublicMaterial) -> None:
        """Keep the public keys of the epoch."""
        self._envelope_keys = material.envelope_keys
        for ring, keys in (
            ("order", material.order_keys),
            ("comparison", material.comparison_keys),
        ):
            self._pending.write_npy(f"material/{ring}-public.npy", keys.public.words, "<u8")
            self._pending.write(f"material/{ring}-relinearisation.seal", [keys.relinearisation])
            self._pending.write(f"material/{ring}-galois.seal", [keys.galois])

    def add_margin(self, inputs: MarginInputs) -> None:
        """Keep what margin follows from."""
        for name, part in zip(MARGIN_FILES, inputs.parts(), strict=True):
            self._pending.write(name, [to_json(part)])

    def add_intent(self, intent: IntentRecord, ciphertext: Ciphertext) -> None:
        """Append an admitted intent, in batch order."""
        self._ciphertexts.write(to_wire(ciphertext))
        self._intents.append(intent)

    def add_cancellation(self, cancelled: CancellationRecord) -> None:
        """Append an intent that was taken back."""
        self._cancellations.append(cancelled)

    def add_mask(self, mask: DrawnMask, attestations: Mapping[int, bytes]) -> None:
        """Keep a mask that is about to be used."""
        number, shape = mask.draw.number, mask.draw.shape
        self._pending.write(f"masks/{number}-order.bin", map(to_wire, mask.order_ciphertexts))
        self._pending.write_npy(f"masks/{number}-tables.npy", mask.tables, "<u8")
        self._masks.append(MaskRecord(number, shape.lanes, dict(sorted(attestations.items()))))

    def add_opening(self, opened: Revealed) -> None:
        """Append an opening, in the order in which they are made."""
        covered = opened.request.covered
        stem = f"openings/{len(self._openings)}"
        self._pending.write(f"{stem}-ciphertext.bin", [to_wire(covered.ciphertext)])
        self._pending.write_npy(f"{stem}-shares.npy", np.stack(opened.shares), "<u8")
        self._pending.write_npy(f"{stem}-values.npy", opened.values, "<i8")
        self._pending.write_npy(f"{stem}-support.npy", covered.support, "|u1")
        self._openings.append(opening_record(opened, self._parameters))

    def finish(self, summary: AuctionSummary, evidence: EvidenceRecord) -> Path:
        """Write the rest, make all of it durable and move it to its place; returns the place.

        Raises:
            RecordExists: the directory exists by now.
            UnwritableFolder: the system refuses to write.
        """
        record = RecordFile(
            RECORD_VERSION, self._parameters.name, self._envelope_keys, summary, evidence
        )
        intents = IntentsFile(RECORD_VERSION, tuple(self._intents), tuple(self._cancellations))
        parts: tuple[tuple[str, object], ...] = (
            ("record.json", record),
            ("intents.json", intents),
            ("masks.json", MasksFile(RECORD_VERSION, tuple(self._masks))),
            ("openings.json", OpeningsFile(RECORD_VERSION, tuple(self._openings))),
        )
        for name, part in parts:
            self._pending.write(name, [to_json(part)])
        place = self._pending.complete()
        self._complete = True
        return place

    def keep_unfinished(self) -> Path:
        """Leave what was written beside the record's place, and tell where: it is all there is."""
        self._complete = True
        return self._pending.path

    def abandon(self) -> None:
        """Remove what was written; nothing ever stood at the record's place."""
        self._pending.abandon()


class RecordSink(Protocol):
    """Takes what becomes public while an auction runs; as `RecordWriter` does."""

    def add_intent(self, intent: IntentRecord, ciphertext: Ciphertext) -> None:
        """Take an admitted intent, in batch order."""

    def add_cancellation(self, cancelled: CancellationRecord) -> None:
        """Take an intent that was taken back."""

    def add_mask(self, mask: DrawnMask, attestations: Mapping[int, bytes]) -> None:
        """Take a mask that is about to be used."""

    def add_opening(self, opened: Revealed) -> None:
        """Take an opening, in the order in which they are made."""
