"""Whatever a node answers, what comes of it is a result or an error of this project."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from darkpool.chain import node, sending
from darkpool.chain.client import Chain
from darkpool.chain.errors import ChainError
from darkpool.chain.evidence import Deployment
from darkpool.chain.finality import FINALIZED, Finality
from darkpool.chain.reading import ReadableChain
from darkpool.units import Interval, account_id
from tests.support.served_chain import Reply, ServedChain, result, served
from tests.support.signing_committee import SigningCommittee, balance

ACCOUNT = account_id("0x" + "77" * 20)
OPERATOR_KEY = (1).to_bytes(32)
METHODS = (
    "eth_accounts",
    "eth_blockNumber",
    "eth_call",
    "eth_chainId",
    "eth_estimateGas",
    "eth_gasPrice",
    "eth_getBlockByNumber",
    "eth_getCode",
    "eth_getLogs",
    "eth_getTransactionByHash",
    "eth_getTransactionCount",
    "eth_getTransactionReceipt",
    "eth_maxPriorityFeePerGas",
    "eth_sendRawTransaction",
    "eth_sendTransaction",
)


@dataclass
class Place:
    deployment: Deployment
    url: str
    node: ServedChain
    truth: Callable[[str, list[Any]], bytes]


@pytest.fixture(scope="module")
def place(committee: SigningCommittee) -> Iterator[Place]:
    """A settled chain that does not change, served by a node that may say anything."""
    chain = Chain.embedded()
    deployment = chain.deploy(committee.terms())
    chain.fund_and_deposit({ACCOUNT: 100})
    committee.commit(chain, 4)
    committee.settle(chain, [balance(ACCOUNT, 100)])
    node = ServedChain(chain._web3, {})
    plain = ServedChain(chain._web3, {})

    def truth(method: str, params: list[Any]) -> bytes:
        asked = json.dumps({"id": 0, "method": method, "params": params})
        body = plain.reply(asked.encode()).body
        assert body is not None
        return body

    with served(node) as url:
        yield Place(deployment, url, node, truth)


texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["0x", "0x0", "0xzz", "0x-1", "-0x1", "0x1 ", "1", "\ud800", "\x1b[31m"]),
    st.integers(0, 700).map(lambda n: "0x" + "f" * n),
    st.binary(max_size=70).map(lambda data: "0x" + data.hex()),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(1 << 300), 1 << 300), st.floats(), texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.text(max_size=5), st.sampled_from(["number", "address", "topics", "code"])
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=8,
)
STRANGE = [
    b"",
    b"<html>please log in</html>",
    b"null",
    b"[" * 100_000,
    b'{"jsonrpc":"2.0","id":"ID","result":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    b'{"jsonrpc":"2.0","id":"ID","result":' + b"9" * 5000 + b"}",
    b'{"jsonrpc":"2.0","id":"ID","result":NaN}',
    b'{"jsonrpc":"2.0","id":99999,"result":"0x1"}',
    b'{"jsonrpc":"2.0","id":"ID"}',
    b'{"jsonrpc":"2.0","id":"ID","result":"0x1","error":null}',
    b'{"jsonrpc":"2.0","id":"ID","error":"no"}',
    b'{"jsonrpc":"2.0","id":"ID","error":{"code":"x","message":7}}',
    b'{"jsonrpc":"2.0","id":"ID","error":{"code":3,"message":"m","data":"0x4e487b71ff"}}',
    b'{"jsonrpc":"2.0","id":"ID","error":{"code":3,"message":"","data":"Reverted x"}}',
    b'{"jsonrpc":"2.0","id":"ID","error":{"code":3,"message":"m","data":"0x556f1830ff"}}',
    b'{"jsonrpc":"2.0","id":"ID","error":{"code":3,"message":"' + b"a" * 300_000 + b'"}}',
    b'{"jsonrpc":"2.0","id":"ID","result":"0x' + b"ab" * 10_000 + b'"}',
]
bodies = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(STRANGE),
    values.map(lambda value: json.dumps(value).encode()),
    values.map(lambda value: result(value).body),
    st.builds(
        lambda code, text, data: json.dumps(
            {"id": "ID", "error": {"code": code, "message": text, "data": data}}
        ).encode(),
        st.integers(-(1 << 40), 1 << 40),
        texts,
        values,
    ),
)
changes = st.one_of(
    st.tuples(st.just("cut"), st.integers(0, 4000)),
    st.tuples(st.just("value"), st.integers(0, 200), values),
    st.tuples(st.just("longer"), st.integers(0, 200), st.sampled_from(["00", "f", "ff" * 32])),
    st.tuples(st.just("shorter"), st.integers(0, 200), st.integers(1, 64)),
    st.tuples(st.just("twice"), st.integers(0, 200)),
)


def changed(truth: bytes, change: tuple[Any, ...]) -> bytes:
    """A true answer, cut off or with one of its parts changed."""
    kind, place, *rest = change
    if kind == "cut":
        return truth[: place % (len(truth) + 1)]
    tree = json.loads(truth) | {"id": "ID"}
    spots: list[tuple[Any, Any]] = [(tree, "result" if "result" in tree else "error")]
    for holder, name in spots:
        inner = holder[name]
        if isinstance(inner, dict):
            spots += [(inner, key) for key in inner]
        elif isinstance(inner, list):
            spots += [(inner, index) for index in range(len(inner))]
    holder, name = spots[place % len(spots)]
    old = holder[name]
    if kind == "value":
        holder[name] = rest[0]
    elif kind == "longer" and isinstance(old, str):
        holder[name] = old + rest[0]
    elif kind == "shorter" and isinstance(old, str):
        holder[name] = old[: -rest[0]]
    elif kind == "twice":
        holder[name] = [old, old]
    return json.dumps(tree).encode()


lies = st.fixed_dictionaries(
    {
        "method": st.sampled_from(METHODS),
        "said": st.one_of(bodies, changes),
        "from_time": st.integers(0, 3),
        "status": st.sampled_from([200, 200, 200, 400, 429, 500, 502]),
        "headers": st.sampled_from([{}, {"Retry-After": "1"}, {"Retry-After": "x"}]),
    }
)


def require_typed(place: Place, lie: dict[str, Any]) -> None:
    seen = 0

    def trouble(method: str, params: list[Any]) -> Reply | None:
        nonlocal seen
        if method in ("eth_sendTransaction", "eth_sendRawTransaction") and method != lie["method"]:
            return result("0x" + "ab" * 32)  # the chain does not change
        if method == "eth_estimateGas" and method != lie["method"]:
            return result("0x100000")
        if method != lie["method"]:
            return None
        seen += 1
        if seen <= lie["from_time"] and "send" not in method:
            return None
        said = lie["said"]
        body = said if isinstance(said, bytes) else changed(place.truth(method, params), said)
        return Reply(body, lie["status"], lie["headers"])

    place.node.begin_anew()
    place.node.trouble = trouble
    deployment = place.deployment
    reader = ReadableChain.at(place.url)
    with suppress(ChainError):
        reader.attach(reader.deployment_at(deployment.settlement, 0))
        evidence = reader.evidence(Interval(4), (1, 2))
        reader.flows()
        reader.paid(deployment.vault, reader.height())
        reader.last_settlement()
        if evidence.batch is not None:
            reader.is_final(evidence.batch.point, FINALIZED)
            reader.require_final(evidence.batch.point, Finality(2))
    for key in (None, OPERATOR_KEY):
        with suppress(ChainError):
            chain = Chain.connect(place.url, key)
            chain.attach(deployment)
            with suppress(ChainError):
                chain.wait_final(chain.fund_gas(ACCOUNT, 1), 2, timeout_s=0)
            chain.fund_and_deposit({ACCOUNT: 1, deployment.vault: 2})


@pytest.fixture(scope="module")
def hasty() -> Iterator[None]:
    """A client that waits for nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node, "PATIENCE_S", 0)
        patch.setattr(sending, "RECEIPT_TIMEOUT_S", -1)
        yield


