"""Everybody can leave with everything, by the clock alone."""

from dataclasses import replace

import pytest
from eth_typing import HexStr
from web3 import Web3
from web3.contract.contract import ContractFunction

from crypto.signing.ecdsa import address_of, sign
from crypto.signing.settling import Claim, TakeBack
from crypto.signing.sum_tree import SumLeaf
from tests.support.custody_contracts import (
    DAY_S,
    FUND_ACCOUNT,
    RETIRED_ACCOUNT,
    TREASURY_ACCOUNT,
    CustodyContracts,
    leaves_of,
    proven,
)

HOUR_S = 3_600
WEEK_S = 7 * DAY_S
FUND = "0x" + FUND_ACCOUNT.hex()
TREASURY = "0x" + TREASURY_ACCOUNT.hex()
RETIRED = "0x" + RETIRED_ACCOUNT.hex()


def declared(venue: CustodyContracts) -> None:
    venue.send(venue.settlement.functions.declare(), venue.stranger)


def requested(venue: CustodyContracts, account: str, amount: int = 1) -> None:
    venue.send(venue.vault.functions.request(amount), account)


def test_a_request_that_waits_a_week_ends_the_venue(venue: CustodyContracts) -> None:
    a = venue.accounts[0]
    venue.deposit(a, 100)
    requested(venue, a)
    for reason, wait in (("too early", WEEK_S - 60), ("", 60)):
        venue.pass_time(wait)
        if reason:
            with venue.refuses(reason):
                declared(venue)
    with venue.refuses("winding down"):
        venue.commit(1, 0)
    declared(venue)
    with venue.refuses("ended"):
        declared(venue)


def test_two_weeks_without_a_settlement_end_the_venue(venue: CustodyContracts) -> None:
    venue.commit(1, 0)
    venue.settle()
    venue.pass_time(14 * DAY_S - 60)
    with venue.refuses("too early"):
        declared(venue)
    venue.pass_time(60)
    declared(venue)


def test_a_settlement_answers_the_requests_before_its_commitment_only(
    venue: CustodyContracts,
) -> None:
    a = venue.accounts[0]
    venue.deposit(a, 100)
    requested(venue, a)
    first = venue.standing()["waiting_since"]
    venue.pass_time(2 * DAY_S)
    venue.commit(1, 0)
    requested(venue, a)
    assert venue.standing()["waiting_since"] == first
    venue.settle(leaves_of({a: (100, 0)}))
    second = venue.standing()["waiting_since"]
    assert second - first >= 2 * DAY_S
    venue.pass_time(WEEK_S - 60)
    venue.commit(2, 0)
    venue.pass_time(120)
    with venue.refuses("batch open"):
        declared(venue)
    venue.settle(leaves_of({a: (100, 0)}))
    assert venue.standing()["waiting_since"] == 0
    with venue.refuses("too early"):
        declared(venue)


def test_voids_reset_no_clock(venue: CustodyContracts) -> None:
    """An operator's contract that voids and commits in one transaction freezes nobody for ever."""
    a = venue.accounts[0]
    venue.deposit(a, 100)
    requested(venue, a)
    since, interval = venue.standing()["waiting_since"], 0
    while venue.now() < since + WEEK_S:
        interval += 1
        venue.commit(interval, 0)
        requested(venue, a)
        venue.pass_time(DAY_S)
        venue.send(venue.settlement.functions.void(interval))
    with venue.refuses("winding down"):
        venue.commit(interval + 1, 0)
    declared(venue)


def test_a_declaration_closes_a_batch_that_expired(venue: CustodyContracts) -> None:
    a = venue.accounts[0]
    venue.deposit(a, 100)
    requested(venue, a)
    venue.pass_time(WEEK_S - 600)
    venue.commit(1, 0)
    venue.pass_time(HOUR_S)
    declared(venue)
    assert not venue.standing()["is_open"]
    assert len(venue.settlement.events.BatchVoided.get_logs(from_block=0)) == 1


