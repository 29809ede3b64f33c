"""Evidence that a batch was signed without an intent that had to be in it.

Its owner needs its certificate and public data alone. The evidence convinces all who know the
venue's contract and keypers: a quorum certified the intent before the close, a quorum signed a
batch without it, and its account did not take it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crypto.errors import CryptoError
from crypto.signing.ecdsa import verify_signature
from crypto.signing.eip712 import Domain
from crypto.signing.merkle import merkle_root
from crypto.signing.messages import Cancellation, SealedIntent
from crypto.signing.settling import BatchRoot
from crypto.threshold.certificate import IntentCertificate, VenueKeys
from darkpool.record.reader import Record
from darkpool.units import require_kind
from darkpool.verification.batch import batch_message
from darkpool.verification.errors import NoOmission
from darkpool.verification.openings import terms_digest


@dataclass(frozen=True, slots=True)
class SignedBatch:
    """A batch root with its leaves.

    Attributes:
        leaves: digests of the sealed intents, in batch order.
        signatures: on the root, by keyper number.
        cancellations: with their accounts' signatures, as published with the batch.
    """

    root: BatchRoot
    leaves: tuple[bytes, ...]
    signatures: Mapping[int, bytes]
    cancellations: tuple[tuple[Cancellation, bytes], ...]

    @classmethod
    def of(cls, record: Record) -> SignedBatch:
        """The batch of a record.

        Raises:
            MalformedRecord: files that are no keys.
        """
        domain = record.summary.venue.domain()
        return cls(
            batch_message(record, terms_digest(record)),
            tuple(intent.sealed.digest(domain) for intent in record.intents),
            record.evidence.commitment.signatures,
            tuple((c.cancellation, c.signature) for c in record.cancellations),
        )


@dataclass(frozen=True, slots=True)
class Omission:
    """A proven omission.

    Attributes:
        intent: digest of the omitted intent.
        signers: keypers that signed the batch root without it, ascending.
        contradicting: those of them that also signed its certificate. Not each is at fault: what
            other keypers signed, a keyper learns only when it is shown the certificate.
    """

    intent: bytes
    root: BatchRoot
    signers: tuple[int, ...]
    contradicting: tuple[int, ...]


def prove_omission(
    sealed: SealedIntent, certificate: IntentCertificate, batch: SignedBatch, venue: VenueKeys
) -> Omission:
    """Prove that a signed batch lacks a certified intent.

    Raises:
        WrongType: an argument of another kind.
        NoOmission: the intent is in the batch or was taken back, or a part proves nothing.
    """
    require_kind("sealed intent", SealedIntent, sealed)
    require_kind("certificate", IntentCertificate, certificate)
    require_kind("batch", SignedBatch, batch)
    domain = require_kind("venue", VenueKeys, venue).domain
    try:
        message = certificate.message
        certificate.verify(sealed, message.closes_ms, message.terms, venue)
    except CryptoError as error:
        raise NoOmission("certificate", "one of this intent", error) from error
    if sealed.interval != batch.root.interval:
        raise NoOmission("interval", sealed.interval, batch.root.interval)
    stated = f"root 0x{batch.root.root.hex()} of {batch.root.count}"
    derived = f"root 0x{merkle_root(batch.leaves).hex()} of {len(batch.leaves)}"
    if stated != derived:
        raise NoOmission("leaves of the batch", stated, derived)
    try:
        venue.verify_quorum(batch.root.digest(domain), batch.signatures)
    except CryptoError as error:
        raise NoOmission("batch root", "one that a quorum signed", error) from error
    intent = certificate.message.intent
    if intent in batch.leaves:
        got = f"place {batch.leaves.index(intent)}"
        raise NoOmission("batch", f"no intent 0x{intent.hex()}", got)
    _require_kept(sealed, batch, domain)
    signers = tuple(sorted(batch.signatures))
    contradicting = tuple(i for i in signers if i in certificate.signatures)
    return Omission(intent, batch.root, signers, contradicting)


def _require_kept(sealed: SealedIntent, batch: SignedBatch, domain: Domain) -> None:
    """Check that its account did not take the intent back; a false signature takes back nothing."""
    expected = Cancellation.of(sealed, domain)
    for cancellation, signature in batch.cancellations:
        if cancellation != expected:
            continue
        try:
            verify_signature(cancellation.digest(domain), signature, sealed.account)
        except CryptoError:
            continue
        raise NoOmission("intent", "not cancelled", "a cancellation signed by its account")
