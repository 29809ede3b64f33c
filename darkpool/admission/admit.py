"""The venue's side: every check that a submission passes before it takes part in an auction."""

from collections.abc import Iterable

from crypto.signing.messages import SealedIntent
from crypto.threshold.certificate import CancellationCertificate, IntentCertificate
from crypto.threshold.quorum import Panel
from darkpool.admission.certification import (
    certify_cancellation,
    certify_intent,
    prove_knowledge,
    told,
)
from darkpool.admission.register import AdmissionRegister
from darkpool.clock import Clock
from darkpool.limits import INTENTS_PER_AUCTION_MAX
from darkpool.protocol.checks import (
    parse_ciphertext,
    require_before_close,
    require_deadline,
    require_submission,
    verify_cancellation,
    verify_sealed_intent,
)
from darkpool.protocol.intents import (
    AdmittedIntent,
    ProvenIntent,
    SealedSubmission,
    SignedCancellation,
)
from darkpool.protocol.keyper import CertifyingKeyper
from darkpool.protocol.refusals import IntentCancelled, IntentUnknown, NotCertified
from darkpool.protocol.terms import IntervalTerms


class Admission:
    """Admits submissions to the auctions of one interval, until it closes.

    A submission that is refused before keypers were
    asked to certify it leaves no trace, so its sender may mend it and send it again.
    """

    def __init__(
        self,
        terms: IntervalTerms,
        clock: Clock,
        panel: Panel[CertifyingKeyper],
        register: AdmissionRegister,
    ) -> None:
        self._terms = terms
        self._clock = clock
        self._panel = panel
        self._register = register
        self._asked: dict[bytes, ProvenIntent] = {}
        self._admitted: dict[bytes, AdmittedIntent] = {}
        self._cancelled: dict[bytes, SignedCancellation] = {}
        panel.ask(lambda keyper: keyper.open_admission(terms))

    def admit(self, submission: SealedSubmission) -> AdmittedIntent:
        """Check a submission and have it certified.

        Raises:
            AdmissionRefused: the first reason found, cheap ones first.
        """
        return self.certify(self.prove(submission))

    def prove(self, submission: SealedSubmission) -> ProvenIntent:
        """Check a submission; nothing of it is kept.

        Raises:
            AdmissionRefused: the first reason found, cheap ones first.
        """
        terms = self._terms
        self._require_open()
        sealed = require_submission(submission).sealed
        digest = verify_sealed_intent(sealed, submission.signature, terms)
        require_deadline(sealed, self._clock)
        owner = terms.rules.owner_of(sealed.account)
        self._register.require_new(sealed, owner, self._intents_max())
        ciphertext = parse_ciphertext(submission, terms)
        announcements = prove_knowledge(terms, self._panel, submission, ciphertext)
        return ProvenIntent(sealed, submission.signature, digest, ciphertext, announcements)

    def certify(self, proven: ProvenIntent) -> AdmittedIntent:
        """Have a proven intent certified; collateral for its cap has to be reserved by now.

        It may be tried again: an intent that some keypers have signed keeps its place, because the
        missing signature may turn up in the hands of its sender.

        Raises:
            NonceUsed and so on: another intent has taken its nonce or place since it was proven.
            NotCertified: too few keypers signed.
        """
        self._require_open()
        if proven.digest in self._cancelled:
            raise IntentCancelled("intent", "an intent not cancelled", proven.digest.hex())
        if proven.digest not in self._asked:
            owner = self._terms.rules.owner_of(proven.sealed.account)
            self._register.record(proven.sealed, owner, self._intents_max())
            self._asked[proven.digest] = proven
        certificate = certify_intent(self._terms, self._panel, proven)
        admitted = _admitted(proven, certificate)
        self._admitted[proven.digest] = admitted
        return admitted

    def cancel(self, cancelled: SignedCancellation) -> CancellationCertificate:
        """Leave an intent out, and free its place and its cap; nonce and ciphertext stay used.

        Raises:
            AuctionClosed: the interval has closed.
            MalformedSubmission, WrongSignature: not a cancellation that the account signed.
            IntentUnknown: there is no such intent here.
            CancellationUncertain: too few keypers signed; it is left out all the same.
        """
        self._require_open()
        verify_cancellation(cancelled, self._terms)
        digest = cancelled.cancellation.intent
        proven = self._asked.get(digest)
        if proven is None or not cancelled.is_of(proven.sealed, self._terms.domain):
            raise IntentUnknown("intent", "an intent of its account", digest.hex())
        if digest not in self._cancelled:
            self._cancelled[digest] = cancelled
            self._register.cancel(proven.sealed)
        return certify_cancellation(self._terms, self._panel, cancelled)

    def holds(self, digest: bytes) -> bool:
        """Whether an intent was recorded, so that it may turn out to be certified."""
        return digest in self._asked

    def close(self) -> tuple[dict[bytes, AdmittedIntent], tuple[SignedCancellation, ...]]:
        """End admission, when the interval has closed: who takes part, and who was taken back.

        Intents by digest, in the order of their admission. What the keypers were shown or had
        cancelled counts, whether or not the venue knew of it. Nothing is kept of them here.

        Raises:
            NotCertified: fewer than a quorum of keypers ended certification.
        """
        known = self._panel.ask(self._known_of)
        quorum = self._terms.material.committee.quorum
        if len(known.given) < quorum:
            expected = f"at least {quorum} keypers to end certification"
            raise NotCertified("close", expected, told(len(known.given), known.failures))
        for recovered, cancellations in known.given.values():
            self._admitted |= recovered
            self._cancelled |= cancellations
        intents = {d: self._admitted[d] for d in self._asked if d in self._admitted}
        for digest in self._cancelled:
            intents.pop(digest, None)
        self._asked.clear()
        self._admitted.clear()
        return intents, tuple(self._cancelled.values())

    def _known_of(
        self, keyper: CertifyingKeyper
    ) -> tuple[dict[bytes, AdmittedIntent], dict[bytes, SignedCancellation]]:
        """What a keyper knows beyond the venue, of intents that came in."""
        terms, recovered, cancellations = self._terms, {}, {}
        known = keyper.close_admission(terms.interval)
        for entry in known.intents:
            digest = entry.sealed.digest(terms.domain)
            if digest in self._asked and digest not in self._admitted:
                venue = terms.venue_keys()
                entry.certificate.verify(entry.sealed, terms.closes_ms, terms.digest, venue)
                recovered[digest] = _admitted(self._asked[digest], entry.certificate)
        for cancelled in known.cancellations:
            digest = cancelled.cancellation.intent
            if digest in self._asked and digest not in self._cancelled:
                verify_cancellation(cancelled, terms)
                if cancelled.is_of(self._asked[digest].sealed, terms.domain):
                    cancellations[digest] = cancelled
        return recovered, cancellations

    def _intents_max(self) -> int:
        return min(INTENTS_PER_AUCTION_MAX, self._terms.material.parameters.intents_max)

    def _require_open(self) -> None:
        require_before_close(self._terms.closes_ms, self._clock)

    def note_rejections(self, rejected: Iterable[SealedIntent]) -> None:
        """Remember intents that were found to be at fault; see `AdmissionRegister`."""
        self._register.note_rejections(rejected)


def _admitted(proven: ProvenIntent, certificate: IntentCertificate) -> AdmittedIntent:
    return AdmittedIntent(
        proven.sealed, proven.signature, proven.digest, proven.ciphertext, certificate
    )
