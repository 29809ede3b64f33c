from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

import pytest

from crypto.bfv.ciphertext import to_wire
from crypto.signing.ecdsa import address_of, sign
from crypto.signing.messages import SealedIntent
from darkpool.admission.register import IN_MEMORY, AdmissionRegister
from darkpool.errors import BadInput, NoBucket, OutOfBounds
from darkpool.limits import CASH_MAX
from darkpool.protocol.intents import AdmittedIntent, LimitOrder
from darkpool.protocol.refusals import (
    AdmissionRefused,
    AuctionFull,
    CapBelowMinimum,
    CapRefused,
    CiphertextSeen,
    DeadlinePassed,
    InvalidOwners,
    KnowledgeNotProven,
    MalformedSubmission,
    NonceUsed,
    RefusalCode,
    SealedForOtherTerms,
    SecondIntent,
    SecondIntentOfOwner,
    WrongAuction,
    WrongCiphertext,
    WrongKeyEpoch,
    WrongSignature,
)
from darkpool.simulation.clock import SimulatedClock
from darkpool.units import Cash, Interval, Lots, OwnerId, Side, Tick, account_id
from tests.support.admission_venue import AdmissionVenue
from tests.support.reference_prices import renewed, with_rules
from tests.support.submissions import (
    DEADLINE_S,
    copied,
    key,
    mallory,
    parsed,
    refused,
    signed,
    submit,
)


def require_certificate(venue: AdmissionVenue, admitted: AdmittedIntent) -> None:
    terms = venue.terms
    fixed = (terms.closes_ms, terms.digest, terms.venue_keys())
    admitted.certificate.verify(admitted.sealed, *fixed)


@pytest.mark.parametrize("size", [3, 4])
def test_an_honest_submission_is_admitted(
    venue_of: Callable[[int], AdmissionVenue], size: int
) -> None:
    venue = venue_of(size)
    submission = submit(venue)
    admitted = venue.admission().admit(submission)
    assert admitted.sealed == submission.sealed
    assert admitted.digest == submission.sealed.digest(venue.terms.domain)
    assert sorted(admitted.certificate.signatures) == list(range(size))
    require_certificate(venue, admitted)
    assert to_wire(admitted.ciphertext) == submission.ciphertext


def test_the_rings_of_production_admit_within_the_bounds_on_bytes(
    standard_venue: AdmissionVenue,
) -> None:
    submission = submit(standard_venue)
    admitted = standard_venue.admission().admit(submission)
    require_certificate(standard_venue, admitted)
    assert len(submission.ciphertext) <= 450 * 1024
    assert max(map(len, submission.envelopes)) <= 32 * 1024


def test_cover_traffic_is_admitted_like_an_order(venue: AdmissionVenue) -> None:
    cover = LimitOrder(Side.BUY, Lots(0), Tick(0))
    venue.admission().admit(submit(venue, order=cover, cap=Lots(50)))


def test_one_account_may_trade_every_instrument_and_every_interval(venue: AdmissionVenue) -> None:
    register = AdmissionRegister(IN_MEMORY)
    admission = venue.admission(register)
    admission.admit(submit(venue))
    admission.admit(submit(venue, instrument=venue.instruments[1], nonce=2))
    later = renewed(venue.terms, interval=Interval(8))
    venue.admission(register, later).admit(submit(venue, terms=later, nonce=3))


# Refusals, each by its own error


def test_a_signature_of_somebody_else_is_refused(venue: AdmissionVenue) -> None:
    submission = submit(venue)
    forged = replace(submission, signature=submit(venue, account=2).signature)
    refused(venue.admission(), forged, WrongSignature)
    refused(venue.admission(), replace(submission, signature=b""), WrongSignature)


@pytest.mark.parametrize("field", ["cap", "nonce", "deadline", "commitment", "ciphertext_digest"])
def test_a_changed_field_breaks_the_signature(venue: AdmissionVenue, field: str) -> None:
    submission = submit(venue)
    other: Any = {"cap": 100, "nonce": 2, "deadline": 2**40}.get(field, b"\5" * 32)
    changed = replace(submission, sealed=replace(submission.sealed, **{field: other}))
    refused(venue.admission(), changed, WrongSignature)


