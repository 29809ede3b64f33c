import pytest
from eth_hash.auto import keccak
from eth_tester.exceptions import TransactionFailed
from web3 import Web3

from crypto.signing.merkle import MerkleProof
from darkpool.chain.artifacts import load_artifact
from darkpool.protocol.results import BalanceLeaf
from darkpool.settlement.leaves import balance_proof
from darkpool.units import AccountId, Cash
from tests.support.venue_contracts import VenueContracts, balances

TIMEOUT_S = 86_400
ABANDONMENT_S = 30 * 86_400
ZERO = "0x" + "00" * 20


def settled(venue: VenueContracts, leaves: list[BalanceLeaf], interval: int = 1) -> None:
    venue.commit(interval)
    venue.settle(interval, leaves)


def reclaimable(venue: VenueContracts, account: str) -> int:
    return int(venue.vault.functions.reclaimable(account).call())


def test_a_vault_needs_contracts_to_work_with(venue: VenueContracts) -> None:
    artifact = load_artifact("CollateralVault")
    for addresses in (
        (venue.stranger, venue.settlement.address),
        (venue.token.address, venue.stranger),
        (ZERO, venue.settlement.address),
    ):
        with venue.refuses("no contract"):
            venue.deploy(artifact.abi, artifact.bytecode, *addresses)


def test_deposits_are_credited_to_their_accounts(venue: VenueContracts) -> None:
    a, b, c = venue.accounts[:3]
    vault = venue.vault.functions
    venue.send(vault.deposit(5), a)
    venue.send(vault.deposit_for(b, 7), a)
    venue.send(vault.deposit_many([b, c, b], [1, 2, 4]), a)
    assert [vault.deposited(account).call() for account in (a, b, c)] == [5, 12, 2]
    assert [reclaimable(venue, account) for account in (a, b, c)] == [5, 12, 2]
    assert venue.held() == vault.reclaimable_total().call() == 19


def test_deposits_that_are_none_are_refused(venue: VenueContracts) -> None:
    a, b = venue.accounts[:2]
    vault = venue.vault.functions
    for reason, function in (
        ("zero amount", vault.deposit(0)),
        ("zero amount", vault.deposit_many([a, b], [1, 0])),
        ("zero address", vault.deposit_for(ZERO, 1)),
        ("zero address", vault.deposit_many([a, ZERO], [1, 1])),
        ("lengths", vault.deposit_many([a, b], [1])),
    ):
        with venue.refuses(reason):
            venue.send(function, a)
    with pytest.raises(TransactionFailed):
        venue.send(vault.deposit(10**13), a)
    with pytest.raises(TransactionFailed):
        venue.send(vault.deposit_many([a, b], [2**256 - 1, 2]), a)
    assert venue.held() == 0


def test_a_balance_is_paid_once(venue: VenueContracts) -> None:
    a, b = venue.accounts[:2]
    venue.send(venue.vault.functions.deposit_many([a, b], [100, 100]))
    leaves = balances({a: 130, b: 70})
    settled(venue, leaves)
    before = venue.held(a)
    venue.take(leaves, a)
    assert venue.held(a) == before + 130
    with venue.refuses("balance"):
        venue.take(leaves, a)
    with venue.refuses("balance"):
        venue.take(leaves, a, 1)
    assert venue.vault.functions.withdrawn(a).call() == 130
    venue.take(leaves, b)
    assert venue.held() == 0


def test_payments_under_one_root_add_up_to_the_balance(venue: VenueContracts) -> None:
    a, b = venue.accounts[:2]
    venue.send(venue.vault.functions.deposit_many([a, b], [100, 100]))
    leaves = balances({a: 100, b: 100})
    settled(venue, leaves)
    venue.take(leaves, a, 30)
    venue.take(leaves, a, 60)
    with venue.refuses("balance"):
        venue.take(leaves, a, 11)
    with venue.refuses("zero amount"):
        venue.take(leaves, a, 0)
    venue.take(leaves, a, 10)


def test_a_stale_root_pays_nothing_and_a_new_one_pays_again(venue: VenueContracts) -> None:
    a, b = venue.accounts[:2]
    venue.send(venue.vault.functions.deposit_many([a, b], [100, 100]))
    old = balances({a: 100, b: 100})
    settled(venue, old)
    venue.take(old, a, 40)
    new = balances({a: 50, b: 110})
    settled(venue, new, 2)
    for account in (a, b):
        with venue.refuses("proof"):
            venue.take(old, account)
    venue.take(new, a)
    venue.take(new, b)
    assert venue.held() == 0


