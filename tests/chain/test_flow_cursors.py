"""Flows are read on from a cursor, and never those of two forks together."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkpool.chain import flowing
from darkpool.chain.client import Chain
from darkpool.chain.errors import BlockReplaced, ChainUnavailable
from darkpool.chain.flowing import FlowCursor
from darkpool.protocol.flows import NO_FLOWS, FlowKind
from darkpool.units import account_id
from tests.support.served_chain import Reply, Served, ServedChain, served
from tests.support.signing_committee import SigningCommittee, account_of

ANN_KEY = b"\x77" * 32
ANN = account_of(ANN_KEY)
BOB = account_id("0x" + "99" * 20)


@pytest.fixture(scope="module")
def founded(committee: SigningCommittee) -> Chain:
    chain = Chain.embedded()
    chain.deploy(committee.terms())
    chain.fund_gas(ANN, 10**18)
    return chain


@pytest.fixture
def chain(founded: Chain) -> Iterator[Chain]:
    here = snapshot(founded)
    yield founded
    revert(founded, here)


@pytest.fixture
def at(chain: Chain) -> Iterator[Served]:
    node = ServedChain(chain._web3)
    with served(node) as url:
        yield Served(chain, url, node)


def snapshot(chain: Chain) -> Any:
    assert chain._tester is not None
    return chain._tester.take_snapshot()


def revert(chain: Chain, here: Any) -> None:
    assert chain._tester is not None
    chain._tester.revert_to_snapshot(here)


def amounts(flows: Any) -> list[int]:
    return [flow.amount for flow in flows]


def test_flows_are_read_on_from_where_a_reading_ended(at: Served, chain: Chain) -> None:
    reader = at.reader()
    nothing = reader.flows_since()
    assert (nothing.flows, nothing.cursor.count, nothing.cursor.head) == ((), 0, NO_FLOWS)
    chain.fund_and_deposit({ANN: 5, BOB: 6})
    first = reader.flows_since()
    assert amounts(first.flows) == [5, 6]
    assert first.cursor.point == chain.block_at(chain.height())
    chain.fund_and_deposit({ANN: 7})
    chain.request(ANN_KEY, 3)
    at.node.begin_anew()
    second = reader.flows_since([first.cursor])
    assert (second.since, second.replaced) == (first.cursor, ())
    assert [(flow.index, flow.kind, flow.amount) for flow in second.flows] == [
        (3, FlowKind.DEPOSIT, 7),
        (4, FlowKind.REQUEST, 3),
    ]
    ranges = [int(query["fromBlock"], 16) for (query,) in at.node.of("eth_getLogs")]
    assert min(ranges) > first.cursor.point.number
    again = reader.flows_since([first.cursor, second.cursor])
    assert (again.flows, again.cursor) == ((), second.cursor)
    assert first.flows + second.flows == reader.flows_since().flows == chain.flows()


def test_flows_that_were_read_are_not_asked_for_again(at: Served, chain: Chain) -> None:
    """Else each look at a chain would take as long as all that ever happened at the venue."""
    reader = at.reader()
    chain.fund_and_deposit({ANN: 5, BOB: 6})
    assert amounts(reader.flows()) == [5, 6]
    before, here = chain.height(), snapshot(chain)
    chain.fund_and_deposit({ANN: 7})
    at.node.begin_anew()
    assert amounts(reader.flows()) == [5, 6, 7]
    ranges = [int(query["fromBlock"], 16) for (query,) in at.node.of("eth_getLogs")]
    assert min(ranges) > before
    revert(chain, here)
    chain.fund_and_deposit({BOB: 8})
    assert amounts(reader.flows()) == [5, 6, 8]
    assert amounts(reader.flows(3, 1)) == [6, 8]


def test_a_reading_ends_where_it_is_told_to(chain: Chain) -> None:
    chain.fund_and_deposit({ANN: 5})
    block = chain.height()
    late = chain.flows_since().cursor
    chain.fund_and_deposit({ANN: 6})
    latest = chain.flows_since().cursor
    assert amounts(chain.flows_since(until=block).flows) == [5]
    assert chain.flows_since([latest], until=block).cursor == late
    assert amounts(chain.flows_since([late], until=latest.point.number).flows) == [6]
    with pytest.raises(ChainUnavailable, match="no block 9999"):
        chain.flows_since(until=9999)
    assert chain.flows_since(until=chain.deployment.block - 1).flows == ()
    with pytest.raises(ChainUnavailable, match="no flow 3 of 2"):
        chain.flows(3)


def test_a_reader_steps_back_to_the_last_block_that_is_still_there(chain: Chain) -> None:
    start = chain.flows_since().cursor
    chain.fund_and_deposit({ANN: 5})
    kept = chain.flows_since().cursor
    here = snapshot(chain)
    chain.fund_and_deposit({ANN: 6})
    lost = chain.flows_since().cursor
    chain.fund_and_deposit({ANN: 7})
    lost_too = chain.flows_since().cursor
    revert(chain, here)
    chain.fund_and_deposit({BOB: 8})
    chain.fund_and_deposit({BOB: 9, ANN: 10})
    read = chain.flows_since([start, kept, lost, lost_too])
    assert (read.since, read.replaced) == (kept, (lost, lost_too))
    assert amounts(read.flows) == [8, 9, 10]
    assert read.cursor.count == 4
    # whoever kept nothing of the common part reads from the beginning
    read = chain.flows_since([lost, lost_too])
    assert (read.since.count, read.replaced) == (0, (lost, lost_too))
    assert amounts(read.flows) == [5, 8, 9, 10]


def test_a_chain_that_became_shorter_is_read_from_what_is_left(chain: Chain) -> None:
    here = snapshot(chain)
    chain.fund_and_deposit({ANN: 6})
    lost = chain.flows_since().cursor
    revert(chain, here)
    read = chain.flows_since([lost])
    assert (read.flows, read.cursor.count) == ((), 0)
    assert read.cursor.point.number < lost.point.number


@pytest.mark.parametrize("change", [{"count": 2}, {"head": b"\1" * 32}, {"count": 0}])
def test_a_cursor_of_other_flows_is_no_beginning(chain: Chain, change: dict[str, Any]) -> None:
    chain.fund_and_deposit({ANN: 5})
    cursor = replace(chain.flows_since().cursor, **change)
    chain.fund_and_deposit({ANN: 6})
    with pytest.raises(ChainUnavailable, match="flow"):
        chain.flows_since([cursor])


@pytest.mark.parametrize("method", ["eth_getLogs", "eth_call"])
def test_a_reorganisation_in_the_middle_of_a_reading_mixes_nothing(
    at: Served, chain: Chain, method: str
) -> None:
    reader, here = at.reader(), snapshot(chain)
    chain.fund_and_deposit({ANN: 5})
    chain.fund_and_deposit({ANN: 6})
    seen: list[str] = []

    def trouble(asked: str, _params: list[Any]) -> Reply | None:
        if asked == method and not seen:
            seen.append(asked)
            revert(chain, here)
            chain.fund_and_deposit({BOB: 7})
            chain.fund_and_deposit({BOB: 8})
            chain.fund_and_deposit({BOB: 9})
        return None

    at.node.trouble = trouble
    assert amounts(reader.flows_since().flows) == [7, 8, 9]
    assert seen == [method]


def test_a_reading_that_is_replaced_each_time_ends(at: Served, chain: Chain) -> None:
    reader, here = at.reader(), snapshot(chain)
    chain.fund_and_deposit({ANN: 5})

    def trouble(asked: str, _params: list[Any]) -> Reply | None:
        if asked == "eth_getLogs":
            revert(chain, here)
            chain.fund_and_deposit({ANN: at.node.asked[asked]})
        return None

    at.node.trouble = trouble
    with pytest.raises(BlockReplaced, match="hash of block"):
        reader.flows_since()
    assert at.node.asked["eth_getLogs"] == flowing.READINGS_MAX


steps = st.lists(
    st.one_of(
        st.tuples(st.just("deposit"), st.integers(1, 1000)),
        st.tuples(st.just("read"), st.just(0)),
        st.tuples(st.just("mark"), st.just(0)),
        st.tuples(st.just("back"), st.integers(0, 3)),
    ),
    max_size=14,
)


@settings(max_examples=8, deadline=None)
@given(steps=steps)
def test_who_keeps_cursors_always_has_the_flows_of_the_chain(
    founded: Chain, steps: list[tuple[str, int]]
) -> None:
    chain, start = founded, snapshot(founded)
    marks, cursors, own = [start], list[FlowCursor](), list[Any]()
    try:
        for step, number in [*steps, ("read", 0)]:
            if step == "deposit":
                chain.fund_and_deposit({ANN: number})
            elif step == "mark":
                marks.append(snapshot(chain))
            elif step == "back":
                marks = marks[: max(1, len(marks) - number)]
                revert(chain, marks[-1])
            else:
                read = chain.flows_since(cursors)
                cursors = [c for c in cursors if c not in read.replaced] + [read.cursor]
                own = own[: read.since.count] + list(read.flows)
                assert tuple(own) == chain.flows()
    finally:
        revert(chain, start)
