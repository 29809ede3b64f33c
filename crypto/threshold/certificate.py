"""Certificates: what a quorum of keypers has signed, and every reader can verify.

Two quorums share an honest keyper. So of two statements that an honest keyper never makes both of,
at most one has a certificate, and what a certificate's signers have promised, no quorum breaks.
A single keyper's signature promises nothing: it may be the corrupt one's, and a client could give
every keyper another intent. Argument: docs/protocol/certificates.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crypto import labels
from crypto.errors import InvalidCertificate
from crypto.ring.sampling import absorb
from crypto.signing.ecdsa import sign, verify_signature
from crypto.signing.eip712 import Domain
from crypto.signing.messages import (
    AdmissionCertificate,
    Cancellation,
    CancellationReceipt,
    SealedIntent,
)
from crypto.threshold.knowledge import ProofAnnouncement


@dataclass(frozen=True, slots=True)
class VenueKeys:
    """What has to be known of a venue from elsewhere, or a certificate proves nothing.

    Attributes:
        domain: chain and settlement contract.
        addresses: 20 bytes of each keyper, in keyper order.
        quorum: `crypto.threshold.replicated.Committee.quorum`.
    """

    domain: Domain
    addresses: Sequence[bytes]
    quorum: int

    def verify_quorum(self, digest: bytes, signatures: Mapping[int, bytes]) -> None:
        """Verify that a quorum of keypers, and no other party, signed a 32-byte digest.

        `signatures` are 65 bytes by keyper number.

        Raises:
            InvalidCertificate: fewer signatures than a quorum, or one of a keyper that there is
                not.
            InvalidSignature: one that is not of the keyper that it stands under.
        """
        if len(signatures) < self.quorum:
            raise InvalidCertificate("signatures", f"at least {self.quorum}", len(signatures))
        for keyper, signature in signatures.items():
            _verify_keyper(digest, signature, keyper, self.addresses)


@dataclass(frozen=True, slots=True)
class IntentCertificate:
    """An intent takes part: a quorum checked its proof of knowledge before the close.

    `signatures` are 65 bytes by keyper number.
    """

    message: AdmissionCertificate
    signatures: Mapping[int, bytes]

    def verify(
        self, sealed: SealedIntent, closes_ms: int, terms_digest: bytes, venue: VenueKeys
    ) -> None:
        """Verify that this certifies an intent for an interval of this close and these terms.

        Raises:
            InvalidCertificate, InvalidSignature: it does not, or too few keypers signed; see
                `VenueKeys.verify_quorum`.
            InvalidMessageField: a field does not fit its type.
        """
        expected = AdmissionCertificate.of(sealed, venue.domain, closes_ms, terms_digest)
        _verify(self, expected, venue)


@dataclass(frozen=True, slots=True)
class CancellationCertificate:
    """An intent takes no part, for certain: a quorum will sign no batch that contains it.

    `signatures` are 65 bytes by keyper number.
    """

    message: CancellationReceipt
    signatures: Mapping[int, bytes]

    def verify(self, cancelled: Cancellation, closes_ms: int, venue: VenueKeys) -> None:
        """Verify that this certifies a cancellation.

        Raises:
            InvalidCertificate, InvalidSignature: it does not, or too few keypers signed; see
                `VenueKeys.verify_quorum`.
            InvalidMessageField: a field does not fit its type.
        """
        _verify(self, CancellationReceipt.of(cancelled, closes_ms), venue)


def _verify(
    certificate: IntentCertificate | CancellationCertificate,
    expected: AdmissionCertificate | CancellationReceipt,
    venue: VenueKeys,
) -> None:
    if certificate.message != expected:
        raise InvalidCertificate("message", expected, certificate.message)
    venue.verify_quorum(expected.digest(venue.domain), certificate.signatures)


def _verify_keyper(
    digest: bytes, signature: bytes, keyper: int, addresses: Sequence[bytes]
) -> None:
    if not 0 <= keyper < len(addresses):
        raise InvalidCertificate("keyper", f"0 to {len(addresses) - 1}", keyper)
    verify_signature(digest, signature, addresses[keyper])


@dataclass(frozen=True, slots=True)
class SignedAnnouncement:
    """Digests of a keyper's re-encrypted shares, signed: a relay cannot make them up."""

    announcement: ProofAnnouncement
    signature: bytes

    @classmethod
    def by(
        cls, announcement: ProofAnnouncement, intent: bytes, domain: Domain, signing_key: bytes
    ) -> SignedAnnouncement:
        """Sign what a keyper announces of the intent with this 32-byte digest."""
        digest = _announcement_digest(announcement, intent, domain)
        return cls(announcement, sign(digest, signing_key))

    def verify(self, intent: bytes, domain: Domain, addresses: Sequence[bytes]) -> None:
        """Verify that the keyper that is named announced this of the intent, a 32-byte digest.

        Raises:
            InvalidCertificate: there is no such keyper.
            InvalidSignature: it did not sign this.
        """
        digest = _announcement_digest(self.announcement, intent, domain)
        _verify_keyper(digest, self.signature, self.announcement.keyper, addresses)


def _announcement_digest(announced: ProofAnnouncement, intent: bytes, domain: Domain) -> bytes:
    digests = [field for j in sorted(announced.digests) for field in (j, announced.digests[j])]
    fields = (labels.PROOF_ANNOUNCEMENT, domain.separator(), intent, announced.keyper)
    return hashlib.sha256(absorb(*fields, *digests)).digest()
