"""Messages and terms with anything in their fields: each is refused by an error with a code."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from crypto.errors import CryptoError
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.signing.ecdsa import sign
from crypto.signing.messages import Cancellation
from darkpool.errors import DarkpoolError, OutOfBounds, WrongType
from darkpool.protocol.checks import parse_ciphertext, verify_cancellation, verify_sealed_intent
from darkpool.protocol.intents import SignedCancellation
from darkpool.protocol.refusals import AdmissionRefused, InvalidOwners
from darkpool.protocol.terms import BondTerms, IntervalTerms, PublicRules
from darkpool.units import Cash, OwnerId, account_id
from tests.support.admission_venue import AdmissionVenue, made_venue
from tests.support.submissions import key, submit

ODD: tuple[Any, ...] = (
    *(None, True, 1.0, "x", b"x", -1, 1 << 300, [], {}, (), object()),
    *(np.int64(-1), np.array([1, 2]), np.bytes_(b"x"), bytearray(32), memoryview(bytes(32))),
)
OWN = account_id("0x" + "ab" * 20)
OTHER = account_id("0x" + "cd" * 20)


@pytest.fixture(scope="module")
def venue() -> AdmissionVenue:
    return made_venue(TEST_INSECURE_SMALL, 4)


def test_a_submission_with_odd_fields_is_refused(venue: AdmissionVenue) -> None:
    submission = submit(venue)
    for odd in ODD:
        for one in fields(submission.sealed):
            sealed = replace(submission.sealed, **{one.name: odd})
            with pytest.raises(AdmissionRefused):
                verify_sealed_intent(sealed, submission.signature, venue.terms)
        with pytest.raises(AdmissionRefused):
            verify_sealed_intent(submission.sealed, odd, venue.terms)
        for name in ("ciphertext", "envelopes"):
            with pytest.raises(AdmissionRefused):
                parse_ciphertext(replace(submission, **{name: odd}), venue.terms)
        if not isinstance(odd, bytes):
            with pytest.raises(AdmissionRefused):
                parse_ciphertext(replace(submission, envelopes=(odd,) * 4), venue.terms)


def test_a_cancellation_with_odd_fields_is_refused(venue: AdmissionVenue) -> None:
    message = Cancellation.of(submit(venue).sealed, venue.terms.domain)
    signature = sign(message.digest(venue.terms.domain), key(1))
    verify_cancellation(SignedCancellation(message, signature), venue.terms)
    for odd in ODD:
        for one in fields(message):
            changed = replace(message, **{one.name: odd})
            with pytest.raises(AdmissionRefused):
                verify_cancellation(SignedCancellation(changed, signature), venue.terms)
        with pytest.raises(AdmissionRefused):
            verify_cancellation(SignedCancellation(message, odd), venue.terms)


def test_terms_with_odd_fields_are_no_terms(venue: AdmissionVenue) -> None:
    given = [one.name for one in fields(IntervalTerms) if one.init]
    for odd in ODD:
        for name in given:
            with pytest.raises((DarkpoolError, CryptoError)):
                replace(venue.terms, **{name: odd})


def test_terms_name_every_keyper_of_the_committee_once(venue: AdmissionVenue) -> None:
    keypers = venue.terms.keypers
    assert replace(venue.terms, keypers=keypers[::-1]).keypers == keypers[::-1]
    for other in ((), keypers[:-1], (*keypers, keypers[0]), (*keypers[:-1], keypers[0])):
        with pytest.raises(OutOfBounds, match="keypers: expected 4, got"):
            replace(venue.terms, keypers=other)


def test_rules_keep_one_spelling_of_accounts_and_plain_numbers() -> None:
    bond = BondTerms(Cash(np.int64(5)), np.uint8(7), OWN.lower())  # type: ignore[arg-type]
    assert (bond.amount, bond.charge_ppm, bond.treasury) == (5, 7, OWN)
    assert type(bond.amount) is type(bond.charge_ppm) is int
    lower: Any = OWN.lower()
    rules = PublicRules(bond, {lower: lower}, 3)
    assert dict(rules.owners) == {OWN: OwnerId(OWN)}
    with pytest.raises(
        InvalidOwners, match="expected one spelling of the account, got two of them"
    ):
        PublicRules(bond, {lower: lower, OWN: OwnerId(OTHER)}, 3)
    with pytest.raises(WrongType):
        PublicRules(bond, cap_min=2.0)  # type: ignore[arg-type]
    with pytest.raises(OutOfBounds):
        PublicRules(bond, owners_min=0)
