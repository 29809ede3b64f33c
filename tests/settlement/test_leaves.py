import random

import pytest
from eth_abi.abi import decode, encode
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from crypto.signing.merkle import merkle_root, verify_merkle_proof
from darkpool.fills.fills import Fill
from darkpool.protocol.results import BalanceLeaf, InstrumentResult, positions_root
from darkpool.settlement.errors import DuplicateLeaf, UnknownLeaf
from darkpool.settlement.leaves import (
    balance_proof,
    balances_root,
    encode_fill,
    fills_root,
    results_root,
)
from darkpool.units import AccountId, Cash, InstrumentId, Lots, Side, Tick, account_id

ES, NQ = InstrumentId(b"\1" * 32), InstrumentId(b"\2" * 32)


def account(number: int) -> AccountId:
    return account_id(f"0x{number:040x}")


balance_lists = st.lists(
    st.builds(
        BalanceLeaf,
        st.integers(0, 2**160 - 1).map(account),
        st.integers(0, 2**256 - 1).map(Cash),
        st.integers(0, 2**256 - 1).map(Cash),
        st.binary(min_size=32, max_size=32),
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda leaf: leaf.account,
)


def fill(intent: int, instrument: InstrumentId = ES) -> Fill:
    return Fill(intent, account(intent + 1), instrument, Side.SELL, Lots(3), Tick(7))


@given(leaves=balance_lists, seed=st.integers(0, 100))
def test_order_of_the_leaves_does_not_matter(leaves: list[BalanceLeaf], seed: int) -> None:
    shuffled = random.Random(seed).sample(leaves, len(leaves))
    assert balances_root(shuffled) == balances_root(leaves)


@given(leaves=balance_lists, data=st.data())
def test_every_balance_is_proven(leaves: list[BalanceLeaf], data: st.DataObject) -> None:
    chosen = data.draw(st.sampled_from(leaves))
    leaf, proof = balance_proof(leaves, chosen.account)
    assert leaf == chosen
    verify_merkle_proof(balances_root(leaves), leaf.encode(), proof)


def test_balances_stand_in_order_of_their_account_bytes() -> None:
    leaves = [
        BalanceLeaf(account_id(text), Cash(1), Cash(0), bytes(32))
        for text in ("0xb" + "0" * 39, "0xA" + "0" * 39, "0x9" + "0" * 39)
    ]
    assert balances_root(leaves) == merkle_root([leaf.encode() for leaf in reversed(leaves)])


def test_a_balance_is_encoded_as_the_vault_does() -> None:
    leaf = BalanceLeaf(account(5), Cash(6), Cash(7), b"\x08" * 32)
    encoded = leaf.encode()
    assert encoded == b"".join(number.to_bytes(32, "big") for number in (5, 6, 7)) + b"\x08" * 32


def test_an_account_has_one_balance() -> None:
    leaf = BalanceLeaf(account(5), Cash(6), Cash(7), bytes(32))
    with pytest.raises(DuplicateLeaf, match=leaf.account):
        balances_root([leaf, leaf])


def test_no_proof_for_an_account_without_balance() -> None:
    with pytest.raises(UnknownLeaf, match=account(6)):
        balance_proof([BalanceLeaf(account(5), Cash(6), Cash(7), bytes(32))], account(6))


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


def test_results_are_hashed_as_an_array_of_structs() -> None:
    results = [
        InstrumentResult(ES, True, Tick(5), Lots(6)),
        InstrumentResult(NQ, False, Tick(0), Lots(0)),
    ]
    words = encode(["uint256"] * 2, [32, 2])
    words += ES + encode(["bool", "uint32", "uint64"], [True, 5, 6])
    words += NQ + encode(["bool", "uint32", "uint64"], [False, 0, 0])
    assert results_root(results) == keccak(words)


def test_an_instrument_has_one_result() -> None:
    result = InstrumentResult(ES, True, Tick(5), Lots(6))
    with pytest.raises(DuplicateLeaf, match=ES.hex()):
        results_root([result, result])


def test_positions_are_hashed_as_they_are_encoded() -> None:
    assert positions_root(b"\1") == keccak(b"\1")
