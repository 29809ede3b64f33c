"""What a keyper is asked and what it answers: one interface of closed verbs with frozen messages.

A keyper in this process implements it, and so can one in a process of its own: every verb takes one
message and gives one answer, and neither holds more than bytes, numbers and messages. A committee
rebuilds both from the annotations here, so that neither side holds an object of the other's. A verb
may raise CryptoError or DarkpoolError to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from crypto.bfv.ciphertext import Ciphertext
from crypto.ring.ring import Words
from crypto.signing.messages import SealedIntent
from crypto.signing.settling import BatchRoot, Rotation
from crypto.threshold.certificate import SignedAnnouncement
from crypto.threshold.knowledge import ReencryptedProof
from crypto.threshold.masks import Contribution, Draw, DrawnMask
from crypto.threshold.revealing import OpeningRequest, ShareRequest
from darkpool.protocol.intents import CertifiedIntent, ClosedBatch, SignedCancellation
from darkpool.protocol.terms import IntervalTerms
from darkpool.record.core import HeldRecord
from darkpool.record.forms import AuctionSummary, PlannedMask, SettlementRecord
from darkpool.record.margin_forms import MarginInputs
from darkpool.record.opened import OpenedRecord
from darkpool.units import AccountId, Interval


@dataclass(frozen=True, slots=True)
class ProofRequest:
    """A sealed intent, its ciphertext, and the envelope for the keyper that is asked."""

    sealed: SealedIntent
    ciphertext: Ciphertext
    envelope: bytes


@dataclass(frozen=True, slots=True)
class CheckedProof:
    """What a keyper computed of a sealed vector, and what it announces of that to the others."""

    reencrypted: ReencryptedProof
    announced: SignedAnnouncement


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """A sealed intent, its account's signature (65 bytes), and what keypers announced of it."""

    sealed: SealedIntent
    signature: bytes
    announcements: tuple[SignedAnnouncement, ...]


@dataclass(frozen=True, slots=True)
class KnownIntents:
    """What a keyper knows of an interval that has closed, and demands of its batch.

    Attributes:
        intents: with a certificate that it was shown.
        cancellations: that it signed a receipt of.
    """

    intents: tuple[CertifiedIntent, ...]
    cancellations: tuple[SignedCancellation, ...]


@dataclass(frozen=True, slots=True)
class BatchProposal:
    """A batch root, the batch that it is said to be of, and the masks that are set aside for it."""

    root: BatchRoot
    batch: ClosedBatch
    masks: tuple[PlannedMask, ...]


@dataclass(frozen=True, slots=True)
class BeaconRequest:
    """An interval and its final batch root, 32 bytes."""

    interval: Interval
    root: bytes


@dataclass(frozen=True, slots=True)
class MaskUse:
    """A mask number, and the context (32 bytes) that it is bound to from now on."""

    number: int
    context: bytes


@dataclass(frozen=True, slots=True)
class ContributionRequest:
    """A draw of a mask, and the share whose contribution is wanted."""

    draw: Draw
    share: int


@dataclass(frozen=True, slots=True)
class TranscriptRequest:
    """A context and the digest of the terms that it ran under, 32 bytes both."""

    context: bytes
    terms_digest: bytes


@dataclass(frozen=True, slots=True)
class VoidInterval:
    """What justifies what an interval left due that was committed and ended void.

    Attributes:
        terms: those that its batch was committed under.
        margin: what margin was computed from; the terms have its digest.
        record: what was opened in it, as it was to be settled; None where its openings were not
            complete, or too few keypers signed them: then it charges nobody.
    """

    terms: IntervalTerms
    margin: MarginInputs
    record: HeldRecord | None


@dataclass(frozen=True, slots=True)
class SettlementProposal:
    """What a keyper computes a settlement again from, besides what it knows.

    Attributes:
        summary: the core of the record.
        settlement: what is to be settled, without signatures.
        transcripts: signatures on all openings, by keyper.
        margin: what margin was computed from.
        opened: all that was opened, in order.
        voids: the intervals that were committed and ended void since the settlement before.
        prices_before: what margin was computed from at that settlement; None before the first.
    """

    summary: AuctionSummary
    settlement: SettlementRecord
    transcripts: Mapping[int, bytes]
    margin: MarginInputs
    opened: tuple[OpenedRecord, ...]
    voids: tuple[VoidInterval, ...] = ()
    prices_before: MarginInputs | None = None


class CertifyingKeyper(Protocol):
    """What admission asks of a keyper."""

    @property
    def number(self) -> int:
        """Keyper number, from 0."""

    def open_admission(self, terms: IntervalTerms) -> None:
        """Accept intents for the terms' interval until its close."""

    def check_proof(self, request: ProofRequest) -> CheckedProof:
        """Open the envelope, re-encrypt its shares, and announce their digests."""

    def certify(self, request: CertificateRequest) -> bytes:
        """Sign the `AdmissionCertificate` of an intent whose proof was checked before."""

    def cancel(self, cancelled: SignedCancellation) -> bytes:
        """Sign the `CancellationReceipt` of a cancellation."""

    def close_admission(self, interval: Interval) -> KnownIntents:
        """End certification, when the interval has closed; tell what was certified, cancelled."""


class Keyper(CertifyingKeyper, Protocol):
    """All that the operator asks of a keyper."""

    @property
    def address(self) -> AccountId:
        """Address that its signatures recover to."""

    def show(self, intent: CertifiedIntent) -> None:
        """Be shown a certificate: from now on no batch is signed without its intent."""

    def sign_batch_root(self, proposal: BatchProposal) -> bytes:
        """Sign the one batch root of an interval."""

    def begin_auction(self, interval: Interval) -> bytes:
        """Accept openings of an interval whose batch root is final; answers their context."""

    def beacon_shares(self, request: BeaconRequest) -> Mapping[int, bytes]:
        """32 bytes of the beacon by share number, of the shares that the keyper holds."""

    def next_mask(self) -> int:
        """The next mask number that was never issued."""

    def issue_mask(self, number: int) -> None:
        """Set a mask number aside for preparation, once for ever."""

    def accept_preparation(self, number: int) -> None:
        """Accept the openings that the preparation of an issued mask needs."""

    def contribution(self, request: ContributionRequest) -> Contribution:
        """What a virtual party sends for a mask draw."""

    def attest_mask(self, mask: DrawnMask) -> bytes:
        """Sign a mask that was combined from agreed contributions; its preparation is over."""

    def consume_mask(self, use: MaskUse) -> None:
        """Bind a mask to an auction, once for ever."""

    def announce(self, request: OpeningRequest) -> Mapping[int, bytes]:
        """Digests of the decryption shares that the keyper holds, by share number."""

    def send(self, request: ShareRequest) -> Words:
        """The decryption share behind an announced digest, shape (level, degree)."""

    def sign_transcript(self, request: TranscriptRequest) -> bytes:
        """Sign the beacon and all that was opened in an auction, and open nothing more in it."""

    def sign_settlement(self, proposal: SettlementProposal) -> bytes:
        """Sign the one settlement of an interval, which the keyper computes itself."""

    def sign_rotation(self, rotation: Rotation) -> bytes:
        """Sign the one rotation of an epoch: the committee that follows this one."""
