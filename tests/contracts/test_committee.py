"""A keyper that signs two statements is excluded; a committee hands over in the open."""

from dataclasses import replace

import pytest
from eth_hash.auto import keccak
from web3 import Web3
from web3.contract.contract import ContractFunction

from crypto.signing.ecdsa import address_of, sign
from crypto.signing.eip712 import TypedMessage
from crypto.signing.settling import Rotation
from tests.support.custody_contracts import CIRCUITS, DAY_S, KEY_ID, CustodyContracts, leaves_of

DELAY_S = 8 * DAY_S + 3_600
NEXT_KEYS = [bytes([number]) * 32 for number in range(21, 26)]


def statement(
    venue: CustodyContracts, message: TypedMessage, key: bytes
) -> tuple[list[bytes], bytes]:
    return message.words(), sign(message.digest(venue.domain), key)


def rotation(venue: CustodyContracts, epoch: int = 2) -> Rotation:
    present = b"".join(bytes(12) + address_of(key) for key in venue.keys)
    following = tuple(address_of(key) for key in NEXT_KEYS)
    return Rotation(epoch, keccak(present), following, b"\x2d" * 32, b"\xc2" * 32)


def announce(
    venue: CustodyContracts, message: Rotation, signatures: bytes | None = None
) -> ContractFunction:
    signed = venue.signatures(message) if signatures is None else signatures
    members = [Web3.to_checksum_address(keyper) for keyper in message.next]
    return venue.settlement.functions.announce_rotation(
        message.epoch, members, message.key_id, message.circuits, signed
    )


def excluded(venue: CustodyContracts, key: bytes) -> int:
    first, second = venue.batch_for(9), venue.batch_for(9, count=2)
    evidence = statement(venue, first, key), statement(venue, second, key)
    return venue.send(venue.settlement.functions.exclude_for_batch(*evidence), venue.stranger)


@pytest.mark.parametrize("kind", ["batch", "settlement", "rotation"])
def test_two_signed_statements_exclude_their_signer(venue: CustodyContracts, kind: str) -> None:
    venue.commit(1)
    first: TypedMessage
    second: TypedMessage
    if kind == "batch":
        first, second = venue.batch_for(9), venue.batch_for(9, plan=b"\x01" * 32)
    elif kind == "settlement":
        first = venue.settlement_of([])
        second = venue.settlement_of([], record_digest=b"\x01" * 32)
    else:
        first, second = rotation(venue), replace(rotation(venue), key_id=b"\x01" * 32)
    function = venue.settlement.functions[f"exclude_for_{kind}"]
    key = venue.keys[2]
    gas = venue.send(
        function(statement(venue, first, key), statement(venue, second, key)), venue.stranger
    )
    assert gas <= 80_000
    assert venue.settlement.functions.excluded().call() == 0b100
    [event] = venue.settlement.events.Excluded.get_logs(from_block=0)
    assert event["args"]["keyper"] == venue.keypers[2]
    assert event["args"]["first"] == first.struct_hash()


def test_an_excluded_keyper_counts_no_more_from_the_next_commitment_on(
    venue: CustodyContracts,
) -> None:
    venue.commit(1)
    excluded(venue, venue.keys[0])
    venue.settle()
    batch = venue.batch_for(2)
    with venue.refuses("quorum"):
        venue.send(venue.commit_function(batch))
    signed = venue.signatures(batch, venue.keys)
    venue.send(venue.commit_function(batch, signed))
    venue.batch = batch
    with venue.refuses("quorum"):
        venue.settle()
    message = venue.settlement_of([])
    venue.send(venue.settle_function(message, signatures=venue.signatures(message, venue.keys)))
    [_, last] = venue.settlement.events.BatchSettled.get_logs(from_block=0)
    assert last["args"]["signers"] == 0b1110


