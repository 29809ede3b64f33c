"""Values of types that no honest client sends: each is refused by its field, and nothing stops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from crypto.signing.ecdsa import sign
from crypto.signing.messages import Cancellation, SealedIntent
from darkpool.admission.admit import Admission
from darkpool.auction.desk import Desk
from darkpool.auction.environment import Environment, OpenInterval
from darkpool.protocol.checks import verify_sealed_intent
from darkpool.protocol.intents import SealedSubmission, SignedCancellation
from darkpool.protocol.refusals import AdmissionRefused, MalformedSubmission, RefusalCode
from tests.support.admission_venue import AdmissionVenue
from tests.support.house import House
from tests.support.submissions import key, submit

OWN = [one.name for one in fields(SealedSubmission)]
SEALED = [one.name for one in fields(SealedIntent)]
CANCELLED = [one.name for one in fields(Cancellation)]


class Bytes(bytes):
    """Bytes of a class of its own, which may answer as it likes."""


odd = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.text(max_size=3),
    st.builds(bytearray, st.binary(max_size=40)),
    st.builds(Bytes, st.binary(max_size=40)),
    st.lists(st.none() | st.binary(max_size=3), max_size=4),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=2),
    st.sets(st.integers(), max_size=2),
    st.builds(object),
    st.just(SimpleNamespace()),
)
wrong = st.one_of(odd, st.integers(), st.binary(max_size=70), st.tuples(odd, st.binary()))
"""Of right types too; no honest value is drawn by chance but for `minimum_fill`."""


@dataclass(frozen=True, repr=False)
class Door:
    """An admission, and what an honest client sends to it."""

    venue: AdmissionVenue
    admission: Admission
    sent: SealedSubmission
    cancelled: SignedCancellation


@pytest.fixture(scope="module")
def door(venue_of: Callable[[int], AdmissionVenue]) -> Door:
    venue = venue_of(4)
    sent = submit(venue)
    cancelled = Cancellation.of(sent.sealed, venue.terms.domain)
    signature = sign(cancelled.digest(venue.terms.domain), key(1))
    return Door(venue, venue.admission(), sent, SignedCancellation(cancelled, signature))


def with_field(sent: SealedSubmission, name: str, value: object) -> SealedSubmission:
    changed: Any = {name: value}
    if name in OWN:
        return replace(sent, **changed)
    return replace(sent, sealed=replace(sent.sealed, **changed))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("signature", None),
        ("signature", []),
        ("envelopes", None),
        ("envelopes", []),
        ("envelopes", (1, 2, 3, 4)),
        ("envelopes", (None,) * 4),
        ("ciphertext", None),
        ("ciphertext", bytearray(8)),
        ("sealed", None),
        ("account", None),
        ("account", Bytes(20)),
        ("instrument", None),
        ("instrument", bytearray(32)),
        ("cap", None),
        ("cap", True),
        ("cap", 1.0),
        ("interval", [7]),
        ("minimum_fill", 0),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_field(
    name: str, value: object, door: Door
) -> None:
    with pytest.raises(MalformedSubmission) as caught:
        door.admission.prove(with_field(door.sent, name, value))
    assert caught.value.code is RefusalCode.MALFORMED
    assert name.replace("_", " ").rstrip("s") in caught.value.subject
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("sent", [None, 7, b"", (), SimpleNamespace(), SealedSubmission])
def test_what_is_no_submission_is_malformed(sent: object, door: Door) -> None:
    for ask in (door.admission.prove, door.admission.cancel):
        with pytest.raises(MalformedSubmission):
            ask(cast("Any", sent))


@pytest.mark.parametrize(("name", "value"), [("sealed", None), ("signature", None), ("nonce", b"")])
def test_keypers_take_no_intent_of_such_values_either(name: str, value: object, door: Door) -> None:
    """They believe no operator that it has looked."""
    sent = with_field(door.sent, name, value)
    with pytest.raises(MalformedSubmission, match=name):
        verify_sealed_intent(sent.sealed, sent.signature, door.venue.terms)


@given(st.sampled_from(OWN + SEALED), wrong)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_value_of_a_submission_gets_past_a_refusal(door: Door, name: str, value: object) -> None:
    sent = with_field(door.sent, name, value)
    assume(type(value) is not bool or name != "minimum_fill" or value)
    with pytest.raises(AdmissionRefused):
        door.admission.prove(sent)


@given(st.sampled_from(["cancellation", "signature", *CANCELLED]), wrong)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_value_of_a_cancellation_gets_past_a_refusal(
    door: Door, name: str, value: object
) -> None:
    sent, changed = door.cancelled, cast("Any", {name: value})
    if name in CANCELLED:
        sent = replace(sent, cancellation=replace(sent.cancellation, **changed))
    else:
        sent = replace(sent, **changed)
    with pytest.raises(AdmissionRefused):
        door.admission.cancel(sent)


def test_the_desk_notes_what_is_malformed_and_goes_on(house: House, door: Door) -> None:
    environment = SimpleNamespace(evaluators=house.evaluators, arrivals=None)
    terms = SimpleNamespace(rules=SimpleNamespace(bond=None), grids=door.venue.terms.grids)
    opened = SimpleNamespace(margin=None, terms=terms)
    desk = Desk(
        cast("Environment", environment),
        cast("OpenInterval", opened),
        door.admission,
        cast("Any", (None, None)),
    )
    sent, cancelled = door.sent, door.cancelled
    for number, one in enumerate(
        (
            None,
            replace(sent, signature=cast("bytes", None)),
            SignedCancellation(cast("Cancellation", None), b""),
            replace(cancelled, signature=cast("bytes", [])),
        )
    ):
        desk.take(number, cast("Any", one))
    errors = [refusal.error for refusal in desk._refusals]
    assert [error.code for error in errors] == 4 * [RefusalCode.MALFORMED]