def test_a_leaf_pays_its_own_account_only(venue: VenueContracts) -> None:
    a, b, c = venue.accounts[:3]
    venue.send(venue.vault.functions.deposit_many([a, b, c], [100, 100, 100]))
    leaves = balances({a: 100, b: 100, c: 100})
    settled(venue, leaves)
    leaf, proof = balance_proof(leaves, a)
    with venue.refuses("proof"):
        venue.send(venue.withdraw(leaf, proof), b)


def test_changed_leaves_and_proofs_are_refused(venue: VenueContracts) -> None:
    a, b, c = venue.accounts[:3]
    venue.send(venue.vault.functions.deposit_many([a, b, c], [100, 100, 100]))
    leaves = balances({a: 100, b: 100, c: 100}, {a: 0})
    settled(venue, leaves)
    leaf, proof = balance_proof(leaves, a)
    longer = (*proof.siblings, bytes(32))
    other = BalanceLeaf
    for reason, forged, at in (
        ("proof", other(leaf.account, leaf.withdrawable, leaf.withdrawable, bytes(32)), proof),
        ("proof", other(leaf.account, leaf.withdrawable, leaf.encumbered, b"\1" * 32), proof),
        ("proof", other(leaf.account, leaf.encumbered, leaf.withdrawable, bytes(32)), proof),
        ("proof", leaf, MerkleProof((proof.index + 1) % 3, 3, proof.siblings)),
        ("proof", leaf, MerkleProof(proof.index, 4, proof.siblings)),
        ("leaf index", leaf, MerkleProof(3, 3, proof.siblings)),
        ("leaf index", leaf, MerkleProof(0, 0, ())),
        ("proof length", leaf, MerkleProof(proof.index, 3, proof.siblings[:1])),
        ("proof length", leaf, MerkleProof(proof.index, 3, longer)),
        ("proof length", leaf, MerkleProof(0, 1, proof.siblings[:1])),
        ("proof length", leaf, MerkleProof(0, 2**255, proof.siblings)),
    ):
        with venue.refuses(reason):
            venue.send(venue.withdraw(forged, at, 1), a)
    venue.take(leaves, a)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9])
