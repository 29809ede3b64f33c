"""Nodes that limit, refuse for a while, lose answers, or are of another kind than is needed."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.abi import event_abi_to_log_topic

from darkpool.chain import logs, node
from darkpool.chain.client import Chain
from darkpool.chain.errors import ChainUnavailable, NodeBusy, WrongDeployment
from darkpool.chain.reading import ReadableChain
from darkpool.errors import WrongType
from darkpool.protocol.flows import NO_FLOWS
from darkpool.units import Interval, account_id
from tests.support.served_chain import (
    BUSY,
    HTML,
    Reply,
    Served,
    ServedChain,
    Trouble,
    first_time,
    refusal,
    result,
    served,
)
from tests.support.signing_committee import BATCH, FILLS, SigningCommittee, balance

ACCOUNTS = [account_id(f"0x{number:040x}") for number in range(1 << 16, (1 << 16) + 40)]
BLOCKS_AFTER = 3


@pytest.fixture(scope="module")
def settled(committee: SigningCommittee) -> Chain:
    """A chain with a settled interval, deposits and many blocks after it."""
    chain = Chain.embedded()
    chain.deploy(committee.terms())
    chain.fund_and_deposit(dict.fromkeys(ACCOUNTS[:5], 100))
    committee.commit(chain, 4)
    committee.settle(chain, [balance(account, 100) for account in ACCOUNTS[:5]])
    assert chain._tester is not None
    chain._tester.mine_blocks(BLOCKS_AFTER)
    return chain


@pytest.fixture(scope="module")
def all_the_time(settled: Chain) -> Iterator[Served]:
    node = ServedChain(settled._web3, {})
    with served(node) as url:
        yield Served(settled, url, node)


@pytest.fixture
def at(all_the_time: Served) -> Served:
    """The settled chain, whose node has no trouble yet and was asked nothing."""
    all_the_time.node.begin_anew()
    return all_the_time


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
    assert at.auditor().flows() == at.flows
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
    assert auditor.flows_since(until=near[0]).flows == at.flows
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
    assert at.auditor().flows() == expected


def test_pieces_are_bounded(at: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "PIECES_MAX", 5)
    at.node.trouble = limited(2, refusal(-32602, "too many blocks"))
    with pytest.raises(ChainUnavailable, match=r"blocks of Flow at once"):
        at.auditor().flows()


def test_a_node_that_refuses_every_range_is_unavailable(at: Served) -> None:
    auditor = at.auditor()
    at.node.trouble = limited(0, refusal(-32602, "no events for you"))
    with pytest.raises(ChainUnavailable, match="error -32602: no events for you"):
        auditor.flows()
    at.node.asked.clear()
    at.node.trouble = limited(0, refusal(-32601, "no such method"))
    with pytest.raises(ChainUnavailable, match="error -32601: no such method"):
        auditor.flows()
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
    assert auditor.flows() == expected


UNTRUE: dict[str, Callable[[list[Any]], list[Any]]] = {
    "twice": lambda found: found + found,
    "backwards": lambda found: found[::-1],
    "without the last": lambda found: found[:-1],
}


@pytest.mark.parametrize("told", UNTRUE)
def test_flows_that_are_not_whole_are_counted_by_no_auditor(at: Served, told: str) -> None:
    auditor = at.auditor()

    def trouble(method: str, params: list[Any]) -> Reply | None:
        if method != "eth_getLogs":
            return None
        found = at.node._answer(method, params)["result"]
        return result(UNTRUE[told](found) if len(found) > 1 else found)

    at.node.trouble = trouble
    with pytest.raises(ChainUnavailable, match=r"events twice, or out of order|no flow 5 of 5"):
        auditor.flows()


@pytest.mark.parametrize("changed", [False, True], ids=["flow", "all that is said of it"])
def test_a_flow_that_the_contract_does_not_have_is_no_answer(at: Served, changed: bool) -> None:
    """A node that makes up an amount can make up the hash that goes with it."""
    auditor = at.auditor()

    def trouble(method: str, params: list[Any]) -> Reply | None:
        if method != "eth_getLogs":
            return None
        found = at.node._answer(method, params)["result"]
        head, told = NO_FLOWS, []
        for log, flow in zip(found, at.flows, strict=True):
            made = replace(flow, amount=flow.amount + 1)
            head = made.head_after(head)
            words = [log["data"][i : i + 64] for i in range(2, len(log["data"]), 64)]
            words = [f"{made.amount:064x}" if w == f"{flow.amount:064x}" else w for w in words]
            if changed:
                words = [head.hex() if w == at_heads[flow.index] else w for w in words]
            told.append(log | {"data": "0x" + "".join(words)})
        return result(told)

    at_heads, head = {}, NO_FLOWS
    for flow in at.flows:
        head = flow.head_after(head)
        at_heads[flow.index] = head.hex()
    at.node.trouble = trouble
    reason = "flows up to 5 that the contract's hash is not of" if changed else "a flow 1 that its"
    with pytest.raises(ChainUnavailable, match=reason):
        auditor.flows()


@pytest.mark.parametrize("event", ["BatchCommitted", "BatchSettled"])
def test_roots_of_events_that_the_settlement_s_hash_is_not_of_are_no_answer(
    at: Served, event: str
) -> None:
    auditor = at.auditor()
    abi = at.chain._settlement.events[event].abi
    topic = f"0x{event_abi_to_log_topic(abi).hex()}"

    def trouble(method: str, params: list[Any]) -> Reply | None:
        if method != "eth_getLogs":
            return None
        told = at.node._answer(method, params)["result"]
        root = {"BatchCommitted": BATCH, "BatchSettled": FILLS}[event].hex()
        return result(
            [
                log | {"data": log["data"].replace(root, "11" * 32)}
                if log["topics"][0] == topic
                else log
                for log in told
            ]
        )

    at.node.trouble = trouble
    with pytest.raises(ChainUnavailable, match="a settlement of interval 4 that its hash is not"):
        auditor.evidence(Interval(4))


def test_events_that_were_not_asked_for_are_no_answer(at: Served) -> None:
    auditor = at.auditor()
    for lie in ("0x" + "11" * 20, at.chain.deployment.vault):
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
            auditor.flows()


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


@contextmanager
def dripping(beginning: bytes) -> Iterator[str]:
    """A node that says something, and then a byte now and again for longer than a test waits."""
    over = threading.Event()

    def drip() -> None:
        with suppress(OSError), listening.accept()[0] as asked:
            asked.recv(1 << 16)
            asked.sendall(beginning)
            for _ in range(100):
                asked.sendall(b"1")
                if over.wait(0.1):
                    break

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(
    "beginning",
    [
        b"HTTP/1.1 200 OK\r\nServer: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
    ],
    ids=["head", "body", "chunk"],
)
def test_an_answer_that_comes_byte_by_byte_is_not_awaited(
    beginning: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "ANSWER_TIMEOUT_S", 0.5)
    monkeypatch.setattr(node, "PATIENCE_S", 0)
    with dripping(beginning) as url:
        start = time.monotonic()
        with pytest.raises(NodeBusy, match=r"no whole answer in 0\.5 s"):
            ReadableChain.at(url).chain_id()
        assert time.monotonic() - start < 5


def test_a_time_to_ask_again_may_be_a_date() -> None:
    assert node._retry_after_s("7") == 7
    assert 58 <= node._retry_after_s(formatdate(time.time() + 60, usegmt=True)) <= 62
    assert node._retry_after_s(formatdate(0, usegmt=True)) == 0
    for text in ("", "soon", "-1", "٣", "9" * 30, "Mon, 99 Foo 2099"):
        assert node._retry_after_s(text) >= 0


def test_what_a_contract_answers_makes_no_request_elsewhere(
    at: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EIP-3668 lets a contract name an address to fetch from."""
    monkeypatch.setattr(node.Node, "ccip_read_allow_http", True)
    monkeypatch.setattr("web3.utils.exception_handling.validate_ccip_url_host", lambda _url: None)
    asked: list[bytes] = []

    class Elsewhere:
        def reply(self, request: bytes) -> Reply:
            asked.append(request)
            return Reply(b"{}")

    with served(Elsewhere()) as url:
        data = (
            "0x556f1830"
            + encode(
                ["address", "string[]", "bytes", "bytes4", "bytes"],
                [at.chain.deployment.vault, [url], b"", b"\1\2\3\4", b""],
            ).hex()
        )
        error = {"code": 3, "message": "execution reverted", "data": data}
        body = json.dumps({"jsonrpc": "2.0", "id": "ID", "error": error}).encode()
        at.node.trouble = lambda method, _params: Reply(body) if method == "eth_call" else None
        with pytest.raises(ChainUnavailable):
            at.reader()
        assert asked == []


