"""Transactions on their way to nodes that are busy, lose answers, or have less room."""

from collections.abc import Iterator
from typing import Any

import pytest
from web3 import Web3
from web3.types import Wei

from darkpool.chain import sending
from darkpool.chain.client import Chain
from darkpool.chain.errors import ChainTooOld, ChainUnavailable, TransactionRefused
from darkpool.units import account_id
from tests.support.served_chain import (
    BUSY,
    HTML,
    Reply,
    Served,
    ServedChain,
    Trouble,
    first_time,
    lost,
    refusal,
    result,
    served,
)
from tests.support.signing_committee import SigningCommittee

OPERATOR_KEY = (1).to_bytes(32)  # of the first account of the embedded chain
ACCOUNTS = [account_id(f"0x{number:040x}") for number in range(1 << 16, (1 << 16) + 40)]
PAID = account_id("0x" + "77" * 20)
GAS = 8_000_000


@pytest.fixture(scope="module")
def founded(committee: SigningCommittee) -> Chain:
    """A chain with contracts that anything may be paid into."""
    chain = Chain.embedded()
    chain.deploy(committee.terms())
    return chain


@pytest.fixture
def open_to_all(founded: Chain) -> Iterator[Served]:
    node = ServedChain(founded._web3)
    with served(node) as url:
        yield Served(founded, url, node)


@pytest.fixture
def fresh() -> Iterator[Served]:
    """A chain without contracts, whose node estimates the same for everything."""
    chain = Chain.embedded()
    node = ServedChain(chain._web3)
    node.trouble = estimates()
    with served(node) as url:
        yield Served(chain, url, node)


def estimates(then: Trouble = lambda _method, _params: None) -> Trouble:
    def trouble(method: str, params: list[Any]) -> Reply | None:
        if method == "eth_estimateGas":
            return then(method, params) or result(hex(GAS))
        return then(method, params)

    return trouble


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize(
    ("reply", "key"),
    [*((reply, OPERATOR_KEY) for reply in BUSY.values()), (BUSY["429"], None), (lost(), None)],
    ids=[*BUSY, "429, the node signs", "lost, the node signs"],
)
def test_a_transaction_that_the_node_is_too_busy_for_is_sent_again_to_the_byte(
    fresh: Served, reply: Reply, key: bytes | None
) -> None:
    method = "eth_sendTransaction" if key is None else "eth_sendRawTransaction"
    fresh.node.trouble = estimates(first_time(method, reply, times=2))
    chain = Chain.connect(fresh.url, key)
    chain.fund_gas(PAID, 7)
    first, second, third = fresh.node.of(method)
    assert first == second == third
    assert fresh.chain._web3.eth.get_balance(Web3.to_checksum_address(PAID)) == 7
    assert fresh.chain.height() == 1


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("reply", [lost(), Reply(HTML, 502), Reply(HTML)], ids=["-", "502", "no"])
@pytest.mark.parametrize("key", [None, OPERATOR_KEY], ids=["node signs", "own key"])
def test_a_transaction_whose_answer_was_lost_counts_once(
    fresh: Served, reply: Reply, key: bytes | None
) -> None:
    method = "eth_sendTransaction" if key is None else "eth_sendRawTransaction"
    chain = Chain.connect(fresh.url, key)
    fresh.node.after = first_time(method, reply)
    sent = chain.fund_gas(PAID, 7)
    assert (fresh.chain.height(), sent.block) == (1, 1)
    assert fresh.chain._web3.eth.get_balance(Web3.to_checksum_address(PAID)) == 7


def test_a_transaction_of_another_account_is_not_taken_for_one_that_was_lost(
    fresh: Served,
) -> None:
    """Both accounts send their first transaction."""
    chain, web3 = Chain.connect(fresh.url), fresh.chain._web3

    def after_another(method: str, _params: list[Any]) -> Reply | None:
        if method == "eth_sendTransaction":
            place = Web3.to_checksum_address(PAID)
            web3.eth.send_transaction(
                {"from": list(web3.eth.accounts)[1], "to": place, "value": Wei(5)}
            )
        return None

    fresh.node.trouble = after_another
    fresh.node.after = first_time("eth_sendTransaction", Reply(HTML))
    assert chain.fund_gas(PAID, 7).block == 2
    assert web3.eth.get_balance(Web3.to_checksum_address(PAID)) == 12


@pytest.mark.parametrize("key", [None, OPERATOR_KEY], ids=["node signs", "own key"])
def test_a_transaction_that_the_node_refuses_is_refused(fresh: Served, key: bytes | None) -> None:
    chain = Chain.connect(fresh.url, key)
    fresh.node.trouble = lambda method, _params: (
        refusal(-32000, "insufficient funds") if "send" in method else None
    )
    with pytest.raises(TransactionRefused, match="insufficient funds"):
        chain.fund_gas(PAID, 7)