def test_a_submission_for_another_chain_or_contract_is_refused(venue: AdmissionVenue) -> None:
    domain = venue.terms.domain
    for other in [replace(domain, chain_id=1), replace(domain, verifying_contract=bytes(20))]:
        sent = submit(venue, terms=renewed(venue.terms, domain=other))
        refused(venue.admission(), sent, SealedForOtherTerms)
        sealed = replace(sent.sealed, terms=venue.terms.digest)
        signature = sign(sealed.digest(other), key(1))
        changed = replace(sent, sealed=sealed, signature=signature)
        refused(venue.admission(), changed, WrongSignature)


def test_another_interval_or_instrument_is_refused(venue: AdmissionVenue) -> None:
    submission = submit(venue)
    refused(venue.admission(), signed(venue, submission, interval=8), WrongAuction)
    refused(venue.admission(), signed(venue, submission, instrument=bytes(32)), WrongAuction)


def test_another_key_epoch_is_refused(venue: AdmissionVenue) -> None:
    refused(venue.admission(), signed(venue, submit(venue), key_epoch=3), WrongKeyEpoch)


def test_an_intent_that_was_sealed_for_other_terms_is_refused(venue: AdmissionVenue) -> None:
    """Whoever signed it: its account did not see what the auction runs under."""
    stricter = with_rules(venue.terms, owners_min=2)
    sent = submit(venue, terms=stricter)
    error = refused(venue.admission(), sent, SealedForOtherTerms)
    assert (error.subject, error.code) == ("terms", RefusalCode.TERMS)
    assert (error.expected, error.got) == (venue.terms.digest.hex(), stricter.digest.hex())
    for unsigned in (replace(sent, signature=bytes(65)), signed(venue, sent, account=2)):
        refused(venue.admission(), unsigned, SealedForOtherTerms)
    refused(venue.admission(), signed(venue, submit(venue), terms=bytes(32)), SealedForOtherTerms)
    venue.admission(terms=stricter).admit(sent)


def test_a_deadline_is_good_through_its_second(venue: AdmissionVenue) -> None:
    submission = submit(venue)
    for now_ms, passes in [(1000 * DEADLINE_S, True), (1000 * DEADLINE_S + 1, False)]:
        clock = SimulatedClock(now_ms)
        admission = venue.admission(clock=clock)
        if passes:
            admission.admit(submission)
        else:
            refused(admission, submission, DeadlinePassed)


@pytest.mark.parametrize("cap", [0, 3, 31, 16_760_832, 20_000_000])
def test_a_cap_that_is_no_bucket_is_refused(venue: AdmissionVenue, cap: int) -> None:
    refused(venue.admission(), signed(venue, submit(venue), cap=cap), CapRefused)


def test_the_caps_of_an_instrument_stay_below_a_quarter_of_the_modulus(
    venue: AdmissionVenue,
) -> None:
    admission = venue.admission()
    caps = [10_000_000, 5_000_000, 1_000_000, 500_000, 200_000, 50_000, 10_000, 500, 200, 100]
    caps += [20, 10, 2]
    assert (
        sum(caps)
        == 16_760_832
        == (venue.terms.material.parameters.order_ring.plain_modulus - 1) // 4
    )
    for account, cap in enumerate(caps, 1):
        order = LimitOrder(Side.BUY, Lots(1), Tick(0))
        admission.admit(submit(venue, account, order=order, cap=Lots(cap)))
    one_more = submit(venue, 99, order=LimitOrder(Side.BUY, Lots(1), Tick(0)))
    error = refused(admission, one_more, CapRefused)
    assert error.subject == "sum of caps"
    other = submit(venue, 99, order=LimitOrder(Side.BUY, Lots(1), Tick(0)), nonce=2)
    elsewhere = submit(venue, 99, instrument=venue.instruments[1], nonce=2)
    refused(admission, other, CapRefused)
    admission.admit(elsewhere)


def test_an_auction_takes_no_more_intents_than_it_can_rank() -> None:
    register = AdmissionRegister(IN_MEMORY)

    def intent(account: int) -> SealedIntent:
        address = account.to_bytes(20, "big")
        return SealedIntent(address, bytes(32), 7, bytes(32), address, 1, 1, 1, 2)

    for account in range(5):
        owner = OwnerId(str(account))
        register.require_new(intent(account), owner, 5)
        register.record(intent(account), owner, 5)
    with pytest.raises(AuctionFull):
        register.require_new(intent(5), OwnerId("5"), 5)


def test_a_nonce_serves_once_whatever_the_instrument_and_interval(venue: AdmissionVenue) -> None:
    register = AdmissionRegister(IN_MEMORY)
    venue.admission(register).admit(submit(venue))
    other = submit(venue, instrument=venue.instruments[1])
    refused(venue.admission(register), other, NonceUsed)
    later = renewed(venue.terms, interval=Interval(8))
    refused(venue.admission(register, later), submit(venue, terms=later), NonceUsed)


