"""What is due between settlements: the auditor finds it by itself, or says what is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpool.margin.accounts.house import BAD_DEBT, INSURANCE_FUND
from darkpool.protocol.terms import BondTerms
from darkpool.record.margin_forms import MarginInputs, QuoteRecord
from darkpool.settlement import between as engine
from darkpool.settlement.custody import CashVault, Custody
from darkpool.units import AccountId, Cash, Interval, PriceUnits, account_bytes
from darkpool.verification.accounts import Account, Position
from darkpool.verification.between import (
    Between,
    Expiry,
    VoidCharge,
    book_charges,
    book_prices,
    due_between,
    void_charges,
)
from darkpool.verification.errors import Unsound
from darkpool.verification.variation import Balances
from tests.support.margin_lives import ALICE, BOB, CAROL, CONTRACTS, house
from tests.support.margin_lives import TREASURY as TREASURER
from tests.support.moving_markets import JUNE_MS, MARCH_MS, MovingMarket
from tests.support.vault_lives import DEPOSIT_MIN, VAULT
from tests.verification.test_custody import by_bytes
from tests.verification.test_variation import contents, told

prices = st.integers(-(10**15), 10**15)
times = st.integers(MARCH_MS - 10**9, JUNE_MS + 10**9)
lots = st.lists(st.integers(-(10**6), 10**6), min_size=len(CONTRACTS), max_size=len(CONTRACTS))
names = st.sampled_from([ALICE, BOB, TREASURER])


def at(time_ms: int, index: int, mark: int) -> MarginInputs:
    """A market in which every underlying has these prices."""
    inputs = MovingMarket(100, 0, time_ms).inputs
    priced = tuple(
        replace(each, index=QuoteRecord(index, ()), perpetual=QuoteRecord(mark, ()))
        for each in inputs.market.underlyings
    )
    return replace(inputs, market=replace(inputs.market, underlyings=priced))


@given(lots, st.lists(st.tuples(times, prices, prices), min_size=1, max_size=4), prices)
def test_events_and_what_they_pay_are_the_engines(
    held: list[int], moved: list[tuple[int, int, int]], cost: int
) -> None:
    """Over any prices, with void intervals before the one that settles."""
    custody = Custody(CashVault(VAULT, TREASURER, DEPOSIT_MIN), house({ALICE: 5, BOB: 5}))
    for index, size in enumerate(held):
        custody.accounts.trade(ALICE, BOB, index, size, PriceUnits(cost))
    balances, between = told(custody.accounts, {}), Between()
    for number, (time_ms, index, mark) in enumerate(sorted(moved), start=1):
        inputs = at(time_ms, index, mark)
        due = engine.due_between(custody.accounts, custody.between, Interval(number), inputs.market)
        between = due_between(balances, between, number, inputs)
        assert between == by_bytes(due)
        custody.void(due, ())
    custody.apply_between(custody.between)
    book_prices(balances, between, inputs)
    assert contents(balances) == contents(told(custody.accounts, {}))


@given(st.lists(names, max_size=9), st.integers(0, 10**9), st.integers(0, 10**6))
def test_charges_of_void_intervals_are_the_engines(
    rejected: list[AccountId], amount: int, charge_ppm: int
) -> None:
    bond = BondTerms(Cash(amount), charge_ppm, TREASURER)
    found = void_charges(3, [account_bytes(name) for name in rejected], amount, charge_ppm)
    made = engine.void_charges(Interval(3), rejected, bond)
    assert found == by_bytes(engine.Between(charges=made)).charges


def balances_of(*accounts: tuple[AccountId, Account]) -> Balances:
    held = {account_bytes(name): account for name, account in accounts}
    return Balances(held, account_bytes(INSURANCE_FUND), account_bytes(BAD_DEBT))


def test_a_charge_takes_what_there_is_and_makes_no_account() -> None:
    balances = balances_of((ALICE, Account(5)), (BOB, Account(-3)))
    charged = [VoidCharge(1, account_bytes(name), 7) for name in (ALICE, BOB, CAROL)]
    book_charges(balances, Between(charges=tuple(charged)), account_bytes(TREASURER))
    cash = {name: account.cash for name, account in balances.accounts.items()}
    expected = {ALICE: 0, BOB: -3, TREASURER: 5}
    assert cash == {account_bytes(name): amount for name, amount in expected.items()}


def test_a_market_earlier_than_the_last_one_is_unsound() -> None:
    inputs = at(MARCH_MS, 5, 5)
    assert due_between(balances_of(), Between(MARCH_MS), 1, inputs) == Between(MARCH_MS)
    with pytest.raises(Unsound, match=f"market, time: expected at least {MARCH_MS + 1}"):
        due_between(balances_of(), Between(MARCH_MS + 1), 1, inputs)


@pytest.mark.parametrize("index", [0, 1])
def test_an_open_contract_without_its_price_is_unsound(index: int) -> None:
    balances = balances_of((ALICE, Account(5, {CONTRACTS[index].identifier: Position(1)})))
    inputs = at(MARCH_MS, 5, 5)
    inputs = replace(inputs, market=replace(inputs.market, underlyings=()))
    with pytest.raises(Unsound, match="BTC/index: expected one, got none"):
        due_between(balances, Between(), 1, inputs)


def test_a_swap_without_a_mark_is_unsound() -> None:
    balances = balances_of((ALICE, Account(5, {CONTRACTS[0].identifier: Position(1)})))
    inputs = at(MARCH_MS, 5, 5)
    bare = tuple(replace(each, perpetual=None) for each in inputs.market.underlyings)
    inputs = replace(inputs, market=replace(inputs.market, underlyings=bare))
    with pytest.raises(Unsound, match="BTC/perpetual: expected one, got none"):
        due_between(balances, Between(), 1, inputs)


def test_a_position_in_no_contract_of_the_specification_is_unsound() -> None:
    balances = balances_of((ALICE, Account(5, {b"\x01" * 32: Position(1)})))
    inputs = at(MARCH_MS, 5, 5)
    with pytest.raises(Unsound, match="a contract of the specification"):
        due_between(balances, Between(), 1, inputs)
    with pytest.raises(Unsound, match="a contract of the specification"):
        book_prices(balances, Between(expiries=(Expiry(1, b"\x01" * 32, 5),)), inputs)
