from dataclasses import replace

import pytest
from web3.types import RPCEndpoint

from crypto.signing.ecdsa import sign
from darkpool.chain.client import Chain
from darkpool.chain.errors import (
    ChainUnavailable,
    NotDeployed,
    NotFinalInTime,
    TransactionLost,
    TransactionRefused,
    TransactionReverted,
    WrongDeployment,
)
from darkpool.chain.evidence import AccountFlow, Collateral, SignedBatchRoot, TransactionReceiptInfo
from darkpool.protocol.results import BalanceLeaf
from darkpool.settlement.leaves import balance_proof, balances_root, results_root
from darkpool.units import AccountId, Cash, Interval, account_id
from tests.support.signing_committee import SigningCommittee, account_of, balance

TRADER_KEY = b"\x77" * 32
# the second of the accounts that anvil gives money to, as its documentation says
ANVIL_KEY = bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d")
ETHER = 10**18
OTHERS = [account_id(f"0x{number:040x}") for number in range(1, 301)]
NOWHERE = account_id("0x" + "99" * 20)


@pytest.fixture
def chain(committee: SigningCommittee) -> Chain:
    chain = Chain.embedded()
    chain.deploy(committee.addresses)
    return chain


def whole_auction(chain: Chain, committee: SigningCommittee, trader: AccountId) -> None:
    """Deposits, a batch, its settlement and a withdrawal, and what can be read back of them."""
    chain.fund_gas(trader, ETHER)
    chain.fund_and_deposit({trader: 1000, **dict.fromkeys(OTHERS, 10)})
    assert chain.collateral(trader) == Collateral(Cash(1000), Cash(0), Cash(1000))
    assert chain.collateral(OTHERS[-1]) == Collateral(Cash(10), Cash(0), Cash(10))
    assert chain.vault_terms().paying
    committee.commit(chain, 4)
    assert not chain.vault_terms().paying
    chain.fund_and_deposit({trader: 5})
    leaves = [balance(trader, 1100), *(balance(other, 9) for other in OTHERS)]
    leaves[-1] = balance(OTHERS[-1], 9 + 200)
    leaf, proof = balance_proof(leaves, trader)
    with pytest.raises(TransactionReverted, match="paused") as refused:
        chain.withdraw(TRADER_KEY, 1100, leaf, proof)
    assert (refused.value.function, refused.value.reason) == ("withdraw", "paused")
    committee.settle(chain, 4, leaves)
    assert chain.vault_terms().balances_root == balances_root(leaves)
    assert chain.collateral(trader).reclaimable == 5
    paid = chain.withdraw(TRADER_KEY, 1100, leaf, proof)
    chain.wait_final(paid, 1)
    with pytest.raises(TransactionReverted, match="balance"):
        chain.withdraw(TRADER_KEY, 1, leaf, proof)
    chain.reclaim(TRADER_KEY)
    assert chain.collateral(trader) == Collateral(Cash(1005), Cash(1105), Cash(0))
    check_evidence(chain, committee, leaves)
    before, after = chain.flows_before(Interval(4)), chain.flows_before(Interval(5))
    assert len(before) == len(after) == len(OTHERS) + 1
    assert before[trader] == AccountFlow(Cash(1000), Cash(0))
    assert after[trader] == AccountFlow(Cash(1005), Cash(1105))


def check_evidence(chain: Chain, committee: SigningCommittee, leaves: list[BalanceLeaf]) -> None:
    evidence = chain.evidence(Interval(4))
    assert evidence.batch is not None
    assert evidence.settlement is not None
    assert (evidence.batch.root, evidence.batch.count) == (committee.batch, 9)
    assert evidence.batch.signers == (1, 2, 3)
    assert evidence.settlement.signers == (2, 3, 4)
    assert evidence.settlement.results == committee.results
    assert evidence.settlement.results_root == results_root(committee.results)
    assert evidence.settlement.fills_root == committee.fills
    assert evidence.settlement.balances_root == balances_root(leaves)
    assert chain.deployment.block < evidence.batch.block < evidence.settlement.block
    assert (evidence.voided, evidence.halted) == (False, False)
    nothing = chain.evidence(Interval(5))
    assert nothing.batch is None
    assert nothing.settlement is None


def test_an_auction_goes_all_the_way_on_the_embedded_chain(
    chain: Chain, committee: SigningCommittee
) -> None:
    whole_auction(chain, committee, account_of(TRADER_KEY))


@pytest.mark.parametrize("private_key", [None, ANVIL_KEY], ids=["node signs", "own key"])
def test_an_auction_goes_all_the_way_on_a_node(
    anvil_url: str,
    committee: SigningCommittee,
    private_key: bytes | None,
) -> None:
    chain = Chain.connect(anvil_url, private_key)
    deployment = chain.deploy(committee.addresses)
    assert deployment.chain_id == 31337
    if private_key is not None:
        assert deployment.operator == account_of(private_key)
    whole_auction(chain, committee, account_of(TRADER_KEY))
    auditor = Chain.connect(anvil_url)
    auditor.attach(deployment)
    assert auditor.evidence(Interval(4)) == chain.evidence(Interval(4))