def test_a_submission_sent_twice_is_admitted_once(venue: AdmissionVenue) -> None:
    admission, submission = venue.admission(), submit(venue)
    admission.admit(submission)
    refused(admission, submission, NonceUsed)


def test_a_second_intent_for_an_instrument_is_refused(venue: AdmissionVenue) -> None:
    admission = venue.admission()
    admission.admit(submit(venue))
    refused(admission, submit(venue, nonce=2), SecondIntent)


def test_an_owner_s_accounts_have_one_intent_between_them(venue: AdmissionVenue) -> None:
    one, two, three = (account_id("0x" + address_of(key(k)).hex()) for k in (1, 2, 3))
    terms = with_rules(venue.terms, owners={one: OwnerId(three), two: OwnerId(three)})
    admission = venue.admission(terms=terms)
    admission.admit(submit(venue, terms=terms))
    for account in (2, 3):
        refused(admission, submit(venue, account, terms=terms), SecondIntentOfOwner)
    admission.admit(submit(venue, 2, terms=terms, instrument=venue.instruments[1]))
    refused(admission, submit(venue, terms=terms, nonce=2), SecondIntent)
    admission.admit(submit(venue, 4, terms=terms))


def test_an_owner_is_owned_by_nobody_else(venue: AdmissionVenue) -> None:
    one, two, three = (account_id("0x" + address_of(key(k)).hex()) for k in (1, 2, 3))
    with pytest.raises(InvalidOwners) as caught:
        with_rules(venue.terms, owners={one: OwnerId(two), two: OwnerId(three)})
    assert caught.value.subject == one
    with_rules(venue.terms, owners={one: OwnerId(two), two: OwnerId(two)})


@pytest.mark.parametrize(
    ("owners_min", "cap_min", "error"),
    [(0, 1, OutOfBounds), (2049, 1, OutOfBounds), (3, 3, NoBucket)],
)
def test_the_public_rules_have_bounds(
    venue: AdmissionVenue, owners_min: int, cap_min: int, error: type[BadInput]
) -> None:
    with pytest.raises(error):
        with_rules(venue.terms, owners_min=owners_min, cap_min=Lots(cap_min))


def test_a_cap_below_the_least_is_refused_and_sealing_keeps_to_it(venue: AdmissionVenue) -> None:
    terms = with_rules(venue.terms, cap_min=Lots(100))
    admission = venue.admission(terms=terms)
    low = signed(venue, submit(venue), terms=terms.digest)
    error = refused(admission, low, CapBelowMinimum)
    assert (error.expected, error.got) == ("at least 100 lots", "50 lots")
    assert admission.admit(submit(venue, terms=terms)).sealed.cap == 100


def test_the_minimum_of_others_collateral_is_signed(venue: AdmissionVenue) -> None:
    minimum = Cash(CASH_MAX)
    submission = submit(venue, others_collateral_min=minimum)
    lowered = replace(submission.sealed, others_collateral_min=0)
    refused(venue.admission(), replace(submission, sealed=lowered), WrongSignature)
    assert venue.admission().admit(submission).sealed.others_collateral_min == minimum
    for amount in (-1, CASH_MAX + 1):
        with pytest.raises(OutOfBounds):
            submit(venue, others_collateral_min=Cash(amount))


def test_a_copied_ciphertext_is_refused_by_its_digest(venue: AdmissionVenue) -> None:
    admission, victim = venue.admission(), submit(venue)
    admission.admit(victim)
    refused(admission, copied(venue, victim), CiphertextSeen)


def test_a_copied_ciphertext_is_refused_before_its_victim_is_admitted_too(
    venue: AdmissionVenue,
) -> None:
    refused(venue.admission(), copied(venue, submit(venue)), KnowledgeNotProven)


@pytest.mark.parametrize("size", [3, 4])
def test_a_rerandomised_or_doubled_intent_is_refused(
    venue_of: Callable[[int], AdmissionVenue], size: int
) -> None:
    venue = venue_of(size)
    victim = parsed(venue, submit(venue))
    own = parsed(venue, submit(venue, 2, order=LimitOrder(Side.BUY, Lots(0), Tick(0))))
    for crafted in (victim, victim.add(own), victim.add(victim)):
        error = refused(venue.admission(), mallory(venue, crafted), KnowledgeNotProven)
        assert "keyper 0" in str(error)


