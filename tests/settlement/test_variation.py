"""After every settlement no account owes cash, and everything that was paid in is still there."""

from __future__ import annotations

import pytest

from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.house import BAD_DEBT, HOUSE, INSURANCE_FUND
from darkpool.margin.liquidation.plan import mark
from darkpool.margin.liquidation.variation import Debts, repay_debts, settle_all_variation
from darkpool.margin.liquidation.waterfall import Step
from darkpool.units import AccountId, Cash
from tests.support.margin_houses import margin_at
from tests.support.margin_lives import (
    ALICE,
    BOB,
    CAROL,
    CONTRACTS,
    FIRST,
    ONE,
    Life,
    house,
    life,
    named,
    traded,
)

SWAP = named("BTC-PERP")
INDEX = CONTRACTS.index(SWAP)


def price_at(share: int) -> int:
    return mark(margin_at(share), CONTRACTS, INDEX, 1)


def loss(share: int, lots: int = 4) -> int:
    return (price_at(100) - price_at(share)) * SWAP.multiplier * lots


def short_of(missing: int, cash: dict[AccountId, int], lots: int = 4) -> PortfolioAccounts:
    """Alice bought lots of Bob at the usual price, and lacks so much when it falls to 60 %."""
    accounts = house(cash)
    accounts.deposit(ALICE, Cash(loss(60, lots) - missing * ONE))
    traded(accounts, SWAP, ALICE, BOB, lots, price_at(100))
    return accounts


def test_variation_moves_what_positions_gained_and_lost() -> None:
    accounts = house({ALICE: 10**6, BOB: 10**6})
    traded(accounts, SWAP, ALICE, BOB, 4, price_at(100))
    variation = settle_all_variation(accounts, margin_at(90), {})
    assert accounts.cash(ALICE) == 10**12 - loss(90)
    assert accounts.cash(BOB) == 10**12 + loss(90)
    assert (variation.covered, variation.closed, variation.shared) == ({}, (), 0)
    assert accounts.position(ALICE, INDEX).net == 4


def test_who_cannot_pay_loses_its_positions_at_the_mark_and_owes_what_it_was_covered_for() -> None:
    owed = 1_000
    accounts = short_of(owed, {BOB: 10**6, INSURANCE_FUND: 700})
    debts: Debts = {}
    variation = settle_all_variation(accounts, margin_at(60), debts)
    assert variation.covered == debts == {ALICE: owed * ONE}
    assert accounts.cash(ALICE) == 0
    assert not accounts.holdings(ALICE).net.any()
    assert {t.step for t in variation.closed} == {Step.DELEVERAGED}
    assert {t.price for t in variation.closed} == {price_at(60)}
    assert variation.shared == 300 * ONE
    assert accounts.cash(INSURANCE_FUND) == accounts.cash(BAD_DEBT) == 0
    assert accounts.cash(BOB) == 10**12 + loss(60) - 300 * ONE
    accounts.deposit(ALICE, Cash(250 * ONE))
    repay_debts(accounts, debts)
    assert (accounts.cash(ALICE), debts) == (0, {ALICE: 750 * ONE})
    accounts.deposit(ALICE, Cash(751 * ONE))
    repay_debts(accounts, debts)
    assert (accounts.cash(ALICE), debts) == (ONE, {})
    assert accounts.cash(INSURANCE_FUND) == owed * ONE


def test_a_fund_with_means_takes_the_positions_over() -> None:
    accounts = short_of(5, {BOB: 10**6, INSURANCE_FUND: 10**6}, lots=1)
    variation = settle_all_variation(accounts, margin_at(60), {})
    assert [t.step for t in variation.closed] == [Step.FUND]
    assert accounts.position(INSURANCE_FUND, INDEX).net == 1
    assert accounts.cash(INSURANCE_FUND) == (10**6 - 5) * ONE
    assert variation.shared == 0


def test_tokens_pay_before_others_do() -> None:
    accounts = short_of(100, {BOB: 10**6, INSURANCE_FUND: 5_000})
    accounts.book_tokens(ALICE, "ETH", 10**6)
    debts: Debts = {}
    variation = settle_all_variation(accounts, margin_at(60), debts)
    assert variation.covered == debts == {}
    assert accounts.holdings(INSURANCE_FUND).tokens["ETH"] > 0
    assert accounts.cash(ALICE) >= 0


def test_tokens_that_the_fund_cannot_pay_for_count_against_the_debt() -> None:
    margin = margin_at(60)
    worth = margin.token_value("ETH", 10**4)
    accounts = short_of(100, {BOB: 10**6})
    accounts.book_tokens(ALICE, "ETH", 10**4)
    debts: Debts = {}
    variation = settle_all_variation(accounts, margin, debts)
    assert 0 < worth < 100 * ONE
    assert variation.covered == {ALICE: 100 * ONE}
    assert debts == {ALICE: 100 * ONE - worth}
    assert accounts.holdings(INSURANCE_FUND).tokens == {"ETH": 10**4}


def test_a_fund_that_owes_is_closed_out_and_shared_to_the_unit() -> None:
    accounts = house({BOB: 10**5, CAROL: 3, FIRST: 1})
    traded(accounts, SWAP, INSURANCE_FUND, BOB, 1, price_at(100))
    variation = settle_all_variation(accounts, margin_at(60), {})
    assert variation.shared == loss(60, 1)
    assert not accounts.holdings(INSURANCE_FUND).net.any()
    assert accounts.cash(INSURANCE_FUND) == accounts.cash(BAD_DEBT) == 0
    taken = {
        account: before * ONE - accounts.cash(account)
        for account, before in ((CAROL, 3), (FIRST, 1))
    }
    total = 10**11 + loss(60, 1) + 4 * ONE
    for account, before in ((CAROL, 3 * ONE), (FIRST, ONE)):
        assert 0 <= taken[account] - before * variation.shared // total <= 1


def settled(lived: Life, debts: Debts) -> None:
    """A settlement of a life as it is, and what has to hold after it."""
    accounts = lived.accounts
    accounts.release_bonds()
    for account in accounts.accounts():
        accounts.release_account(account)
    total = sum(accounts.cash(a) for a in accounts.accounts())
    variation = settle_all_variation(accounts, lived.margin, debts)
    accounts.verify_conservation()
    assert sum(accounts.cash(a) for a in accounts.accounts()) == total
    assert all(accounts.cash(a) >= 0 for a in accounts.accounts())
    assert accounts.cash(BAD_DEBT) == 0
    assert all(debt > 0 for debt in debts.values())
    for account, covered in variation.covered.items():
        assert covered > 0
        assert account not in HOUSE
        assert not accounts.holdings(account).net.any() or lived.expired
    lived.seen["covered"] += len(variation.covered)
    lived.seen["shared"] += variation.shared > 0


@pytest.mark.parametrize("seeds", [range(40), pytest.param(range(10_000), marks=pytest.mark.slow)])
def test_no_life_leaves_a_debt_after_a_settlement(seeds: range) -> None:
    seen = 0
    for seed in seeds:
        lived = life(seed)
        debts: Debts = {}
        lived.begin()
        for _ in range(25):
            lived.step()
            if lived.number(0, 2) == 0:
                settled(lived, debts)
        seen += lived.seen["shared"] > 0
    assert seen
