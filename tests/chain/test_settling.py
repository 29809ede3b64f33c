"""A settlement that was kept: any account settles with it, once, and sends nothing else."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkpool.chain.client import Chain
from darkpool.chain.errors import (
    ChainError,
    ChainUnavailable,
    NoSettlement,
    SettledOtherwise,
    SettlementUnsigned,
    TransactionReverted,
    WrongDeployment,
)
from darkpool.chain.evidence import ContractCall
from darkpool.chain.settling import CALL_BYTES_MAX, KeptSettlement
from darkpool.protocol.leaves import encode_leaves
from darkpool.protocol.results import encode_results
from darkpool.units import Interval, account_id
from tests.support.served_chain import Reply, ServedChain, lost, result, served
from tests.support.signing_committee import SigningCommittee, balance

ACCOUNT = account_id("0x" + "77" * 20)
OTHER_KEY = (2).to_bytes(32)  # of the second account of the embedded chain
INTERVAL = Interval(4)


@pytest.fixture
def committed(committee: SigningCommittee) -> Chain:
    """A chain whose batch is open."""
    chain = Chain.embedded()
    chain.deploy(committee.terms())
    chain.fund_and_deposit({ACCOUNT: 100})
    committee.commit(chain, INTERVAL)
    for amount in (100, 99):
        chain.publish(encode_leaves([[balance(ACCOUNT, amount)]]))
    return chain


@pytest.fixture
def node(committed: Chain) -> Iterator[tuple[ServedChain, str]]:
    serving = ServedChain(committed._web3)
    serving.trouble = lambda method, _params: (
        result("0x100000") if method == "eth_estimateGas" else None
    )
    with served(serving) as url:
        yield serving, url


LEAVES = encode_leaves([[balance(ACCOUNT, 100)]])


def call_of(committee: SigningCommittee, chain: Chain, amount: int = 100) -> ContractCall:
    message = committee.settlement(chain, [balance(ACCOUNT, amount)])
    signatures = committee.sign(chain, message, committee.keys[1:])
    return chain.settle_call(message, encode_results(committee.results), signatures)


def kept_by(committee: SigningCommittee, chain: Chain, amount: int = 100) -> KeptSettlement:
    leaves = encode_leaves([[balance(ACCOUNT, amount)]])
    return KeptSettlement.of(INTERVAL, call_of(committee, chain, amount), leaves)


def test_an_account_of_its_own_settles_what_was_kept(
    committed: Chain, committee: SigningCommittee, node: tuple[ServedChain, str]
) -> None:
    kept = kept_by(committee, committed)
    sent = Chain.connect(node[1], OTHER_KEY).settle_kept(kept)
    said = committed.evidence(INTERVAL).settlement
    assert sent is not None
    assert said is not None
    assert (said.transaction, said.point) == (sent.hash, sent.point)
    assert said.message.trees[0].exit_total == 100
    assert said.results == committee.results


def test_what_another_account_settled_is_not_sent_again(
    committed: Chain, committee: SigningCommittee, node: tuple[ServedChain, str]
) -> None:
    kept = kept_by(committee, committed)
    assert committed.settle_kept(kept) is not None
    assert Chain.connect(node[1]).settle_kept(kept) is None
    assert not [method for method in node[0].asked if "send" in method]


@pytest.mark.parametrize("at", ["eth_estimateGas", "eth_sendRawTransaction"])
def test_another_account_may_be_first_in_the_meantime(
    committed: Chain, committee: SigningCommittee, node: tuple[ServedChain, str], at: str
) -> None:
    kept, (serving, url) = kept_by(committee, committed), node

    def first(method: str, _params: list[Any]) -> Reply | None:
        if method == at and not serving.asked["settled"]:
            serving.asked["settled"] += 1
            committed.settle_kept(kept)
        return result("0x100000") if method == "eth_estimateGas" != at else None

    serving.trouble = first
    assert Chain.connect(url, OTHER_KEY).settle_kept(kept) is None


@pytest.mark.parametrize("fault", ["two signers", "a stranger", "no signature", "another batch"])
def test_leaves_that_no_quorum_signed_are_not_published(
    committed: Chain, committee: SigningCommittee, fault: str
) -> None:
    leaves = [balance(ACCOUNT, 98)]
    message = committee.settlement(committed, leaves)
    keys = {"two signers": committee.keys[:2], "a stranger": [*committee.keys[:2], OTHER_KEY]}
    if fault == "another batch":
        message = replace(message, previous_settlement=b"\x01" * 32)
    signatures = committee.sign(committed, message, keys.get(fault, committee.keys[1:]))
    if fault == "no signature":
        signatures = [bytes(65)] * 3
    results, height = encode_results(committee.results), committed.height()
    call = committed.settle_call(message, results, signatures)
    with pytest.raises(SettlementUnsigned, match="settlement, signatures"):
        committed.settle_kept(KeptSettlement.of(INTERVAL, call, encode_leaves([leaves])))
    assert committed.height() == height


def test_other_roots_that_settled_are_told(committed: Chain, committee: SigningCommittee) -> None:
    committed.settle_kept(kept_by(committee, committed))
    with pytest.raises(SettledOtherwise, match="settlement of interval 4"):
        committed.settle_kept(kept_by(committee, committed, amount=99))


def test_where_it_is_not_known_whether_it_settled_the_first_error_counts(
    committed: Chain,
    committee: SigningCommittee,
    node: tuple[ServedChain, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("darkpool.chain.node.PATIENCE_S", 0)
    kept, (serving, url) = kept_by(committee, committed), node
    chain = Chain.connect(url)
    serving.trouble = lambda method, _params: (
        lost() if serving.asked["eth_estimateGas"] or method == "eth_estimateGas" else None
    )
    with pytest.raises(ChainUnavailable, match="a lost connection"):
        chain.settle_kept(kept)


def test_a_batch_that_is_void_is_not_settled(committed: Chain, committee: SigningCommittee) -> None:
    kept = kept_by(committee, committed)
    tester = committed._tester
    assert tester is not None
    tester.time_travel(tester.get_block_by_number("latest")["timestamp"] + 86_400)
    tester.mine_block()
    with pytest.raises(TransactionReverted, match="too late"):
        committed.settle_kept(kept)


def test_another_chain_or_contract_gets_nothing(
    committed: Chain, committee: SigningCommittee
) -> None:
    kept, height = kept_by(committee, committed), committed.height()
    for call in (
        replace(kept.call, chain_id=1),
        replace(kept.call, contract=committed.deployment.vault),
        replace(kept.call, contract=ACCOUNT),
    ):
        with pytest.raises(WrongDeployment):
            committed.settle_kept(replace(kept, call=call))
    assert committed.height() == height


def test_what_is_no_settlement_of_its_interval_is_refused(
    committed: Chain, committee: SigningCommittee
) -> None:
    """A file may ask an account for anything: to pay its tokens to its maker, for instance."""
    call = call_of(committee, committed)
    transfer = committed._token.encode_abi("transfer", [ACCOUNT, 100])
    void = committed._settlement.encode_abi("void", [INTERVAL])
    for data in (
        b"",
        bytes.fromhex(transfer[2:]),
        bytes.fromhex(void[2:]),
        call.data[:-1],
        call.data + b"\0",
        call.data + bytes(32),
        call.data + bytes(CALL_BYTES_MAX),
        call.data[:4] + b"\xff" * 32 + call.data[36:],
    ):
        with pytest.raises(NoSettlement, match="settlement, data: expected"):
            KeptSettlement.of(INTERVAL, replace(call, data=data), LEAVES)
    with pytest.raises(NoSettlement, match="settlement, interval: expected 4 as in data, got 5"):
        KeptSettlement.of(Interval(5), call, LEAVES)


@pytest.fixture(scope="module")
def example(committee: SigningCommittee) -> ContractCall:
    chain = Chain.embedded()
    chain.deploy(committee.terms())
    chain.fund_and_deposit({ACCOUNT: 100})
    committee.commit(chain, INTERVAL)
    return call_of(committee, chain)


@settings(max_examples=200)
@given(place=st.integers(0, 1 << 12), value=st.integers(0, 255), end=st.integers(0, 1 << 12))
def test_any_bytes_are_a_settlement_or_an_error(
    example: ContractCall, place: int, value: int, end: int
) -> None:
    data = bytearray(example.data)
    data[place % len(data)] = value
    changed = bytes(data[: end or len(data)])
    try:
        kept = KeptSettlement.of(INTERVAL, replace(example, data=changed), LEAVES)
    except ChainError:
        raise AssertionError("bytes of a file are no error of a chain") from None
    except NoSettlement:
        return
    assert kept.call.data == changed
