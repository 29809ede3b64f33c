"""One part of an answer is another than was asked for, and what that counts as."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

import pytest
from web3 import Web3
from web3.types import FilterParams

from darkpool.chain import node
from darkpool.chain.client import Chain
from darkpool.chain.errors import AnswerTooLarge, ChainUnavailable, NodeBusy, WrongDeployment
from darkpool.chain.reading import ReadableChain
from darkpool.units import Interval, account_id
from tests.support.served_chain import Reply, Served, ServedChain, refusal, result, served
from tests.support.signing_committee import SigningCommittee, balance

ANN = account_id("0x" + "77" * 20)


@pytest.fixture(scope="module")
def settled(committee: SigningCommittee) -> Chain:
    chain = Chain.embedded()
    chain.deploy(committee.terms())
    chain.fund_and_deposit({ANN: 100})
    committee.commit(chain, 4)
    committee.settle(chain, [balance(ANN, 100)])
    return chain


@pytest.fixture
def at(settled: Chain) -> Iterator[Served]:
    serving = ServedChain(settled._web3)
    with served(serving) as url:
        yield Served(settled, url, serving)


def with_changed_logs(at: Served, change: Callable[[dict[str, Any]], None]) -> None:
    """The node tells the events that it was asked for, each with a part of another."""

    def trouble(method: str, params: list[Any]) -> Reply | None:
        if method != "eth_getLogs":
            return None
        told = at.truth(method, params)
        for log in told:
            change(log)
        return result(told)

    at.node.trouble = trouble


def another_interval(log: dict[str, Any]) -> None:
    log["topics"][1] = f"0x{5:064x}"


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "another contract": lambda log: log.update(address="0x" + "11" * 20),
    "a later block": lambda log: log.update(blockNumber="0xffff"),
    "an earlier block": lambda log: log.update(blockNumber="0x0"),
    "another event": lambda log: log["topics"].__setitem__(0, "0x" + "22" * 32),
    "no topics": lambda log: log.update(topics=[]),
    "another interval": another_interval,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_event_that_was_not_asked_for_is_no_evidence(
    at: Served, change: Callable[[dict[str, Any]], None]
) -> None:
    with_changed_logs(at, lambda _: None)
    assert at.reader().evidence(Interval(4)).batch is not None
    with_changed_logs(at, change)
    with pytest.raises(ChainUnavailable, match="not asked for"):
        at.reader().evidence(Interval(4))


def test_an_event_that_the_contract_speaks_of_and_no_block_has_is_missed(at: Served) -> None:
    reader = at.reader()
    at.node.trouble = lambda method, _params: result([]) if method == "eth_getLogs" else None
    with pytest.raises(ChainUnavailable, match="no event BatchCommitted of interval 4"):
        reader.evidence(Interval(4))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"id": 99_999, "result": "0x1"}, "the answer to request 99999 instead of"),
        ({"id": None, "result": "0x1"}, "the answer to request null instead of"),
        ({"id": "ID", "result": "0x1", "error": None}, "no JSON-RPC"),
        ({"id": "ID", "result": "0x1", "error": {"code": 1, "message": "m"}}, "no JSON-RPC"),
        ({"id": None, "error": {"code": -32700, "message": "Parse error"}}, "-32700: Parse error"),
        ({"id": "ID", "error": {"code": 1 << 40, "message": "m"}}, "instead of a JSON-RPC error"),
        ({"id": "ID", "error": {"code": True, "message": "m"}}, "instead of a JSON-RPC error"),
        ({"id": "ID", "error": {"code": -32000, "message": 7}}, "instead of a JSON-RPC error"),
        ({"id": "ID", "result": "0x" + "1" * 17}, "instead of a number of at most 64 bits"),
        ({"id": "ID", "result": 1}, "instead of a number of at most 64 bits"),
    ],
)
def test_an_answer_is_that_of_its_request_and_of_its_form(
    at: Served, body: dict[str, Any], says: str
) -> None:
    answer = Reply(json.dumps({"jsonrpc": "2.0", **body}).encode())
    at.node.trouble = lambda _method, _params: answer
    with pytest.raises(ChainUnavailable, match=says):
        ReadableChain.at(at.url).chain_id()


def test_a_number_that_is_none_is_no_answer(at: Served) -> None:
    at.node.trouble = lambda *_: Reply(b'{"jsonrpc":"2.0","id":"ID","result":NaN}')
    with pytest.raises(ChainUnavailable, match="no JSON"):
        ReadableChain.at(at.url).chain_id()


def test_an_answer_leads_to_no_other_address(at: Served, settled: Chain) -> None:
    elsewhere = ServedChain(settled._web3)
    with served(elsewhere) as other:
        for status in (301, 302, 307, 308):
            moved = Reply(b"", status, {"Location": other})
            at.node.trouble = lambda _method, _params, moved=moved: moved  # type: ignore[misc]
            with pytest.raises(ChainUnavailable, match=f"HTTP status {status}"):
                ReadableChain.at(at.url).chain_id()
    assert not elsewhere.asked


def test_an_answer_that_is_cut_off_is_asked_for_again(at: Served, pauses: list[float]) -> None:
    cut = Reply(b'{"jsonrpc"', 200, {"Content-Length": "1000", "Connection": "close"})
    first = iter([cut, cut])
    at.node.trouble = lambda _method, _params: next(first, None)
    assert ReadableChain.at(at.url).chain_id() == at.chain.deployment.chain_id
    assert pauses == [0.25, 0.5]


@pytest.mark.parametrize("events", [False, True])
def test_an_answer_that_takes_too_long_as_a_whole_is_none(
    at: Served, events: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slowly it comes, there is always a little more of it in time."""
    reader = at.reader()
    query: FilterParams = {"address": Web3.to_checksum_address(ANN)}
    ask = partial(reader._web3.eth.get_logs, query) if events else reader.chain_id
    hours = count(0, 3600)
    monkeypatch.setattr("darkpool.chain.node.time.monotonic", lambda: float(next(hours)))
    with pytest.raises(ChainUnavailable, match="no whole answer in 30 s") as caught:
        ask()
    assert type(caught.value) is (AnswerTooLarge if events else NodeBusy)


