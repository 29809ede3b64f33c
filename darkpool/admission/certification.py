"""What the venue asks of the keypers for an intent: to check its proof, to certify, to cancel.

One keyper may be corrupt: whatever it answers or raises, the others decide. What it signs is
checked before it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crypto.bfv.ciphertext import Ciphertext
from crypto.errors import CryptoError, MalformedProof
from crypto.signing.ecdsa import verify_signature
from crypto.signing.messages import AdmissionCertificate, CancellationReceipt
from crypto.threshold.certificate import (
    CancellationCertificate,
    IntentCertificate,
    SignedAnnouncement,
)
from crypto.threshold.knowledge import verify_knowledge
from crypto.threshold.quorum import Answers, Panel
from darkpool.protocol.intents import ProvenIntent, SealedSubmission, SignedCancellation
from darkpool.protocol.keyper import (
    CertificateRequest,
    CertifyingKeyper,
    CheckedProof,
    ProofRequest,
)
from darkpool.protocol.refusals import CancellationUncertain, KnowledgeNotProven, NotCertified
from darkpool.protocol.terms import IntervalTerms


def prove_knowledge(
    terms: IntervalTerms,
    panel: Panel[CertifyingKeyper],
    submission: SealedSubmission,
    ciphertext: Ciphertext,
) -> tuple[SignedAnnouncement, ...]:
    """Announcements on which at least a quorum of keypers accepts the proof of knowledge.

    Raises:
        KnowledgeNotProven: fewer accept; tells why the others refused.
    """
    committee, sealed = terms.material.committee, submission.sealed
    intent, addresses = sealed.digest(terms.domain), terms.addresses()

    def check(keyper: CertifyingKeyper) -> CheckedProof:
        checked = keyper.check_proof(
            ProofRequest(sealed, ciphertext, submission.envelopes[keyper.number])
        )
        announced, reencrypted = checked.announced.announcement, checked.reencrypted
        expected = (keyper.number, committee.shares_of(keyper.number))
        got = (announced.keyper, tuple(sorted(announced.digests)))
        if got != expected:
            raise MalformedProof("announcement, keyper and shares", expected, got)
        checked.announced.verify(intent, terms.domain, addresses)
        if reencrypted.announcement != announced:
            shown = reencrypted.announcement
            raise MalformedProof("proof encrypted again, announcement", announced, shown)
        return checked

    checks = panel.ask(check)
    computed, refusals = checks.given, dict(checks.failures)
    announcements = [checked.announced.announcement for checked in computed.values()]
    accepted = []
    for i, checked in computed.items():
        try:
            verify_knowledge(committee, checked.reencrypted, announcements)
        except CryptoError as error:
            refusals[i] = error
        else:
            accepted.append(i)
    if len(accepted) < committee.quorum:
        raise KnowledgeNotProven(
            "proof of knowledge",
            f"at least {committee.quorum} of {committee.size} keypers to accept",
            told(len(accepted), refusals),
        )
    return tuple(checked.announced for checked in computed.values())


def certify_intent(
    terms: IntervalTerms, panel: Panel[CertifyingKeyper], proven: ProvenIntent
) -> IntentCertificate:
    """Collect the certificate of an intent.

    Raises:
        NotCertified: fewer than a quorum signed; tells why the others refused.
    """
    message = AdmissionCertificate.of(proven.sealed, terms.domain, terms.closes_ms, terms.digest)
    request = CertificateRequest(proven.sealed, proven.signature, proven.announcements)
    signed = _signatures(
        terms, panel, message.digest(terms.domain), lambda keyper: keyper.certify(request)
    )
    if len(signed.given) < terms.material.committee.quorum:
        expected = f"at least {terms.material.committee.quorum} keypers to sign"
        raise NotCertified("certificate", expected, told(len(signed.given), signed.failures))
    return IntentCertificate(message, signed.given)


def certify_cancellation(
    terms: IntervalTerms, panel: Panel[CertifyingKeyper], cancelled: SignedCancellation
) -> CancellationCertificate:
    """Collect the certificate of a cancellation.

    Raises:
        CancellationUncertain: fewer than a quorum signed; tells why the others refused.
    """
    message = CancellationReceipt.of(cancelled.cancellation, terms.closes_ms)
    signed = _signatures(
        terms, panel, message.digest(terms.domain), lambda keyper: keyper.cancel(cancelled)
    )
    if len(signed.given) < terms.material.committee.quorum:
        expected = f"at least {terms.material.committee.quorum} keypers to sign"
        got = told(len(signed.given), signed.failures)
        raise CancellationUncertain("cancellation", expected, got)
    return CancellationCertificate(message, signed.given)


def _signatures(
    terms: IntervalTerms,
    panel: Panel[CertifyingKeyper],
    digest: bytes,
    question: Callable[[CertifyingKeyper], bytes],
) -> Answers[bytes]:
    addresses = terms.addresses()

    def signature(keyper: CertifyingKeyper) -> bytes:
        signed = question(keyper)
        verify_signature(digest, signed, addresses[keyper.number])
        return signed

    return panel.ask(signature)


def told(count: int, refusals: Mapping[int, Exception]) -> str:
    """How many keypers did what they were asked, and why the others refused."""
    reasons = "; ".join(f"keyper {i}: {refusals[i]}" for i in sorted(refusals))
    return f"{count}{f' ({reasons})' if reasons else ''}"
