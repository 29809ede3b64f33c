"""Nodes that limit, refuse for a while, lose answers, or are of another kind than is needed."""

import json
import time
from collections.abc import Iterator
from email.utils import formatdate
from functools import cached_property
from itertools import count
from typing import Any

import pytest
from eth_abi.abi import encode
from web3 import Web3

from darkpool.chain import logs, node, sending
from darkpool.chain.client import Chain
from darkpool.chain.errors import (
    ChainTooOld,
    ChainUnavailable,
    NodeBusy,
    TransactionRefused,
    WrongDeployment,
)
from darkpool.chain.evidence import AccountFlow, IntervalEvidence
from darkpool.chain.reading import ReadableChain
from darkpool.units import AccountId, Interval, account_id
from tests.support.served_chain import Reply, ServedChain, Trouble, lost, refusal, result, served
from tests.support.signing_committee import SigningCommittee, balance

OPERATOR_KEY = (1).to_bytes(32)  # of the first account of the embedded chain
ACCOUNTS = [account_id(f"0x{number:040x}") for number in range(1, 41)]
BLOCKS_AFTER = 3
PAID = account_id("0x" + "77" * 20)
GAS = 8_000_000
HTML = b"<html>please log in</html>"


@pytest.fixture(scope="module")
def settled(committee: SigningCommittee) -> Chain:
    """A chain with a settled interval, deposits and many blocks after it."""
    chain = Chain.embedded()
    chain.deploy(committee.addresses)
    chain.fund_and_deposit(dict.fromkeys(ACCOUNTS[:5], 100))
    committee.commit(chain, 4)
    committee.settle(chain, 4, [balance(account, 100) for account in sorted(ACCOUNTS[:5])])
    assert chain._tester is not None
    chain._tester.mine_blocks(BLOCKS_AFTER)
    return chain


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the client would have waited, without the waiting."""
    waited: list[float] = []
    start = time.monotonic()
    monkeypatch.setattr("darkpool.chain.node.time.sleep", waited.append)
    monkeypatch.setattr("darkpool.chain.node.time.monotonic", lambda: start + sum(waited))
    return waited


class Served:
    """A chain, served; and what reads it from outside."""

    def __init__(self, chain: Chain, url: str, node: ServedChain) -> None:
        self.chain, self.url, self.node = chain, url, node

    @cached_property
    def evidence(self) -> IntervalEvidence:
        return self.chain.evidence(Interval(4))

    @cached_property
    def flows(self) -> dict[AccountId, AccountFlow]:
        return self.chain.flows_before(Interval(4))

    def reader(self) -> ReadableChain:
        reader = ReadableChain.at(self.url)
        reader.attach(self.chain.deployment)
        return reader

    def auditor(self) -> ReadableChain:
        """A reader that does not know since when the contracts stand."""
        deployment, reader = self.chain.deployment, ReadableChain.at(self.url)
        reader.attach(reader.deployment_at(deployment.settlement, deployment.vault, 0))
        return reader


@pytest.fixture(scope="module")
def all_the_time(settled: Chain) -> Iterator[Served]:
    with served(node := ServedChain(settled._web3, {})) as url:
        yield Served(settled, url, node)


@pytest.fixture
def at(all_the_time: Served) -> Served:
    """The settled chain, whose node has no trouble yet and was asked nothing."""
    all_the_time.node.begin_anew()
    return all_the_time


@pytest.fixture(scope="module")
def founded(committee: SigningCommittee) -> Chain:
    """A chain with contracts that anything may be paid into."""
    chain = Chain.embedded()
    chain.deploy(committee.addresses)
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


def first_time(method: str, reply: Reply, times: int = 1) -> Trouble:
    """A trouble of the first requests of a method."""
    seen = count()
    return lambda asked, _params: reply if asked == method and next(seen) < times else None


def limited(blocks: int, reply: Reply) -> Trouble:
    def trouble(method: str, params: list[Any]) -> Reply | None:
        if method != "eth_getLogs":
            return None
        first, last = int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)
        return reply if last - first >= blocks else None

    return trouble


@pytest.mark.parametrize("reply", [result([]), refusal(-32601, "not available")], ids=str)
def test_reading_needs_no_account(at: Served, reply: Reply) -> None:
    at.node.trouble = lambda method, _params: reply if method == "eth_accounts" else None
    assert at.reader().evidence(Interval(4)) == at.evidence
    assert at.auditor().flows_before(Interval(4)) == at.flows
    assert not [method for method in at.node.asked if "send" in method or "account" in method]
    with pytest.raises(ChainUnavailable):
        Chain.connect(at.url)


REFUSALS = {
    "an error": refusal(-32602, "range exceeds limit of 10000"),
    "an error of status 400": refusal(-32600, "up to a 10 block range", 400),
    "too many results": refusal(-32005, "query returned more than 10000 results"),
    "status 413": Reply(HTML, 413),
    "status 504": Reply(HTML, 504),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_events_are_read_in_pieces(at: Served, name: str) -> None:
    blocks, reply = 1 if name == "an error" else 4, REFUSALS[name]
    at.node.trouble = limited(blocks, reply)
    expected = at.evidence
    assert expected.batch is not None
    assert expected.settlement is not None
    auditor = at.auditor()
    near = (expected.batch.block, expected.settlement.block)
    assert auditor.evidence(Interval(4), near) == expected
    assert auditor.flows_before(Interval(4), near[0]) == at.flows
    ranges = [
        (int(query["fromBlock"], 16), int(query["toBlock"], 16))
        for (query,) in at.node.of("eth_getLogs")
    ]
    # nothing after the settlement is of interest, and nothing stands before the deployment
    assert max(last for _, last in ranges) == near[1]
    told = [first for first, last in ranges if last - first < blocks]
    assert min(told) >= at.chain.deployment.block


def test_events_that_are_elsewhere_than_a_record_says_are_found(at: Served) -> None:
    expected = at.evidence
    at.node.trouble = limited(7, refusal(-32602, "too many blocks"))
    height = at.chain.height()
    for near in ((), (height, 1 << 60)):
        assert at.auditor().evidence(Interval(4), near) == expected


def test_an_answer_that_is_too_large_is_asked_for_in_pieces(
    at: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = at.flows
    at.node.trouble = limited(3, Reply(b" " * 300_000))
    monkeypatch.setattr(node, "ANSWER_BYTES_MAX", 200_000)
    assert at.auditor().flows_before(Interval(4)) == expected


def test_pieces_are_bounded(at: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "PIECES_MAX", 5)
    at.node.trouble = limited(2, refusal(-32602, "too many blocks"))
    with pytest.raises(ChainUnavailable, match=r"blocks of Deposited at once"):
        at.auditor().flows_before(Interval(4))


def test_a_node_that_refuses_every_range_is_unavailable(at: Served) -> None:
    auditor = at.auditor()
    at.node.trouble = limited(0, refusal(-32602, "no events for you"))
    with pytest.raises(ChainUnavailable, match="error -32602: no events for you"):
        auditor.flows_before(Interval(4))
    at.node.asked.clear()
    at.node.trouble = limited(0, refusal(-32601, "no such method"))
    with pytest.raises(ChainUnavailable, match="error -32601: no such method"):
        auditor.flows_before(Interval(4))
    assert at.node.asked["eth_getLogs"] == 1


def test_where_old_blocks_are_not_known_the_beginning_is_searched_too(at: Served) -> None:
    expected = at.flows
    auditor = at.auditor()
    limit = limited(9, refusal(-32602, "too many blocks"))

    def pruned(method: str, params: list[Any]) -> Reply | None:
        if method == "eth_getCode":
            return refusal(-32000, "missing trie node")
        return limit(method, params)

    at.node.trouble = pruned
    assert auditor.flows_before(Interval(4)) == expected


def test_events_that_were_not_asked_for_are_no_answer(at: Served) -> None:
    auditor = at.auditor()
    for lie in ("0x" + "11" * 20, at.chain.deployment.token):
        log = {
            "address": lie,
            "topics": ["0x" + "22" * 32],
            "data": "0x",
            "blockNumber": "0x1",
            "blockHash": "0x" + "33" * 32,
            "transactionHash": "0x" + "44" * 32,
            "transactionIndex": "0x0",
            "logIndex": "0x0",
        }
        at.node.trouble = lambda method, _params, log=log: (  # type: ignore[misc]
            result([log]) if method == "eth_getLogs" else None
        )
        with pytest.raises(ChainUnavailable, match="not asked for"):
            auditor.flows_before(Interval(4))


BUSY = {
    "429": Reply(b'{"error":"rate limited"}', 429, {"Retry-After": "3"}),
    "502": Reply(HTML, 502),
    "503": Reply(b"", 503),
    "504": Reply(b"", 504),
    "lost": lost(),
    "rate limit": refusal(-32016, "over rate limit"),
    "limit exceeded": refusal(-32005, "limit exceeded"),
    "code 429": refusal(429, "compute units"),
}


@pytest.mark.parametrize("reply", BUSY.values(), ids=BUSY)
def test_a_node_that_is_busy_is_asked_again(at: Served, reply: Reply, pauses: list[float]) -> None:
    at.node.trouble = first_time("eth_chainId", reply, times=3)
    assert at.reader().chain_id() == at.chain.deployment.chain_id
    expected = [3, 3, 3] if "Retry-After" in reply.headers else [0.25, 0.5, 1.0]
    assert pauses == expected


@pytest.mark.parametrize("reply", BUSY.values(), ids=BUSY)
def test_patience_with_a_busy_node_ends(at: Served, reply: Reply, pauses: list[float]) -> None:
    at.node.trouble = lambda _method, _params: reply
    with pytest.raises(NodeBusy):
        at.reader()
    assert node.PATIENCE_S / 2 < sum(pauses) <= node.PATIENCE_S


def test_a_node_that_asks_for_too_long_a_wait_is_unavailable_at_once(
    at: Served, pauses: list[float]
) -> None:
    at.node.trouble = lambda *_: Reply(b"", 429, {"Retry-After": "86400"})
    with pytest.raises(NodeBusy, match="HTTP status 429"):
        at.reader()
    assert pauses == []


def test_a_time_to_ask_again_may_be_a_date() -> None:
    assert node._retry_after_s("7") == 7
    assert 58 <= node._retry_after_s(formatdate(time.time() + 60, usegmt=True)) <= 62
    assert node._retry_after_s(formatdate(0, usegmt=True)) == 0
    for text in ("", "soon", "-1", "٣", "9" * 30, "Mon, 99 Foo 2099"):
        assert node._retry_after_s(text) >= 0


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
        chain.deploy(committee.addresses)
    assert not fresh.node.asked["eth_sendTransaction"]


def test_what_a_contract_answers_sends_nobody_elsewhere(at: Served) -> None:
    """EIP-3668 lets a contract name an address to fetch from."""
    elsewhere = ServedChain(at.chain._web3)
    with served(elsewhere) as url:
        data = (
            "0x556f1830"
            + encode(
                ["address", "string[]", "bytes", "bytes4", "bytes"],
                [at.chain.deployment.settlement, [url], b"", b"\1\2\3\4", b""],
            ).hex()
        )
        error = {"code": 3, "message": "execution reverted", "data": data}
        body = json.dumps({"jsonrpc": "2.0", "id": "ID", "error": error}).encode()
        at.node.trouble = lambda method, _params: Reply(body) if method == "eth_call" else None
        with pytest.raises(ChainUnavailable):
            at.reader()
        assert not elsewhere.requests


def test_secrets_in_an_address_are_in_no_message(at: Served) -> None:
    url = at.url.replace("//", "//alice:hush1@") + "/v3/hush2/?key=hush3"
    for body in (b"no access for /v3/hush2/ with key=hush3", b'{"x": "hush2 alice:hush1"}'):
        at.node.trouble = lambda _method, _params, body=body: Reply(body, 403)  # type: ignore[misc]
        with pytest.raises(ChainUnavailable) as refused:
            ReadableChain.at(url).chain_id()
        assert f"expected an answer from {at.url}, got HTTP status 403" in str(refused.value)
        assert "alice" not in str(refused.value)


def test_no_contract_at_an_address_is_told_as_that(at: Served) -> None:
    reader = ReadableChain.at(at.url)
    nowhere = account_id("0x" + "99" * 20)
    with pytest.raises(WrongDeployment, match=r"code of Settlement: .* no contract at 0x9999"):
        reader.deployment_at(nowhere, at.chain.deployment.vault, 0)
