"""Positions and balances as they are settled."""

import pytest
from eth_abi.abi import encode

from darkpool.errors import NotConserved
from darkpool.margin.accounts.balances import Balance, balances_of
from darkpool.margin.accounts.house import INSURANCE_FUND
from darkpool.margin.accounts.positions import Position, encode_positions
from darkpool.units import Cash, InstrumentId, Lots, Side
from tests.support.one_unit import ANN, AT_ONE, AUCTIONS, BOB, MARGIN, ONE, funded

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


def test_a_balance_is_what_margin_leaves_and_the_rest() -> None:
    accounts = funded(100)
    for account, side in ((ANN, Side.BUY), (BOB, Side.SELL)):
        accounts.reserve(account, AUCTIONS[0], Lots(30), AT_ONE, MARGIN)
        accounts.fill(account, AUCTIONS[0], side, Lots(30), ONE)
    accounts.reserve(ANN, AUCTIONS[1], Lots(70), AT_ONE, MARGIN)
    balances = balances_of(accounts, MARGIN)
    instrument = AUCTIONS[0].instrument
    expected = [
        Balance(account, Cash(70), Cash(30), encode_positions({instrument: position}))
        for account, position in (
            (ANN, Position(30, Cash(30), Cash(30))),
            (BOB, Position(-30, Cash(-30), Cash(-30))),
        )
    ]
    assert list(balances) == expected


def test_the_fund_has_a_balance_as_soon_as_it_has_something() -> None:
    accounts = funded(1)
    accounts.deposit(INSURANCE_FUND, Cash(2))
    withdrawable = {
        balance.account: balance.withdrawable for balance in balances_of(accounts, MARGIN)
    }
    assert withdrawable == {ANN: 1, BOB: 1, INSURANCE_FUND: 2}


def test_what_an_account_owes_is_no_balance() -> None:
    accounts = funded(100)
    accounts.transfer(ANN, BOB, Cash(101))
    with pytest.raises(NotConserved, match=ANN):
        balances_of(accounts, MARGIN)
