"""What others send first has happened: the operator looks at the chain, not at its own receipt."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from eth_hash.auto import keccak

from crypto.signing.settling import BatchRoot
from darkpool.auction import on_chain
from darkpool.auction.environment import Environment
from darkpool.auction.errors import OtherBatchCommitted
from darkpool.chain.client import Chain
from darkpool.chain.errors import (
    ChainError,
    ChainUnavailable,
    SettledOtherwise,
    TransactionReverted,
)
from darkpool.chain.evidence import TransactionReceiptInfo
from darkpool.chain.finality import Finality
from darkpool.chain.settling import KeptSettlement
from darkpool.protocol.leaves import encode_leaves
from darkpool.protocol.results import encode_results
from darkpool.units import Interval, account_id
from tests.support.signing_committee import SigningCommittee, balance

INTERVAL = 4
ACCOUNT = account_id("0x" + "77" * 20)
LEAVES = (balance(ACCOUNT, 60, 40),)
OTHER_LEAVES = (balance(ACCOUNT, 50, 50),)
COMMITTEE = SigningCommittee()
DATA = (encode_leaves([LEAVES]), encode_results(COMMITTEE.results))


@pytest.fixture
def chain() -> Chain:
    """A chain with contracts and a deposit, and no batch."""
    made = Chain.embedded()
    made.deploy(COMMITTEE.terms())
    made.fund_and_deposit({ACCOUNT: 100})
    return made


def environment(chain: Chain) -> Environment:
    return cast("Environment", SimpleNamespace(chain=chain, finality=Finality(2)))


def commit(chain: Chain, message: BatchRoot) -> bytes:
    """Commit as the operator does; returns the transaction that the chain tells."""
    signatures = COMMITTEE.sign(chain, message)
    return on_chain.commit(environment(chain), message, signatures).transaction


def settle(chain: Chain) -> TransactionReceiptInfo | ChainError:
    """Settle the open batch, or that of the interval, as the operator does."""
    message = COMMITTEE.settlement(chain, LEAVES)
    call = chain.settle_call(message, DATA[1], COMMITTEE.sign(chain, message))
    kept = KeptSettlement.of(Interval(INTERVAL), call, DATA[0])
    return on_chain.settle(environment(chain), kept)


def test_what_is_committed_is_what_the_chain_says(chain: Chain) -> None:
    message = COMMITTEE.batch(chain, INTERVAL)
    found = on_chain.commit(environment(chain), message, COMMITTEE.sign(chain, message))
    assert found == chain.evidence(chain.standing().committed).batch
    assert (found.message, found.flows) == (message, 1)


def test_the_same_batch_that_another_account_committed_is_committed(chain: Chain) -> None:
    message = COMMITTEE.commit(chain, INTERVAL)
    height = chain.height()
    first = chain.evidence(chain.standing().committed).batch
    assert first is not None
    assert commit(chain, message) == first.transaction
    assert chain.evidence(chain.standing().committed).batch == first
    assert chain.height() >= height


def test_another_batch_of_the_interval_ends_it(chain: Chain) -> None:
    COMMITTEE.commit(chain, INTERVAL, count=8)
    message = COMMITTEE.batch(chain, INTERVAL, count=9)
    with pytest.raises(OtherBatchCommitted, match="batch of interval 4 on the chain: expected"):
        commit(chain, message)


def test_a_batch_that_nobody_committed_is_no_success(chain: Chain) -> None:
    message = COMMITTEE.batch(chain, INTERVAL)
    two = COMMITTEE.sign(chain, message)[:2]
    with pytest.raises(TransactionReverted):
        on_chain.commit(environment(chain), message, two)


def test_leaves_are_published_before_the_settlement(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    COMMITTEE.commit(chain, INTERVAL)
    sent, honest = list[str](), chain._transact

    def told(function: Any, private_key: bytes | None = None) -> TransactionReceiptInfo:
        sent.append(function.fn_name)
        return honest(function, private_key)

    monkeypatch.setattr(chain, "_transact", told)
    assert isinstance(settle(chain), TransactionReceiptInfo)
    assert sent == ["publish", "settle"]
    assert chain.leaves(keccak(DATA[0])) == DATA[0]


def test_leaves_that_are_public_are_not_published_again(chain: Chain) -> None:
    COMMITTEE.commit(chain, INTERVAL)
    chain.publish(DATA[0])
    height = chain.height()
    settled = settle(chain)
    assert isinstance(settled, TransactionReceiptInfo)
    assert settled.block == height + 1


def test_what_another_account_settled_is_settled(chain: Chain) -> None:
    COMMITTEE.commit(chain, INTERVAL)
    COMMITTEE.settle(chain, LEAVES)
    first = chain.evidence(chain.standing().settled).settlement
    assert first is not None
    found = settle(chain)
    assert isinstance(found, TransactionReceiptInfo)
    assert (found.hash, found.block) == (first.transaction, first.block)


def test_another_settlement_of_the_interval_is_no_success(chain: Chain) -> None:
    COMMITTEE.commit(chain, INTERVAL)
    COMMITTEE.settle(chain, OTHER_LEAVES)
    assert isinstance(settle(chain), SettledOtherwise)


@pytest.fixture
def silent(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """A node that takes what it is sent and does not tell."""
    honest = chain._transact

    def lost(function: Any, private_key: bytes | None = None) -> TransactionReceiptInfo:
        sent = honest(function, private_key)
        if function.fn_name in ("commit_batch", "settle"):
            raise ChainUnavailable("node", "silence")
        return sent

    monkeypatch.setattr(chain, "_transact", lost)
    return chain


def test_what_a_silent_node_took_has_happened(silent: Chain) -> None:
    message = COMMITTEE.batch(silent, INTERVAL)
    found = on_chain.commit(environment(silent), message, COMMITTEE.sign(silent, message))
    assert found.message == message
    settled = settle(silent)
    assert isinstance(settled, TransactionReceiptInfo)
    said = silent.evidence(silent.standing().settled).settlement
    assert said is not None
    assert said.transaction == settled.hash