def test_an_ended_venue_takes_nothing_new(venue: CustodyContracts) -> None:
    a = venue.accounts[0]
    number = venue.deposit(a, 100)
    venue.pass_time(14 * DAY_S)
    with venue.refuses("winding down"):
        venue.deposit(a, 1)
    declared(venue)
    vault = venue.vault.functions
    for function in (vault.deposit(a, 1), vault.request(1), vault.give_notice(number)):
        with venue.refuses("winding down"):
            venue.send(function, a)
    with venue.refuses("ended"):
        venue.send(venue.settlement.functions.rotate())
    with venue.refuses("ended"):
        venue.send(
            venue.settlement.functions.announce_rotation(
                2, venue.keypers, bytes(32), bytes(32), b""
            )
        )


@pytest.mark.parametrize("closing", [True, False])
def test_everybody_leaves_with_everything(venue: CustodyContracts, closing: bool) -> None:
    a, b, c = venue.accounts[:3]
    venue.deposit(a, 100)
    venue.deposit(b, 100)
    amounts = {RETIRED: (0, 0), FUND: (7, 0), TREASURY: (3, 0), a: (60, 20), b: (100, 10)}
    leaves = leaves_of(amounts)
    venue.commit(4)
    venue.settle(leaves)
    venue.claim(4, leaves, a)
    late = venue.deposit(c, 50)
    venue.pass_time(14 * DAY_S)
    with venue.refuses("not declared"):
        venue.send(venue.close_function(venue.closing_of(leaves)))
    declared(venue)
    with venue.refuses("nothing to pay"):
        venue.claim(4, leaves, a)
    with venue.refuses("exits"):
        venue.leave(leaves, a)
    with venue.refuses("exits"):
        venue.send(reserved(venue, leaves, FUND))
    if closing:
        amounts |= {a: (70, 20), b: (90, 10)}
        leaves = leaves_of(amounts)
        venue.send(venue.close_function(venue.closing_of(leaves)), venue.stranger)
        with venue.refuses("closed"):
            venue.send(venue.close_function(venue.closing_of(leaves)))
    else:
        venue.pass_time(DAY_S)
        with venue.refuses("too late"):
            venue.send(venue.close_function(venue.closing_of(leaves)))
    held = {account: venue.held(account) for account in (a, b, c, venue.fund_owner)}
    venue.leave(leaves, b)
    venue.leave(leaves, a)
    venue.send(venue.vault.functions.take_back(late, c), c)
    with venue.refuses("account"):
        venue.send(reserved(venue, leaves, RETIRED))
    venue.send(reserved(venue, leaves, FUND), venue.stranger)
    venue.send(reserved(venue, leaves, TREASURY), venue.stranger)
    assert venue.held(a) - held[a] == amounts[a][0]
    assert venue.held(b) - held[b] == sum(amounts[b])
    assert venue.held(c) - held[c] == 50
    assert venue.held(venue.fund_owner) == 7
    assert venue.held(venue.treasury_owner) == 3
    assert venue.held() == 0


def reserved(venue: CustodyContracts, leaves: list[SumLeaf], account: str) -> ContractFunction:
    leaf, proof = proven(leaves, account)
    function: ContractFunction = venue.vault.functions.leave_reserved(leaf, proof)
    return function


def test_an_exit_counts_what_was_claimed_under_other_roots(venue: CustodyContracts) -> None:
    a, b = venue.accounts[:2]
    venue.deposit(a, 100)
    venue.deposit(b, 100)
    first = leaves_of({a: (60, 40), b: (60, 40)})
    venue.commit(1)
    venue.settle(first)
    second = leaves_of({a: (20, 80), b: (60, 40)})
    venue.commit(2)
    venue.settle(second)
    venue.claim(1, first, a)
    venue.pass_time(14 * DAY_S)
    declared(venue)
    venue.pass_time(DAY_S)
    before = venue.held(a)
    venue.leave(second, a)
    assert venue.held(a) - before == 60
    for interval, leaves in ((1, first), (2, second)):
        with venue.refuses("nothing to pay"):
            venue.claim(interval, leaves, a)
    for leaves in (first, second):
        with venue.refuses("proof" if leaves is first else "nothing to pay"):
            venue.leave(leaves, a)
    venue.leave(second, b)
    assert venue.held() == 0