def test_an_excluded_keyper_neither_announces_nor_closes(venue: CustodyContracts) -> None:
    excluded(venue, venue.keys[0])
    message = rotation(venue)
    with venue.refuses("quorum"):
        venue.send(announce(venue, message))
    venue.send(announce(venue, message, venue.signatures(message, venue.keys)))
    venue.pass_time(14 * DAY_S)
    venue.send(venue.settlement.functions.declare())
    closing = venue.closing_of()
    with venue.refuses("quorum"):
        venue.send(venue.close_function(closing))
    venue.send(venue.close_function(closing, venue.signatures(closing, venue.keys)))


def test_an_exclusion_that_was_shown_before_changes_nothing(venue: CustodyContracts) -> None:
    excluded(venue, venue.keys[0])
    excluded(venue, venue.keys[0])
    assert venue.settlement.functions.excluded().call() == 0b1
    excluded(venue, venue.keys[2])
    assert venue.settlement.functions.excluded().call() == 0b101


def test_what_is_no_equivocation_is_refused(venue: CustodyContracts) -> None:
    key, other = venue.keys[:2]
    first, second = venue.batch_for(9), venue.batch_for(9, count=2)
    one, two = statement(venue, first, key), statement(venue, second, key)
    longer = ([*two[0], bytes(32)], two[1])
    for reason, evidence in (
        ("same statement", (one, one)),
        ("two signers", (one, statement(venue, second, other))),
        ("two subjects", (one, statement(venue, venue.batch_for(10), key))),
        ("statement length", (one, longer)),
        ("statement length", (longer, two)),
        ("statement length", ((one[0][:-1], one[1]), two)),
        (
            "not a keyper",
            (statement(venue, first, b"\x55" * 32), statement(venue, second, b"\x55" * 32)),
        ),
        ("signature length", (one, (two[0], two[1][:-1]))),
    ):
        with venue.refuses(reason):
            venue.send(venue.settlement.functions.exclude_for_batch(*evidence))
    for kind in ("settlement", "rotation"):
        with venue.refuses("statement length"):
            venue.send(venue.settlement.functions[f"exclude_for_{kind}"](one, two))
    assert venue.settlement.functions.excluded().call() == 0


def test_a_committee_hands_over_after_its_delay(venue: CustodyContracts) -> None:
    message = rotation(venue)
    venue.send(announce(venue, message), venue.stranger)
    with venue.refuses("rotation announced"):
        venue.send(announce(venue, message))
    members, key_id, circuits, active_from = venue.settlement.functions.next_committee().call()
    assert (key_id, circuits) == (message.key_id, message.circuits)
    assert active_from - venue.now() >= DELAY_S - 60
    rotate = venue.settlement.functions.rotate()
    with venue.refuses("too early"):
        venue.send(rotate)
    venue.pass_time(DELAY_S)
    venue.commit(1)
    with venue.refuses("batch open"):
        venue.send(rotate)
    venue.settle()
    excluded(venue, venue.keys[0])
    venue.send(rotate, venue.stranger)
    functions = venue.settlement.functions
    assert functions.committee_members().call() == members
    assert (functions.epoch().call(), functions.excluded().call()) == (2, 0)
    assert (functions.key_id().call(), functions.circuits().call()) == (key_id, circuits)
    with venue.refuses("not a keyper"):
        venue.commit(2)
    batch = venue.batch_for(2)
    with venue.refuses("no rotation"):
        venue.send(rotate)
    venue.send(venue.commit_function(batch, venue.signatures(batch, NEXT_KEYS[:4])))


