"""What a keyper does before the close: it checks openings, certifies, is shown, and cancels.

It trusts no operator: it checks every signature itself, reads its own clock, and believes of other
keypers only what they signed. What it promises is on its disk before its signature leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crypto.signing.ecdsa import sign
from crypto.signing.eip712 import Domain
from crypto.signing.messages import (
    AdmissionCertificate,
    BatchRoot,
    CancellationReceipt,
    SealedIntent,
)
from crypto.threshold.certificate import SignedAnnouncement, VenueKeys
from crypto.threshold.keys import PublicMaterial
from crypto.threshold.knowledge import ProofAnnouncement, ReencryptedProof, verify_knowledge
from darkpool.clock import Clock
from darkpool.keyper.admission_store import AdmissionStore, IntentKey
from darkpool.keyper.batch_check import CertificateRules, check_batch
from darkpool.keyper.errors import AdmissionNotOpen
from darkpool.protocol.checks import (
    require_before_close,
    require_deadline,
    verify_cancellation,
    verify_sealed_intent,
)
from darkpool.protocol.intents import CertifiedIntent, ClosedBatch, SignedCancellation
from darkpool.protocol.keyper import CheckedProof, KnownIntents
from darkpool.protocol.refusals import KnowledgeNotProven, WrongTerms
from darkpool.protocol.terms import AuctionTerms
from darkpool.units import Interval

_PENDING_MAX: Final = 256


class Certifier:
    """The part of a keyper that is about intents.

    Args:
        addresses: 20 bytes of each keyper, in keyper order.
        signing_key: secp256k1 private key, 32 bytes.
        clock: this keyper's own.
    """

    def __init__(
        self,
        keyper: int,
        material: PublicMaterial,
        addresses: Sequence[bytes],
        signing_key: bytes,
        store: AdmissionStore,
        domain: Domain,
        clock: Clock,
    ) -> None:
        self._keyper = keyper
        self._material = material
        self._addresses = tuple(addresses)
        self._signing_key = signing_key
        self._store = store
        self._domain = domain
        self._clock = clock
        self._terms: dict[int, AuctionTerms] = {}
        self._pending: dict[bytes, ReencryptedProof] = {}

    def open(self, terms: AuctionTerms) -> None:
        """Accept intents for an interval until its close; the first terms stay.

        Raises:
            WrongTerms: of another contract, key epoch or committee than this keyper's.
            Equivocation: the interval was opened with another close, other terms or instruments.
        """
        for what, expected, got in (
            ("domain", self._domain, terms.domain),
            ("key epoch", self._material.committee.epoch, terms.material.committee.epoch),
            ("keypers", self._addresses, terms.addresses()),
        ):
            if got != expected:
                raise WrongTerms(what, expected, got)
        instruments = b"".join(sorted(terms.grids))
        self._store.open(terms.interval, terms.closes_ms, terms.digest, instruments)
        self._terms.setdefault(terms.interval, terms)

    def terms(self, interval: Interval) -> bytes:
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
            opening.announcement, intent, self._domain, self._signing_key
        )
        return CheckedProof(opening, announced)

    def certify(
        self,
        sealed: SealedIntent,
        signature: bytes,
        announcements: Sequence[SignedAnnouncement],
    ) -> bytes:
        """Sign the certificate of an intent, at most one live one for its account and instrument.

        Raises:
            AuctionClosed: after the close by this keyper's clock.
            AdmissionRefused: the intent, its signature or its deadline does not stand up; another
                one of the account is live; or it was taken back.
            KnowledgeNotProven: this keyper has not checked an opening of it.
            MissingShare, HoldersDisagree, SealingMismatch: see
                `crypto.threshold.knowledge.verify_knowledge`.
        """
        terms = self._open_terms(sealed.interval)
        intent = verify_sealed_intent(sealed, signature, terms)
        require_deadline(sealed, self._clock)
        own = self._pending.get(intent)
        if own is None:
            raise KnowledgeNotProven("opening", f"one that keyper {self._keyper} checked", "none")
        verify_knowledge(self._material.committee, own, self._believed(intent, own, announcements))
        self._store.certify(IntentKey.of(sealed, self._domain))
        message = AdmissionCertificate.of(sealed, self._domain, terms.closes_ms, terms.digest)
        return sign(message.digest(self._domain), self._signing_key)

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
        return sign(receipt.digest(self._domain), self._signing_key)

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

    def check(self, root: BatchRoot, batch: ClosedBatch) -> None:
        """Check a batch, whose certification has ended; see `batch_check.check_batch`."""
        interval = Interval(root.interval)
        check_batch(root, batch, self._store.known(interval), self._rules(interval))

    def _believed(
        self,
        intent: bytes,
        own: ReencryptedProof,
        announcements: Sequence[SignedAnnouncement],
    ) -> list[ProofAnnouncement]:
        """Announcements that speak for the sender, signed by their keypers; as many as decide."""
        believed: dict[int, ProofAnnouncement] = {}
        needed = len(self._material.committee.holders(self._keyper)) // 2 + 1
        for signed in announcements:
            announced = signed.announcement
            fits = announced.digests.get(self._keyper) == own.residual
            if fits and announced.keyper not in believed and len(believed) < needed:
                signed.verify(intent, self._domain, self._addresses)
                believed[announced.keyper] = announced
        return list(believed.values())

    def _rules(self, interval: Interval) -> CertificateRules:
        return CertificateRules(
            interval,
            self._store.closes_ms(interval),
            self._store.terms(interval),
            VenueKeys(self._domain, self._addresses, self._material.committee.quorum),
        )

    def _known_terms(self, interval: int) -> AuctionTerms:
        terms = self._terms.get(interval)
        if terms is None:
            raise AdmissionNotOpen(interval, "an interval that was opened", "another one")
        return terms

    def _open_terms(self, interval: int) -> AuctionTerms:
        terms = self._known_terms(interval)
        require_before_close(terms.closes_ms, self._clock)
        return terms
