"""Seats of a vault: who holds one, and how those of accounts that are gone come free."""

from collections.abc import Sequence

import pytest
from web3 import Web3
from web3.contract.contract import ContractFunction

from crypto.signing.ecdsa import address_of, sign
from crypto.signing.sum_tree import SumLeaf
from tests.contracts.test_claims import KEY, order_of, relayed
from tests.support.custody_contracts import RETIRED_ACCOUNT, CustodyContracts, leaves_of, proven

RETIRED = "0x" + RETIRED_ACCOUNT.hex()


@pytest.fixture
def full() -> CustodyContracts:
    """A venue of three seats, all of which are taken; accounts in the order of their addresses."""
    venue = CustodyContracts(accounts_max=3)
    venue.accounts.sort(key=lambda account: int(account, 16))
    venue.fund()
    for account in venue.accounts[:3]:
        venue.deposit(account, 100)
    return venue


def freed(
    venue: CustodyContracts, account: str, leaves: Sequence[SumLeaf], left: str, right: str
) -> ContractFunction:
    neighbours = [*proven(leaves, left), *proven(leaves, right)]
    function: ContractFunction = venue.vault.functions.free_seat(account, *neighbours)
    return function


def settled(venue: CustodyContracts, interval: int, leaves: Sequence[SumLeaf]) -> None:
    venue.commit(interval)
    venue.settle(leaves)


def seated(venue: CustodyContracts) -> int:
    return int(venue.vault.functions.seated().call())


def test_an_account_that_was_paid_under_an_older_root_holds_no_seat_for_ever(
    full: CustodyContracts,
) -> None:
    """Else one deposit, moved through many accounts, would take all seats."""
    a, b, c, d = full.accounts[:4]
    leaves = leaves_of({a: (100, 0), b: (0, 100), c: (100, 0)})
    settled(full, 1, leaves)
    settled(full, 2, leaves)
    full.claim(1, leaves, b)
    assert seated(full) == 3
    with full.refuses("neighbours"):
        full.send(freed(full, b, leaves, b, c))
    pruned = leaves_of({RETIRED: (0, 100), a: (100, 0), c: (100, 0)})
    settled(full, 3, pruned)
    with full.refuses("accounts"):
        full.deposit(d, 1)
    full.send(freed(full, b, pruned, a, c), full.stranger)
    with full.refuses("seat"):
        full.send(freed(full, b, pruned, a, c))
    full.deposit(d, 1)
    with full.refuses("accounts"):
        full.deposit(b, 1)
    full.deposit(a, 1)


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_seat_comes_free_wherever_its_account_would_stand(
    full: CustodyContracts, gone: int
) -> None:
    account = full.accounts[gone]
    rest = [a for a in full.accounts[:3] if a != account]
    leaves = leaves_of(dict.fromkeys(rest, (150, 0)))
    settled(full, 1, leaves)
    left = rest[max(gone - 1, 0)]
    full.send(freed(full, account, leaves, left, rest[1]))
    assert seated(full) == 2
    for other in rest:
        for first in rest:
            with full.refuses("neighbours"):
                full.send(freed(full, other, leaves, first, rest[1]))


def test_leaves_that_are_no_neighbours_free_no_seat(full: CustodyContracts) -> None:
    a, b, c = full.accounts[:3]
    leaves = leaves_of({a: (100, 0), b: (100, 0), c: (100, 0)})
    settled(full, 1, leaves)
    for account, left, right in (
        (a, b, c),
        (a, c, c),
        (b, a, c),
        (b, a, a),
        (b, a, b),
        (b, c, c),
        (c, b, a),
        (c, a, b),
        (c, b, b),
    ):
        with full.refuses("neighbours"):
            full.send(freed(full, account, leaves, left, right))
    with full.refuses("proof"):
        forged = leaves_of({a: (101, 0), b: (100, 0), c: (100, 0)})
        full.send(freed(full, b, forged, a, c))
    assert seated(full) == 3


def test_a_right_neighbour_is_proven_too(full: CustodyContracts) -> None:
    a, b, c = full.accounts[:3]
    leaves = leaves_of({a: (100, 0), b: (100, 0), c: (100, 0)})
    settled(full, 1, leaves)
    other = leaves_of({a: (1, 0), c: (2, 0)})
    left, right = proven(leaves, a), proven(other, c)
    with full.refuses("proof"):
        full.send(full.vault.functions.free_seat(b, *left, *right))


def test_an_account_with_a_deposit_that_is_not_settled_keeps_its_seat(
    full: CustodyContracts,
) -> None:
    a, b, c = full.accounts[:3]
    leaves = leaves_of({a: (100, 0), c: (100, 0)})
    settled(full, 1, leaves)
    full.deposit(b, 5)
    with full.refuses("deposit"):
        full.send(freed(full, b, leaves, a, c))
    full.commit(2)
    with full.refuses("deposit"):
        full.send(freed(full, b, leaves, a, c))
    full.settle(leaves)
    full.send(freed(full, b, leaves, a, c))
    assert seated(full) == 2
    with full.refuses("seat"):
        full.send(freed(full, full.stranger, leaves, a, c))


def test_a_relayed_claim_frees_a_seat_under_the_last_root_only() -> None:
    venue = CustodyContracts(accounts_max=1)
    venue.fund()
    account = Web3.to_checksum_address(address_of(KEY))
    venue.send(venue.vault.functions.deposit(account, 100), venue.accounts[0])
    first, last = leaves_of({account: (0, 40)}), leaves_of({account: (0, 100)})
    settled(venue, 1, first)
    settled(venue, 2, last)
    for interval, leaves, cumulative, seats in ((1, first, 40, 1), (2, last, 100, 0)):
        order = order_of(venue, KEY, venue.stranger, cumulative=cumulative)
        signature = sign(order.digest(venue.domain), KEY)
        venue.send(relayed(venue, leaves, order, signature, interval))
        assert seated(venue) == seats


def test_an_account_that_still_owns_something_keeps_its_seat() -> None:
    venue = CustodyContracts(accounts_max=2)
    venue.fund()
    payer, signer = venue.accounts[0], Web3.to_checksum_address(address_of(KEY))
    venue.deposit(payer, 100)
    venue.send(venue.vault.functions.deposit(signer, 100), payer)
    leaves = leaves_of({payer: (60, 40), signer: (0, 100)})
    settled(venue, 1, leaves)
    venue.claim(1, leaves, payer)
    order = order_of(venue, KEY, payer, cumulative=99)
    signature = sign(order.digest(venue.domain), KEY)
    venue.send(relayed(venue, leaves, order, signature))
    assert seated(venue) == 2


def test_a_seat_comes_free_once() -> None:
    venue = CustodyContracts(accounts_max=2)
    venue.fund()
    a, b = venue.accounts[:2]
    venue.deposit(a, 100)
    venue.deposit(b, 100)
    for interval, claimable in ((1, 60), (2, 100)):
        leaves = leaves_of({a: (0, claimable), b: (100, 0)})
        settled(venue, interval, leaves)
        venue.claim(interval, leaves, a)
        assert seated(venue) == 1