def test_the_closing_settlement_counts_no_new_deposit_and_needs_a_quorum(
    venue: CustodyContracts,
) -> None:
    a, b = venue.accounts[:2]
    venue.deposit(a, 100)
    venue.commit(1)
    venue.settle(leaves_of({a: (100, 0)}))
    late = venue.deposit(b, 50)
    venue.pass_time(14 * DAY_S)
    declared(venue)
    with venue.refuses("counted"):
        venue.send(venue.close_function(venue.closing_of(leaves_of({a: (101, 0)}))))
    closing = venue.closing_of(leaves_of({a: (100, 0)}))
    with venue.refuses("quorum"):
        venue.send(venue.close_function(closing, venue.signatures(closing, venue.keys[:2])))
    venue.send(venue.close_function(closing))
    assert bytes(venue.settlement.functions.last_settlement().call()) == closing.struct_hash()
    venue.send(venue.vault.functions.take_back(late, b), b)
    assert venue.held() == 100


def test_what_is_here_beyond_all_balances_is_shared_at_the_end(venue: CustodyContracts) -> None:
    a, b = venue.accounts[:2]
    venue.deposit(a, 100)
    venue.deposit(b, 300)
    venue.commit(1)
    leaves = leaves_of({a: (100, 0), b: (298, 0)})
    venue.settle(leaves)
    venue.send(venue.token.functions.mint(venue.vault.address, 78))
    venue.pass_time(14 * DAY_S)
    declared(venue)
    venue.pass_time(DAY_S)
    held = venue.held(a), venue.held(b)
    venue.leave(leaves, a)
    venue.leave(leaves, b)
    assert (venue.held(a) - held[0], venue.held(b) - held[1]) == (120, 358)
    assert venue.held() == 0


def test_before_the_first_settlement_an_end_returns_all_deposits(venue: CustodyContracts) -> None:
    numbers = {account: venue.deposit(account, 10) for account in venue.accounts[:3]}
    venue.commit(1)
    venue.pass_time(14 * DAY_S)
    declared(venue)
    for account, number in numbers.items():
        venue.send(venue.vault.functions.take_back(number, account), account)
    assert venue.held() == 0


def test_a_closing_of_another_declaration_is_worth_nothing(venue: CustodyContracts) -> None:
    """On a fork that died the venue ended at another time, and closed at other prices."""
    a, b = venue.accounts[:2]
    venue.deposit(a, 100)
    venue.commit(1)
    venue.settle(leaves_of({a: (100, 0)}))
    venue.pass_time(14 * DAY_S)
    with venue.as_it_was():
        declared(venue)
        closing = venue.closing_of(leaves_of({a: (50, 0), b: (50, 0)}))
    venue.pass_time(DAY_S)
    declared(venue)
    with venue.refuses("not a keyper"):
        venue.send(venue.close_function(closing))


def order(venue: CustodyContracts, key: bytes, to: str, cumulative: int, fee: int) -> Claim:
    vault, wallet = (Web3.to_bytes(hexstr=HexStr(a)) for a in (venue.vault.address, to))
    return Claim(address_of(key), vault, wallet, cumulative, fee, venue.now() + 100)


def relayed(
    venue: CustodyContracts, leaves: list[SumLeaf], signed: Claim, key: bytes
) -> ContractFunction:
    leaf, proof = proven(leaves, Web3.to_checksum_address(signed.account))
    named = (leaf[0], Web3.to_checksum_address(signed.to), signed.cumulative, signed.fee)
    function: ContractFunction = venue.vault.functions.leave_for(
        (*named, signed.deadline), leaf, proof, sign(signed.digest(venue.domain), key)
    )
    return function


