"""What was granted is paid, whatever is open, once, to whom its account names."""

from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account
from eth_typing import HexStr
from web3 import Web3
from web3.contract.contract import ContractFunction

from crypto.signing.ecdsa import address_of, sign
from crypto.signing.settling import Claim
from crypto.signing.sum_tree import SumLeaf, SumTree, verify_sum_proof
from tests.support.custody_contracts import CustodyContracts, leaves_of, proven

HOUR_S = 3_600
KEY = b"\x77" * 32


def settled(venue: CustodyContracts, leaves: list[SumLeaf], interval: int = 1) -> None:
    venue.commit(interval)
    venue.settle(leaves)


def test_a_claim_is_paid_once_and_to_whom_the_account_names(venue: CustodyContracts) -> None:
    a, b = venue.accounts[:2]
    venue.deposit(a, 100)
    leaves = leaves_of({a: (60, 40)})
    settled(venue, leaves)
    before = venue.held(b)
    venue.claim(1, leaves, a, b)
    assert venue.held(b) - before == 40
    assert venue.vault.functions.paid_to(a).call() == 40
    with venue.refuses("nothing to pay"):
        venue.claim(1, leaves, a)


def test_claims_go_on_while_batches_are_open_and_void(venue: CustodyContracts) -> None:
    a, b, c = venue.accounts[:3]
    for account in (a, b, c):
        venue.deposit(account, 100)
    leaves = leaves_of({a: (50, 50), b: (50, 50), c: (50, 50)})
    settled(venue, leaves)
    venue.commit(2)
    venue.claim(1, leaves, a)
    venue.pass_time(HOUR_S)
    venue.claim(1, leaves, b)
    venue.send(venue.settlement.functions.void(2))
    venue.claim(1, leaves, c)


def test_an_old_root_pays_what_was_claimable_under_it_and_not_again(
    venue: CustodyContracts,
) -> None:
    a, b = venue.accounts[:2]
    venue.deposit(a, 100)
    venue.deposit(b, 100)
    first = leaves_of({a: (90, 10), b: (100, 0)})
    settled(venue, first)
    second = leaves_of({a: (65, 35), b: (100, 0)})
    settled(venue, second, 2)
    third = leaves_of({a: (65, 35), b: (0, 100)})
    settled(venue, third, 9)
    venue.claim(1, first, a)
    venue.claim(9, third, a)
    assert venue.vault.functions.paid_to(a).call() == 35
    for interval, leaves in ((1, first), (2, second), (9, third)):
        with venue.refuses("nothing to pay"):
            venue.claim(interval, leaves, a)
    with venue.refuses("no root"):
        venue.claim(3, third, a)


def test_an_exit_value_is_not_paid_while_the_venue_runs(venue: CustodyContracts) -> None:
    a = venue.accounts[0]
    venue.deposit(a, 100)
    leaves = leaves_of({a: (100, 0)})
    settled(venue, leaves)
    with venue.refuses("nothing to pay"):
        venue.claim(1, leaves, a)


def test_only_the_account_claims_for_itself(venue: CustodyContracts) -> None:
    a, b = venue.accounts[:2]
    venue.deposit(a, 100)
    leaves = leaves_of({a: (0, 100)})
    settled(venue, leaves)
    with venue.refuses("account"):
        venue.send(venue.claim_function(1, leaves, a, b), b)
    with venue.refuses("zero address"):
        venue.claim(1, leaves, a, "0x" + "00" * 20)


