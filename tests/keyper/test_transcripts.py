"""Transcripts: keypers sign what they opened and the beacon that they compute, once."""

import threading
from dataclasses import replace

import pytest

from crypto.errors import InvalidSignature
from crypto.signing.ecdsa import verify_signature
from crypto.threshold.attestation import OpeningTranscript, mask_context
from darkpool.committee.beacon import Beacon
from darkpool.keyper.keyper import LocalKeyper
from darkpool.protocol.keyper import TranscriptRequest
from darkpool.protocol.refusals import OpeningRefused
from darkpool.units import account_bytes
from tests.support.epochs import EPOCH
from tests.support.house import DOMAIN, House, HouseCommittee
from tests.support.opening_requests import covered_of, request_of, require_silence


@pytest.fixture
def committee(house: House) -> HouseCommittee:
    return house.committee()


@pytest.fixture
def keyper(committee: HouseCommittee) -> LocalKeyper:
    return committee.keypers[1]


def test_a_signed_transcript_ends_an_auction(
    house: House, committee: HouseCommittee, keyper: LocalKeyper
) -> None:
    interval = house.closed(committee)
    beacon = committee.beacon(interval, house.root_of(interval))
    shares = dict(enumerate(beacon.shares))
    session = committee.begin_auction(interval, lambda _revealed: None)
    session.open("first", covered_of(house, 1))
    session.open("second", covered_of(house, 2))
    terms = house.terms(committee, interval).digest
    with pytest.raises(OpeningRefused, match="terms"):
        keyper.sign_transcript(TranscriptRequest(session.context, b"\x2a" * 32))
    signatures = committee.sign_transcript(session, terms, beacon)
    assert sorted(signatures) == [0, 1, 2, 3]
    transcript = OpeningTranscript(DOMAIN, session.context, terms, session.entries, shares)
    for number, signature in signatures.items():
        digest = transcript.digest(number)
        verify_signature(digest, signature, account_bytes(committee.addresses[number]))
        for other in (session.entries[:1], session.entries[::-1]):
            false = replace(transcript, openings=other).digest(number)
            with pytest.raises(InvalidSignature):
                verify_signature(false, signature, account_bytes(committee.addresses[number]))
    request = request_of(session.context, covered_of(house, 3), sequence=2)
    require_silence(keyper, request, OpeningRefused)
    with pytest.raises(OpeningRefused):
        keyper.sign_transcript(TranscriptRequest(session.context, terms))


def test_a_keyper_signs_the_beacon_that_it_computes_itself(
    house: House, committee: HouseCommittee
) -> None:
    """Every share but its own number's, whatever the operator says the beacon was."""
    interval = house.closed(committee)
    terms = house.terms(committee, interval).digest
    root = house.root_of(interval)
    beacon = committee.beacon(interval, root)
    session = committee.begin_auction(interval, lambda _revealed: None)
    session.open("first", covered_of(house, 1))
    invented = Beacon(tuple(bytes([j]) * 32 for j in range(4)), bytes(32))
    with pytest.raises(InvalidSignature):
        committee.sign_transcript(session, terms, invented)
    committee.begin_auction(interval, lambda _revealed: None)
    signatures = committee.sign_transcript(session, terms, beacon)
    assert sorted(signatures) == [0, 1, 2, 3]
    for share in range(4):
        shares = dict(enumerate(beacon.shares)) | {share: bytes(32)}
        transcript = OpeningTranscript(DOMAIN, session.context, terms, session.entries, shares)
        covering = []
        for number, signature in signatures.items():
            digest = transcript.digest(number)
            try:
                verify_signature(digest, signature, account_bytes(committee.addresses[number]))
            except InvalidSignature:
                covering.append(number)
        assert covering == [number for number in range(4) if number != share]


def test_a_transcript_is_of_auctions_alone(keyper: LocalKeyper) -> None:
    number = keyper.next_mask()
    keyper.issue_mask(number)
    keyper.accept_preparation(number)
    with pytest.raises(OpeningRefused):
        keyper.sign_transcript(TranscriptRequest(mask_context(EPOCH, number), bytes(32)))


def test_a_transcript_stays_closed_after_a_restart(house: House, committee: HouseCommittee) -> None:
    interval = house.closed(committee)
    beacon = committee.beacon(interval, house.root_of(interval))
    session = committee.begin_auction(interval, lambda _revealed: None)
    session.open("first", covered_of(house, 1))
    terms = house.terms(committee, interval).digest
    signatures = committee.sign_transcript(session, terms, beacon)
    for keyper in committee.keypers:
        assert keyper.begin_auction(interval) == session.context
        request = request_of(session.context, covered_of(house, 3), sequence=1)
        require_silence(keyper, request, OpeningRefused)
        with pytest.raises(OpeningRefused):
            keyper.sign_transcript(TranscriptRequest(session.context, b"\x2b" * 32))
        again = keyper.sign_transcript(TranscriptRequest(session.context, terms))
        assert again == signatures[keyper.number]


def test_nothing_is_opened_while_a_transcript_is_signed(
    house: House,
    committee: HouseCommittee,
    keyper: LocalKeyper,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The signature is on all that was opened, whichever threads ask."""
    interval = house.closed(committee)
    session = committee.begin_auction(interval, lambda _revealed: None)
    request = request_of(session.context, covered_of(house, 1))
    terms = TranscriptRequest(session.context, house.terms(committee, interval).digest)
    opening, read = threading.Thread(target=lambda: keyper.announce(request)), keyper._store.entries

    def read_and_wait(context: bytes) -> object:
        entries = read(context)
        opening.start()
        opening.join(0.5)
        return entries

    monkeypatch.setattr(keyper._store, "entries", read_and_wait)
    monkeypatch.setattr(threading, "excepthook", lambda _arguments: None)
    signed = keyper.sign_transcript(terms)
    opening.join()
    assert read(session.context) == []
    digest = OpeningTranscript(
        DOMAIN,
        session.context,
        terms.terms_digest,
        [],
        keyper._beacon_shares(interval, house.root_of(interval)),
    ).digest(keyper.number)
    verify_signature(digest, signed, account_bytes(keyper.address))
