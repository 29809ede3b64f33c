# a corrupt keyper does not look at what it is asked
"""Keypers certify what they have checked themselves, before the close by their own clocks."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from crypto.bfv.ciphertext import Ciphertext
from crypto.errors import CryptoError, InvalidCertificate, InvalidSignature, MissingShare
from crypto.signing.ecdsa import address_of, sign, verify_signature
from crypto.signing.eip712 import Domain
from crypto.signing.messages import AdmissionCertificate, CancellationReceipt, SealedIntent
from crypto.threshold.certificate import IntentCertificate, SignedAnnouncement
from crypto.threshold.knowledge import (
    KnowledgeContext,
    ProofAnnouncement,
    ReencryptedProof,
    SealedVector,
    VectorSealing,
    seal_proofs,
)
from darkpool.keyper.errors import AdmissionNotOpen, Equivocation
from darkpool.keyper.keyper import LocalKeyper
from darkpool.protocol.intents import CertifiedIntent
from darkpool.protocol.keyper import CertificateRequest, CheckedProof, ProofRequest
from darkpool.protocol.refusals import (
    AuctionClosed,
    CapRefused,
    DeadlinePassed,
    IntentCancelled,
    KnowledgeNotProven,
    SealedForOtherTerms,
    SecondIntent,
    WrongAuction,
    WrongKeyEpoch,
    WrongSignature,
    WrongTerms,
)
from darkpool.protocol.terms import IntervalTerms
from darkpool.simulation.clock import SimulatedClock
from darkpool.simulation.committee import CommitteeSeat
from darkpool.units import InstrumentId, Interval, account_bytes
from tests.support.epochs import EPOCH
from tests.support.house import (
    DOMAIN,
    House,
    HouseCommittee,
    batch_of,
    cancelled,
    certificate,
    sealed_intent,
)
from tests.support.reference_prices import NOW_MS, renewed

ALICE, MALLORY = b"\x0a" * 32, b"\x0b" * 32
intervals = itertools.count(1)


@dataclass(frozen=True)
class Proven:
    """A sealed vector, as it reaches the keypers."""

    sealed: SealedIntent
    signature: bytes
    ciphertext: Ciphertext
    envelopes: tuple[bytes, ...]


@dataclass
class Room:
    """An interval that is open for a minute, its keypers, and a clock of each."""

    house: House
    committee: HouseCommittee
    terms: IntervalTerms
    clocks: list[SimulatedClock]

    @property
    def keypers(self) -> Sequence[LocalKeyper]:
        return self.committee.keypers

    def seal(self, account_key: bytes = ALICE, nonce: int = 1, **fields: Any) -> Proven:
        """Seal zeros, honestly, under changed public fields."""
        sealed, _ = sealed_intent(self.terms, account_key, nonce, **fields)
        material, ring = self.house.material, self.house.parameters.order_ring
        vector = VectorSealing.of(
            material, KnowledgeContext.of(replace(sealed, key_epoch=EPOCH), self.terms.domain)
        ).seal(np.zeros(ring.degree, dtype=np.int64), nonce.to_bytes(32, "big"))
        return self.around(vector.ciphertext, vector, sealed, account_key)

    def around(
        self, ciphertext: Ciphertext, vector: SealedVector, sealed: SealedIntent, account_key: bytes
    ) -> Proven:
        sealed = replace(sealed, ciphertext_digest=ciphertext.digest())
        envelopes = seal_proofs(self.house.material, vector, sealed, self.terms.domain)
        signature = sign(sealed.digest(self.terms.domain), account_key)
        return Proven(sealed, signature, ciphertext, envelopes)

    def announce(
        self, proven: Proven, keypers: Sequence[LocalKeyper] | None = None
    ) -> tuple[SignedAnnouncement, ...]:
        sealed, ciphertext, envelopes = proven.sealed, proven.ciphertext, proven.envelopes
        return tuple(
            k.check_proof(ProofRequest(sealed, ciphertext, envelopes[k.number])).announced
            for k in (self.keypers if keypers is None else keypers)
        )

    def certify(self, proven: Proven) -> IntentCertificate:
        announcements = self.announce(proven)
        return self.collected(
            proven,
            lambda k: k.certify(CertificateRequest(proven.sealed, proven.signature, announcements)),
        )

    def collected(self, proven: Proven, ask: Callable[[LocalKeyper], bytes]) -> IntentCertificate:
        message = AdmissionCertificate.of(
            proven.sealed, DOMAIN, self.terms.closes_ms, self.terms.digest
        )
        return IntentCertificate(message, {k.number: ask(k) for k in self.keypers})

    def verify(self, proven: Proven, certified: IntentCertificate) -> None:
        terms = self.terms
        certified.verify(proven.sealed, terms.closes_ms, terms.digest, terms.venue_keys())


def opened(
    house: House,
    kinds: dict[int, type[LocalKeyper]] | None = None,
    seats: tuple[CommitteeSeat, ...] | None = None,
) -> Room:
    clocks = [SimulatedClock(NOW_MS) for _ in house.epoch.secrets]
    committee = house.committee(seats, kinds)
    terms = house.terms(committee, Interval(next(intervals)), NOW_MS + 60_000)
    return started(Room(house, committee, terms, clocks))


def started(room: Room) -> Room:
    for keyper, clock in zip(room.keypers, room.clocks, strict=True):
        keyper._certifier._clock = clock
        keyper.open_admission(room.terms)
    return room


def restarted(room: Room, seats: tuple[CommitteeSeat, ...]) -> Room:
    """The same keypers with nothing but what is on their disks."""
    return started(replace(room, committee=room.house.committee(seats)))


@pytest.fixture
def room(house: House) -> Room:
    return opened(house)


@pytest.mark.parametrize("size", [3, 4])
def test_a_proven_intent_is_certified_by_all(house_of: Callable[[int], House], size: int) -> None:
    room = opened(house_of(size))
    proven = room.seal()
    certified = room.certify(proven)
    room.verify(proven, certified)
    assert room.certify(proven) == certified


def test_each_reads_its_own_clock(room: Room) -> None:
    proven = room.seal()
    announcements = room.announce(proven)
    room.clocks[0].advance(59_999)
    room.clocks[1].advance(60_000)
    room.keypers[0].certify(CertificateRequest(proven.sealed, proven.signature, announcements))
    taken_back = cancelled(room.terms, proven.sealed, ALICE)
    room.keypers[0].cancel(taken_back)
    with pytest.raises(AuctionClosed):
        room.keypers[1].certify(CertificateRequest(proven.sealed, proven.signature, announcements))
    with pytest.raises(AuctionClosed):
        room.keypers[1].cancel(taken_back)
    with pytest.raises(AdmissionNotOpen):
        room.keypers[0].close_admission(room.terms.interval)
    room.keypers[1].close_admission(room.terms.interval)


def test_a_clock_that_is_set_back_opens_nothing(room: Room) -> None:
    proven, keyper = room.seal(), room.keypers[0]
    announcements = room.announce(proven)
    room.clocks[0].advance(60_000)
    keyper.close_admission(room.terms.interval)
    keyper._certifier._clock = SimulatedClock(NOW_MS)
    with pytest.raises(AuctionClosed):
        keyper.certify(CertificateRequest(proven.sealed, proven.signature, announcements))
    with pytest.raises(AuctionClosed):
        keyper.cancel(cancelled(room.terms, proven.sealed, ALICE))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"interval": 99_999}, AdmissionNotOpen),
        ({"instrument": b"\7" * 32}, WrongAuction),
        ({"key_epoch": EPOCH + 1}, WrongKeyEpoch),
        ({"terms": b"\7" * 32}, SealedForOtherTerms),
        ({"cap": 101}, CapRefused),
        ({"deadline": NOW_MS // 1000 - 1}, DeadlinePassed),
    ],
)
def test_an_intent_that_no_batch_could_hold_is_not_certified(
    room: Room, fields: dict[str, Any], error: type[Exception]
) -> None:
    sealed, signature = sealed_intent(room.terms, ALICE, **fields)
    with pytest.raises(error):
        room.keypers[0].certify(CertificateRequest(sealed, signature, ()))


def test_the_operator_cannot_have_an_intent_certified_that_nobody_signed(room: Room) -> None:
    proven = room.seal()
    announcements = room.announce(proven)
    elsewhere = sign(proven.sealed.digest(Domain(1, bytes(20))), ALICE)
    for forged in (bytes(65), elsewhere, sign(proven.sealed.digest(DOMAIN), MALLORY)):
        with pytest.raises(WrongSignature):
            room.keypers[0].certify(CertificateRequest(proven.sealed, forged, announcements))


def test_an_intent_for_other_terms_is_neither_certified_nor_taken_note_of(room: Room) -> None:
    """Whatever it is signed with: its account did not see what the auction runs under."""
    keyper = room.keypers[0]
    for signature in (None, bytes(65)):
        proven = room.seal(terms=b"\7" * 32)
        proven = replace(proven, signature=signature or proven.signature)
        announcements = room.announce(proven)
        request = CertificateRequest(proven.sealed, proven.signature, announcements)
        with pytest.raises(SealedForOtherTerms):
            keyper.certify(request)
        full = certificate(room.terms, room.keypers, proven.sealed)
        with pytest.raises(SealedForOtherTerms):
            keyper.show(CertifiedIntent(proven.sealed, proven.signature, full))
    room.clocks[0].advance(60_000)
    assert not keyper.close_admission(room.terms.interval).intents


def test_nothing_is_certified_that_the_keyper_did_not_check_itself(room: Room) -> None:
    proven = room.seal()
    announcements = room.announce(proven, room.keypers[1:])
    with pytest.raises(KnowledgeNotProven):
        room.keypers[0].certify(CertificateRequest(proven.sealed, proven.signature, announcements))
    room.announce(proven, room.keypers[:1])
    room.keypers[0].certify(CertificateRequest(proven.sealed, proven.signature, announcements))


def test_a_ciphertext_that_its_sender_does_not_know_is_certified_by_nobody(room: Room) -> None:
    """Also where the operator relays announcements that would make it fit."""
    victim, own = room.seal(), room.seal(MALLORY)
    ring, material = room.house.parameters.order_ring, room.house.material
    vector = VectorSealing.of(material, KnowledgeContext.of(own.sealed, DOMAIN)).seal(
        np.zeros(ring.degree, dtype=np.int64), b"\1" * 32
    )
    crafted = room.around(victim.ciphertext, vector, own.sealed, MALLORY)
    intent = crafted.sealed.digest(DOMAIN)
    honest = room.announce(crafted)
    for keyper in room.keypers:
        opening = keyper._certifier._pending[intent]
        fitting = [
            ProofAnnouncement(
                signed.announcement.keyper,
                {**signed.announcement.digests, keyper.number: opening.residual},
            )
            for signed in honest
            if signed.announcement.keyper != keyper.number
        ]
        unsigned = [replace(honest[a.keyper], announcement=a) for a in fitting]
        by_the_operator = [SignedAnnouncement.by(a, intent, DOMAIN, MALLORY) for a in fitting]
        by_one = [
            SignedAnnouncement.by(fitting[0], intent, DOMAIN, other_key(room, fitting[0].keyper))
        ]
        for relayed in (honest, unsigned, by_the_operator, by_one, by_one * 3, []):
            request = CertificateRequest(crafted.sealed, crafted.signature, tuple(relayed))
            with pytest.raises(CryptoError):
                keyper.certify(request)


def other_key(room: Room, keyper: int) -> bytes:
    return room.keypers[keyper]._identity.signing_key


def test_announcements_of_another_intent_do_not_count(room: Room) -> None:
    first, second = room.seal(), room.seal(nonce=2)
    room.announce(second)
    with pytest.raises((InvalidSignature, MissingShare)):
        room.keypers[0].certify(
            CertificateRequest(second.sealed, second.signature, room.announce(first))
        )


@pytest.mark.parametrize("restart", [False, True])
def test_one_certificate_at_most_also_after_a_restart(house: House, restart: bool) -> None:
    seats = house.seats()
    room = opened(house, seats=seats)
    first = room.seal()
    signed = room.certify(first)
    if restart:
        room = restarted(room, seats)
    second = room.seal(nonce=2)
    announcements = room.announce(second)
    for keyper in room.keypers:
        with pytest.raises(SecondIntent):
            keyper.certify(CertificateRequest(second.sealed, second.signature, announcements))
    assert room.certify(first) == signed


class Corrupt(LocalKeyper):
    """Announces what it likes, and signs whatever it is asked for, or refuses everybody."""

    def check_proof(self, request: ProofRequest) -> CheckedProof:
        shares = self._material.committee.shares_of(self.number)
        announced = ProofAnnouncement(self.number, {j: bytes([j]) * 32 for j in shares})
        intent = request.sealed.digest(DOMAIN)
        signed = SignedAnnouncement.by(announced, intent, DOMAIN, self._identity.signing_key)
        return CheckedProof(ReencryptedProof(announced, bytes(32)), signed)

    def certify(self, request: CertificateRequest) -> bytes:
        sealed, terms = request.sealed, self._certifier._terms[request.sealed.interval]
        message = AdmissionCertificate.of(sealed, DOMAIN, terms.closes_ms, terms.digest)
        return sign(message.digest(DOMAIN), self._identity.signing_key)


@pytest.mark.parametrize("liar", range(4))
def test_one_corrupt_keyper_of_four_blocks_no_certificate(house: House, liar: int) -> None:
    room = opened(house, {liar: Corrupt})
    proven = room.seal()
    announcements = room.announce(proven)
    signatures = {
        k.number: k.certify(CertificateRequest(proven.sealed, proven.signature, announcements))
        for k in room.keypers
        if k.number != liar
    }
    message = AdmissionCertificate.of(
        proven.sealed, DOMAIN, room.terms.closes_ms, room.terms.digest
    )
    room.verify(proven, IntentCertificate(message, signatures))


@pytest.mark.parametrize("liar", range(4))
def test_one_corrupt_keyper_of_four_forges_no_certificate(house: House, liar: int) -> None:
    room = opened(house, {liar: Corrupt})
    sealed, signature = sealed_intent(room.terms, MALLORY)
    corrupt = room.keypers[liar]
    own = corrupt.certify(CertificateRequest(sealed, signature, ()))
    message = AdmissionCertificate.of(sealed, DOMAIN, room.terms.closes_ms, room.terms.digest)
    for signatures in ({liar: own}, dict.fromkeys(range(4), own)):
        forged = CertifiedIntent(sealed, signature, IntentCertificate(message, signatures))
        for keyper in room.keypers:
            if keyper.number != liar:
                with pytest.raises((InvalidCertificate, InvalidSignature)):
                    keyper.show(forged)
                with pytest.raises(KnowledgeNotProven):
                    keyper.certify(CertificateRequest(sealed, signature, ()))


def test_another_intent_to_every_keyper_is_certified_by_none_and_blocks_nobody(
    room: Room,
) -> None:
    """Each keyper's own signature is no certificate; its sender gets one by taking back others."""
    given = [room.seal(nonce=n) for n in range(4)]
    for proven, keyper in zip(given, room.keypers, strict=True):
        announcements = room.announce(proven)
        keyper.certify(CertificateRequest(proven.sealed, proven.signature, announcements))
        for other in room.keypers[: keyper.number]:
            with pytest.raises(SecondIntent):
                other.certify(CertificateRequest(proven.sealed, proven.signature, announcements))
    for proven in given[1:]:
        for keyper in room.keypers:
            keyper.cancel(cancelled(room.terms, proven.sealed, ALICE))
    room.verify(given[0], room.certify(given[0]))


