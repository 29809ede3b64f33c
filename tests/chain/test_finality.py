"""What is final stays so or is told; what a reorganisation undoes is followed, or sent again."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hexbytes import HexBytes
from web3 import Web3

from darkpool.chain.client import Chain
from darkpool.chain.errors import (
    BlockReplaced,
    ChainUnavailable,
    NotFinal,
    NotFinalInTime,
    TransactionLost,
    TransactionReverted,
)
from darkpool.chain.evidence import BlockPoint
from darkpool.chain.finality import FINALIZED, Finality
from darkpool.chain.settling import KeptSettlement
from darkpool.errors import OutOfBounds, WrongType
from darkpool.protocol.leaves import encode_leaves
from darkpool.protocol.results import encode_results
from darkpool.units import AccountId, Interval, account_id
from tests.support.anvil_node import ANVIL_KEY, OTHER_ANVIL_KEY, Anvil
from tests.support.served_chain import Reply, Served, ServedChain, refusal, result, served
from tests.support.signing_committee import SigningCommittee, balance

EMBEDDED_KEY = (1).to_bytes(32)  # of the first account of the embedded chain
PAID = account_id("0x" + "99" * 20)
ACCOUNT = account_id("0x" + "77" * 20)
TWO = Finality(2)


@pytest.fixture
def chain() -> Chain:
    return Chain.embedded()


@pytest.fixture
def at(chain: Chain) -> Iterator[Served]:
    node = ServedChain(chain._web3)
    with served(node) as url:
        yield Served(chain, url, node)


def paid_to(chain: Chain) -> int:
    return chain._web3.eth.get_balance(Web3.to_checksum_address(PAID))


def mine(chain: Chain, blocks: int) -> None:
    assert chain._tester is not None
    chain._tester.mine_blocks(blocks)


def forgotten(chain: Chain, action: Callable[[], Any]) -> Any:
    """What an action gives, whose blocks the chain gives up after it."""
    assert chain._tester is not None
    snapshot = chain._tester.take_snapshot()
    given = action()
    chain._tester.revert_to_snapshot(snapshot)
    return given


@pytest.mark.parametrize("confirmations", [1, 0, -1, 1 << 30])
def test_one_confirmation_is_none(confirmations: int) -> None:
    with pytest.raises(OutOfBounds, match="confirmations"):
        Finality(confirmations)


def test_confirmations_are_a_number(chain: Chain) -> None:
    with pytest.raises(WrongType):
        Finality(2.5)  # type: ignore[arg-type]
    with pytest.raises(OutOfBounds, match="confirmations: expected 2 to"):
        chain.wait_final(chain.fund_gas(PAID, 1), 1)


def test_a_block_is_final_when_enough_stand_on_it(chain: Chain) -> None:
    point = chain.fund_gas(PAID, 1).point
    assert not chain.is_final(point, TWO)
    with pytest.raises(
        NotFinal, match="block 1 with a batch among final blocks, got the last"
    ) as e:
        chain.require_final(point, Finality(3), "a batch")
    assert (e.value.block, e.value.last_final) == (1, -1)
    mine(chain, 1)
    assert chain.is_final(point, TWO)
    assert not chain.is_final(point, Finality(3))


def test_the_embedded_chain_makes_its_own_confirmations(chain: Chain) -> None:
    sent = chain.fund_gas(PAID, 1)
    assert chain.wait_final(sent, Finality(20)) == sent
    assert chain.height() == sent.block + 19
    assert chain.is_final(sent.point, Finality(20))


def test_what_was_final_is_asked_again_in_two_questions(at: Served, chain: Chain) -> None:
    point = chain.fund_gas(PAID, 1).point
    mine(chain, 1)
    reader = Chain.connect(at.url)
    at.node.begin_anew()
    for _ in range(3):
        assert reader.is_final(point, TWO)
    assert sum(at.node.asked.values()) == 6


def test_a_block_that_another_one_replaced_is_not_final(chain: Chain) -> None:
    point = forgotten(chain, lambda: chain.fund_gas(PAID, 1).point)
    with pytest.raises(BlockReplaced, match=r"hash of block 1: .* got no such block"):
        chain.require_final(point, TWO)
    chain.fund_gas(PAID, 2)
    mine(chain, 9)
    assert not chain.is_final(point, TWO)
    with pytest.raises(BlockReplaced) as replaced:
        chain.require_final(point, TWO)
    found = chain.block_at(1)
    assert found is not None
    assert (replaced.value.expected, replaced.value.got) == (point.hash, found.hash)


def test_a_transaction_that_was_forgotten_is_sent_again_to_the_byte(
    at: Served, chain: Chain
) -> None:
    own = Chain.connect(at.url, EMBEDDED_KEY)
    sent = forgotten(chain, lambda: own.fund_gas(PAID, 5))
    assert paid_to(chain) == 0
    mine(chain, 1)
    at.node.after = lambda method, _params: (
        mine(chain, 1) if method == "eth_getTransactionReceipt" else None
    )
    found = own.wait_final(sent, TWO)
    assert (found.hash, paid_to(chain)) == (sent.hash, 5)
    assert found.block > sent.block
    assert chain.is_final(found.point, TWO)
    first, second = at.node.of("eth_sendRawTransaction")
    assert first == second


def test_the_embedded_chain_sends_again_too(chain: Chain) -> None:
    sent = forgotten(chain, lambda: chain.fund_gas(PAID, 5))
    mine(chain, 3)
    found = chain.wait_final(sent, TWO)
    assert (found.hash, found.block, paid_to(chain)) == (sent.hash, 4, 5)


def test_a_transaction_whose_place_another_one_took_is_lost(chain: Chain) -> None:
    sent = forgotten(chain, lambda: chain.fund_gas(PAID, 5))
    chain.fund_gas(PAID, 3)  # with the same number of its account
    with pytest.raises(TransactionLost, match=sent.hash.hex()):
        chain.wait_final(sent, TWO)
    assert paid_to(chain) == 3


def test_a_transaction_that_moved_to_another_block_is_followed(chain: Chain) -> None:
    sent = chain.fund_gas(PAID, 1)
    elsewhere = replace(sent, block=sent.block + 7, block_hash=bytes(32))
    assert chain.wait_final(elsewhere, TWO) == sent


def test_a_transaction_that_fails_in_its_new_block_is_told(at: Served) -> None:
    own = Chain.connect(at.url, EMBEDDED_KEY)
    sent = own.fund_gas(PAID, 1)
    told = at.truth("eth_getTransactionReceipt", [f"0x{sent.hash.hex()}"])
    at.node.trouble = lambda method, _params: (
        result(told | {"status": "0x0"}) if method == "eth_getTransactionReceipt" else None
    )
    with pytest.raises(TransactionReverted, match=r"pay: .* in block 1"):
        own.wait_final(sent, TWO)


@pytest.mark.parametrize(
    "version",
    [result("anvil/v1.7.1"), result({"anvil/": 1}), result(None), refusal(-32601, "not here")],
    ids=["makes no blocks", "no text", "nothing", "not told"],
)
def test_a_node_that_makes_no_blocks_is_waited_for(at: Served, version: Reply) -> None:
    client = Chain.connect(at.url, EMBEDDED_KEY)
    sent = client.fund_gas(PAID, 1)
    answers = {"web3_clientVersion": version, "evm_mine": result("0x0")}
    at.node.trouble = lambda method, _params: answers.get(method)
    with pytest.raises(NotFinalInTime):
        client.wait_final(sent, TWO, timeout_s=0)
    assert at.node.asked["evm_mine"] <= 1
    mine(at.chain, 1)
    assert client.wait_final(sent, TWO, timeout_s=0) == sent


def test_finalized_blocks_count_where_the_chain_names_them(at: Served, chain: Chain) -> None:
    point = chain.fund_gas(PAID, 1).point
    mine(chain, 50)
    reader = Chain.connect(at.url)
    block = at.truth("eth_getBlockByNumber", ["0x0", False])

    def finalized(answer: Reply) -> None:
        at.node.trouble = lambda method, params: (
            answer if method == "eth_getBlockByNumber" and params[0] == "finalized" else None
        )

    finalized(result(block))
    assert reader.is_final(point, Finality(20))
    assert not reader.is_final(point, FINALIZED)
    finalized(result(block | {"number": "0x1"}))
    assert reader.is_final(point, FINALIZED)
    # a node that does not say which are makes none of them final
    for answer in (result(None), refusal(-32602, "no such tag")):
        finalized(answer)
        with pytest.raises(ChainUnavailable):
            reader.is_final(point, FINALIZED)


@pytest.mark.usefixtures("patient")
def test_confirmations_and_what_a_node_signed_and_forgot(anvil_url: str) -> None:
    chain = Chain.connect(anvil_url)
    node = Anvil(chain)
    snapshot = node.ask("evm_snapshot")
    sent = chain.fund_gas(PAID, 1)
    with pytest.raises(NotFinalInTime) as waited:
        chain.wait_final(sent, 3, timeout_s=0)
    assert (waited.value.block, waited.value.last_final) == (1, -1)
    node.mine(2)
    chain.wait_final(sent, 3, timeout_s=0)
    assert not chain.is_final(sent.point, FINALIZED)
    node.mine(100)
    assert chain.is_final(sent.point, FINALIZED)
    node.ask("evm_revert", snapshot)
    with pytest.raises(TransactionLost, match=sent.hash.hex()):
        chain.wait_final(sent, 3)


Settling = tuple[Chain, Anvil, KeptSettlement]


@pytest.fixture
def settling(anvil_url: str, committee: SigningCommittee) -> Settling:
    """A batch that is deep in the chain, and its settlement, which nobody has sent."""
    chain = Chain.connect(anvil_url, ANVIL_KEY)
    chain.deploy(committee.terms())
    chain.fund_and_deposit({ACCOUNT: 100})
    leaves = [balance(ACCOUNT, 100)]
    committee.commit(chain, 4)
    chain.publish(encode_leaves([leaves]))
    node = Anvil(chain)
    node.mine(6)
    message = committee.settlement(chain, leaves)
    signed = committee.sign(chain, message, committee.keys[1:])
    call = chain.settle_call(message, encode_results(committee.results), signed)
    return chain, node, KeptSettlement.of(Interval(4), call, encode_leaves([leaves]))


def settled_in(chain: Chain) -> tuple[bytes, BlockPoint]:
    found = chain.evidence(Interval(4)).settlement
    assert found is not None
    return found.transaction, found.point


@pytest.mark.usefixtures("patient")
def test_a_settlement_survives_a_reorganisation_of_five_blocks(
    settling: Settling, pausing: Callable[[list[Callable[[], object]]], None]
) -> None:
    chain, node, kept = settling
    sent = chain.settle_kept(kept)
    assert sent is not None
    node.mine(3)
    pausing([lambda: node.reorganise(5), lambda: node.mine(1)])
    found = chain.wait_final(sent, Finality(8))
    assert found.hash == sent.hash
    assert found.block_hash != sent.block_hash
    assert settled_in(chain) == (found.hash, found.point)
    assert chain.is_final(found.point, Finality(8))


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("by_another", [False, True], ids=["sent again", "another account's"])
def test_an_interval_is_settled_through_a_reorganisation_whoever_does_it(
    settling: Settling,
    pausing: Callable[[list[Callable[[], object]]], None],
    anvil_url: str,
    by_another: bool,
) -> None:
    chain, node, kept = settling
    other = Chain.connect(anvil_url, OTHER_ANVIL_KEY)

    def reorganise() -> None:
        node.mine(3)
        node.reorganise(5)
        assert chain.settled_at(kept) is None
        if by_another:
            other.settle_kept(kept)

    pausing([reorganise, lambda: node.mine(1)])
    point = chain.settle_final(kept, Finality(8))
    transaction, place = settled_in(chain)
    assert place == point
    sender = chain._web3.eth.get_transaction(HexBytes(transaction))["from"]
    assert AccountId(sender) == (other if by_another else chain).account
    assert chain.is_final(point, Finality(8))
    assert chain.settle_final(kept, Finality(8)) == point
