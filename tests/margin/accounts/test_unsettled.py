"""Positions that margin is not computed for: they hold their account, and no other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest

from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.collateral import convert_collateral, withdraw_token
from darkpool.margin.accounts.house import HOUSE
from darkpool.margin.accounts.vault_flows import Committed, Shortfall
from darkpool.margin.errors import ContractExpired, InsufficientMargin, MarginError, NoPrice
from darkpool.margin.liquidation.calls import MarginCall
from darkpool.margin.market.market import MarketForm
from darkpool.margin.model.caps import is_computed
from darkpool.margin.service.events import (
    Deposit,
    HoldBond,
    Release,
    Reserve,
    TakePrices,
    UpdateCalls,
    Withdraw,
)
from darkpool.margin.service.state import Called
from darkpool.protocol.refusals import RefusalCode
from darkpool.protocol.terms import BondTerms
from darkpool.settlement.grants import free_cash
from darkpool.units import AccountId, Cash, Interval, Lots, PriceUnits, account_of
from darkpool.verification.accounts import Account, Position, surplus
from darkpool.verification.requirement import MarginModel
from tests.support.margin_accounts import (
    ALICE,
    BOB,
    CAROL,
    FUTURE,
    NOW,
    ONE,
    PEOPLE,
    PERP,
    auction,
    count_committed,
    grid,
    house,
    traded,
)
from tests.support.margin_houses import later_market, margin_after_expiry, market_at
from tests.support.margin_lives import LIQUIDATOR, SPECIFICATION, Life, life
from tests.support.margin_lives import PEOPLE as LIVING
from tests.support.margin_records import inputs_of

LATER = margin_after_expiry()
MODEL = MarginModel(inputs_of(SPECIFICATION, MarketForm.model_validate_json(later_market())))
MANY = 10**12
NO_BOND = BondTerms(Cash(0), 1, account_of(bytes(20)))


def waiting() -> PortfolioAccounts:
    """Alice and Bob have a future that has expired and is not settled."""
    accounts = house(100_000, 100_000, 100_000)
    traded(accounts, FUTURE, ALICE, BOB, 2, 61_000 * ONE)
    return accounts


def beyond() -> PortfolioAccounts:
    """Alice and Bob have more than margin is computed for."""
    accounts = house(100_000, 100_000, 100_000)
    accounts.trade(ALICE, BOB, accounts.contract_index(PERP.identifier), MANY, PriceUnits(ONE))
    return accounts


def vault_of(accounts: PortfolioAccounts) -> dict[AccountId, Cash]:
    return {account: accounts.paid(account) for account in accounts.accounts()}


@pytest.mark.parametrize("made", [waiting, beyond])
def test_all_cash_stands_against_what_has_no_margin(
    made: Callable[[], PortfolioAccounts],
) -> None:
    accounts = made()
    free = [free_cash(accounts, account, LATER) for account in PEOPLE]
    assert free == [0, 0, 100_000 * ONE]
    accounts.verify_conservation()


@pytest.mark.parametrize("made", [waiting, beyond])
def test_nothing_is_free_for_what_has_no_margin_and_the_refusal_has_a_code(
    made: Callable[[], PortfolioAccounts],
) -> None:
    accounts, code = made(), RefusalCode.NO_PRICE if made is waiting else RefusalCode.BEYOND_MARGIN
    accounts.book_tokens(ALICE, "ETH", ONE)
    takes: list[Callable[[], object]] = [
        lambda: accounts.withdraw(ALICE, Cash(1), LATER),
        lambda: withdraw_token(accounts, ALICE, "ETH", 1, LATER),
        lambda: accounts.hold_bond(ALICE, BondTerms(Cash(1), 1, account_of(bytes(20))), LATER),
        lambda: accounts.reserve(ALICE, auction(PERP, 1), Lots(1), grid(PERP), LATER),
    ]
    for take in takes:
        with pytest.raises(MarginError) as caught:
            take()
        assert caught.value.code is code


def test_what_is_settled_is_free_again() -> None:
    accounts = waiting()
    accounts.expire(FUTURE.identifier, PriceUnits(60_000 * ONE))
    assert all(free_cash(accounts, a, LATER) == accounts.cash(a) for a in PEOPLE)


def test_an_account_with_a_bond_and_no_margin_is_uncovered_alone() -> None:
    """It was refused its intent, or its contract expired since it was admitted."""
    accounts = waiting()
    for account in PEOPLE:
        accounts.hold_bond(account, NO_BOND, NOW)
    accounts.reserve(CAROL, auction(PERP, 7), Lots(1), grid(PERP), LATER)
    vault = vault_of(accounts)
    vault[ALICE] = Cash(vault[ALICE] - 1)
    committed = count_committed(accounts, vault, LATER)
    nothing = Shortfall(Cash(1), Cash(0))
    assert committed == Committed({ALICE: Cash(-1)}, {ALICE: nothing, BOB: nothing})
    assert accounts.cash(ALICE) == 100_000 * ONE - 1
    assert accounts.bond(ALICE) is None
    assert accounts.reservations(CAROL)
    accounts.verify_conservation()


def test_what_was_lost_since_the_reservation_is_looked_for_without_a_withdrawal() -> None:
    """An expiry while the interval is open takes the cash that covered an intent."""
    accounts = house(30_000, 100_000, 100_000)
    traded(accounts, FUTURE, ALICE, BOB, 1, 61_000 * ONE)
    accounts.reserve(ALICE, auction(PERP, 7), Lots(1), grid(PERP), NOW)
    accounts.reserve(CAROL, auction(PERP, 7), Lots(1), grid(PERP), NOW)
    accounts.expire(FUTURE.identifier, PriceUnits(41_000 * ONE))
    committed = count_committed(accounts, vault_of(accounts), NOW)
    assert not committed.net_deposits
    assert list(committed.uncovered) == [ALICE]
    assert not accounts.reservations(ALICE)


def test_a_refused_reservation_leaves_no_bond() -> None:
    accounts = house(10, 100_000)
    bond, key = BondTerms(Cash(ONE), 1, account_of(bytes(20))), auction(PERP, 1)
    for account in (ALICE, CAROL):
        amount = bond if account == ALICE else NO_BOND
        with pytest.raises(InsufficientMargin), accounts.bonded(account, amount, NOW):
            accounts.reserve(account, key, Lots(10), grid(PERP), NOW)
        assert accounts.bond(account) is None
    assert CAROL not in accounts
    assert accounts.withdrawable(ALICE, NOW) == accounts.cash(ALICE) == 10 * ONE
    with accounts.bonded(BOB, bond, NOW):
        accounts.reserve(BOB, key, Lots(1), grid(PERP), NOW)
    more = BondTerms(Cash(5 * ONE), 1, account_of(bytes(20)))
    with pytest.raises(MarginError), accounts.bonded(BOB, more, NOW):
        accounts.reserve(BOB, key, Lots(1), grid(PERP), NOW)
    assert accounts.bond(BOB) == ONE, "what it held for an intent before it holds still"
    accounts.verify_conservation()


def test_an_intent_for_an_expired_contract_is_refused_and_its_release_is_none() -> None:
    accounts = house(100_000, 100_000)
    key = auction(FUTURE, 1)
    accounts.reserve(ALICE, key, Lots(1), grid(FUTURE), NOW)
    accounts.expire(FUTURE.identifier, PriceUnits(61_000 * ONE))
    with pytest.raises(ContractExpired) as caught:
        accounts.reserve(BOB, key, Lots(1), grid(FUTURE), NOW)
    assert isinstance(caught.value, MarginError)
    assert caught.value.code is RefusalCode.CONTRACT_EXPIRED
    for account in (ALICE, BOB):
        accounts.release(account, key)
    assert accounts.is_flat(ALICE)


def test_a_buyer_without_margin_buys_no_tokens() -> None:
    accounts = waiting()
    accounts.book_tokens(CAROL, "ETH", ONE)
    accounts.book_withdrawal(CAROL, Cash(100_001 * ONE))
    assert convert_collateral(accounts, CAROL, ALICE, LATER) == 0
    assert convert_collateral(accounts, CAROL, BOB, NOW) > 0


def test_calls_leave_out_accounts_without_margin_until_they_have_it_again() -> None:
    one = life(0)
    one.begin()
    held = one.accounts
    for account, lots in ((LIVING[0], 3), (LIVING[1], -3)):
        held._open(account).trade(held.contract_index(FUTURE.identifier), lots, lots * 10**13)
    one.do(TakePrices(later_market()))
    assert all(c.standing.account not in LIVING[:2] for c in called(one))
    with pytest.raises(NoPrice):
        one.do(HoldBond(LIVING[0]))
    held.expire(FUTURE.identifier, PriceUnits(1))
    one.do(Deposit(LIVING[2], Cash(1)))
    assert {c.standing.account for c in called(one)} & set(LIVING[:2])


def called(one: Life) -> tuple[MarginCall, ...]:
    outcome = one.do(UpdateCalls())
    assert isinstance(outcome, Called)
    return outcome.calls


def without_tokens_and_debts(accounts: PortfolioAccounts) -> None:
    """An auditor of balances knows neither."""
    for account in accounts.accounts():
        for token, amount in accounts.holdings(account).tokens.items():
            accounts.book_tokens(account, token, -amount)
        accounts.deposit(account, Cash(max(0, -accounts.cash(account))))


def free_for_an_auditor(accounts: PortfolioAccounts, account: AccountId) -> int:
    """What the auditor's own code says that an account does not need."""
    positions: dict[bytes, Position] = {
        instrument: Position(held.net, held.cost, held.entry)
        for instrument, held in accounts.positions(account).items()
    }
    left = surplus(MODEL, Account(accounts.cash(account), positions))
    return 0 if left is None else max(0, min(accounts.cash(account), left))