def test_equivocation_without_cancellations_blocks_nobody(room: Room) -> None:
    for n, keyper in enumerate(room.keypers):
        proven = room.seal(nonce=n)
        keyper.certify(CertificateRequest(proven.sealed, proven.signature, room.announce(proven)))
    honest = room.seal(b"\x0c" * 32)
    entry = CertifiedIntent(honest.sealed, honest.signature, room.certify(honest))
    for clock, keyper in zip(room.clocks, room.keypers, strict=True):
        keyper.show(entry)
        clock.advance(60_000)
        keyper.close_admission(room.terms.interval)
    assert len(room.committee.sign_batch_root(batch_of(room.terms, [entry]))) == 4


def test_a_receipt_of_a_cancellation_is_bound_to_the_close(room: Room) -> None:
    proven, keyper = room.seal(), room.keypers[2]
    taken_back = cancelled(room.terms, proven.sealed, ALICE)
    receipt = CancellationReceipt.of(taken_back.cancellation, room.terms.closes_ms)
    signature = keyper.cancel(taken_back)
    verify_signature(receipt.digest(DOMAIN), signature, account_bytes(keyper.address))
    announcements = room.announce(proven)
    with pytest.raises(IntentCancelled):
        keyper.certify(CertificateRequest(proven.sealed, proven.signature, announcements))


