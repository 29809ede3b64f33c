"""An intent before the close: certified, cancelled, replaced, late."""

from dataclasses import replace
from typing import Any

import pytest

from crypto.signing.ecdsa import sign
from crypto.signing.eip712 import Domain
from crypto.signing.messages import AdmissionCertificate, Cancellation, SealedIntent
from crypto.threshold.certificate import IntentCertificate
from darkpool.admission.admit import Admission
from darkpool.admission.register import IN_MEMORY, AdmissionRegister
from darkpool.keyper.keyper import LocalKeyper
from darkpool.limits import CAPS_SUM_MAX_LOTS, INTENTS_PER_ACCOUNT_MAX
from darkpool.protocol.intents import AdmittedIntent, CertifiedIntent, SignedCancellation
from darkpool.protocol.keyper import KnownIntents
from darkpool.protocol.refusals import (
    AuctionClosed,
    AuctionFull,
    CancellationUncertain,
    CiphertextSeen,
    IntentCancelled,
    IntentUnknown,
    NonceUsed,
    NotCertified,
    SecondIntent,
    TooManyIntents,
    WrongSignature,
)
from darkpool.units import Interval, OwnerId, account_id
from tests.support.admission_venue import AdmissionVenue
from tests.support.reference_prices import CLOSES_MS, NOW_MS
from tests.support.submissions import copied, key, refused, submit

TO_CLOSE_MS = CLOSES_MS - NOW_MS


def cancelled(venue: AdmissionVenue, sealed: SealedIntent, account: int = 1) -> SignedCancellation:
    message = Cancellation.of(sealed, venue.terms.domain)
    return SignedCancellation(message, sign(message.digest(venue.terms.domain), key(account)))


def closed(venue: AdmissionVenue, admission: Admission) -> list[bytes]:
    """Digests of who takes part."""
    venue.clock.advance(TO_CLOSE_MS)
    intents, _ = admission.close()
    return list(intents)


def test_what_is_late_by_the_venues_clock_has_an_error_of_its_own(venue: AdmissionVenue) -> None:
    admission, first, second = venue.admission(), submit(venue), submit(venue, 2)
    venue.clock.advance(TO_CLOSE_MS - 1)
    first = submit(venue, deadline_s=2**32)
    admitted = admission.admit(first)
    proven = admission.prove(submit(venue, 2, deadline_s=2**32))
    venue.clock.advance(1)
    assert refused(admission, second, AuctionClosed).code == "closed"
    with pytest.raises(AuctionClosed):
        admission.certify(proven)
    with pytest.raises(AuctionClosed):
        admission.cancel(cancelled(venue, admitted.sealed))
    assert list(admission.close()[0]) == [admitted.digest]


def test_admission_does_not_end_before_the_close(venue: AdmissionVenue) -> None:
    admission = venue.admission()
    admitted = admission.admit(submit(venue))
    with pytest.raises(NotCertified):
        admission.close()
    assert closed(venue, admission) == [admitted.digest]


def test_a_cancelled_intent_makes_room_for_a_fresh_one(venue: AdmissionVenue) -> None:
    admission = venue.admission()
    first, other = admission.admit(submit(venue)), admission.admit(submit(venue, 2))
    taken_back = cancelled(venue, first.sealed)
    certificate = admission.cancel(taken_back)
    terms = venue.terms
    certificate.verify(taken_back.cancellation, terms.closes_ms, terms.venue_keys())
    second = admission.admit(submit(venue, nonce=2))
    refused(admission, submit(venue, nonce=3), SecondIntent)
    assert closed(venue, admission) == [other.digest, second.digest]


def test_what_was_cancelled_comes_in_no_second_time(venue: AdmissionVenue) -> None:
    admission, submission = venue.admission(), submit(venue)
    proven = admission.prove(submission)
    admitted = admission.certify(proven)
    admission.cancel(cancelled(venue, admitted.sealed))
    refused(admission, submission, NonceUsed)
    refused(admission, copied(venue, submission), CiphertextSeen)
    with pytest.raises(IntentCancelled):
        admission.certify(proven)
    admission.cancel(cancelled(venue, admitted.sealed))
    assert closed(venue, admission) == []