def test_a_transaction_that_no_block_takes_ends_in_an_error(
    fresh: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "RECEIPT_TIMEOUT_S", 0)
    chain = Chain.connect(fresh.url)
    fresh.node.trouble = lambda method, _params: (
        result("0x" + "ab" * 32) if method == "eth_sendTransaction" else None
    )
    with pytest.raises(ChainUnavailable, match="no receipt of transaction 0xabab"):
        chain.fund_gas(PAID, 7)


def test_a_transaction_is_not_looked_for_in_blocks_without_end(
    fresh: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node may say that there are any number of them."""
    monkeypatch.setattr(sending, "BLOCKS_SEARCHED_MAX", 5)
    chain = Chain.connect(fresh.url)
    heights = iter(["0x0", hex(1 << 63)])

    def endless(method: str, params: list[Any]) -> Reply | None:
        if method == "eth_sendTransaction":
            return refusal(-32000, "already known, perhaps")
        if method == "eth_blockNumber":
            return result(next(heights))
        if method == "eth_getBlockByNumber":
            block = fresh.node._answer(method, ["0x0", *params[1:]])["result"]
            return result(block | {"number": params[0]})
        return None

    fresh.node.trouble = endless
    with pytest.raises(TransactionRefused, match="already known, perhaps"):
        chain.fund_gas(PAID, 7)
    assert fresh.node.asked["eth_getBlockByNumber"] <= 7


def deposits_of(node: ServedChain) -> list[int]:
    """How many deposits each transaction that was sent has."""
    vault = [p[0] for p in node.of("eth_sendTransaction") if len(p[0].get("data", "")) > 400]
    return [(len(sent["data"]) // 64 - 4) // 2 for sent in vault if sent.get("to")]


@pytest.mark.parametrize("refuses", [True, False], ids=["the node refuses", "the estimate tells"])
def test_deposits_fit_into_the_blocks_of_a_chain(open_to_all: Served, refuses: bool) -> None:
    chain = Chain.connect(open_to_all.url)
    chain.attach(open_to_all.chain.deployment)

    def small(method: str, params: list[Any]) -> Reply | None:
        if method != "eth_estimateGas":
            return None
        words = len(params[0]["data"]) // 64
        if words <= 24:
            return result(hex(1_500_000))
        if refuses:
            return refusal(-32003, "Out of gas: gas required exceeds allowance: 8000000")
        return result(hex(1 << 40))

    open_to_all.node.trouble = small
    chain.fund_and_deposit(dict.fromkeys(ACCOUNTS, 10))
    assert sum(deposits_of(open_to_all.node)) == len(ACCOUNTS)
    assert max(deposits_of(open_to_all.node)) == 10


@pytest.mark.parametrize(("needed", "gas"), [(1_000_000, 1_100_000), (GAS - 10, GAS), (GAS, GAS)])
def test_gas_has_a_reserve_as_far_as_a_block_has_room(
    open_to_all: Served, needed: int, gas: int
) -> None:
    chain = Chain.connect(open_to_all.url)
    chain.attach(open_to_all.chain.deployment)

    def small(method: str, params: list[Any]) -> Reply | None:
        if method == "eth_estimateGas":
            return result(hex(needed))
        if method != "eth_getBlockByNumber":
            return None
        return result(open_to_all.truth(method, params) | {"gasLimit": hex(GAS)})

    open_to_all.node.trouble = small
    chain.fund_and_deposit({ACCOUNTS[0]: 10})
    sent = [p[0]["gas"] for p in open_to_all.node.of("eth_sendTransaction")]
    assert sent == [hex(gas)] * 3


def test_a_deposit_that_no_block_has_room_for_is_refused(open_to_all: Served) -> None:
    chain = Chain.connect(open_to_all.url)
    chain.attach(open_to_all.chain.deployment)

    def none_at_all(method: str, params: list[Any]) -> Reply | None:
        if method == "eth_estimateGas" and len(params[0]["data"]) > 300:
            return result(hex(1 << 40))
        return estimates()(method, params)

    open_to_all.node.trouble = none_at_all
    with pytest.raises(TransactionRefused, match="it needs 1099511627776 gas, and a block has"):
        chain.fund_and_deposit(dict.fromkeys(ACCOUNTS[:3], 10))


@pytest.mark.parametrize(
    "message", ["EVM error NotActivated", "invalid opcode: opcode 0x5c not defined"]
)
def test_a_chain_before_cancun_is_told_before_anything_is_sent(
    fresh: Served, committee: SigningCommittee, message: str
) -> None:
    chain = Chain.connect(fresh.url)
    fresh.node.trouble = lambda method, params: (
        refusal(-32603, message) if method == "eth_call" and "to" not in params[0] else None
    )
    with pytest.raises(ChainTooOld, match=f"Cancun upgrade.*{message}"):
        chain.deploy(committee.terms())
    assert not fresh.node.asked["eth_sendTransaction"]
