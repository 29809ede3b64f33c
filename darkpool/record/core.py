"""The core of a record: all that follows from terms, intents, keys, the chain and the beacon.

A settlement names the digest of the core, so whoever sees it settled knows what it came from. Who
signed, which transactions carried it and who did not answer is evidence, and not in the core: a run
that was interrupted gives the same core and may give other evidence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from crypto.ring.params import ParameterSet
from crypto.threshold.keys import PublicMaterial
from crypto.threshold.replicated import Committee
from darkpool.canonical_json import to_json
from darkpool.record.forms import (
    RECORD_VERSION,
    AuctionSummary,
    CancellationRecord,
    EvidenceRecord,
    IntentRecord,
    OpeningRecord,
)
from darkpool.record.kinds import Hash, Name
from darkpool.record.margin_forms import MarginInputs
from darkpool.record.opened import OpenedRecord


class RecordStated(Protocol):
    """What a record says in JSON."""

    @property
    def summary(self) -> AuctionSummary:
        """Terms, results and balances."""

    @property
    def evidence(self) -> EvidenceRecord:
        """Who signed, and where the chain has it."""

    @property
    def parameters(self) -> ParameterSet:
        """The rings."""

    @property
    def committee(self) -> Committee:
        """The committee, without its addresses."""

    @property
    def margin(self) -> MarginInputs:
        """What margin follows from."""

    @property
    def margin_digest(self) -> bytes:
        """`MarginInputs.digest`."""

    @property
    def intents(self) -> tuple[IntentRecord, ...]:
        """The batch, in its order."""

    @property
    def cancellations(self) -> tuple[CancellationRecord, ...]:
        """What came in and was taken back."""

    @property
    def openings(self) -> tuple[OpeningRecord, ...]:
        """What was opened, without the arrays."""


class RecordView(RecordStated, Protocol):
    """What a record says, wherever it lies: in a folder, or in what a keyper is asked to sign."""

    def opening(self, index: int) -> OpenedRecord:
        """The opening at a place in the list."""

    def material(self) -> PublicMaterial:
        """The public keys."""


@dataclass(frozen=True, slots=True)
class HeldRecord:
    """A record that is not in a folder; implements `RecordView`.

    Attributes:
        held_material: the public keys.
        opened: all that was opened, in order.
    """

    summary: AuctionSummary
    evidence: EvidenceRecord
    held_material: PublicMaterial
    margin: MarginInputs
    intents: tuple[IntentRecord, ...]
    cancellations: tuple[CancellationRecord, ...]
    opened: tuple[OpenedRecord, ...]

    @property
    def parameters(self) -> ParameterSet:
        """The rings."""
        return self.held_material.parameters

    @property
    def committee(self) -> Committee:
        """The committee, without its addresses."""
        return self.held_material.committee

    @property
    def margin_digest(self) -> bytes:
        """`MarginInputs.digest`."""
        return self.margin.digest()

    @property
    def openings(self) -> tuple[OpeningRecord, ...]:
        """What was opened, without the arrays."""
        return tuple(opened.entry for opened in self.opened)

    def opening(self, index: int) -> OpenedRecord:
        """The opening at a place in the list."""
        return self.opened[index]

    def material(self) -> PublicMaterial:
        """The public keys."""
        return self.held_material


@dataclass(frozen=True, slots=True)
class _Core:
    version: int
    parameters: Name
    material: Hash
    margin: Hash
    summary: AuctionSummary
    intents: tuple[IntentRecord, ...]
    cancellations: tuple[CancellationRecord, ...]
    openings: tuple[OpeningRecord, ...]
    opened: tuple[Hash, ...]


def core_digest(
    record: RecordView, opened: Sequence[bytes] | None = None, material: bytes | None = None
) -> bytes:
    """The 32 bytes that stand for the core of a record: SHA-256 of one canonical JSON document.

    In it certificates and outvoted keypers are left out. Ciphertexts are in it by the digests that
    intents and the plan of masks have, and keys by the digest of the material. `opened` are the
    digests of `OpenedRecord.written` and `material` that of the keys, where they are known already.

    Raises:
        MalformedRecord: files of a record that are no openings or keys.
    """
    if opened is None:
        places = range(len(record.openings))
        opened = [record.opening(index).written().digest() for index in places]
    core = _Core(
        RECORD_VERSION,
        record.parameters.name,
        record.material().digest() if material is None else material,
        record.margin_digest,
        record.summary,
        tuple(replace(intent, certificate={}) for intent in record.intents),
        record.cancellations,
        tuple(replace(entry, liars=()) for entry in record.openings),
        tuple(opened),
    )
    return hashlib.sha256(to_json(core)).digest()


def circuits_digest() -> bytes:
    """The 32 bytes that stand for the circuits of this version of the record."""
    return hashlib.sha256(b"darkpool circuits %d" % RECORD_VERSION).digest()
