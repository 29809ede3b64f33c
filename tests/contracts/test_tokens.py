"""Tokens that misbehave: refused, or borne by all alike; never a way to take another's money."""

import pytest
from eth_tester.exceptions import TransactionFailed

from tests.support.custody_contracts import (
    DAY_S,
    Code,
    CustodyContracts,
    leaves_of,
    proven,
    shipped,
)

Venue = CustodyContracts


def test_a_token_that_keeps_a_fee_at_a_deposit_is_refused(hostile_venue: Venue) -> None:
    a = hostile_venue.accounts[0]
    hostile_venue.send(hostile_venue.token.functions.keep(1))
    with hostile_venue.refuses("amount received"):
        hostile_venue.deposit(a, 100)
    assert hostile_venue.standing()["flows"] == 0


def test_a_token_that_answers_false_moves_nothing(hostile_venue: Venue) -> None:
    a = hostile_venue.accounts[0]
    hostile_venue.deposit(a, 100)
    hostile_venue.commit(1)
    leaves = leaves_of({a: (0, 100)})
    hostile_venue.settle(leaves)
    hostile_venue.send(hostile_venue.token.functions.answer_with(False))
    with hostile_venue.refuses("transfer"):
        hostile_venue.deposit(a, 100)
    with hostile_venue.refuses("transfer"):
        hostile_venue.claim(1, leaves, a)
    assert hostile_venue.vault.functions.paid_to(a).call() == 0
    hostile_venue.send(hostile_venue.token.functions.answer_with(True))
    hostile_venue.claim(1, leaves, a)


@pytest.mark.parametrize("entry", ["claim", "take_back", "deposit", "settle", "total"])
def test_a_token_that_calls_back_gets_nothing_twice(hostile_venue: Venue, entry: str) -> None:
    """The token is an account of the vault itself, and calls in the middle of its payment."""
    venue, attacker = hostile_venue, hostile_venue.token
    b = venue.accounts[0]
    venue.send(venue.vault.functions.deposit(attacker.address, 100), b)
    venue.deposit(b, 100)
    venue.commit(1)
    leaves = leaves_of({attacker.address: (0, 100), b: (100, 0)})
    venue.settle(leaves)
    venue.send(venue.vault.functions.deposit(attacker.address, 7), b)
    late = venue.standing()["flows"]
    leaf, proof = proven(leaves, attacker.address)
    claim = ("claim", [1, leaf, proof, attacker.address])
    inner = {
        "claim": claim,
        "take_back": ("take_back", [late, attacker.address]),
        "deposit": ("deposit", [attacker.address, 1]),
        "settle": ("settle", [2, b"\x01" * 32, 0, 0, 0]),
        "total": ("totals", []),
    }[entry]
    calls = [venue.vault.encode_abi(*call) for call in (inner, claim)]
    venue.send(attacker.functions.arm(venue.vault.address, calls[0]))
    venue.send(attacker.functions.act(venue.vault.address, calls[1]))
    assert attacker.functions.called_back().call()
    assert not attacker.functions.call_back_succeeded().call()
    assert venue.held() == 107


def test_a_token_that_lost_balances_is_shared_by_all_alike(hostile_venue: Venue) -> None:
    venue = hostile_venue
    a, b, c = venue.accounts[:3]
    venue.deposit(a, 100)
    venue.deposit(b, 300)
    venue.commit(1)
    leaves = leaves_of({a: (60, 40), b: (300, 0)})
    venue.settle(leaves)
    late = venue.deposit(c, 50)
    venue.send(venue.token.functions.rebase(venue.vault.address, 250))
    held = {account: venue.held(account) for account in (a, b, c)}
    venue.claim(1, leaves, a)
    venue.pass_time(14 * DAY_S)
    venue.send(venue.settlement.functions.declare())
    venue.send(venue.vault.functions.take_back(late, c), c)
    venue.pass_time(DAY_S)
    venue.leave(leaves, b)
    venue.leave(leaves, a)
    gained = {account: venue.held(account) - held[account] for account in (a, b, c)}
    assert gained == {a: 50, b: 150, c: 50}
    assert venue.held() == 0


