from dataclasses import replace

import pytest

from crypto.signing.ecdsa import sign
from crypto.signing.sum_tree import SumLeaf
from darkpool.chain.client import Chain, SignedStatement
from darkpool.chain.errors import (
    ChainUnavailable,
    NotDeployed,
    TransactionRefused,
    TransactionReverted,
    WrongDeployment,
)
from darkpool.protocol.leaves import encode_leaves
from darkpool.settlement.trees import trees_of
from darkpool.units import AccountId, Interval, account_id
from tests.support.signing_committee import (
    BATCH,
    FILLS,
    SigningCommittee,
    account_of,
    balance,
    proven,
)

TRADER_KEY = b"\x77" * 32
# the second of the accounts that anvil gives money to, as its documentation says
ANVIL_KEY = bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d")
ETHER = 10**18
OTHERS = [account_id(f"0x{number:040x}") for number in range(1 << 16, (1 << 16) + 300)]
NOWHERE = account_id("0x" + "99" * 20)
DAY_S = 86_400


@pytest.fixture
def chain(committee: SigningCommittee) -> Chain:
    chain = Chain.embedded()
    chain.deploy(committee.terms())
    return chain


def whole_auction(chain: Chain, committee: SigningCommittee, trader: AccountId) -> None:
    """Deposits, a batch, its settlement and a claim, and what can be read back of them."""
    chain.fund_gas(trader, ETHER)
    chain.fund_and_deposit({trader: 1000, **dict.fromkeys(OTHERS, 10)})
    committee.commit(chain, 4)
    chain.fund_and_deposit({trader: 5})
    leaves = sorted(
        [balance(trader, 300, 800), *(balance(other, 9) for other in OTHERS)],
        key=lambda leaf: leaf.account,
    )
    own = proven(4, leaves, trader)
    with pytest.raises(TransactionReverted, match="no root") as refused:
        chain.claim(TRADER_KEY, own, NOWHERE)
    assert (refused.value.function, refused.value.reason) == ("claim", "no root")
    settled = committee.settle(chain, leaves)
    assert chain.leaves(settled.leaf_hash) == encode_leaves([leaves])
    paid = chain.claim(TRADER_KEY, own, NOWHERE)
    assert chain.paid(chain.deployment.vault, chain.height()) == {trader: 800}
    assert chain.paid(chain.deployment.vault, paid.block - 1) == {}
    with pytest.raises(TransactionReverted, match="nothing to pay"):
        chain.claim(TRADER_KEY, own, NOWHERE)
    check_evidence(chain, committee, leaves)
    flows = chain.flows()
    assert len(flows) == 1 + len(OTHERS) + 1
    assert [flow.amount for flow in flows if flow.account == trader] == [1000, 5]
    assert chain.flows(len(flows) - 1) == flows[:-1]


def check_evidence(chain: Chain, committee: SigningCommittee, leaves: list[SumLeaf]) -> None:
    evidence = chain.evidence(Interval(4))
    batch, settlement = evidence.batch, evidence.settlement
    assert batch is not None
    assert settlement is not None
    assert (batch.message.root, batch.message.count) == (BATCH, 9)
    assert (batch.flows, batch.signers) == (len(OTHERS) + 1, (1, 2, 3))
    assert settlement.signers == (2, 3, 4)
    assert settlement.results == committee.results
    assert settlement.message.fills_root == FILLS
    assert settlement.message.trees == trees_of([chain.deployment.vault], [leaves])
    assert chain.deployment.block < batch.block < settlement.block
    assert chain.block_at(batch.block) == batch.point
    assert chain.block_at(settlement.block) == settlement.point
    assert (evidence.voided, evidence.is_declared) == (False, False)
    nothing = chain.evidence(Interval(5))
    assert (nothing.batch, nothing.settlement) == (None, None)
    settled = chain.last_settlement()
    assert settled is not None
    assert (settled.interval, settled.trees) == (4, settlement.message.trees)


def test_an_auction_goes_all_the_way_on_the_embedded_chain(
    chain: Chain, committee: SigningCommittee
) -> None:
    whole_auction(chain, committee, account_of(TRADER_KEY))


@pytest.mark.parametrize("private_key", [None, ANVIL_KEY], ids=["node signs", "own key"])
def test_an_auction_goes_all_the_way_on_a_node(
    anvil_url: str, committee: SigningCommittee, private_key: bytes | None
) -> None:
    chain = Chain.connect(anvil_url, private_key)
    deployment = chain.deploy(committee.terms())
    assert deployment.chain_id == 31337
    if private_key is not None:
        assert chain.account == account_of(private_key)
    whole_auction(chain, committee, account_of(TRADER_KEY))
    auditor = Chain.connect(anvil_url)
    auditor.attach(deployment)
    assert auditor.evidence(Interval(4)) == chain.evidence(Interval(4))