def lived_past_expiry(seed: int) -> int:
    """A life until contracts expire that are not settled; returns how many accounts have such.

    Every operation on every other account goes on, and the auditor finds the same free.
    """
    one = life(seed)
    one.run(30)
    one.do(TakePrices(later_market()))
    accounts, margin, draw = one.accounts, one.state.margin, np.random.default_rng(seed)
    without_tokens_and_debts(accounts)
    one.do(UpdateCalls())
    held = {a for a in accounts.accounts() if not is_computed(margin, accounts.holdings(a))}
    key = PERP.identifier, Interval(10**6)
    prices = grid(PERP, margin)
    for account in (*LIVING, LIQUIDATOR):
        one.do(Deposit(account, Cash(5_000 * ONE)))
        if account in held:
            for event in (HoldBond(account), Withdraw(account, Cash(1))):
                with pytest.raises(NoPrice):
                    one.do(event)
            continue
        assert one.tried(Withdraw(account, Cash(accounts.withdrawable(account, margin) // 2)))
        with suppress(InsufficientMargin):
            one.do(HoldBond(account))
            one.do(Reserve(account, *key, Lots(1), prices.lowest, prices.highest))
            if draw.integers(2):
                one.do(Release(account, *key))
    before = vault_of(accounts)
    vault = dict(before)
    for account in LIVING:
        if draw.integers(2):
            left = int(draw.integers(0, max(1, accounts.cash(account))))
            vault[account] = Cash(vault[account] - left)
    committed = count_committed(accounts, vault, margin)
    assert set(committed.net_deposits) == {a for a, paid in vault.items() if paid != before[a]}
    for account in accounts.accounts():
        free = free_cash(accounts, account, margin)
        assert not free or account not in held
        assert accounts.is_flat(account) or free == free_for_an_auditor(accounts, account)
    accounts.verify_conservation()
    return len(held - set(HOUSE))


def test_in_some_lives_what_waits_for_its_settlement_stops_no_other_account() -> None:
    assert sum(map(lived_past_expiry, range(25))) > 10


@pytest.mark.slow
def test_in_many_lives_what_waits_for_its_settlement_stops_no_other_account() -> None:
    assert sum(map(lived_past_expiry, range(25, 1_000))) > 500


def test_prices_alone_take_an_account_out_of_the_calls_and_back() -> None:
    """Dearer lots are worth more than margin is computed for; cheaper ones are not any more."""
    one = life(0)
    one.begin()
    perp = one.accounts.contract_index(PERP.identifier)
    one.accounts.trade(LIVING[0], LIVING[1], perp, 4_000_000, PriceUnits(60_000 * ONE))
    both = set(LIVING[:2])
    for share, computed in ((160, False), (100, True), (160, False), (100, True)):
        one.do(TakePrices(market_at(share)))
        held = (one.accounts.holdings(account) for account in both)
        assert all(is_computed(one.state.margin, holdings) == computed for holdings in held)
        told = {call.standing.account for call in called(one)} & both
        assert told == (both if share == 100 and not one.seen["told"] else set())
        one.seen["told"] += bool(told)