def test_nobody_else_takes_an_intent_back(room: Room) -> None:
    proven, keyper = room.seal(), room.keypers[0]
    right = cancelled(room.terms, proven.sealed, ALICE)
    forged = sign(right.cancellation.digest(DOMAIN), MALLORY)
    with pytest.raises(WrongSignature):
        keyper.cancel(replace(right, signature=forged))
    keyper.cancel(cancelled(room.terms, proven.sealed, MALLORY))
    room.verify(proven, room.certify(proven))


def test_terms_of_another_venue_are_refused(room: Room, house: House) -> None:
    others = house.committee().addresses
    keyper, terms = room.keypers[0], room.terms
    for wrong in (
        renewed(terms, domain=Domain(1, bytes(20))),
        replace(terms, keypers=others),
        replace(terms, keypers=terms.keypers[::-1]),
    ):
        with pytest.raises(WrongTerms):
            keyper.open_admission(wrong)
    with pytest.raises(Equivocation):
        keyper.open_admission(replace(terms, closes_ms=terms.closes_ms + 1))
    with pytest.raises(Equivocation):
        keyper.open_admission(renewed(terms, instruments=[InstrumentId(bytes(32))]))
    keyper.open_admission(terms)


def test_what_is_shown_has_a_certificate_and_its_accounts_signature(room: Room) -> None:
    sealed, signature = sealed_intent(room.terms, ALICE)
    keyper, two = room.keypers[3], certificate(room.terms, room.keypers[:2], sealed)
    with pytest.raises(InvalidCertificate):
        keyper.show(CertifiedIntent(sealed, signature, two))
    full = certificate(room.terms, room.keypers, sealed)
    with pytest.raises(WrongSignature):
        keyper.show(CertifiedIntent(sealed, sign(bytes(32), ALICE), full))
    other = certificate(replace(room.terms, closes_ms=5), room.keypers, sealed)
    with pytest.raises(InvalidCertificate):
        keyper.show(CertifiedIntent(sealed, signature, other))
    keyper.show(CertifiedIntent(sealed, signature, full))
    assert address_of(ALICE) == sealed.account
