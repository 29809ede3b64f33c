"""Events that a node leaves out, and events that anybody adds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from eth_hash.auto import keccak

from darkpool.chain.client import Chain
from darkpool.chain.errors import ChainUnavailable
from darkpool.chain.reading import ReadableChain
from darkpool.protocol.leaves import encode_leaves
from darkpool.units import Interval, account_id
from tests.support.served_chain import ServedChain, Trouble, result, served
from tests.support.signing_committee import SigningCommittee, balance

ACCOUNT = account_id("0x" + "77" * 20)
LEAVES = [balance(ACCOUNT, 100)]


@pytest.fixture(scope="module")
def settled(committee: SigningCommittee) -> Chain:
    """A chain on which the intervals 4 and 5 have settled."""
    chain = Chain.embedded()
    chain.deploy(committee.terms())
    chain.fund_and_deposit({ACCOUNT: 100})
    for interval in (4, 5):
        committee.commit(chain, interval)
        committee.settle(chain, LEAVES)
    return chain


@contextmanager
def reader_of(chain: Chain, trouble: Trouble) -> Iterator[tuple[ReadableChain, ServedChain]]:
    serving = ServedChain(chain._web3)
    with served(serving) as url:
        reader = ReadableChain.at(url)
        reader.attach(chain.deployment)
        serving.begin_anew()
        serving.trouble = trouble
        yield reader, serving


def topic(chain: Chain, name: str) -> str:
    return "0x" + chain._settlement.events[name]().topic.removeprefix("0x")


def test_an_interval_whose_settlement_a_node_leaves_out_is_not_void(settled: Chain) -> None:
    name = topic(settled, "BatchSettled")

    def without(method: str, params: list[object]) -> object:
        return result([]) if method == "eth_getLogs" and name in json.dumps(params) else None

    with (
        reader_of(settled, without) as (reader, _),  # type: ignore[arg-type]
        pytest.raises(ChainUnavailable, match="neither BatchSettled nor BatchVoided of interval 4"),
    ):
        reader.evidence(Interval(4))


def test_leaves_that_anybody_publishes_are_not_asked_for(settled: Chain) -> None:
    for number in range(3):
        settled.publish(b"%d" % number * 1000)
    data = encode_leaves([LEAVES])
    with reader_of(settled, lambda _method, _params: None) as (reader, serving):
        assert reader.leaves(keccak(data)) == data
        [[asked]] = serving.of("eth_getLogs")
        assert asked["topics"] == [[topic(settled, "LeavesPublished")], f"0x{keccak(data).hex()}"]


def test_leaves_of_another_hash_are_none_of_those_that_were_asked_for(settled: Chain) -> None:
    whole = ServedChain(settled._web3)

    def unfiltered(method: str, params: list[dict[str, list[object]]]) -> object:
        if method != "eth_getLogs":
            return None
        asked = params[0] | {"topics": params[0]["topics"][:1]}
        return result(whole._ask(method, [asked])["result"])

    with (
        reader_of(settled, unfiltered) as (reader, _),  # type: ignore[arg-type]
        pytest.raises(ChainUnavailable, match="events that were not asked for"),
    ):
        reader.leaves(b"\x01" * 32)
