import json
import re
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.bfv.ciphertext import from_wire
from crypto.errors import SealingMismatch
from crypto.signing.ecdsa import sign, verify_signature
from crypto.signing.eip712 import Domain
from crypto.signing.messages import Intent, commitment
from darkpool.client.errors import InvalidOpeningFile
from darkpool.client.opening_file import OpeningFile, verify_opening_file
from darkpool.client.sealing import PublicLimits, SealedOrder, opening_of, seal_intent, smallest_cap
from darkpool.errors import NoBucket, OutOfBounds
from darkpool.protocol.intents import LimitOrder
from darkpool.protocol.refusals import WrongAuction, WrongSignature
from darkpool.units import InstrumentId, Lots, Side, Tick
from tests.support.admission_venue import AdmissionVenue
from tests.support.submissions import seal_now

KEY = b"\x01" * 32
DEADLINE_S = 2_000_000_000
LIMITS = PublicLimits(DEADLINE_S, Lots(10))
BUY_7 = LimitOrder(Side.BUY, Lots(7), Tick(40))


def seal(venue: AdmissionVenue, order: LimitOrder = BUY_7, cap: Lots | None = None) -> SealedOrder:
    limits = PublicLimits(DEADLINE_S, smallest_cap(order.size, venue.terms) if cap is None else cap)
    return seal_now(order, venue.instruments[0], venue.terms, KEY, 1, limits)


def verify(venue: AdmissionVenue, opening: OpeningFile, sealed: SealedOrder) -> None:
    ring = venue.terms.material.parameters.order_ring
    submission = sealed.submission
    ciphertext = from_wire(submission.ciphertext, ring, len(ring.data_primes))
    verify_opening_file(opening, submission.sealed, ciphertext, venue.terms.material)


def test_the_account_signs_what_commits_to_the_order(venue: AdmissionVenue) -> None:
    order = seal(venue)
    sealed, intent = order.submission.sealed, order.opening.intent
    domain = venue.terms.domain
    verify_signature(sealed.digest(domain), order.submission.signature, sealed.account)
    assert sealed.commitment == commitment(intent, domain)
    assert (intent.side, intent.size, intent.limit_tick) == (0, 7, 40)
    assert sealed.cap == 10


def test_two_sealings_of_one_order_have_nothing_secret_in_common(venue: AdmissionVenue) -> None:
    one, other = seal(venue), seal(venue)
    assert one.opening.intent.salt != other.opening.intent.salt
    assert one.opening.intent.root_seed != other.opening.intent.root_seed
    assert one.submission.ciphertext != other.submission.ciphertext


def test_an_intent_sealed_again_gives_the_same_bytes_but_for_the_envelopes(
    venue: AdmissionVenue,
) -> None:
    one = seal(venue, cap=Lots(50))
    limits = PublicLimits(DEADLINE_S, Lots(50))
    unsigned = seal_intent(one.opening.intent, venue.terms, limits)
    again = unsigned.signed(sign(unsigned.digest, KEY))
    assert opening_of(one.opening.intent, venue.terms) == one.opening
    assert one.submission.sealed.terms == venue.terms.digest
    assert again.envelopes != one.submission.envelopes
    assert replace(again, envelopes=one.submission.envelopes) == one.submission


def test_an_intent_is_sealed_by_its_account_for_its_interval(venue: AdmissionVenue) -> None:
    intent = seal(venue).opening.intent
    with pytest.raises(WrongAuction, match="interval"):
        seal_intent(replace(intent, interval=8), venue.terms, LIMITS)
    unsigned = seal_intent(intent, venue.terms, LIMITS)
    for signature in (sign(unsigned.digest, b"\x02" * 32), sign(bytes(32), KEY), b"", None):
        with pytest.raises(WrongSignature, match="account's signature"):
            unsigned.signed(signature)  # type: ignore[arg-type]


def test_submissions_have_the_same_length_whatever_is_in_them(venue: AdmissionVenue) -> None:
    lengths = set()
    for order in [
        BUY_7,
        LimitOrder(Side.SELL, Lots(1), Tick(0)),
        LimitOrder(Side.BUY, Lots(9_999_999), Tick(99)),
        LimitOrder(Side.SELL, Lots(0), Tick(50)),
    ]:
        submission = seal(venue, order, Lots(10_000_000)).submission
        lengths.add((len(submission.ciphertext), *map(len, submission.envelopes)))
    assert len(lengths) == 1


def test_a_cap_may_be_chosen_above_the_size(venue: AdmissionVenue) -> None:
    assert seal(venue, cap=Lots(500)).submission.sealed.cap == 500
    cover = LimitOrder(Side.BUY, Lots(0), Tick(0))
    assert seal(venue, cover).submission.sealed.cap == 1
    assert seal(venue, cover, Lots(100)).submission.sealed.cap == 100


@pytest.mark.parametrize("cap", [5, 7, 11, 20_000_000, 0, -1])
def test_a_cap_below_the_size_or_off_the_buckets_is_refused(
    venue: AdmissionVenue, cap: int
) -> None:
    with pytest.raises(NoBucket, match="cap"):
        seal(venue, cap=Lots(cap))


@pytest.mark.parametrize(
    "changes", [{"size": -1}, {"size": 10_000_001}, {"limit": 100}, {"limit": -1}, {"minimum": 8}]
)
def test_an_order_off_its_bounds_is_refused(venue: AdmissionVenue, changes: dict[str, int]) -> None:
    with pytest.raises(OutOfBounds):
        seal(venue, replace(BUY_7, **changes))  # type: ignore[arg-type]