def test_evidence_holds_against_a_keyper_that_stays_in_the_next_committee(
    venue: CustodyContracts,
) -> None:
    stays = venue.keys[0]
    keys = [*NEXT_KEYS[:3], stays]
    message = replace(rotation(venue), next=tuple(map(address_of, keys)))
    venue.send(announce(venue, message))
    excluded(venue, stays)
    venue.pass_time(DELAY_S)
    functions = venue.settlement.functions
    venue.send(functions.rotate())
    assert functions.excluded().call() == 0
    excluded(venue, stays)
    assert functions.excluded().call() == 0b1000
    batch = venue.batch_for(1)
    with venue.refuses("quorum"):
        venue.send(venue.commit_function(batch, venue.signatures(batch, keys[1:])))
    venue.send(venue.commit_function(batch, venue.signatures(batch, keys)))
    [event] = venue.settlement.events.BatchCommitted.get_logs(from_block=0)
    assert event["args"]["signers"] == 0b111


def test_a_venue_with_too_few_keypers_left_settles_nothing_and_ends_by_the_clock(
    venue: CustodyContracts,
) -> None:
    """Two of four incriminated themselves: no exclusion lowers the quorum."""
    a = venue.accounts[0]
    venue.deposit(a, 100)
    venue.send(venue.vault.functions.request(1), a)
    for key in venue.keys[:2]:
        excluded(venue, key)
    batch, message = venue.batch_for(1), rotation(venue)
    with venue.refuses("quorum"):
        venue.send(venue.commit_function(batch, venue.signatures(batch, venue.keys)))
    with venue.refuses("quorum"):
        venue.send(announce(venue, message, venue.signatures(message, venue.keys)))
    venue.pass_time(7 * DAY_S)
    venue.send(venue.settlement.functions.declare(), venue.stranger)
    venue.send(venue.vault.functions.take_back(1, a), a)
    assert venue.held() == 0


def test_rotations_that_are_none_are_refused(venue: CustodyContracts) -> None:
    message = rotation(venue)
    twice = (*message.next[:3], message.next[0])
    for reason, changed in (
        ("epoch", replace(message, epoch=1)),
        ("epoch", replace(message, epoch=3)),
        ("committee size", replace(message, next=message.next[:3])),
        ("keyper twice", replace(message, next=twice)),
        ("zero address", replace(message, next=(*message.next[:3], bytes(20)))),
        ("not a keyper", replace(message, previous_committee=b"\x01" * 32)),
    ):
        with venue.refuses(reason):
            venue.send(announce(venue, changed))
    with venue.refuses("quorum"):
        venue.send(announce(venue, message, venue.signatures(message, venue.keys[:2])))
    for changed in (
        replace(message, key_id=b"\x01" * 32),
        replace(message, circuits=b"\x01" * 32),
        replace(message, next=message.next[::-1]),
    ):
        with venue.refuses("not a keyper"):
            venue.send(announce(venue, message, venue.signatures(changed)))


def test_a_rotation_stops_no_clock(venue: CustodyContracts) -> None:
    a = venue.accounts[0]
    venue.deposit(a, 100)
    venue.send(announce(venue, rotation(venue)))
    venue.pass_time(2 * DAY_S)
    venue.send(venue.vault.functions.request(1), a)
    venue.pass_time(6 * DAY_S + 3_600)
    venue.send(venue.settlement.functions.rotate())
    venue.pass_time(DAY_S)
    venue.send(venue.settlement.functions.declare())


def test_the_first_committee_names_its_keys(venue: CustodyContracts) -> None:
    functions = venue.settlement.functions
    assert functions.epoch().call() == 1
    assert (functions.key_id().call(), functions.circuits().call()) == (KEY_ID, CIRCUITS)
    assert [functions.number_of(keyper).call() for keyper in venue.keypers] == [1, 2, 3, 4]


def test_a_keyper_stops_no_settlement_by_incriminating_itself(venue: CustodyContracts) -> None:
    """Its signature stands in the quorum of the open batch, and goes on counting there."""
    a = venue.accounts[0]
    venue.deposit(a, 100)
    venue.commit(1)
    message = venue.settlement_of([leaves_of({a: (100, 0)})])
    signed = venue.signatures(message, venue.keys[:3])
    excluded(venue, venue.keys[0])
    venue.send(venue.settle_function(message, signatures=signed))