def test_roots_of_every_shape_are_those_of_the_engine(venue: VenueContracts, count: int) -> None:
    a = venue.accounts[0]
    others = [f"0x{index + 1:040x}" for index in range(count // 2)]
    later = [f"0xff{index:038x}" for index in range(count - 1 - count // 2)]
    venue.send(venue.vault.functions.deposit(count), a)
    leaves = balances(dict.fromkeys([*others, a, *later], 1))
    settled(venue, leaves)
    venue.take(leaves, a)


def test_an_inner_node_passed_as_a_leaf_is_refused(venue: VenueContracts) -> None:
    a, *others = venue.accounts[:4]
    venue.send(venue.vault.functions.deposit(10**6), a)
    leaves = balances(dict.fromkeys([a, *others], 1))
    settled(venue, leaves)
    leaf, proof = balance_proof(leaves, a)
    pair = sorted(keccak(b"\0" + other.encode()) for other in leaves[:2])
    node = BalanceLeaf(
        a, Cash(int.from_bytes(pair[0], "big")), Cash(int.from_bytes(pair[1], "big")), bytes(32)
    )
    for forged in (leaf, node):
        for index, count in ((0, 2), (1, 2), (proof.index, 4)):
            function = venue.withdraw(forged, MerkleProof(index, count, proof.siblings[1:]), 1)
            with pytest.raises(TransactionFailed, match=r"reverted: proof"):
                venue.send(function, a)
    venue.take(leaves, a)


def test_nothing_is_paid_while_a_batch_is_open(venue: VenueContracts) -> None:
    a, b = venue.accounts[:2]
    venue.send(venue.vault.functions.deposit_many([a, b], [100, 100]))
    leaves = balances({a: 100, b: 100})
    settled(venue, leaves)
    venue.send(venue.vault.functions.deposit(5), a)
    venue.commit(2)
    with venue.refuses("paused"):
        venue.take(leaves, a)
    with venue.refuses("paused"):
        venue.send(venue.vault.functions.reclaim(), a)
    venue.pass_time(TIMEOUT_S)
    venue.take(leaves, a)
    venue.send(venue.vault.functions.reclaim(), a)
    assert venue.held() == 100


def test_before_the_first_root_a_deposit_is_taken_back(venue: VenueContracts) -> None:
    a, b = venue.accounts[:2]
    venue.send(venue.vault.functions.deposit_many([a, b], [100, 50]))
    venue.send(venue.vault.functions.reclaim(), a)
    with venue.refuses("zero amount"):
        venue.send(venue.vault.functions.reclaim(), a)
    assert venue.held() == reclaimable(venue, b) == 50
    with venue.refuses("no root"):
        venue.send(
            venue.withdraw(BalanceLeaf(b, Cash(50), Cash(0), bytes(32)), MerkleProof(0, 1, ())), b
        )


def test_a_deposit_turns_from_reclaimable_to_settled(venue: VenueContracts) -> None:
    a = venue.accounts[0]
    vault = venue.vault.functions
    venue.send(vault.deposit(100), a)
    venue.commit(3)
    venue.send(vault.deposit(20), a)
    assert reclaimable(venue, a) == 120
    first = balances({a: 100})
    venue.settle(3, first)
    assert reclaimable(venue, a) == 20
    venue.send(vault.deposit(3), a)
    venue.commit(4)
    venue.pass_time(TIMEOUT_S)
    venue.send(venue.settlement.functions.void(4))
    assert reclaimable(venue, a) == 23
    venue.commit(9)
    venue.send(vault.deposit(4), a)
    venue.settle(9, balances({a: 123}))
    assert reclaimable(venue, a) == 4
    venue.send(vault.reclaim(), a)
    venue.take(balances({a: 123}), a)
    assert venue.held() == 0


def test_a_root_that_claims_too_much_does_not_touch_later_deposits(venue: VenueContracts) -> None:
    a, b = venue.accounts[:2]
    venue.send(venue.vault.functions.deposit(100), a)
    leaves = balances({a: 1000})
    settled(venue, leaves)
    venue.send(venue.vault.functions.deposit(500), b)
    with venue.refuses("unsettled"):
        venue.take(leaves, a, 101)
    venue.take(leaves, a, 100)
    venue.send(venue.vault.functions.reclaim(), b)


@pytest.mark.parametrize("ending", ["abandoned", "equivocation"])
def test_everyone_leaves_whole_when_settlement_has_ended(
    venue: VenueContracts, ending: str
) -> None:
    a, b = venue.accounts[:2]
    vault = venue.vault.functions
    venue.send(vault.deposit_many([a, b], [100, 100]))
    leaves = balances({a: 60, b: 90}, {a: 40, b: 10})
    settled(venue, leaves)
    venue.send(vault.deposit(7), b)
    venue.commit(2)
    venue.send(vault.deposit(8), b)
    if ending == "abandoned":
        venue.pass_time(ABANDONMENT_S)
        venue.send(venue.settlement.functions.declare_abandoned(), venue.stranger)
    else:
        pair = [
            (root, 1, venue.batch_signatures(3, root, 1, venue.keys[:1])[0])
            for root in (b"\1" * 32, b"\2" * 32)
        ]
        venue.send(venue.settlement.functions.report_equivocation(3, *pair), venue.stranger)
    with venue.refuses("halted"):
        venue.send(vault.deposit(1), a)
    venue.take(leaves, a, 100)
    venue.take(leaves, b, 90)
    venue.take(leaves, b, 10)
    with venue.refuses("balance"):
        venue.take(leaves, b, 1)
    venue.send(vault.reclaim(), b)
    assert venue.held() == 0


def test_margin_of_open_positions_stays_while_settlement_goes_on(venue: VenueContracts) -> None:
    a = venue.accounts[0]
    venue.send(venue.vault.functions.deposit(100), a)
    leaves = balances({a: 60}, {a: 40})
    settled(venue, leaves)
    with venue.refuses("balance"):
        venue.take(leaves, a, 61)
    venue.take(leaves, a, 60)


def test_tokens_that_nobody_deposited_are_nobodys(venue: VenueContracts) -> None:
    a = venue.accounts[0]
    venue.send(venue.vault.functions.deposit(100), a)
    venue.send(venue.token.functions.mint(venue.vault.address, 55))
    assert reclaimable(venue, a) == 100
    leaves = balances({a: 100})
    settled(venue, leaves)
    with venue.refuses("balance"):
        venue.take(leaves, a, 101)
    venue.take(leaves, a)
    assert venue.held() == 55


def test_two_hundred_deposits_fit_one_transaction_and_more_are_refused(
    venue: VenueContracts,
) -> None:
    accounts = [Web3.to_checksum_address(f"0x{index:040x}") for index in range(1, 201)]
    gas_max = 1 << 24  # of a transaction, by EIP-7825
    deposit_many = venue.vault.functions.deposit_many
    venue.send(deposit_many(accounts, [10**6] * 200), gas=gas_max)
    assert venue.held() == 200 * 10**6
    with pytest.raises(TransactionFailed):
        venue.send(deposit_many([*accounts, accounts[0]], [1] * 201), gas=gas_max)
    assert venue.held() == 200 * 10**6


class TestHostileTokens:
    def test_a_token_that_keeps_a_fee_is_refused(self, hostile_venue: VenueContracts) -> None:
        venue = hostile_venue
        a = venue.accounts[0]
        venue.send(venue.token.functions.keep(1))
        vault = venue.vault.functions
        for function in (
            vault.deposit(10),
            vault.deposit_for(a, 10),
            vault.deposit_many([a], [10]),
        ):
            with venue.refuses("amount received"):
                venue.send(function, a)
        assert vault.deposited(a).call() == 0

    def test_a_token_that_answers_false_is_refused(self, hostile_venue: VenueContracts) -> None:
        venue = hostile_venue
        a = venue.accounts[0]
        venue.send(venue.vault.functions.deposit(10), a)
        venue.send(venue.token.functions.answer_with(False))
        with venue.refuses("transfer"):
            venue.send(venue.vault.functions.deposit(10), a)
        with venue.refuses("transfer"):
            venue.send(venue.vault.functions.reclaim(), a)
        assert venue.vault.functions.withdrawn(a).call() == 0
        assert reclaimable(venue, a) == 10

    def test_a_token_that_pays_out_less_leaves_no_account_another_share(
        self, hostile_venue: VenueContracts
    ) -> None:
        venue = hostile_venue
        a, b = venue.accounts[:2]
        venue.send(venue.vault.functions.deposit(100), a)
        leaves = balances({a: 100})
        settled(venue, leaves)
        venue.send(venue.vault.functions.deposit(50), b)
        # the token takes from the vault's balance what it owes to later deposits
        venue.send(venue.token.functions.rebase(venue.vault.address, 60))
        with venue.refuses("unsettled"):
            venue.take(leaves, a, 11)
        venue.take(leaves, a, 10)
        venue.send(venue.vault.functions.reclaim(), b)

    @pytest.mark.parametrize("inner", ["withdraw", "reclaim", "deposit_for", "reclaimable"])
    @pytest.mark.parametrize("outer", ["withdraw", "reclaim", "deposit_for"])
    def test_a_token_cannot_call_back_into_the_vault(
        self, hostile_venue: VenueContracts, outer: str, inner: str
    ) -> None:
        venue = hostile_venue
        token, vault = venue.token.address, venue.vault
        a = venue.accounts[0]
        venue.send(vault.functions.deposit_many([a, token], [1000, 100]))
        leaves = balances({a: 1000, token: 100})
        settled(venue, leaves)
        venue.send(vault.functions.deposit_for(token, 50))
        venue.send(venue.token.functions.mint(token, 1000))
        leaf, proof = balance_proof(leaves, AccountId(token))
        calls = {
            "withdraw": venue.withdraw(leaf, proof, 60),
            "reclaim": vault.functions.reclaim(),
            "deposit_for": vault.functions.deposit_for(token, 50),
            "reclaimable": vault.functions.reclaimable(token),
        }
        payload = vault.encode_abi(inner, list(calls[inner].args))
        venue.send(venue.token.functions.arm(vault.address, payload))
        before = venue.held()
        venue.send(
            venue.token.functions.act(
                vault.address, vault.encode_abi(outer, list(calls[outer].args))
            )
        )
        assert venue.token.functions.called_back().call()
        assert not venue.token.functions.call_back_succeeded().call()
        moved = {"withdraw": -60, "reclaim": -50, "deposit_for": 50}[outer]
        assert venue.held() == before + moved
        owed = (
            1100 + vault.functions.reclaimable_total().call() - (60 if outer == "withdraw" else 0)
        )
        assert venue.held() == owed