def test_only_its_account_cancels_an_intent_and_only_one_that_came_in(
    venue: AdmissionVenue,
) -> None:
    admission = venue.admission()
    admitted = admission.admit(submit(venue))
    right = cancelled(venue, admitted.sealed)
    for forged in (bytes(65), cancelled(venue, admitted.sealed, 2).signature):
        with pytest.raises(WrongSignature):
            admission.cancel(replace(right, signature=forged))
    with pytest.raises(IntentUnknown):
        admission.cancel(cancelled(venue, submit(venue).sealed))
    mallory = replace(right.cancellation, account=submit(venue, 2).sealed.account)
    own = SignedCancellation(mallory, sign(mallory.digest(venue.terms.domain), key(2)))
    with pytest.raises(IntentUnknown):
        admission.cancel(own)
    assert closed(venue, admission) == [admitted.digest]


def intent(account: int, nonce: int = 1) -> SealedIntent:
    name = (account * 1000 + nonce).to_bytes(32, "big")
    return SealedIntent(account.to_bytes(20, "big"), bytes(32), 7, bytes(32), name, 5, nonce, 1, 2)


def owner(account: int) -> OwnerId:
    return OwnerId(account_id("0x" + account.to_bytes(20, "big").hex()))


def test_a_cancellation_frees_place_and_cap_and_neither_nonce_nor_ciphertext() -> None:
    register = AdmissionRegister(IN_MEMORY)
    register.record(intent(1), owner(1), 1)
    with pytest.raises(AuctionFull):
        register.require_new(intent(2), owner(2), 1)
    register.cancel(intent(1))
    register.require_new(intent(2), owner(2), 1)
    with pytest.raises(NonceUsed):
        register.require_new(intent(1), owner(1), 1)
    stolen = replace(intent(2), ciphertext_digest=intent(1).ciphertext_digest)
    with pytest.raises(CiphertextSeen):
        register.require_new(stolen, owner(2), 1)
    register.cancel(intent(1))
    whole = replace(intent(2), cap=CAPS_SUM_MAX_LOTS)
    register.record(whole, owner(2), 1)


def test_an_account_has_a_bounded_number_of_turns() -> None:
    register = AdmissionRegister(IN_MEMORY)
    for nonce in range(INTENTS_PER_ACCOUNT_MAX):
        register.require_new(intent(1, nonce), owner(1), 2048)
        register.record(intent(1, nonce), owner(1), 2048)
        register.cancel(intent(1, nonce))
    with pytest.raises(TooManyIntents) as caught:
        register.require_new(intent(1, 99), owner(1), 2048)
    assert caught.value.code == "too-many"
    register.require_new(intent(2), owner(2), 2048)


class Silent:
    """A keyper that stops answering."""

    def __init__(self, keyper: LocalKeyper, *methods: str) -> None:
        self._keyper, self._methods = keyper, methods

    def __getattr__(self, name: str) -> Any:
        if name in self._methods:
            raise TimeoutError(name)
        return getattr(self._keyper, name)


def test_an_intent_that_two_keypers_signed_keeps_its_place_and_may_be_certified_later(
    venue: AdmissionVenue,
) -> None:
    """The missing signature may be in its sender's hands: a corrupt keyper's."""
    keypers = venue.keypers()
    silent = [Silent(k, "certify") for k in keypers[2:]]
    admission = venue.admission(keypers=[*keypers[:2], *silent])
    proven = admission.prove(submit(venue))
    with pytest.raises(NotCertified):
        admission.certify(proven)
    refused(admission, submit(venue, nonce=2), SecondIntent)
    silent[0]._methods = ()
    assert isinstance(admission.certify(proven), AdmittedIntent)
    assert closed(venue, admission) == [proven.digest]