def test_finality_and_reorganisations_on_a_node(
    anvil_url: str, committee: SigningCommittee
) -> None:
    chain = Chain.connect(anvil_url)
    chain.deploy(committee.addresses)
    snapshot = chain._web3.provider.make_request(RPCEndpoint("evm_snapshot"), [])["result"]
    sent = chain.fund_gas(NOWHERE, 1)
    chain.wait_final(sent, 1)
    with pytest.raises(NotFinalInTime) as waited:
        chain.wait_final(sent, 3, timeout_s=0.1)
    assert (waited.value.expected, waited.value.got) == (3, 1)
    chain._web3.provider.make_request(RPCEndpoint("anvil_mine"), [2])
    chain.wait_final(sent, 3, timeout_s=0.1)
    chain._web3.provider.make_request(RPCEndpoint("evm_revert"), [snapshot])
    with pytest.raises(TransactionLost, match=sent.hash.hex()):
        chain.wait_final(sent, 1)


def test_the_embedded_chain_makes_its_own_confirmations(chain: Chain) -> None:
    chain.wait_final(chain.fund_gas(NOWHERE, 1), 20)


def test_a_reorganised_transaction_is_noticed(chain: Chain) -> None:
    assert chain._tester is not None
    snapshot = chain._tester.take_snapshot()
    sent = chain.fund_gas(NOWHERE, 1)
    chain._tester.revert_to_snapshot(snapshot)
    with pytest.raises(TransactionLost):
        chain.wait_final(sent, 1)


def test_a_transaction_that_moved_to_another_block_is_noticed(chain: Chain) -> None:
    sent = chain.fund_gas(NOWHERE, 1)
    elsewhere = TransactionReceiptInfo(sent.hash, sent.block, bytes(32), sent.gas_used)
    with pytest.raises(TransactionLost):
        chain.wait_final(elsewhere, 1)


def test_equivocation_halts_the_venue(chain: Chain, committee: SigningCommittee) -> None:
    committee.commit(chain, 1)
    evidence = [
        SignedBatchRoot(root, 9, committee.batch_signatures(chain, 1, root)[0])
        for root in (committee.batch, b"\1" * 32)
    ]
    chain.report_equivocation(Interval(1), *evidence)
    assert chain.evidence(Interval(1)).halted
    assert chain.vault_terms().paying
    with pytest.raises(TransactionReverted, match="halted"):
        chain.fund_and_deposit({NOWHERE: 1})


def test_void_and_abandonment_follow_the_clock_of_the_chain(
    chain: Chain, committee: SigningCommittee
) -> None:
    assert chain._tester is not None
    committee.commit(chain, 1)
    with pytest.raises(TransactionReverted, match="too early"):
        chain.void(Interval(1))
    with pytest.raises(TransactionReverted, match="too early"):
        chain.declare_abandoned()
    now = chain._tester.get_block_by_number("pending")["timestamp"]
    chain._tester.time_travel(now + 86_400)
    chain.void(Interval(1))
    assert chain.evidence(Interval(1)).voided
    chain._tester.time_travel(now + 30 * 86_400)
    chain.declare_abandoned()
    assert chain.vault_terms().halted


def test_reverts_carry_function_and_reason(chain: Chain, committee: SigningCommittee) -> None:
    signatures = [sign(b"\1" * 32, key) for key in committee.keys]
    with pytest.raises(TransactionReverted) as refused:
        chain.commit_batch(Interval(1), committee.batch, 9, signatures)
    assert (refused.value.function, refused.value.reason) == ("commit_batch", "not a keyper")
    with pytest.raises(TransactionReverted) as refused:
        Chain.embedded().deploy(committee.addresses[:2])
    assert (refused.value.function, refused.value.reason) == ("constructor", "committee size")


def test_an_account_without_gas_is_refused(chain: Chain) -> None:
    leaf = balance(account_of(TRADER_KEY), 1)
    with pytest.raises(TransactionRefused, match="withdraw"):
        chain.withdraw(TRADER_KEY, 1, *balance_proof([leaf], leaf.account))


def test_nothing_works_before_deployment() -> None:
    chain = Chain.embedded()
    for function in (
        lambda: chain.fund_and_deposit({NOWHERE: 1}),
        lambda: chain.collateral(NOWHERE),
        lambda: chain.evidence(Interval(1)),
        lambda: chain.flows_before(Interval(1)),
        chain.vault_terms,
    ):
        with pytest.raises(NotDeployed):
            function()


def test_only_the_named_deployment_is_attached(chain: Chain, committee: SigningCommittee) -> None:
    right = chain.deployment
    other = chain.deploy(committee.addresses[:3])
    chain.attach(right)
    for wrong, what in (
        (replace(right, chain_id=1), "chain id"),
        (replace(right, token=NOWHERE), "code of TestToken"),
        (replace(right, token=other.token), "token of the vault"),
        (replace(right, settlement=right.vault), "code of Settlement"),
        (replace(right, vault=right.token), "code of CollateralVault"),
        (replace(right, keypers=right.keypers[::-1]), "keypers"),
        (replace(right, quorum=2), "quorum"),
        (replace(right, operator=NOWHERE), "operator"),
        (replace(right, vault=other.vault), "settlement of the vault"),
    ):
        with pytest.raises(WrongDeployment, match=what):
            chain.attach(wrong)
    assert chain.deployment == right


def test_a_node_that_is_not_there_is_named() -> None:
    with pytest.raises(ChainUnavailable, match=r"http://127\.0\.0\.1:1"):
        Chain.connect("http://127.0.0.1:1")


def test_deposits_of_a_large_auction_take_few_transactions(chain: Chain) -> None:
    accounts = [account_id(f"0x{number:040x}") for number in range(1, 1301)]
    chain.fund_and_deposit(dict.fromkeys(accounts, 10**9))
    assert chain._web3.eth.block_number - chain.deployment.block <= 3 + 2 + 7
    assert chain.collateral(accounts[1299]).deposited == 10**9