def test_secrets_in_an_address_are_in_no_message(at: Served) -> None:
    url = at.url.replace("//", "//alice:hush1@") + "/v3/hush2/?key=hush3"
    for body in (b"no access for /v3/hush2/ with key=hush3", b'{"x": "hush2 alice:hush1"}'):
        at.node.trouble = lambda _method, _params, body=body: Reply(body, 403)  # type: ignore[misc]
        with pytest.raises(ChainUnavailable) as refused:
            ReadableChain.at(url).chain_id()
        assert f"expected an answer from {at.url}, got HTTP status 403" in str(refused.value)
        assert "alice" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://[::1", "http://user:secret@[::1"])
def test_an_address_that_is_none_is_told_without_a_word_of_it(url: str) -> None:
    with pytest.raises(ChainUnavailable) as refused:
        Chain.connect(url)
    assert "no address" in str(refused.value)
    assert "secret" not in str(refused.value)
    with pytest.raises(WrongType, match="address of a node: expected str"):
        Chain.connect(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("data", ["0x556f1830ff", "0x08c379a0ff", "0x4e487b71ff", "0x08c379a0"])
def test_a_revert_whose_reason_ends_too_early_is_no_answer(at: Served, data: str) -> None:
    error = {"code": 3, "message": "m", "data": data}
    body = json.dumps({"jsonrpc": "2.0", "id": "ID", "error": error}).encode()
    at.node.trouble = lambda method, _params: Reply(body) if method == "eth_call" else None
    deployment, reader = at.chain.deployment, ReadableChain.at(at.url)
    with pytest.raises(ChainUnavailable):
        reader.deployment_at(deployment.settlement, 0)


def test_no_contract_at_an_address_is_told_as_that(at: Served) -> None:
    reader = ReadableChain.at(at.url)
    nowhere = account_id("0x" + "99" * 20)
    with pytest.raises(WrongDeployment, match=r"code of Settlement: .* no contract at 0x9999"):
        reader.deployment_at(nowhere, 0)