def test_an_instrument_that_is_not_traded_is_refused(venue: AdmissionVenue) -> None:
    with pytest.raises(WrongAuction, match="instrument"):
        seal_now(BUY_7, InstrumentId(bytes(32)), venue.terms, KEY, 1, LIMITS)


def test_an_opening_file_proves_the_order(venue: AdmissionVenue) -> None:
    sealed = seal(venue)
    opening = OpeningFile.from_json(sealed.opening.to_json())
    assert opening == sealed.opening
    verify(venue, opening, sealed)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account", bytes(20)),
        ("instrument", bytes(32)),
        ("interval", 8),
        ("nonce", 2),
        ("side", 1),
        ("size", 8),
        ("limit_tick", 41),
        ("salt", bytes(32)),
        ("root_seed", bytes(32)),
    ],
)
def test_an_opening_of_another_order_proves_nothing(
    venue: AdmissionVenue, field: str, value: Any
) -> None:
    sealed = seal(venue)
    intent = replace(sealed.opening.intent, **{field: value})
    with pytest.raises(SealingMismatch):
        verify(venue, replace(sealed.opening, intent=intent), sealed)


@pytest.mark.parametrize(
    "changes",
    [
        {"ticks": 0},
        {"ticks": 40},
        {"key_epoch": 3},
        {"domain": Domain(1, b"\xc0" * 20)},
        {"domain": Domain(31337, bytes(20))},
    ],
)
def test_an_opening_under_other_terms_proves_nothing(
    venue: AdmissionVenue, changes: dict[str, Any]
) -> None:
    sealed = seal(venue)
    with pytest.raises(SealingMismatch):
        verify(venue, replace(sealed.opening, **changes), sealed)


def test_a_buy_on_another_grid_proves_nothing(venue: AdmissionVenue) -> None:
    """What a sell does not supply ends before its limit; what a buy does not, with the grid."""
    sealed = seal(venue, BUY_7)
    verify(venue, sealed.opening, sealed)
    with pytest.raises(SealingMismatch, match="sealed again"):
        verify(venue, replace(sealed.opening, ticks=99), sealed)


def test_a_commitment_to_another_order_than_the_sealed_one_is_found_out(
    venue: AdmissionVenue,
) -> None:
    """The account commits to 8 lots but seals 7: its opening fits the commitment only."""
    sealed = seal(venue)
    intent = replace(sealed.opening.intent, size=8)
    lying = replace(
        sealed.submission,
        sealed=replace(sealed.submission.sealed, commitment=commitment(intent, venue.terms.domain)),
    )
    opening = replace(sealed.opening, intent=intent)
    with pytest.raises(SealingMismatch, match="sealed again"):
        verify(venue, opening, replace(sealed, submission=lying))


DOCUMENT = {
    "version": 1,
    "chain_id": 1,
    "verifying_contract": "0x" + "c0" * 20,
    "key_epoch": 2,
    "ticks": 100,
    "intent": {
        "account": "0x" + "aa" * 20,
        "instrument": "0x" + "11" * 32,
        "interval": 7,
        "side": 0,
        "size": 7,
        "limit_tick": 40,
        "nonce": 1,
        "salt": "0x" + "22" * 32,
        "root_seed": "0x" + "33" * 32,
        "minimum": 3,
    },
}


def test_the_layout_of_an_opening_file_is_the_documented_one() -> None:
    opening = OpeningFile.from_json(json.dumps(DOCUMENT))
    assert json.loads(opening.to_json()) == DOCUMENT
    assert {f.name for f in fields(Intent)} == set(DOCUMENT["intent"])  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 2),
        (("version",), True),
        (("chain_id",), -1),
        (("chain_id",), 1 << 256),
        (("ticks",), 100.0),
        (("ticks",), "100"),
        (("verifying_contract",), "c0" * 20),
        (("verifying_contract",), "0x" + "C0" * 20),
        (("verifying_contract",), None),
        (("intent",), []),
        (("intent", "side"), 256),
        (("intent", "account"), "0x" + "aa" * 19),
        (("intent", "salt"), "0x" + "zz" * 32),
        (("intent", "salt"), "0x" + " 2" * 32),
        (("intent", "more"), 1),
        (("more",), 1),
    ],
)
def test_another_field_of_an_opening_file_is_refused(path: tuple[str, ...], value: Any) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    place = document
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(InvalidOpeningFile) as caught:
        OpeningFile.from_json(json.dumps(document))
    assert not re.search(r"\bdict\b|NoneType|\bint\b|\bstr\b|\bfloat\b", str(caught.value))


@pytest.mark.parametrize("name", ["root_seed", "salt"])
@pytest.mark.parametrize("told", ["0x" + "AB" * 32, "ab" * 32, "0x" + "ab" * 31 + "a", 10**70])
def test_a_refused_opening_file_does_not_show_its_secrets(name: str, told: Any) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    document["intent"][name] = told
    with pytest.raises(InvalidOpeningFile) as caught:
        OpeningFile.from_json(json.dumps(document))
    assert str(told)[-20:] not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", "NaN", "[" * 4000, '{"version": 1, "version": 1}', " " * 5000]
)
def test_other_text_is_no_opening_file(text: str) -> None:
    with pytest.raises(InvalidOpeningFile):
        OpeningFile.from_json(text)


@given(text=st.text(max_size=200))
@settings(max_examples=50)
def test_arbitrary_text_is_no_opening_file(text: str) -> None:
    with pytest.raises(InvalidOpeningFile):
        OpeningFile.from_json(text)
