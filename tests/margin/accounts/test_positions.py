"""Positions and balances as they are settled."""

from eth_abi.abi import encode

from darkpool.margin.accounts.positions import Position, encode_positions
from darkpool.units import Cash, InstrumentId

FIRST = InstrumentId(b"\x01" * 32)
SECOND = InstrumentId(b"\x02" * 32)


def test_positions_are_encoded_as_the_contract_abi_does() -> None:
    long = Position(net=3, cost=Cash(15_000), entry=Cash(14_000))
    short = Position(net=-1, cost=Cash(-7_000), entry=Cash(-1))
    types = ["bytes32", "int256", "int256", "int256"] * 2
    words = encode(types, [FIRST, 3, 15_000, 14_000, SECOND, -1, -7_000, -1])
    assert encode_positions({FIRST: long, SECOND: short}) == b"\x01" + words
    assert encode_positions({SECOND: short, FIRST: long}) == b"\x01" + words


def test_nothing_held_is_encoded_as_nothing() -> None:
    assert encode_positions({}) == b"\x01"
    assert encode_positions({FIRST: Position()}) == b"\x01"


def test_a_position_with_no_lots_left_still_counts() -> None:
    closed = Position(net=0, cost=Cash(-500))
    assert encode_positions({FIRST: closed}) != encode_positions({})
