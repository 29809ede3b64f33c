"""Certificates: what a quorum of keypers has signed, and anybody can check.

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


def verify_quorum(
    digest: bytes, signatures: Mapping[int, bytes], addresses: Sequence[bytes], quorum: int
) -> None:
    """Check that a quorum of keypers signed a 32-byte digest, and nobody else.

    Args:
        signatures: 65 bytes by keyper number.
        addresses: 20 bytes of each keyper, in keyper order.
        quorum: `crypto.threshold.replicated.Committee.quorum`.

    Raises:
        InvalidCertificate: fewer signatures than a quorum, or one of a keyper that there is not.
        InvalidSignature: one that is not of the keyper that it stands under.
    """
    if len(signatures) < quorum:
        raise InvalidCertificate("signatures", f"at least {quorum}", len(signatures))
    for keyper, signature in signatures.items():
        if not 0 <= keyper < len(addresses):
            raise InvalidCertificate("keyper", f"0 to {len(addresses) - 1}", keyper)
        verify_signature(digest, signature, addresses[keyper])


@dataclass(frozen=True, slots=True)
class IntentCertificate:
    """An intent takes part: a quorum checked its proof of knowledge before the close.

    `signatures` are 65 bytes by keyper number.
    """

    message: AdmissionCertificate
    signatures: Mapping[int, bytes]

    def verify(
        self,
        sealed: SealedIntent,
        closes_ms: int,
        terms: bytes,
        domain: Domain,
        addresses: Sequence[bytes],
        quorum: int,
    ) -> None:
        """Check that this is the certificate of an intent, in an interval of this close and terms.

        Raises:
            InvalidCertificate, InvalidSignature: it is not, or too few signed; see `verify_quorum`.
            InvalidMessageField: a field does not fit its type.
        """
        expected = AdmissionCertificate.of(sealed, domain, closes_ms, terms)
        _verify(self, expected, domain, addresses, quorum)


@dataclass(frozen=True, slots=True)
class CancellationCertificate:
    """An intent takes no part, for certain: a quorum will sign no batch that contains it.

    `signatures` are 65 bytes by keyper number.
    """

    message: CancellationReceipt
    signatures: Mapping[int, bytes]

    def verify(
        self,
        cancelled: Cancellation,
        closes_ms: int,
        domain: Domain,
        addresses: Sequence[bytes],
        quorum: int,
    ) -> None:
        """Check that this is the certificate of a cancellation.

        Raises:
            InvalidCertificate, InvalidSignature: it is not, or too few signed; see `verify_quorum`.
            InvalidMessageField: a field does not fit its type.
        """
        expected = CancellationReceipt.of(cancelled, closes_ms)
        _verify(self, expected, domain, addresses, quorum)


def _verify(
    certificate: IntentCertificate | CancellationCertificate,
    expected: AdmissionCertificate | CancellationReceipt,
    domain: Domain,
    addresses: Sequence[bytes],
    quorum: int,
) -> None:
    if certificate.message != expected:
        raise InvalidCertificate("message", expected, certificate.message)
    verify_quorum(expected.digest(domain), certificate.signatures, addresses, quorum)


@dataclass(frozen=True, slots=True)
class SignedAnnouncement:
    """Digests of a keyper's re-encrypted shares, signed: who relays them cannot make them up."""

    announcement: ProofAnnouncement
    signature: bytes

    @classmethod
    def by(
        cls, announcement: ProofAnnouncement, intent: bytes, domain: Domain, signing_key: bytes
    ) -> SignedAnnouncement:
        """Sign what a keyper announces of the intent with this 32-byte digest."""
        return cls(announcement, sign(_announcement(announcement, intent, domain), signing_key))

    def verify(self, intent: bytes, domain: Domain, addresses: Sequence[bytes]) -> None:
        """Check that the keyper that is named announced this of the intent.

        Raises:
            InvalidCertificate: there is no such keyper.
            InvalidSignature: it did not sign this.
        """
        keyper = self.announcement.keyper
        if not 0 <= keyper < len(addresses):
            raise InvalidCertificate("keyper", f"0 to {len(addresses) - 1}", keyper)
        digest = _announcement(self.announcement, intent, domain)
        verify_signature(digest, self.signature, addresses[keyper])


def _announcement(announced: ProofAnnouncement, intent: bytes, domain: Domain) -> bytes:
    digests = [field for j in sorted(announced.digests) for field in (j, announced.digests[j])]
    fields = (labels.PROOF_ANNOUNCEMENT, domain.separator(), intent, announced.keyper)
    return hashlib.sha256(absorb(*fields, *digests)).digest()