def test_a_claim_takes_no_part_of_what_is_here_beyond_all_balances(venue: Venue) -> None:
    a, b = venue.accounts[:2]
    venue.deposit(a, 100)
    venue.deposit(b, 100)
    venue.commit(1)
    leaves = leaves_of({a: (0, 50), b: (100, 0)})
    venue.settle(leaves)
    venue.send(venue.token.functions.mint(venue.vault.address, 1000))
    before = venue.held(a)
    venue.claim(1, leaves, a)
    assert venue.held(a) - before == 50


def test_a_token_that_lost_even_late_deposits_shares_what_is_left_of_them(
    hostile_venue: Venue,
) -> None:
    venue = hostile_venue
    a, b = venue.accounts[:2]
    numbers = [venue.deposit(a, 100), venue.deposit(b, 300)]
    venue.send(venue.token.functions.rebase(venue.vault.address, 200))
    venue.pass_time(14 * DAY_S)
    venue.send(venue.settlement.functions.declare())
    held = venue.held(a), venue.held(b)
    for number, account in zip(numbers, (a, b), strict=True):
        venue.send(venue.vault.functions.take_back(number, account), account)
    assert (venue.held(a) - held[0], venue.held(b) - held[1]) == (50, 150)


def test_a_blocked_account_names_another_recipient(blocking_code: Code) -> None:
    venue = CustodyContracts([blocking_code])
    venue.fund()
    a, b = venue.accounts[:2]
    venue.deposit(a, 100)
    venue.commit(1)
    leaves = leaves_of({a: (0, 100)})
    venue.settle(leaves)
    venue.send(venue.token.functions.block(a))
    with pytest.raises(TransactionFailed):
        venue.claim(1, leaves, a)
    before = venue.held(b)
    venue.claim(1, leaves, a, b)
    assert venue.held(b) - before == 100


def test_a_token_without_an_answer_is_paid_like_any_other(silent_code: Code) -> None:
    venue = CustodyContracts([silent_code])
    venue.fund()
    a = venue.accounts[0]
    venue.deposit(a, 10**18)
    venue.commit(1)
    leaves = leaves_of({a: (0, 10**18)})
    venue.settle(leaves)
    venue.claim(1, leaves, a)
    assert venue.held() == 0


def test_several_vaults_share_one_chain_of_flows_and_one_settlement(silent_code: Code) -> None:
    venue = CustodyContracts([shipped("TestToken"), silent_code])
    venue.fund()
    a, b = venue.accounts[:2]
    venue.deposit(a, 100)
    assert venue.deposit(b, 10**18, vault=1) == 2
    venue.commit(1)
    cash, other = leaves_of({a: (100, 0)}), leaves_of({a: (0, 4 * 10**17), b: (6 * 10**17, 0)})
    with venue.refuses("counted"):
        venue.settle(other, cash)
    swapped = venue.settlement_of([cash, other])
    swapped = venue.settlement_of([cash, other], trees=swapped.trees[::-1])
    with venue.refuses("trees"):
        venue.send(venue.settle_function(swapped))
    venue.settle(cash, other)
    venue.send(venue.claim_function(1, other, a, vault=1), a)
    assert venue.totals(1)[3] == 4 * 10**17


def test_a_second_contract_that_moves_the_collateral_is_not_rescued(
    hostile_venue: Venue, hostile_token: Code
) -> None:
    venue = hostile_venue
    venue.deposit(venue.accounts[0], 100)
    second = venue.deploy(*hostile_token)
    moved = venue.token.encode_abi("rebase", [venue.vault.address, 0])
    venue.send(second.functions.arm(venue.token.address, moved))
    with venue.refuses("collateral"):
        venue.send(venue.vault.functions.rescue(second.address))
    assert venue.held() == 100


def test_a_strange_token_that_answers_false_is_not_said_to_be_rescued(
    hostile_venue: Venue, hostile_token: Code
) -> None:
    second = hostile_venue.deploy(*hostile_token)
    hostile_venue.send(second.functions.answer_with(False))
    with hostile_venue.refuses("transfer"):
        hostile_venue.send(hostile_venue.vault.functions.rescue(second.address))
