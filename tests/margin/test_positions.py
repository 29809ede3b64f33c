from eth_abi.abi import encode

from darkpool.margin.positions import Position, encode_positions
from darkpool.units import Cash, InstrumentId, Lots, PriceUnits, Side

FIRST = InstrumentId(b"\x01" * 32)
SECOND = InstrumentId(b"\x02" * 32)


def test_a_fill_moves_lots_cost_and_margin() -> None:
    bought = Position().after(Side.BUY, Lots(3), PriceUnits(100), 50, Cash(7))
    assert bought == Position(net=3, cost=Cash(15_000), posted=Cash(7))
    sold = bought.after(Side.SELL, Lots(4), PriceUnits(110), 50, Cash(8))
    assert sold == Position(net=-1, cost=Cash(-7_000), posted=Cash(15))


def test_a_negative_price_pays_the_buyer() -> None:
    bought = Position().after(Side.BUY, Lots(2), PriceUnits(-37), 10, Cash(0))
    assert bought.cost == -740


def test_positions_are_encoded_as_the_contract_abi_does() -> None:
    long = Position(net=3, cost=Cash(15_000), posted=Cash(7))
    short = Position(net=-1, cost=Cash(-7_000), posted=Cash(15))
    types = ["bytes32", "int256", "int256", "uint256"] * 2
    words = encode(types, [FIRST, 3, 15_000, 7, SECOND, -1, -7_000, 15])
    assert encode_positions({FIRST: long, SECOND: short}) == b"\x01" + words
    assert encode_positions({SECOND: short, FIRST: long}) == b"\x01" + words


def test_nothing_held_is_encoded_as_nothing() -> None:
    assert encode_positions({}) == b"\x01"
    assert encode_positions({FIRST: Position()}) == b"\x01"


def test_a_position_with_no_lots_left_still_counts() -> None:
    closed = Position(net=0, cost=Cash(-500), posted=Cash(15))
    assert encode_positions({FIRST: closed}) != encode_positions({})
