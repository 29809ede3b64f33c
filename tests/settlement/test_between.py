"""Between two settlements nobody chooses: what is due follows from what was signed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from darkpool.canonical_json import from_json, to_json
from darkpool.errors import MalformedRecord, OutOfBounds
from darkpool.margin.accounts.house import INSURANCE_FUND
from darkpool.margin.errors import NoPrice
from darkpool.margin.liquidation.plan import mark
from darkpool.protocol.flows import Flow, FlowKind
from darkpool.protocol.terms import BondTerms
from darkpool.settlement.between import (
    Between,
    Expiry,
    Funding,
    VoidCharge,
    due_between,
    void_charges,
)
from darkpool.settlement.custody import Custody
from darkpool.settlement.state import states_of
from darkpool.units import AccountId, Cash, Interval, PriceUnits, account_bytes
from tests.settlement.test_custody import VAULT, custody, flow
from tests.support.margin_lives import ALICE, BOB, BOND, CAROL, CONTRACTS, ONE, named, traded
from tests.support.margin_lives import TREASURY as TREASURER
from tests.support.moving_markets import HOUR_MS, MARCH_MS, MovingMarket

SWAP, FUTURE = named("BTC-PERP"), named("BTC-MAR")
CALL = named("BTC-MAR-60000-C")
EARLY = MovingMarket(100, 0, MARCH_MS - HOUR_MS)


def due(made: Custody, interval: int, market: MovingMarket) -> Between:
    number = Interval(interval)
    return due_between(made.accounts, made.between, number, market.inputs.market)


def settled(made: Custody, market: MovingMarket, interval: int = 1) -> Custody:
    """What stands after an interval without orders at a market."""
    work = made.copy()
    work.apply_between(due(made, interval, market))
    work.credit()
    work.commit(market.margin)
    work.settle(market.margin, {})
    return work


def holding(contract_name: str, lots: int, cash: int = 50_000) -> Custody:
    """Alice bought lots of Bob, and it is settled an hour before contracts expire."""
    made = custody({ALICE: cash, BOB: 10**6})
    contract = named(contract_name)
    price = mark(EARLY.margin, CONTRACTS, CONTRACTS.index(contract), 1)
    traded(made.accounts, contract, ALICE, BOB, lots, price)
    return settled(made, EARLY)


def cash(made: Custody, *accounts: AccountId) -> list[int]:
    return [int(made.accounts.cash(account)) for account in accounts]


def test_nothing_is_due_without_positions() -> None:
    late = MovingMarket(100, 200, MARCH_MS + HOUR_MS)
    assert due(custody({ALICE: 5}), 1, late) == Between(late.time_ms)


def test_a_contract_expires_at_the_index_of_the_first_market_that_is_not_earlier() -> None:
    made = holding("BTC-MAR", 2)
    assert due(made, 2, replace(EARLY, time_ms=MARCH_MS - 1)).expiries == ()
    found = due(made, 2, replace(EARLY, time_ms=MARCH_MS, share=110))
    assert found.expiries == (Expiry(Interval(2), FUTURE.identifier, PriceUnits(66_000 * ONE)),)


@pytest.mark.parametrize(
    ("name", "share", "worth"),
    [
        ("BTC-MAR", 105, 63_000),
        ("BTC-MAR-60000-C", 105, 3_000),
        ("BTC-MAR-60000-C", 95, 0),
        ("BTC-MAR-60000-P", 95, 3_000),
        ("BTC-MAR-60000-P", 105, 0),
    ],
)
def test_an_expiry_pays_what_a_contract_is_worth_then(name: str, share: int, worth: int) -> None:
    made = holding(name, 2)
    contract = named(name)
    before = mark(EARLY.margin, CONTRACTS, CONTRACTS.index(contract), 1)
    gain = 2 * contract.multiplier * (worth * ONE - before)
    after = settled(made, MovingMarket(share, 0, MARCH_MS), 2)
    alice, bob = cash(made, ALICE, BOB)
    assert cash(after, ALICE, BOB) == [alice + gain, bob - gain]
    assert after.accounts.is_flat(ALICE)
    assert due(after, 3, MovingMarket(60, 0, MARCH_MS + 1)) == Between(MARCH_MS + 1)


def test_longs_pay_the_premium_for_the_time_since_the_last_market() -> None:
    made = holding("BTC-PERP", 3)
    above = replace(EARLY, premium=10, time_ms=EARLY.time_ms + 2 * HOUR_MS)
    assert due(made, 2, above).fundings == (
        Funding(Interval(2), SWAP.identifier, PriceUnits(15 * ONE)),
    )
    work = made.copy()
    work.apply_between(due(made, 2, above))
    alice, bob = cash(made, ALICE, BOB)
    assert cash(work, ALICE, BOB) == [alice - 45 * ONE, bob + 45 * ONE]
    below = replace(above, premium=-200)
    [funding] = due(made, 2, below).fundings
    assert funding.for_a_unit == -75 * ONE
    assert due(made, 2, replace(above, time_ms=EARLY.time_ms)).fundings == ()


def test_after_a_void_interval_it_starts_again_at_the_same_prices() -> None:
    made = holding("BTC-MAR", 2)
    price = mark(EARLY.margin, CONTRACTS, CONTRACTS.index(SWAP), 1)
    traded(made.accounts, SWAP, ALICE, BOB, 3, price)
    made = settled(made, EARLY, 2)
    states = states_of(made)
    first = due(made, 3, MovingMarket(110, 10, MARCH_MS + HOUR_MS))
    made.void(first, ())
    assert states_of(made) == states
    again = due(made, 4, MovingMarket(80, -10, MARCH_MS + 3 * HOUR_MS))
    assert again.expiries == first.expiries
    assert again.expiries == (Expiry(Interval(3), FUTURE.identifier, PriceUnits(66_000 * ONE)),)
    assert again.fundings == (
        Funding(Interval(3), SWAP.identifier, PriceUnits(66 * ONE // 4)),
        Funding(Interval(4), SWAP.identifier, PriceUnits(-48 * ONE // 4)),
    )
    after = settled(made, MovingMarket(80, -10, MARCH_MS + 3 * HOUR_MS), 4)
    assert after.between == Between(MARCH_MS + 3 * HOUR_MS)


def test_an_account_that_an_expiry_ruins_is_covered_and_no_leaf_is_negative() -> None:
    made = holding("BTC-MAR", 2, cash=30_000)
    flow(made, (FlowKind.DEPOSIT, CAROL, 100 * ONE))
    market = MovingMarket(60, 0, MARCH_MS)
    work = made.copy()
    work.apply_between(due(made, 2, market))
    [owed] = cash(work, ALICE)
    assert owed < 0
    work.accounts.hold_bond(BOB, BOND, market.margin)
    work.commit(market.margin)
    variation = work.settle(market.margin, {}).variation
    assert variation.covered == work.debts == {ALICE: -owed}
    assert variation.shared == -owed
    assert cash(work, ALICE, INSURANCE_FUND) == [0, 0]
    assert min(cash(work, *work.accounts.accounts())) >= 0


def test_a_market_that_is_earlier_than_the_last_one_is_refused() -> None:
    made = holding("BTC-PERP", 1)
    with pytest.raises(OutOfBounds, match="time of the market"):
        due(made, 2, replace(EARLY, time_ms=EARLY.time_ms - 1))


def test_a_market_without_the_price_of_an_open_contract_is_refused() -> None:
    made, market = holding("BTC-PERP", 1), EARLY.inputs.market
    without = replace(market, underlyings=market.underlyings[1:])
    unmarked = replace(market.underlyings[0], perpetual=None)
    for broken in (without, replace(market, underlyings=(unmarked,))):
        with pytest.raises(NoPrice):
            due_between(made.accounts, made.between, Interval(2), broken)


def test_intents_of_an_account_cost_no_more_than_its_bond() -> None:
    bond = BondTerms(Cash(100), 300_001, TREASURER)
    rejected = [BOB, *[ALICE] * 5, CAROL, CAROL]
    assert void_charges(Interval(7), rejected, bond) == (
        VoidCharge(Interval(7), ALICE, Cash(100)),
        VoidCharge(Interval(7), BOB, Cash(31)),
        VoidCharge(Interval(7), CAROL, Cash(62)),
    )
    assert void_charges(Interval(7), rejected, replace(bond, charge_ppm=0)) == ()


def charged(made: Custody, account: AccountId, amount: int) -> None:
    """An interval ends void that found an account at fault."""
    made.void(made.between, (VoidCharge(Interval(3), account, Cash(amount)),))


def test_a_charge_that_a_void_interval_found_is_taken_by_the_next_settlement() -> None:
    made = custody({ALICE: 100, BOB: 100})
    charged(made, ALICE, 30 * ONE)
    charged(made, BOB, 10**12)
    after = settled(made, EARLY, 4)
    assert cash(after, ALICE, BOB, TREASURER) == [70 * ONE, 0, 130 * ONE]
    assert settled(after, EARLY, 5).accounts.cash(ALICE) == 70 * ONE


def test_a_deposit_that_only_the_void_interval_counted_bears_its_charge() -> None:
    made = custody({BOB: 100})
    flow(made, (FlowKind.DEPOSIT, ALICE, 80 * ONE))
    charged(made, ALICE, 30 * ONE)
    assert cash(settled(made, EARLY, 4), ALICE, TREASURER) == [50 * ONE, 30 * ONE]


def test_a_request_is_granted_what_a_charge_leaves() -> None:
    made = custody({ALICE: 100})
    flow(made, (FlowKind.REQUEST, ALICE, 100 * ONE))
    charged(made, ALICE, 30 * ONE)
    after = settled(made, EARLY, 4)
    assert after.claims.granted == {ALICE: 70 * ONE}


def test_an_account_that_has_left_is_charged_nothing_and_costs_nobody() -> None:
    made = custody({BOB: 100})
    charged(made, ALICE, 30 * ONE)
    after = settled(made, EARLY, 4)
    assert cash(after, ALICE, BOB, TREASURER) == [0, 100 * ONE, 0]
    assert [account_bytes(s.account) for s in states_of(after)] == [account_bytes(BOB)]


def test_a_deposit_that_goes_back_before_the_commitment_pays_no_debt_and_no_charge() -> None:
    made = custody({BOB: 100})
    made.debts[ALICE] = Cash(20 * ONE)
    charged(made, ALICE, 30 * ONE)
    work = made.copy()
    flow(work, (FlowKind.DEPOSIT, ALICE, 80 * ONE))
    work.credit()
    number = work.flows.last
    work.flows.add([Flow(number + 1, FlowKind.RETURN, VAULT, ALICE, 80 * ONE, number)])
    work.commit(EARLY.margin)
    assert cash(work, ALICE, BOB, TREASURER, INSURANCE_FUND) == [0, 100 * ONE, 0, 0]
    assert work.debts == made.debts


def test_who_has_less_than_its_bond_after_debts_and_charges_is_uncovered() -> None:
    for owed, fined, passes in (
        (0, 0, True),
        (500, 400, True),
        (500, 600, False),
        (1_500, 0, False),
    ):
        made = custody({ALICE: 2_000})
        made.debts |= {ALICE: Cash(owed * ONE)} if owed else {}
        charged(made, ALICE, fined * ONE)
        work = made.copy()
        work.apply_between(due(made, 4, EARLY))
        work.accounts.hold_bond(ALICE, BOND, EARLY.margin)
        committed = work.commit(EARLY.margin)
        assert (committed.uncovered == {}) is passes
        assert cash(work, ALICE, TREASURER) == [(2_000 - owed - fined) * ONE, fined * ONE]


def test_its_bytes_are_read_back_and_no_others_are() -> None:
    made = Between(
        9,
        (Expiry(Interval(1), CALL.identifier, PriceUnits(5)),),
        (Funding(Interval(1), SWAP.identifier, PriceUnits(-5)),),
        (VoidCharge(Interval(1), ALICE, Cash(7)),),
    )
    data = to_json(made)
    assert from_json(data, Between, "between") == made
    for wrong in (data.replace(b"-5", b"-5.0"), data.replace(b": 7", b": -7"), data + b" "):
        with pytest.raises(MalformedRecord):
            from_json(wrong, Between, "between")