def test_a_certificate_that_only_a_keyper_was_shown_counts(venue: AdmissionVenue) -> None:
    keypers = venue.keypers()
    silent = [*keypers[:2], *(Silent(k, "certify") for k in keypers[2:])]
    admission = venue.admission(keypers=silent)
    proven = admission.prove(submit(venue))
    with pytest.raises(NotCertified):
        admission.certify(proven)
    other = admission.prove(submit(venue, 2))
    with pytest.raises(NotCertified):
        admission.certify(other)
    # the sender asks by itself, and gets what the venue did not
    through = venue.admission(keypers=keypers)
    certificate = through.certify(proven).certificate
    keypers[3].show(CertifiedIntent(proven.sealed, proven.signature, certificate))
    assert closed(venue, admission) == [proven.digest]


def test_a_cancellation_that_only_a_keyper_knows_counts(venue: AdmissionVenue) -> None:
    keypers = venue.keypers()
    admission = venue.admission(keypers=keypers)
    first, other = admission.admit(submit(venue)), admission.admit(submit(venue, 2))
    taken_back = cancelled(venue, first.sealed)
    keypers[1].cancel(taken_back)
    venue.clock.advance(TO_CLOSE_MS)
    intents, cancellations = admission.close()
    assert list(intents) == [other.digest]
    assert cancellations == (taken_back,)


def test_a_cancellation_that_few_keypers_sign_leaves_the_intent_out_all_the_same(
    venue: AdmissionVenue,
) -> None:
    keypers = venue.keypers()
    silent = [*keypers[:2], *(Silent(k, "cancel") for k in keypers[2:])]
    admission = venue.admission(keypers=silent)
    admitted = admission.admit(submit(venue))
    with pytest.raises(CancellationUncertain):
        admission.cancel(cancelled(venue, admitted.sealed))
    assert closed(venue, admission) == []


class Believed(SignedCancellation):
    """A cancellation that finds itself signed, and about whatever it is asked about."""

    def verify(self, domain: Domain) -> None: ...

    def is_of(self, sealed: SealedIntent, domain: Domain) -> bool:  # noqa: ARG002
        return True


class Certified(IntentCertificate):
    """A certificate that finds itself signed."""

    def verify(self, *_: object) -> None: ...


@pytest.mark.parametrize("kind", [SignedCancellation, Believed])
def test_a_corrupt_keyper_cancels_nothing_at_the_close(
    venue: AdmissionVenue, kind: type[SignedCancellation]
) -> None:
    keypers = venue.keypers()

    class Inventing(Silent):
        def close_admission(self, interval: Interval) -> KnownIntents:
            known, forged = self._keyper.close_admission(interval), taken_back(2)
            return replace(known, cancellations=(kind(forged.cancellation, forged.signature),))

    def taken_back(account: int) -> SignedCancellation:
        return cancelled(venue, admitted.sealed, account)

    admission = venue.admission(keypers=[Inventing(keypers[0]), *keypers[1:]])
    admitted = admission.admit(submit(venue))
    assert closed(venue, admission) == [admitted.digest]


@pytest.mark.parametrize("kind", [IntentCertificate, Certified])
def test_a_corrupt_keyper_certifies_nothing_at_the_close(
    venue: AdmissionVenue, kind: type[IntentCertificate]
) -> None:
    keypers = venue.keypers()

    class Inventing(Silent):
        def close_admission(self, interval: Interval) -> KnownIntents:
            self._keyper.close_admission(interval)
            terms, sealed = venue.terms, proven.sealed
            message = AdmissionCertificate.of(sealed, terms.domain, terms.closes_ms, terms.digest)
            forged = kind(message, {0: bytes(65)})
            return KnownIntents((CertifiedIntent(sealed, proven.signature, forged),), ())

    silent = [Silent(k, "certify") for k in keypers[1:]]
    admission = venue.admission(keypers=[Inventing(keypers[0]), *silent])
    proven = admission.prove(submit(venue))
    with pytest.raises(NotCertified):
        admission.certify(proven)
    assert closed(venue, admission) == []