def test_changed_leaves_and_proofs_are_refused(venue: CustodyContracts) -> None:
    a, b, c = venue.accounts[:3]
    for account in (a, b, c):
        venue.deposit(account, 100)
    leaves = leaves_of({a: (60, 40), b: (60, 40), c: (60, 40)})
    settled(venue, leaves)
    leaf, (index, count, siblings, sums) = proven(leaves, a)
    claim = venue.vault.functions.claim
    longer, more = [*siblings, bytes(32)], [*sums, 0]
    for reason, forged, proof in (
        ("proof", (a, 60, 41), (index, count, siblings, sums)),
        ("proof", (a, 40, 60), (index, count, siblings, sums)),
        ("proof", (a, 59, 41), (index, count, siblings, sums)),
        ("proof", leaf, ((index + 1) % 3, count, siblings, sums)),
        ("proof", leaf, (index, 4, siblings, sums)),
        ("proof", leaf, (index, count, siblings, [sums[0] + 1, sums[1]])),
        ("proof", leaf, (index, count, siblings, [sums[0], sums[1] - 1])),
        ("sum", leaf, (index, count, siblings, [2**256 - 1, sums[1]])),
        ("sum", leaf, (index, count, siblings, [2**128 - 1, sums[1]])),
        ("sum", leaf, (index, count, siblings, [(2**128 - 1) << 128, sums[1]])),
        ("leaf index", leaf, (3, 3, siblings, sums)),
        ("leaf index", leaf, (0, 0, [], [])),
        ("proof length", leaf, (index, 3, siblings[:1], sums[:1])),
        ("proof length", leaf, (index, 3, siblings, sums[:1])),
        ("proof length", leaf, (index, 3, siblings, more)),
        ("proof length", leaf, (index, 3, longer, more)),
        ("proof length", leaf, (0, 1, siblings[:1], sums[:1])),
        ("proof length", leaf, (0, 2**255, siblings, sums)),
    ):
        with venue.refuses(reason):
            venue.send(claim(1, forged, proof, a), a)
    venue.claim(1, leaves, a)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9])