def test_a_refused_submission_leaves_no_trace(venue: AdmissionVenue) -> None:
    admission, honest = venue.admission(), submit(venue)
    garbled = replace(honest, envelopes=tuple(bytes(len(e)) for e in honest.envelopes))
    refused(admission, garbled, KnowledgeNotProven)
    admission.admit(honest)


def test_one_keyper_without_its_envelope_does_not_keep_an_intent_out(venue: AdmissionVenue) -> None:
    honest = submit(venue)
    for keyper in range(4):
        envelopes = list(honest.envelopes)
        envelopes[keyper] = bytes(200)
        admitted = venue.admission().admit(replace(honest, envelopes=tuple(envelopes)))
        assert sorted(admitted.certificate.signatures) == [i for i in range(4) if i != keyper]
        require_certificate(venue, admitted)


class Broken:
    """A keyper that fails in a way that no protocol foresees."""

    def __init__(self, number: int) -> None:
        self.number = number

    def check_proof(self, *_sent: object) -> NoReturn:
        raise RuntimeError("no")


def test_one_broken_keyper_does_not_keep_an_intent_out(venue: AdmissionVenue) -> None:
    honest = submit(venue)
    for number in range(4):
        keypers = [Broken(k.number) if k.number == number else k for k in venue.keypers()]
        admitted = venue.admission(keypers=keypers).admit(honest)
        assert sorted(admitted.certificate.signatures) == [i for i in range(4) if i != number]
    two = venue.admission(keypers=[Broken(0), Broken(1), *venue.keypers()[2:]])
    refused(two, honest, KnowledgeNotProven)


def test_of_three_keypers_every_one_has_to_accept(
    venue_of: Callable[[int], AdmissionVenue],
) -> None:
    venue = venue_of(3)
    honest = submit(venue)
    envelopes = (bytes(200), *honest.envelopes[1:])
    refused(venue.admission(), replace(honest, envelopes=envelopes), KnowledgeNotProven)


def test_swapped_envelopes_are_refused(venue: AdmissionVenue) -> None:
    honest = submit(venue)
    swapped = tuple(reversed(honest.envelopes))
    refused(venue.admission(), replace(honest, envelopes=swapped), KnowledgeNotProven)


@pytest.mark.parametrize(
    "envelopes", [lambda e: e[:-1], lambda e: (*e, b""), lambda e: (e[0] + bytes(40_000), *e[1:])]
)
def test_envelopes_of_wrong_number_or_size_are_refused(
    venue: AdmissionVenue, envelopes: Any
) -> None:
    honest = submit(venue)
    changed = replace(honest, envelopes=envelopes(honest.envelopes))
    refused(venue.admission(), changed, MalformedSubmission)


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w[:-1],
        lambda w: w + b"\0",
        lambda _: b"",
        lambda w: b"XXXX" + w[4:],
        lambda w: w[:12] + b"\xff" * 6 + w[18:],
        lambda w: w[: 12 + (len(w) - 12) // 2] + bytes((len(w) - 12) // 2),
    ],
    ids=["truncated", "extended", "empty", "magic", "above the prime", "transparent"],
)
def test_bytes_that_are_no_ciphertext_are_refused(
    venue: AdmissionVenue, change: Callable[[bytes], bytes]
) -> None:
    honest = submit(venue)
    changed = replace(honest, ciphertext=change(honest.ciphertext))
    refused(venue.admission(), changed, MalformedSubmission)


def test_another_ciphertext_than_the_signed_one_is_refused(venue: AdmissionVenue) -> None:
    honest = submit(venue)
    other = replace(honest, ciphertext=submit(venue).ciphertext)
    refused(venue.admission(), other, WrongCiphertext)


@pytest.mark.parametrize(
    ("field", "value"),
    [("account", bytes(19)), ("cap", -1), ("nonce", 1 << 64), ("commitment", b""), ("cap", b"1")],
)
def test_fields_that_fit_no_type_are_refused(venue: AdmissionVenue, field: str, value: Any) -> None:
    honest = submit(venue)
    changed = replace(honest, sealed=replace(honest.sealed, **{field: value}))
    refused(venue.admission(), changed, MalformedSubmission)


def test_every_reason_has_a_code_of_its_own() -> None:
    reasons = AdmissionRefused.__subclasses__()
    codes = [reason.code for reason in reasons]
    assert len(set(codes)) == len(reasons) == 22
