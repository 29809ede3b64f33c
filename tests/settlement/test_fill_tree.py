import pytest
from eth_abi.abi import decode

from crypto.signing.merkle import merkle_root
from darkpool.fills.fills import Fill
from darkpool.settlement.errors import DuplicateLeaf
from darkpool.settlement.fill_tree import encode_fill, fills_root
from darkpool.units import AccountId, InstrumentId, Lots, Side, Tick, account_id

ES, NQ = InstrumentId(b"\1" * 32), InstrumentId(b"\2" * 32)


def account(number: int) -> AccountId:
    return account_id(f"0x{number:040x}")


def fill(intent: int, instrument: InstrumentId = ES) -> Fill:
    return Fill(intent, account(intent + 1), instrument, Side.SELL, Lots(3), Tick(7))


def test_a_fill_is_encoded_field_by_field() -> None:
    types = ["bytes32", "uint32", "address", "uint8", "uint64", "uint32"]
    assert decode(types, encode_fill(fill(4))) == (ES, 4, account(5).lower(), 1, 3, 7)


def test_fills_stand_in_order_of_instrument_and_intent() -> None:
    fills = [fill(2), fill(1, NQ), fill(10), fill(0, NQ)]
    ordered = [fill(2), fill(10), fill(0, NQ), fill(1, NQ)]
    assert fills_root(fills) == merkle_root([encode_fill(each) for each in ordered])
    assert fills_root([]) == merkle_root([])


def test_an_intent_is_filled_once() -> None:
    with pytest.raises(DuplicateLeaf, match="intent 2"):
        fills_root([fill(2), fill(1), fill(2)])
