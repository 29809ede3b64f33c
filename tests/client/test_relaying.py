"""Files of signed orders come from strangers: they are orders, or an error that says why not."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from darkpool.canonical_json import to_json
from darkpool.chain.evidence import SettledTrees
from darkpool.client.errors import ForeignLeaves, InvalidOrders
from darkpool.client.leaf_sources import from_bytes
from darkpool.client.relaying import SignedClaim, SignedOrders, SignedReturn, read_orders
from darkpool.units import Interval, account_of

ME, TO, VAULT, CONTRACT = (account_of(bytes([number]) * 20) for number in (0x77, 0x88, 0x99, 0xAB))
ORDERS = SignedOrders(
    1,
    31337,
    CONTRACT,
    ME,
    (SignedClaim(VAULT, TO, 2**128 - 1, 5, 2**40, b"\x5a" * 65),),
    (SignedReturn(VAULT, TO, 3, 5, 2**40, b"\x5a" * 65),),
)
DATA = to_json(ORDERS)


def test_orders_are_read_as_they_were_written() -> None:
    assert read_orders("orders", DATA) == ORDERS


@given(st.binary(max_size=80))
def test_any_bytes_are_no_orders(data: bytes) -> None:
    with pytest.raises(InvalidOrders):
        read_orders("orders", data)


@given(st.integers(0, len(DATA) - 1), st.binary(max_size=2))
def test_changed_orders_are_other_orders_or_none(at: int, put: bytes) -> None:
    data = DATA[:at] + put + DATA[at + 1 :]
    try:
        read = read_orders("orders", data)
    except InvalidOrders:
        return
    assert to_json(read) == data


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_bytes_of_anybody_are_those_that_the_chain_names_or_an_error(
    named: bytes, given: bytes
) -> None:
    settled = SettledTrees(Interval(4), (), keccak(named), (), 0, 1)
    source = from_bytes("a file", given)
    if named == given:
        assert source(settled) == given
        return
    with pytest.raises(ForeignLeaves, match="a file: expected leaves of interval 4, hash 0x"):
        source(settled)
