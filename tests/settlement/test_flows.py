"""Which deposits and requests a batch counts follows from the list of flows alone."""

from __future__ import annotations

import pytest

from darkpool.errors import OutOfBounds
from darkpool.limits import CASH_MAX
from darkpool.protocol.flows import NO_FLOWS, Flow, FlowKind
from darkpool.settlement.claims import Claims
from darkpool.settlement.errors import FlowOutOfOrder
from darkpool.settlement.flows import FlowBook
from darkpool.units import account_of

VAULT, OTHER = account_of(b"\x11" * 20), account_of(b"\x12" * 20)
A, B = account_of(b"\x21" * 20), account_of(b"\x22" * 20)


def book(*flows: tuple[FlowKind, str, int, int]) -> FlowBook:
    made = FlowBook()
    made.add(
        Flow(index, kind, VAULT, A if name == "A" else B, amount, number)
        for index, (kind, name, amount, number) in enumerate(flows, start=1)
    )
    return made


def test_deposits_add_up_and_the_last_request_counts() -> None:
    counted = book(
        (FlowKind.DEPOSIT, "A", 10, 0),
        (FlowKind.DEPOSIT, "A", 5, 0),
        (FlowKind.REQUEST, "A", 9, 0),
        (FlowKind.REQUEST, "B", 1, 0),
        (FlowKind.REQUEST, "B", 0, 0),
        (FlowKind.REQUEST, "A", 2, 0),
    ).counted()
    assert counted.deposits == {(VAULT, A): 15}
    assert counted.requests == {(VAULT, A): 2}


def test_a_noticed_deposit_counts_and_asks_for_as_much_and_a_returned_one_does_not() -> None:
    flows = book(
        (FlowKind.DEPOSIT, "A", 10, 0),
        (FlowKind.DEPOSIT, "A", 5, 0),
        (FlowKind.REQUEST, "A", 1, 0),
        (FlowKind.NOTICE, "A", 5, 2),
    )
    assert flows.counted().deposits == {(VAULT, A): 15}
    assert flows.counted().requests == {(VAULT, A): 6}
    flows.add([Flow(5, FlowKind.RETURN, VAULT, A, 5, 2)])
    assert flows.counted().deposits == {(VAULT, A): 10}
    assert flows.counted().requests == {(VAULT, A): 1}


def test_what_has_settled_counts_no_more_and_what_was_void_counts_again() -> None:
    flows = book((FlowKind.DEPOSIT, "A", 10, 0), (FlowKind.REQUEST, "A", 1, 0))
    first = flows.counted()
    flows.add([Flow(3, FlowKind.DEPOSIT, VAULT, B, 7)])
    assert flows.counted().deposits == {**first.deposits, (VAULT, B): 7}
    flows.settle()
    assert (flows.counted().deposits, flows.counted().requests) == ({}, {})
    with pytest.raises(FlowOutOfOrder, match="deposit 1"):
        flows.add([Flow(4, FlowKind.RETURN, VAULT, A, 10, 1)])


@pytest.mark.parametrize(
    "flow",
    [
        Flow(1, FlowKind.DEPOSIT, VAULT, A, 1),
        Flow(3, FlowKind.DEPOSIT, VAULT, A, 1),
        Flow(2, FlowKind.NOTICE, VAULT, A, 10, 2),
        Flow(2, FlowKind.NOTICE, VAULT, B, 10, 1),
        Flow(2, FlowKind.NOTICE, OTHER, A, 10, 1),
        Flow(2, FlowKind.RETURN, VAULT, A, 9, 1),
    ],
)
def test_flows_that_cannot_follow_are_refused_and_change_nothing(flow: Flow) -> None:
    flows = book((FlowKind.DEPOSIT, "A", 10, 0))
    before = (flows.last, flows.head, flows.counted())
    with pytest.raises(FlowOutOfOrder):
        flows.add([flow])
    assert (flows.last, flows.head, flows.counted()) == before


def test_the_head_names_every_field_of_every_flow() -> None:
    flow = Flow(1, FlowKind.DEPOSIT, VAULT, A, 10)
    heads = {
        flow.head_after(NO_FLOWS),
        flow.head_after(b"\x01" * 32),
        Flow(2, FlowKind.DEPOSIT, VAULT, A, 10).head_after(NO_FLOWS),
        Flow(1, FlowKind.REQUEST, VAULT, A, 10).head_after(NO_FLOWS),
        Flow(1, FlowKind.DEPOSIT, OTHER, A, 10).head_after(NO_FLOWS),
        Flow(1, FlowKind.DEPOSIT, VAULT, B, 10).head_after(NO_FLOWS),
        Flow(1, FlowKind.DEPOSIT, VAULT, A, 11).head_after(NO_FLOWS),
        Flow(1, FlowKind.DEPOSIT, VAULT, A, 10, 1).head_after(NO_FLOWS),
    }
    assert len(heads) == 8


def test_grants_only_grow_and_move_to_the_retired_leaf_and_back() -> None:
    claims = Claims()
    claims.grant(A, 10)
    claims.grant(B, 4)
    claims.prune([A, B], {B: 1}, {A: 10, B: 4})
    assert (claims.granted, claims.retired, claims.total) == ({B: 4}, 10, 14)
    claims.grant(A, 3)
    assert claims.total == 17
    claims.prune([A, B], {B: 1}, {A: 10, B: 4})
    assert (claims.granted, claims.retired) == ({A: 13, B: 4}, 0)
    claims.prune([A, B], {}, {A: 12, B: 4})
    assert (claims.granted, claims.retired, claims.total) == ({A: 13}, 4, 17)
    for amount in (-1, CASH_MAX + 1):
        with pytest.raises(OutOfBounds):
            claims.grant(A, amount)
