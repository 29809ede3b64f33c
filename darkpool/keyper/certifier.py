"""What a keyper does before the close: it checks openings, certifies, is shown, and cancels.

It trusts no operator: it checks every signature itself, reads its own clock, and believes of other
keypers only what they signed. What it promises is on its disk before its signature leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crypto.signing.messages import AdmissionCertificate, CancellationReceipt, SealedIntent
from crypto.threshold.certificate import SignedAnnouncement, VenueKeys
from crypto.threshold.knowledge import ProofAnnouncement, ReencryptedProof, verify_knowledge
from darkpool.clock import Clock
from darkpool.keyper.admission_store import AdmissionStore, IntentKey
from darkpool.keyper.batch_check import CertificateRules, check_batch
from darkpool.keyper.errors import AdmissionNotOpen
from darkpool.keyper.identity import CommitteeView, KeyperIdentity
from darkpool.protocol.checks import (
    require_before_close,
    require_deadline,
    verify_cancellation,
    verify_sealed_intent,
)
from darkpool.protocol.intents import CertifiedIntent, SignedCancellation
from darkpool.protocol.keyper import BatchProposal, CertificateRequest, CheckedProof, KnownIntents
from darkpool.protocol.refusals import KnowledgeNotProven, WrongTerms
from darkpool.protocol.terms import IntervalTerms
from darkpool.units import Interval

_PENDING_MAX: Final = 256


class Certifier:
    """The part of a keyper that is about intents; the clock is this keyper's own.

    `addresses` are those that the committee signs with, 20 bytes each, in keyper order.
    """

    def __init__(
        self,
        identity: KeyperIdentity,
        store: AdmissionStore,
        view: CommitteeView,
        clock: Clock,
    ) -> None:
        self._identity = identity
        self._store = store
        self._material = view.material
        self._domain = view.domain
        self.addresses = view.addresses
        self._clock = clock
        self._terms: dict[int, IntervalTerms] = {}
        self._pending: dict[bytes, ReencryptedProof] = {}

    def open(self, terms: IntervalTerms) -> None:
        """Accept intents for an interval until its close; the first terms stay.

        Raises:
            WrongTerms: of another contract, key epoch or committee than this keyper's.
            Equivocation: the interval was opened with another close, other terms or instruments.
        """
        for what, expected, got in (
            ("domain", self._domain, terms.domain),
            ("key epoch", self._material.committee.epoch, terms.material.committee.epoch),
            ("keypers", self.addresses, terms.addresses()),
        ):
            if got != expected:
                raise WrongTerms(what, expected, got)
        instruments = b"".join(sorted(terms.grids))
        self._store.open(terms.interval, terms.closes_ms, terms.digest, instruments)
        self._terms.setdefault(terms.interval, terms)

    def terms_digest(self, interval: Interval) -> bytes:
        """The digest of the terms that this keyper certifies for.

        Raises:
            AdmissionNotOpen: the interval was never opened.
        """
        return self._store.terms(interval)

    def announce(self, sealed: SealedIntent, opening: ReencryptedProof) -> CheckedProof:
        """Keep an opening for `certify`, and sign what is announced of it."""
        intent = sealed.digest(self._domain)
        self._pending.pop(intent, None)
        while len(self._pending) >= _PENDING_MAX:
            del self._pending[next(iter(self._pending))]
        self._pending[intent] = opening
        announced = SignedAnnouncement.by(
            opening.announcement, intent, self._domain, self._identity.signing_key
        )
        return CheckedProof(opening, announced)

    def certify(self, request: CertificateRequest) -> bytes:
        """Sign the certificate of an intent, at most one live one for its account and instrument.

        Raises:
            AuctionClosed: after the close by this keyper's clock.
            AdmissionRefused: the intent, its signature or its deadline does not stand up; another
                one of the account is live; or it was taken back.
            KnowledgeNotProven: this keyper has not checked an opening of it.
            MissingShare, HoldersDisagree, SealingMismatch: see
                `crypto.threshold.knowledge.verify_knowledge`.
        """
        sealed, terms = request.sealed, self._open_terms(request.sealed.interval)
        intent = verify_sealed_intent(sealed, request.signature, terms)
        require_deadline(sealed, self._clock)
        own = self._pending.get(intent)
        if own is None:
            subject = f"proof of knowledge of intent {intent.hex()}"
            expected = f"checked by keyper {self._identity.number}"
            raise KnowledgeNotProven(subject, expected, "not checked")
        verify_knowledge(
            self._material.committee, own, self._believed(intent, own, request.announcements)
        )
        self._store.certify(IntentKey.of(sealed, self._domain))
        message = AdmissionCertificate.of(sealed, self._domain, terms.closes_ms, terms.digest)
        return self._identity.sign(message.digest(self._domain))

    def show(self, intent: CertifiedIntent) -> None:
        """Be shown a certificate by anybody: from now on no batch is signed without its intent.

        Raises:
            AuctionClosed: certification has ended.
            AdmissionRefused: the intent or its signature does not stand up.
            InvalidCertificate, InvalidSignature: it is no certificate of this intent.
        """
        terms = self._known_terms(intent.sealed.interval)
        verify_sealed_intent(intent.sealed, intent.signature, terms)
        self._rules(terms.interval).verify(intent)
        self._store.show(IntentKey.of(intent.sealed, self._domain), intent)

    def cancel(self, cancelled: SignedCancellation) -> bytes:
        """Sign the receipt of a cancellation: no batch is signed that contains the intent.

        Raises:
            AuctionClosed: after the close by this keyper's clock.
            AdmissionRefused: the cancellation or its signature does not stand up.
        """
        terms = self._open_terms(cancelled.cancellation.interval)
        verify_cancellation(cancelled, terms)
        self._store.cancel(cancelled)
        receipt = CancellationReceipt.of(cancelled.cancellation, terms.closes_ms)
        return self._identity.sign(receipt.digest(self._domain))

    def close(self, interval: Interval) -> KnownIntents:
        """End certification, showing and cancelling; the same again is no news.

        Raises:
            AdmissionNotOpen: the interval was not opened, or its close has not come by this clock.
        """
        closes_ms, now_ms = self._store.closes_ms(interval), self._clock.unix_ms()
        if now_ms < closes_ms:
            expected = f"the close at {closes_ms} in Unix ms"
            raise AdmissionNotOpen(interval, expected, f"{now_ms} now")
        self._store.close(interval)
        return self._store.known(interval)

    def check(self, proposal: BatchProposal) -> None:
        """Check a batch, whose certification has ended; see `batch_check.check_batch`."""
        interval = Interval(proposal.root.interval)
        check_batch(proposal, self._store.known(interval), self._rules(interval))

    def _believed(
        self,
        intent: bytes,
        own: ReencryptedProof,
        announcements: Sequence[SignedAnnouncement],
    ) -> list[ProofAnnouncement]:
        """Announcements that speak for the sender, signed by their keypers; as many as decide."""
        believed: dict[int, ProofAnnouncement] = {}
        needed = len(self._material.committee.holders(self._identity.number)) // 2 + 1
        for signed in announcements:
            announced = signed.announcement
            fits = announced.digests.get(self._identity.number) == own.residual
            if fits and announced.keyper not in believed and len(believed) < needed:
                signed.verify(intent, self._domain, self.addresses)
                believed[announced.keyper] = announced
        return list(believed.values())

    def _rules(self, interval: Interval) -> CertificateRules:
        return CertificateRules(
            interval,
            self._store.closes_ms(interval),
            self._store.terms(interval),
            VenueKeys(self._domain, self.addresses, self._material.committee.quorum),
        )

    def _known_terms(self, interval: int) -> IntervalTerms:
        terms = self._terms.get(interval)
        if terms is None:
            raise AdmissionNotOpen(interval, "open or ended", "never opened")
        return terms

    def _open_terms(self, interval: int) -> IntervalTerms:
        terms = self._known_terms(interval)
        require_before_close(terms.closes_ms, self._clock)
        return terms