def test_a_keyper_that_signs_two_batches_is_excluded(
    chain: Chain, committee: SigningCommittee
) -> None:
    one = committee.batch(chain, 1)
    two = replace(one, root=b"\1" * 32)
    evidence = [SignedStatement(said, committee.sign(chain, said)[0]) for said in (one, two)]
    chain.exclude(*evidence)
    with pytest.raises(TransactionReverted, match="commit_batch"):
        chain.commit_batch(one, committee.sign(chain, one))
    chain.commit_batch(one, committee.sign(chain, one, committee.keys[1:]))
    found = chain.evidence(Interval(1)).batch
    assert found is not None
    assert found.signers == (2, 3, 4)


def test_void_and_the_end_follow_the_clock_of_the_chain(
    chain: Chain, committee: SigningCommittee
) -> None:
    assert chain._tester is not None
    committee.commit(chain, 1)
    with pytest.raises(TransactionReverted, match="too early"):
        chain.void(Interval(1))
    with pytest.raises(TransactionReverted, match="declare"):
        chain.declare()
    now = chain._tester.get_block_by_number("pending")["timestamp"]
    chain._tester.time_travel(now + 3_700)
    chain.void(Interval(1))
    evidence = chain.evidence(Interval(1))
    assert (evidence.voided, evidence.is_declared) == (True, False)
    chain._tester.time_travel(now + 15 * DAY_S)
    chain.declare()
    assert chain.evidence(Interval(1)).is_declared
    assert chain.standing().declared_at > now


def test_reverts_carry_function_and_reason(chain: Chain, committee: SigningCommittee) -> None:
    signatures = [sign(b"\1" * 32, key) for key in committee.keys]
    with pytest.raises(TransactionReverted) as refused:
        chain.commit_batch(committee.batch(chain, 1), signatures)
    assert (refused.value.function, refused.value.reason) == ("commit_batch", "not a keyper")
    few = committee.terms(keypers=tuple(committee.addresses[:2]))
    with pytest.raises(TransactionReverted) as refused:
        Chain.embedded().deploy(few)
    assert (refused.value.function, refused.value.reason) == ("constructor", "committee size")


def test_an_account_without_gas_is_refused(chain: Chain) -> None:
    with pytest.raises(TransactionRefused, match="request"):
        chain.request(TRADER_KEY, 1)


def test_nothing_works_before_deployment() -> None:
    chain = Chain.embedded()
    for function in (
        lambda: chain.fund_and_deposit({NOWHERE: 1}),
        lambda: chain.deposit(TRADER_KEY, 1),
        lambda: chain.evidence(Interval(1)),
        lambda: chain.leaves(bytes(32)),
        lambda: chain.paid(NOWHERE, 1),
        chain.flows,
        chain.last_settlement,
        chain.standing,
        chain.rotate,
    ):
        with pytest.raises(NotDeployed):
            function()


def test_only_the_named_deployment_is_attached(chain: Chain, committee: SigningCommittee) -> None:
    right = chain.deployment
    other = chain.deploy(committee.terms())
    chain.attach(right)
    place = right.vaults[0]
    for wrong, what in (
        (replace(right, chain_id=1), "chain id"),
        (replace(right, settlement=right.vault), "code of Settlement"),
        (replace(right, settlement=NOWHERE), "code of Settlement"),
        (replace(right, vaults=other.vaults), "vaults"),
        (replace(right, vaults=(replace(place, token=NOWHERE),)), "vaults"),
        (replace(right, vaults=right.vaults * 2), "vaults"),
        (replace(right, keypers=right.keypers[::-1]), "keypers"),
        (replace(right, quorum=2), "quorum"),
        (replace(right, epoch=2), "epoch"),
        (replace(right, key_id=bytes(32)), "key id"),
        (replace(right, circuits=bytes(32)), "circuits"),
    ):
        with pytest.raises(WrongDeployment, match=what):
            chain.attach(wrong)
    assert chain.deployment == right


def test_a_node_that_is_not_there_is_named() -> None:
    with pytest.raises(ChainUnavailable, match=r"http://127\.0\.0\.1:1"):
        Chain.connect("http://127.0.0.1:1")


def test_deposits_of_a_large_auction_take_few_transactions(
    chain: Chain, committee: SigningCommittee
) -> None:
    chain.deploy(committee.terms(accounts_max=2000))
    accounts = [account_id(f"0x{number:040x}") for number in range(1 << 16, (1 << 16) + 1300)]
    chain.fund_and_deposit(dict.fromkeys(accounts, 10**9))
    assert chain.height() - chain.deployment.block == 2 + 7
    assert chain.flows()[1299].account == accounts[1299]
