"""Which batch can be committed, when, and by whose signatures."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from web3.contract import Contract

from crypto.signing.ecdsa import SECP256K1_ORDER, sign
from crypto.signing.eip712 import Domain
from tests.support.custody_contracts import (
    CIRCUITS,
    DAY_S,
    KEY_ID,
    PERMIT2,
    CustodyContracts,
    leaves_of,
    shipped,
)

HOUR_S = 3_600
ZERO_ADDRESS = "0x" + "00" * 20


def deploy_with(venue: CustodyContracts, keypers: Sequence[str], **changes: Any) -> Contract:
    abi, code = shipped("Settlement")
    named = {
        "fund": venue.fund_owner,
        "treasury": venue.treasury_owner,
        "rescuer": venue.rescuer,
        "token": venue.token.address,
        "deposit_min": 1,
        "accounts_max": 1000,
    } | changes
    *parties, token, deposit_min, accounts_max = named.values()
    terms = [] if token is None else [(token, deposit_min, accounts_max)]
    venues = (keypers, KEY_ID, CIRCUITS, venue.blueprint.address, terms, (*parties, PERMIT2))
    return venue.deploy(abi, code, *venues)


@pytest.mark.parametrize(("keypers", "quorum"), [(4, 3), (5, 4), (6, 4), (7, 5)])
def test_a_quorum_is_the_least_number_above_half_of_n_plus_one(
    venue: CustodyContracts, keypers: int, quorum: int
) -> None:
    members = [str(account) for account in venue.web3.eth.accounts[:keypers]]
    deployed = deploy_with(venue, members)
    assert deployed.functions.quorum().call() == quorum
    assert deployed.functions.committee_members().call() == members


@pytest.mark.parametrize("fault", ["committee size", "zero address", "keyper twice"])
def test_unusable_committees_are_refused(venue: CustodyContracts, fault: str) -> None:
    keypers: list[str] = list(venue.keypers)
    if fault == "committee size":
        del keypers[3:]
    else:
        keypers[2] = ZERO_ADDRESS if fault == "zero address" else keypers[0]
    with venue.refuses(fault):
        deploy_with(venue, keypers)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("vaults", {"token": None}),
        ("no contract", {"token": "0x" + "01" * 20}),
        ("zero address", {"fund": ZERO_ADDRESS}),
        ("zero address", {"treasury": ZERO_ADDRESS}),
        ("zero address", {"rescuer": ZERO_ADDRESS}),
        ("bounds", {"deposit_min": 0}),
        ("bounds", {"deposit_min": 2**96}),
        ("bounds", {"accounts_max": 0}),
        ("bounds", {"accounts_max": 2**32}),
    ],
)
def test_vaults_of_unusable_terms_are_refused(
    venue: CustodyContracts, reason: str, changes: dict[str, object]
) -> None:
    with venue.refuses(reason):
        deploy_with(venue, venue.keypers, **changes)


def test_vaults_of_terms_at_their_bounds_are_made(venue: CustodyContracts) -> None:
    deploy_with(venue, venue.keypers, deposit_min=2**96 - 1, accounts_max=2**32 - 1)


def test_any_sender_commits_what_a_quorum_signed(venue: CustodyContracts) -> None:
    batch = venue.batch_for(7)
    venue.send(venue.commit_function(batch), venue.stranger)
    standing = venue.standing()
    assert (standing["committed"], standing["is_open"]) == (7, True)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("interval", {"interval": 0}),
        ("interval", {"interval": 5}),
        ("interval", {"interval": 1_000_006}),
        ("interval", {"interval": 2**64 - 1}),
        ("root missing", {"root": bytes(32)}),
        ("not a keyper", {"previous_settlement": b"\x01" * 32}),
        ("too late", {"commit_by": 1}),
    ],
)
def test_batches_out_of_order_are_refused(
    venue: CustodyContracts, reason: str, changes: dict[str, object]
) -> None:
    venue.commit(5, 0)
    venue.settle()
    interval = changes.pop("interval", 6)
    with venue.refuses(reason):
        venue.commit(interval, **changes)  # type: ignore[arg-type]
    venue.commit(1_000_005)


def test_a_root_cannot_be_committed_after_its_deadline(venue: CustodyContracts) -> None:
    batch = venue.batch_for(1, commit_by=venue.now() + 100)
    with venue.as_it_was():
        venue.tester.time_travel(batch.commit_by)
        venue.send(venue.commit_function(batch))
    venue.tester.time_travel(batch.commit_by + 1)
    with venue.refuses("too late"):
        venue.send(venue.commit_function(batch))


@pytest.mark.parametrize("name", ["root", "count", "terms", "plan", "commit_by", "interval"])
def test_every_field_of_a_batch_is_signed(venue: CustodyContracts, name: str) -> None:
    batch = venue.batch_for(3)
    signed = venue.signatures(batch)
    value = getattr(batch, name)
    other: Any = value + 1 if isinstance(value, int) else b"\x01" * 32
    changed = replace(batch, **{name: other})
    with venue.refuses("not a keyper"):
        venue.send(venue.commit_function(changed, signed))


def test_one_batch_is_open_at_a_time_and_each_interval_is_committed_once(
    venue: CustodyContracts,
) -> None:
    venue.commit(1)
    with venue.refuses("batch open"):
        venue.commit(2)
    venue.settle()
    with venue.refuses("interval"):
        venue.commit(1)


def test_signatures_of_one_place_are_worth_nothing_in_another(venue: CustodyContracts) -> None:
    batch = venue.batch_for(1)
    for domain in (
        Domain(venue.domain.chain_id + 1, venue.domain.verifying_contract),
        Domain(venue.domain.chain_id, b"\x09" * 20),
    ):
        signed = b"".join(sign(batch.digest(domain), key) for key in venue.keys[:3])
        with venue.refuses("not a keyper"):
            venue.send(venue.commit_function(batch, signed))


def low_s_twin(signature: bytes) -> bytes:
    s = SECP256K1_ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("quorum", lambda s: s[:130]),
        ("quorum", lambda _: b""),
        ("keyper twice", lambda s: s[:130] + s[:65]),
        ("signature length", lambda s: s[:-1]),
        ("signature length", lambda s: s + b"\x00"),
        ("signature s", lambda s: s[:130] + low_s_twin(s[130:])),
        ("signature v", lambda s: s[:-1] + b"\x00"),
        ("signature", lambda s: s[:130] + bytes(64) + b"\x1b"),
    ],
)
def test_lists_of_signatures_that_are_none_are_refused(
    venue: CustodyContracts, reason: str, change: Callable[[bytes], bytes]
) -> None:
    batch = venue.batch_for(1)
    with venue.refuses(reason):
        venue.send(venue.commit_function(batch, change(venue.signatures(batch))))


def test_after_a_void_the_next_batch_must_be_empty(venue: CustodyContracts) -> None:
    venue.commit(1)
    with venue.refuses("too early"):
        venue.send(venue.settlement.functions.void(1))
    venue.pass_time(HOUR_S)
    with venue.refuses("not the open batch"):
        venue.send(venue.settlement.functions.void(2))
    with venue.refuses("too late"):
        venue.settle()
    venue.send(venue.settlement.functions.void(1), venue.stranger)
    with venue.refuses("not empty"):
        venue.commit(2)
    venue.commit(3, 0)
    assert venue.standing()["must_be_empty"]
    venue.pass_time(HOUR_S)
    venue.send(venue.settlement.functions.void(3))
    with venue.refuses("not empty"):
        venue.commit(4)
    venue.commit(4, 0)
    venue.settle()
    venue.commit(5)


def test_a_settlement_follows_the_one_before_it(venue: CustodyContracts) -> None:
    a = venue.accounts[0]
    venue.deposit(a, 100)
    venue.commit(1)
    first = venue.settlement_of([leaves_of({a: (100, 0)})])
    venue.send(venue.settle_function(first), venue.stranger)
    assert bytes(venue.settlement.functions.last_settlement().call()) == first.struct_hash()
    stale = venue.batch_for(2, previous_settlement=bytes(32))
    with venue.refuses("not a keyper"):
        venue.send(venue.commit_function(stale))
    venue.commit(2)
    with venue.refuses("not a keyper"):
        message = venue.settlement_of([], previous_settlement=b"\x01" * 32)
        venue.send(venue.settle_function(message))


@pytest.mark.parametrize(
    "name",
    [
        "batch_root",
        "previous_settlement",
        "flows",
        "results",
        "prices",
        "fills_root",
        "state_root",
        "leaf_blobs",
        "record_digest",
        "terms",
    ],
)
def test_every_field_of_a_settlement_is_signed(venue: CustodyContracts, name: str) -> None:
    venue.commit(1)
    message = venue.settlement_of([])
    other: Any = (b"\x01" * 32,) if name == "leaf_blobs" else b"\x01" * 32
    signed = venue.signatures(venue.settlement_of([], **{name: other}))
    with venue.refuses("not a keyper"):
        venue.send(venue.settle_function(message, signatures=signed))
    venue.send(venue.settle_function(message))


def test_settlements_that_are_incomplete_are_refused(venue: CustodyContracts) -> None:
    a = venue.accounts[0]
    venue.deposit(a, 100)
    with venue.refuses("not the open batch"):
        venue.settle()
    venue.commit(1)
    leaves = leaves_of({a: (100, 0)})
    for reason, changes in (
        ("root missing", {"fills_root": bytes(32)}),
        ("root missing", {"state_root": bytes(32)}),
        ("leaves", {"leaf_hash": b"\x01" * 32}),
        ("leaves", {"leaf_hash": b"\x01" * 32, "leaf_blobs": (b"\x01" * 32,)}),
        ("trees", {"trees": ()}),
        ("not the open batch", {"interval": 2}),
    ):
        message = venue.settlement_of([leaves], **changes)
        with venue.refuses(reason):
            venue.send(venue.settle_function(message))
    with venue.refuses("results length"):
        message = venue.settlement_of([leaves], b"\x01" * 63)
        venue.send(venue.settle_function(message, b"\x01" * 63))
    venue.settle(leaves)
    with venue.refuses("not the open batch"):
        venue.settle(leaves)


def test_leaves_are_public_before_a_settlement_that_names_them(venue: CustodyContracts) -> None:
    from eth_hash.auto import keccak

    data = b"leaves"
    venue.commit(1)
    message = venue.settlement_of([], leaf_hash=keccak(data))
    with venue.refuses("leaves"):
        venue.send(venue.settle_function(message))
    venue.send(venue.settlement.functions.publish(data), venue.stranger)
    venue.send(venue.settle_function(message))
    [event] = venue.settlement.events.LeavesPublished.get_logs(from_block=0)
    assert (event["args"]["leaf_hash"], event["args"]["leaves"]) == (keccak(data), data)


def test_flows_after_the_commitment_are_not_in_what_is_settled(venue: CustodyContracts) -> None:
    a = venue.accounts[0]
    venue.deposit(a, 100)
    venue.commit(1)
    venue.deposit(a, 11)
    assert venue.standing()["flows_committed"] == 1
    [deposit, _] = venue.settlement.events.Flow.get_logs(from_block=0)
    assert bytes(venue.settlement.functions.batch_flows_head().call()) == deposit["args"]["head"]
    head = bytes(venue.settlement.functions.flows_head().call())
    with venue.refuses("not a keyper"):
        venue.send(
            venue.settle_function(
                venue.settlement_of([]),
                signatures=venue.signatures(venue.settlement_of([], flows=head)),
            )
        )


def test_only_vaults_report_flows(venue: CustodyContracts) -> None:
    with venue.refuses("not a vault"):
        venue.send(venue.settlement.functions.report(1, venue.stranger, 1, 0))
    with venue.refuses("not settlement"):
        venue.send(venue.vault.functions.settle(1, b"\x01" * 32, 0, 0, 0))


def test_the_domain_is_told_as_erc_5267_says(venue: CustodyContracts) -> None:
    fields, name, version, chain, contract, salt, extensions = (
        venue.settlement.functions.eip712Domain().call()
    )
    assert (fields, name, version) == (b"\x0f", "darkpool", "1")
    assert (chain, contract) == (venue.domain.chain_id, venue.settlement.address)
    assert (salt, extensions) == (bytes(32), [])


def test_an_idle_venue_commits_again_within_two_weeks_only(venue: CustodyContracts) -> None:
    venue.pass_time(venue.standing()["settled_at"] + 14 * DAY_S - 100 - venue.now())
    assert not venue.settlement.functions.is_due().call()
    venue.pass_time(200)
    assert venue.settlement.functions.is_due().call()
    with venue.refuses("winding down"):
        venue.commit(1, 0)