def test_roots_of_every_shape_are_those_of_the_library(venue: CustodyContracts, count: int) -> None:
    a = venue.accounts[0]
    others = [f"0x{index + 2**20:040x}" for index in range(count // 2)]
    later = [f"0xff{index:038x}" for index in range(count - 1 - count // 2)]
    venue.deposit(a, 3 * count)
    leaves = leaves_of(dict.fromkeys([*others, a, *later], (1, 2)))
    settled(venue, leaves)
    venue.claim(1, leaves, a)
    tree = SumTree(leaves)
    for place, leaf in enumerate(leaves):
        verify_sum_proof(tree.root, leaf, tree.proof(place))


def test_an_inner_node_passed_as_a_leaf_is_refused(venue: CustodyContracts) -> None:
    a, *others = venue.accounts[:4]
    venue.deposit(a, 10**6)
    leaves = leaves_of(dict.fromkeys([a, *others], (1, 1)))
    settled(venue, leaves)
    _, (index, _, siblings, sums) = proven(leaves, a)
    for leaf in ((a, 2, 2), (a, 1, 1)):
        for place, count in ((0, 2), (1, 2), (index, 4)):
            function = venue.vault.functions.claim(
                1, leaf, (place, count, siblings[1:], sums[1:]), a
            )
            with venue.refuses("proof" if count == 2 else "proof length"):
                venue.send(function, a)


def test_claims_together_never_exceed_their_sum_under_the_last_root(
    venue: CustodyContracts,
) -> None:
    """A corrupt quorum signs leaves of one account again and again; the sums stop it."""
    a, b = venue.accounts[:2]
    venue.deposit(a, 100)
    venue.deposit(b, 100)
    first = leaves_of({a: (0, 100), b: (100, 0)})
    settled(venue, first)
    venue.claim(1, first, a)
    second = leaves_of({a: (100, 0), b: (0, 100)})
    settled(venue, second, 2)
    with venue.refuses("total"):
        venue.claim(2, second, b)
    assert venue.held() == 100


def relayed(
    venue: CustodyContracts,
    leaves: list[SumLeaf],
    order: Claim,
    signature: bytes,
    interval: int = 1,
) -> ContractFunction:
    leaf, proof = proven(leaves, Web3.to_checksum_address(order.account))
    named = (leaf[0], Web3.to_checksum_address(order.to), order.cumulative, order.fee)
    function: ContractFunction = venue.vault.functions.claim_for(
        (*named, order.deadline), interval, leaf, proof, signature
    )
    return function


def order_of(venue: CustodyContracts, key: bytes, to: str, **changes: Any) -> Claim:
    account = address_of(key)
    vault, wallet = (Web3.to_bytes(hexstr=HexStr(a)) for a in (venue.vault.address, to))
    order = Claim(account, vault, wallet, 40, 3, venue.now() + 1000)
    return replace(order, **changes)


def test_another_sender_claims_by_the_accounts_signature_and_gets_the_fee(
    venue: CustodyContracts,
) -> None:
    payer, to = venue.accounts[:2]
    account = Account.from_key(KEY).address
    venue.send(venue.vault.functions.deposit(account, 100), payer)
    first = leaves_of({account: (50, 50)})
    settled(venue, first)
    order = order_of(venue, KEY, to)
    signature = sign(order.digest(venue.domain), KEY)
    before = venue.held(to), venue.held(venue.stranger)
    for changed in (
        replace(order, to=Web3.to_bytes(hexstr=HexStr(venue.stranger))),
        replace(order, cumulative=41),
        replace(order, fee=4),
        replace(order, deadline=2**60),
    ):
        with venue.refuses("signer"):
            venue.send(relayed(venue, first, changed, signature))
    venue.send(relayed(venue, first, order, signature), venue.stranger)
    assert (venue.held(to) - before[0], venue.held(venue.stranger) - before[1]) == (37, 3)
    second = leaves_of({account: (0, 100)})
    settled(venue, second, 2)
    for interval, leaves in ((1, first), (2, second)):
        with venue.refuses("nothing to pay"):
            venue.send(relayed(venue, leaves, order, signature, interval))


def test_a_relayed_claim_pays_its_fee_once_whatever_grants_there_were(
    venue: CustodyContracts,
) -> None:
    """A sender that splits a claim along older roots would take the fee from each part."""
    payer, to = venue.accounts[:2]
    account = Account.from_key(KEY).address
    venue.send(venue.vault.functions.deposit(account, 100), payer)
    grants = {
        interval: leaves_of({account: (100 - 10 * interval, 10 * interval)})
        for interval in range(1, 5)
    }
    for interval, leaves in grants.items():
        settled(venue, leaves, interval)
    order = order_of(venue, KEY, to, cumulative=40, fee=9)
    signature = sign(order.digest(venue.domain), KEY)
    for interval in range(1, 4):
        with venue.refuses("cumulative"):
            venue.send(relayed(venue, grants[interval], order, signature, interval))
    before = venue.held(to)
    venue.send(relayed(venue, grants[4], order, signature, 4), venue.stranger)
    assert venue.held(to) - before == 31
    with venue.refuses("nothing to pay"):
        venue.send(relayed(venue, grants[4], order, signature, 4))


def test_relayed_claims_that_are_none_are_refused(venue: CustodyContracts) -> None:
    payer, to = venue.accounts[:2]
    account = Account.from_key(KEY).address
    venue.send(venue.vault.functions.deposit(account, 100), payer)
    leaves = leaves_of({account: (50, 50)})
    settled(venue, leaves)
    for reason, changes, key in (
        ("signer", {}, b"\x78" * 32),
        ("deadline", {"deadline": 1}, KEY),
        ("fee", {"fee": 41}, KEY),
        ("signer", {"vault": b"\x01" * 20}, KEY),
    ):
        order = order_of(venue, KEY, to, **changes)
        with venue.refuses(reason):
            venue.send(relayed(venue, leaves, order, sign(order.digest(venue.domain), key)))
    order = order_of(venue, KEY, to)
    with venue.refuses("signature length"):
        venue.send(relayed(venue, leaves, order, b"\x01" * 64))


def test_a_contract_account_claims_by_what_its_own_code_accepts(
    venue: CustodyContracts, wallet_code: tuple[list[dict[str, Any]], bytes]
) -> None:
    payer, to = venue.accounts[:2]
    wallet = venue.deploy(*wallet_code, Account.from_key(KEY).address)
    venue.send(venue.vault.functions.deposit(wallet.address, 100), payer)
    leaves = leaves_of({wallet.address: (50, 50)})
    settled(venue, leaves)
    account = Web3.to_bytes(hexstr=wallet.address)
    order = order_of(venue, KEY, to, account=account, fee=0, cumulative=50)
    digest = order.digest(venue.domain)
    with venue.refuses("signer"):
        venue.send(relayed(venue, leaves, order, sign(digest, b"\x78" * 32)))
    before = venue.held(to)
    venue.send(relayed(venue, leaves, order, sign(digest, KEY)))
    assert venue.held(to) - before == 50