def test_another_sender_brings_an_account_out_by_its_signature(venue: CustodyContracts) -> None:
    key, (payer, to) = b"\x77" * 32, venue.accounts[:2]
    account = Web3.to_checksum_address(address_of(key))
    venue.send(venue.vault.functions.deposit(account, 100), payer)
    leaves = leaves_of({account: (60, 40)})
    venue.commit(1)
    venue.settle(leaves)
    venue.pass_time(14 * DAY_S)
    declared(venue)
    with venue.refuses("exits"):
        venue.send(relayed(venue, leaves, order(venue, key, to, 100, 3), key))
    venue.pass_time(DAY_S)
    before = venue.held(to), venue.held(venue.stranger)
    for reason, signed, signer in (
        ("cumulative", order(venue, key, to, 101, 3), key),
        ("fee", order(venue, key, to, 100, 101), key),
        ("signer", order(venue, key, to, 100, 3), b"\x78" * 32),
    ):
        with venue.refuses(reason):
            venue.send(relayed(venue, leaves, signed, signer))
    venue.send(relayed(venue, leaves, order(venue, key, to, 90, 3), key), venue.stranger)
    venue.send(relayed(venue, leaves, order(venue, key, to, 100, 1), key), venue.stranger)
    assert venue.held(to) - before[0] == 96
    assert venue.held(venue.stranger) - before[1] == 4
    with venue.refuses("nothing to pay"):
        venue.send(relayed(venue, leaves, order(venue, key, to, 100, 1), key))


def test_only_the_account_leaves_for_itself(venue: CustodyContracts) -> None:
    a, b = venue.accounts[:2]
    venue.deposit(a, 100)
    leaves = leaves_of({a: (100, 0)})
    venue.commit(1)
    venue.settle(leaves)
    venue.pass_time(14 * DAY_S)
    declared(venue)
    venue.pass_time(DAY_S)
    with venue.refuses("account"):
        venue.send(venue.leave_function(leaves, a, b), b)
    venue.leave(leaves, a)


def test_another_sender_takes_a_deposit_back_for_an_account_that_signed(
    venue: CustodyContracts,
) -> None:
    key, (payer, to) = b"\x77" * 32, venue.accounts[:2]
    account = Web3.to_checksum_address(address_of(key))
    venue.send(venue.vault.functions.deposit(account, 100), payer)
    venue.send(venue.vault.functions.deposit(payer, 50), payer)
    own, vault = (Web3.to_bytes(hexstr=HexStr(a)) for a in (to, venue.vault.address))
    deadline = venue.now() + 15 * DAY_S
    signed = TakeBack(address_of(key), vault, own, 1, 3, deadline)

    def taken(order: TakeBack, by: bytes = key) -> ContractFunction:
        named = (account, Web3.to_checksum_address(order.to), order.number, order.fee)
        function: ContractFunction = venue.vault.functions.take_back_for(
            (*named, order.deadline), sign(order.digest(venue.domain), by)
        )
        return function

    with venue.refuses("too early"):
        venue.send(taken(signed))
    venue.pass_time(14 * DAY_S)
    declared(venue)
    for reason, order in (
        ("deadline", replace(signed, deadline=venue.now() - 1)),
        ("fee", replace(signed, fee=101)),
        ("account", replace(signed, number=2)),
        ("deposit", replace(signed, number=3)),
    ):
        with venue.refuses(reason):
            venue.send(taken(order))
    signature = sign(signed.digest(venue.domain), key)
    for changed in (
        (account, venue.stranger, 1, 3, deadline),
        (account, to, 2, 3, deadline),
        (account, to, 1, 4, deadline),
        (account, to, 1, 3, deadline + 1),
        (payer, to, 1, 3, deadline),
    ):
        with venue.refuses("signer"):
            venue.send(venue.vault.functions.take_back_for(changed, signature))
    other = replace(signed, vault=b"\x01" * 20)
    with venue.refuses("signer"):
        named = (account, to, 1, 3, deadline)
        forged = sign(other.digest(venue.domain), key)
        venue.send(venue.vault.functions.take_back_for(named, forged))
    before = venue.held(to), venue.held(venue.stranger)
    venue.send(taken(signed), venue.stranger)
    assert (venue.held(to) - before[0], venue.held(venue.stranger) - before[1]) == (97, 3)
    with venue.refuses("deposit"):
        venue.send(taken(signed))