QUICKLY = settings(
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.usefixtures("hasty")
@settings(QUICKLY, max_examples=25)
@given(lie=lies)
def test_a_lying_node_leads_to_nothing_but_typed_errors(place: Place, lie: dict[str, Any]) -> None:
    require_typed(place, lie)


@pytest.mark.slow
@pytest.mark.usefixtures("hasty")
@settings(QUICKLY, max_examples=3000)
@given(lie=lies)
def test_a_lying_node_leads_to_nothing_but_typed_errors_many_times(
    place: Place, lie: dict[str, Any]
) -> None:
    require_typed(place, lie)


def require_readable(place: Place, body: bytes) -> None:
    place.node.begin_anew()
    place.node.trouble = lambda _method, _params: Reply(body)
    said = ""
    try:
        ReadableChain.at(place.url).chain_id()
    except ChainError as error:
        said = str(error)
    assert said.isprintable()
    assert len(said) < 400
    assert not said or place.url in said


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("body", STRANGE, ids=range(len(STRANGE)))
def test_the_error_of_a_strange_answer_can_be_read(place: Place, body: bytes) -> None:
    require_readable(place, body)


@pytest.mark.usefixtures("hasty")
@settings(QUICKLY, max_examples=60)
@given(body=bodies)
def test_the_error_of_any_answer_can_be_read(place: Place, body: bytes) -> None:
    require_readable(place, body)