class OneAnswerEach:
    """A node that ends every connection when it has answered."""

    def __init__(self, chain: Chain) -> None:
        self._node = ServedChain(chain._web3)

    def reply(self, request: bytes) -> Reply:
        return replace(self._node.reply(request), headers={"Connection": "close"})


def test_a_node_that_was_never_there_is_not_waited_for(
    at: Served, settled: Chain, pauses: list[float]
) -> None:
    with pytest.raises(NodeBusy):
        Chain.connect("http://127.0.0.1:1")
    with pytest.raises(ChainUnavailable, match="no connection") as caught:
        Chain.connect(at.url.replace("http:", "https:"))
    assert type(caught.value) is ChainUnavailable
    assert pauses == []
    with served(OneAnswerEach(settled)) as url:
        reader = ReadableChain.at(url)
        assert reader.height() == settled.height()
    with pytest.raises(NodeBusy):
        reader.height()
    assert sum(pauses) > node.PATIENCE_S / 2


def test_a_node_without_accounts_sends_nothing(at: Served) -> None:
    at.node.trouble = lambda method, _params: result([]) if method == "eth_accounts" else None
    with pytest.raises(ChainUnavailable, match="no account that could send"):
        Chain.connect(at.url)


def test_contracts_are_those_of_the_chain_that_is_asked(at: Served) -> None:
    at.node.trouble = lambda method, _params: result("0x1") if method == "eth_chainId" else None
    with pytest.raises(WrongDeployment, match="chain id"):
        at.reader()


@pytest.mark.usefixtures("pauses")
def test_a_receipt_is_of_the_transaction_that_was_sent(at: Served) -> None:
    settlement = at.evidence.settlement
    assert settlement is not None
    hash_of_other = f"0x{settlement.transaction.hex()}"
    told = at.truth("eth_getTransactionReceipt", [hash_of_other])
    answers = {
        "eth_sendTransaction": result("0x" + "ab" * 32),
        "eth_getTransactionReceipt": result(told),
    }
    at.node.trouble = lambda method, _params: answers.get(method)
    with pytest.raises(ChainUnavailable, match=f"0xabab.*the receipt of {hash_of_other}"):
        Chain.connect(at.url).fund_gas(ANN, 1)


@pytest.mark.usefixtures("pauses")
def test_a_transaction_that_is_known_already_counts(at: Served) -> None:
    """Its first answer was lost, and the node refuses the second sending."""
    chain = Chain.connect(at.url)
    sent: list[Any] = []

    def twice(method: str, _params: list[Any]) -> Reply | None:
        if method != "eth_sendTransaction":
            return None
        sent.append(method)
        return None if len(sent) == 1 else refusal(-32000, "nonce too low")

    at.node.trouble = twice
    lost_once = iter([Reply(b"", 502)])
    at.node.after = lambda method, _params: (
        next(lost_once, None) if method == "eth_sendTransaction" else None
    )
    before = at.chain.height()
    assert chain.fund_gas(ANN, 1).block == before + 1
    assert len(sent) == 2
