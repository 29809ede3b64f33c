"""Several nodes are asked as one: one cannot mislead, and a few that are away do not matter."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hexbytes import HexBytes
from web3 import Web3

from darkpool.chain import quorum
from darkpool.chain.client import Chain
from darkpool.chain.differing import comparable, first_difference
from darkpool.chain.errors import (
    ChainUnavailable,
    DisagreeingNodes,
    NodeBusy,
    NotFinal,
    NotFinalInTime,
    TransactionRefused,
    WrongDeployment,
)
from darkpool.chain.finality import FINALIZED, Finality
from darkpool.chain.reading import ReadableChain
from darkpool.errors import OutOfBounds
from darkpool.units import Interval, account_id
from tests.support.served_chain import (
    HTML,
    Reply,
    ServedChain,
    Trouble,
    first_time,
    lost,
    refusal,
    result,
    served,
)
from tests.support.signing_committee import SigningCommittee, balance

KEY = (1).to_bytes(32)  # of the first account of the embedded chain
ACCOUNTS = [account_id(f"0x{number:040x}") for number in range(1 << 16, (1 << 16) + 5)]
PAID = account_id("0x" + "99" * 20)


class Nodes:
    """Three nodes of one chain."""

    def __init__(self, chain: Chain, serving: list[ServedChain], urls: list[str]) -> None:
        self.chain, self.serving, self.urls = chain, serving, urls

    def reader(self) -> ReadableChain:
        reader = ReadableChain.at(self.urls)
        reader.attach(self.chain.deployment)
        return reader

    def truth(self, method: str, params: list[Any]) -> Any:
        return self.serving[0]._answer(method, params)["result"]

    def sent(self) -> list[int]:
        return [node.asked["eth_sendRawTransaction"] for node in self.serving]


@pytest.fixture(scope="module")
def settled(committee: SigningCommittee) -> Chain:
    chain = Chain.embedded()
    chain.deploy(committee.terms())
    chain.fund_and_deposit(dict.fromkeys(ACCOUNTS, 100))
    committee.commit(chain, 4)
    committee.settle(chain, [balance(account, 100) for account in ACCOUNTS])
    assert chain._tester is not None
    chain._tester.mine_blocks(5)
    return chain


def nodes_of(chain: Chain, stack: ExitStack, known: dict[str, Any] | None = None) -> Nodes:
    lock = threading.Lock()
    serving = [ServedChain(chain._web3, known, lock) for _ in range(3)]
    return Nodes(chain, serving, [stack.enter_context(served(node)) for node in serving])


@pytest.fixture(scope="module")
def all_the_time(settled: Chain) -> Iterator[Nodes]:
    with ExitStack() as stack:
        yield nodes_of(settled, stack, {})


@pytest.fixture
def nodes(all_the_time: Nodes) -> Nodes:
    """Three nodes of a chain that does not change, without troubles yet."""
    for node in all_the_time.serving:
        node.begin_anew()
    return all_the_time


@pytest.fixture
def fresh() -> Iterator[Nodes]:
    """Three nodes of a chain that takes transactions."""
    with ExitStack() as stack:
        yield nodes_of(Chain.embedded(), stack)


def check_all(nodes: Nodes, reader: ReadableChain) -> None:
    """Everything that is read is as on the chain itself."""
    chain = nodes.chain
    found = reader.evidence(Interval(4))
    assert found == chain.evidence(Interval(4))
    assert found.batch is not None
    assert reader.flows() == chain.flows()
    assert reader.standing() == chain.standing()
    assert reader.last_settlement() == chain.last_settlement()
    assert reader.chain_id() == chain.deployment.chain_id
    assert reader.is_final(found.batch.point, Finality(2))


def test_nodes_that_agree_are_as_one(nodes: Nodes) -> None:
    reader = nodes.reader()
    check_all(nodes, reader)
    assert reader.node == "a majority of 3 nodes"
    asked = [dict(node.asked) for node in nodes.serving]
    assert asked[0] == asked[1] == asked[2]


@pytest.mark.parametrize("away", [lost(), Reply(HTML), Reply(b"", 503), refusal(-32000, "no")])
def test_one_of_three_nodes_may_be_away(nodes: Nodes, away: Reply) -> None:
    nodes.serving[1].trouble = lambda _method, _params: away
    check_all(nodes, nodes.reader())


@pytest.mark.parametrize("away", [lost(), Reply(HTML)], ids=["busy", "no node"])
def test_two_of_three_nodes_may_not_be_away(nodes: Nodes, away: Reply, pauses: list[float]) -> None:
    reader = nodes.reader()
    for node in nodes.serving[1:]:
        node.trouble = lambda _method, _params: away
    with pytest.raises(ChainUnavailable) as caught:
        reader.standing()
    assert nodes.urls[1] in str(caught.value)
    assert isinstance(caught.value, NodeBusy) == bool(pauses)


def test_nodes_that_come_back_in_time_are_heard(nodes: Nodes, pauses: list[float]) -> None:
    for node in nodes.serving[1:]:
        node.trouble = first_time("eth_chainId", lost(), times=2)
    assert ReadableChain.at(nodes.urls).chain_id() == nodes.chain.deployment.chain_id
    assert pauses == [0.25, 0.5]


def test_a_node_that_never_answers_is_not_waited_for(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quorum, "GRACE_S", 0.01)
    over, silent = threading.Event(), ServedChain(nodes.chain._web3)

    class Silent:
        def reply(self, _request: bytes) -> Reply:
            silent.asked["any"] += 1
            over.wait(30)
            return lost()

    with served(Silent()) as url:
        try:
            reader = ReadableChain.at([*nodes.urls[:2], url])
            for _ in range(20):
                assert reader.chain_id() == nodes.chain.deployment.chain_id
            assert silent.asked["any"] == 1
        finally:
            over.set()


def changed(field: str, value: object) -> Callable[[Any], Any]:
    return lambda told: told | {field: value}


LIES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "chain": ("eth_chainId", lambda _told: "0x1"),
    "code": ("eth_getCode", lambda told: told[:-2] + "00"),
    "no code": ("eth_getCode", lambda _told: "0x"),
    "state": ("eth_call", lambda told: told[:-1] + ("1" if told[-1] == "0" else "0")),
    "events": ("eth_getLogs", lambda told: told[:-1]),
    "an event": ("eth_getLogs", lambda told: [log | {"data": "0x" + "11" * 32} for log in told]),
    "a block": ("eth_getBlockByNumber", changed("hash", "0x" + "11" * 32)),
}


def lying(nodes: Nodes, number: int, name: str) -> None:
    method, lie = LIES[name]
    nodes.serving[number].trouble = lambda asked, params: (
        result(lie(nodes.truth(asked, params))) if asked == method else None
    )


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("name", LIES)
def test_a_node_that_disagrees_stops_what_asks(nodes: Nodes, name: str, number: int) -> None:
    lying(nodes, number, name)
    with pytest.raises(DisagreeingNodes, match=LIES[name][0]) as caught:
        check_all(nodes, nodes.reader())
    said = str(caught.value)
    assert nodes.urls[number] in said
    assert nodes.urls[0] in said
    told = str(caught.value.expected), str(caught.value.got)
    ours, theirs = (text.split(" from ")[0] for text in told)
    assert ours.removeprefix("the same of all nodes, ") != theirs


def test_two_values_and_two_nodes_are_in_the_message(nodes: Nodes) -> None:
    lying(nodes, 1, "chain")
    urls = [nodes.urls[0], nodes.urls[1].replace("//", "//me:hush@")]
    with pytest.raises(DisagreeingNodes) as caught:
        ReadableChain.at(urls).chain_id()
    own = hex(nodes.chain.deployment.chain_id)
    assert str(caught.value) == (
        f"chain: eth_chainId: expected the same of all nodes, {own} from {nodes.urls[0]}, "
        f"got 0x1 from {nodes.urls[1]}"
    )


def behind(nodes: Nodes, height: int) -> Trouble:
    """A node that has come to a block only, and says nothing of those after it."""

    def trouble(method: str, params: list[Any]) -> Reply | None:
        if method == "eth_blockNumber":
            return result(hex(height))
        if method == "eth_getLogs":
            first = int(params[0]["fromBlock"], 16)
            if first > height:
                return result([])
            last = min(height, int(params[0]["toBlock"], 16))
            return result(nodes.truth(method, [params[0] | {"toBlock": hex(last)}]))
        place = {"eth_call": 1, "eth_getCode": 1, "eth_getBlockByNumber": 0}.get(method)
        if place is None or params[place] == "finalized" or int(params[place], 16) <= height:
            return None
        return result(None) if place == 0 else refusal(-32000, "header not found")

    return trouble


def test_a_node_that_is_behind_is_not_heard_of_what_it_does_not_have(nodes: Nodes) -> None:
    settlement = nodes.chain.evidence(Interval(4)).settlement
    assert settlement is not None
    nodes.serving[0].trouble = behind(nodes, settlement.block - 1)
    reader = nodes.reader()
    check_all(nodes, reader)
    assert reader.height() == nodes.chain.height()


def test_the_last_block_is_the_one_that_a_majority_has(nodes: Nodes) -> None:
    height = nodes.chain.height()
    nodes.serving[0].trouble = behind(nodes, height - 1)
    nodes.serving[2].trouble = behind(nodes, height - 3)
    reader = nodes.reader()
    check_all(nodes, reader)
    assert reader.height() == height - 1
    assert reader.block_at(height) is None
    assert reader.block_at(height - 1) == nodes.chain.block_at(height - 1)


def test_one_node_makes_nothing_final(nodes: Nodes) -> None:
    height, reader = nodes.chain.height(), nodes.reader()
    point = nodes.chain.block_at(height)
    assert point is not None
    head = nodes.truth("eth_getBlockByNumber", [hex(height), False])
    first = nodes.truth("eth_getBlockByNumber", ["0x1", False])

    def ahead(method: str, params: list[Any]) -> Reply | None:
        if method == "eth_blockNumber":
            return result(hex(height + 1000))
        return result(head) if params and params[0] == "finalized" else None

    nodes.serving[1].trouble = ahead
    for node in (nodes.serving[0], nodes.serving[2]):
        node.trouble = lambda _method, params: (
            result(first) if params and params[0] == "finalized" else None
        )
    with pytest.raises(NotFinal, match=f"the last one is {height - 1}"):
        reader.require_final(point, Finality(2))
    with pytest.raises(NotFinal, match="the last one is 1"):
        reader.require_final(point, FINALIZED)


def test_nodes_on_two_short_forks_are_asked_until_the_fork_is_over(
    nodes: Nodes, pauses: list[float]
) -> None:
    height = nodes.chain.height()
    head = nodes.truth("eth_getBlockByNumber", [hex(height), False])
    other = result(head | {"hash": "0x" + "11" * 32})
    nodes.serving[0].trouble = first_time("eth_getBlockByNumber", other, times=3)
    assert nodes.reader().block_at(height) == nodes.chain.block_at(height)
    assert pauses == [0.25, 0.5, 1.0]


def test_wrong_code_of_all_nodes_is_told_with_both_values(nodes: Nodes) -> None:
    for node in nodes.serving:
        node.trouble = lambda method, _params: result("0x") if method == "eth_getCode" else None
    with pytest.raises(WrongDeployment, match=r"code of Settlement: expected 0x.* got no contract"):
        nodes.reader()


def test_a_limit_of_most_nodes_is_kept_to(nodes: Nodes) -> None:
    def limited(method: str, params: list[Any]) -> Reply | None:
        if method != "eth_getLogs":
            return None
        first, last = (int(params[0][name], 16) for name in ("fromBlock", "toBlock"))
        return refusal(-32602, "too many blocks") if last - first > 2 else None

    for node in nodes.serving[:2]:
        node.trouble = limited
    check_all(nodes, nodes.reader())
    assert nodes.serving[2].asked["eth_getLogs"] > 3


def paid_to(nodes: Nodes) -> int:
    return nodes.chain._web3.eth.get_balance(Web3.to_checksum_address(PAID))


def test_a_transaction_goes_to_all_nodes_and_counts_once(fresh: Nodes) -> None:
    chain = Chain.connect(fresh.urls, KEY)
    sent = chain.fund_gas(PAID, 7)
    assert (paid_to(fresh), fresh.sent(), sent.block) == (7, [1, 1, 1], 1)
    for node in (fresh.serving[0], fresh.serving[2]):
        node.trouble = lambda method, _params: (
            refusal(-32000, "txpool is full") if method == "eth_sendRawTransaction" else None
        )
    chain.fund_gas(PAID, 7)
    assert paid_to(fresh) == 14
    fresh.serving[1].trouble = fresh.serving[0].trouble
    with pytest.raises(TransactionRefused, match="txpool is full"):
        chain.fund_gas(PAID, 7)


def test_one_node_chooses_neither_price_nor_number_nor_hash(fresh: Nodes) -> None:
    lies = {
        "eth_gasPrice": result(hex(10**15)),
        "eth_getTransactionCount": result(hex(99)),
        "eth_sendRawTransaction": result("0x" + "ab" * 32),
    }
    fresh.serving[0].trouble = lambda method, _params: lies.get(method)
    chain = Chain.connect(fresh.urls, KEY)
    sent = chain.fund_gas(PAID, 7)
    found = fresh.chain._web3.eth.get_transaction(HexBytes(sent.hash))
    assert (found["nonce"], paid_to(fresh)) == (0, 7)
    assert found["gasPrice"] < 10**15
    assert sent.hash != b"\xab" * 32


def test_a_receipt_counts_when_a_majority_has_it(fresh: Nodes) -> None:
    chain = Chain.connect(fresh.urls, KEY)
    late = first_time("eth_getTransactionReceipt", result(None), times=2)
    for node in fresh.serving[1:]:
        node.trouble = late
    assert chain.fund_gas(PAID, 7).block == 1
    assert fresh.serving[0].asked["eth_getTransactionReceipt"] == 2


def test_a_transaction_is_awaited_until_a_majority_has_made_it_final(fresh: Nodes) -> None:
    chain, tester = Chain.connect(fresh.urls, KEY), fresh.chain._tester
    assert tester is not None
    sent = chain.fund_gas(PAID, 7)
    with pytest.raises(NotFinalInTime):
        chain.wait_final(sent, Finality(2), timeout_s=0)
    tester.mine_blocks(1)
    assert chain.wait_final(sent, Finality(2), timeout_s=0) == sent


def test_several_nodes_sign_nothing(fresh: Nodes) -> None:
    with pytest.raises(ChainUnavailable, match="a majority of 3 nodes, got no account"):
        Chain.connect(fresh.urls)
    with pytest.raises(ChainUnavailable, match="no answer to evm_mine"):
        Chain.connect(fresh.urls, KEY)._web3.provider.make_request("evm_mine", [])  # type: ignore[arg-type]


def test_nodes_are_different_ones() -> None:
    url = "http://127.0.0.1:1"
    with pytest.raises(OutOfBounds, match="different addresses of nodes: expected 3, got 2"):
        ReadableChain.at([url, "http://127.0.0.1:2", url])
    with pytest.raises(OutOfBounds, match="addresses of nodes: expected 1 to 16, got 0"):
        ReadableChain.at([])
    assert ReadableChain.at([url]).node == url


def test_the_first_difference_of_two_answers_is_what_is_told() -> None:
    long = "0x" + "00" * 400
    for ours, theirs, expected in (
        ("0x1", "0x2", ("", "0x1", "0x2")),
        ({"a": [1, {"b": "0x1"}]}, {"a": [1, {"b": "0x2"}]}, (" a 1 b", "0x1", "0x2")),
        ({"a": ["x"]}, {"a": []}, (" a", "1 entries", "0 entries")),
        ({"a": "x"}, {}, (" a", "x", "nothing")),
    ):
        assert first_difference(ours, theirs) == expected
    _, first, second = first_difference(long, long[:-1] + "1")
    assert first != second
    assert first.startswith("400 bytes of keccak-256 0x")
    assert comparable({"a": None, "b": ["0xAB"]}) == comparable({"b": ["0xab"]})
