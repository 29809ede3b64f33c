"""Tokens of collateral: they count without their haircut, are conserved, and pay debts by sale."""

import json
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpool.errors import NotConserved, OutOfBounds
from darkpool.limits import CASH_MAX
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.collateral import (
    convert_collateral,
    deposit_token,
    take_collateral,
    withdraw_token,
)
from darkpool.margin.accounts.defaults import cover_debts, share_bad_debt, write_off
from darkpool.margin.accounts.house import BAD_DEBT, INSURANCE_FUND
from darkpool.margin.errors import (
    InsufficientMargin,
    InvalidFile,
    InvalidParties,
    NoPrice,
    UnknownContract,
)
from darkpool.margin.market.instruments import read_specification
from darkpool.margin.market.market import read_market
from darkpool.margin.model.caps import Holdings, equity, surplus
from darkpool.margin.model.engine import RiskEngine
from darkpool.margin.model.scenarios import lot_risk
from darkpool.margin.report.portfolio_file import read_portfolio
from darkpool.units import AccountId, Cash, Lots, PriceUnits, Side
from tests.support.margin_accounts import (
    ALICE,
    BOB,
    CAROL,
    CONTRACTS,
    FUTURE,
    NOW,
    ONE,
    auction,
    grid,
    house,
    traded,
)
from tests.support.margin_houses import EXAMPLES, MARKET, SPECIFICATION, market, specification

TOKEN = "ETH"  # noqa: S105
WORTH = 2_550 * ONE
"""A token at the index of 3,000 less 15 %."""


def with_tokens(cash: int, tokens: int) -> PortfolioAccounts:
    accounts = house(cash, 100_000)
    deposit_token(accounts, ALICE, TOKEN, tokens * ONE)
    return accounts


@given(st.integers(0, 2**80))
def test_a_token_counts_without_its_haircut_up_to_a_bound(amount: int) -> None:
    exact = Fraction(amount, ONE) * 3_000 * ONE * Fraction(85, 100)
    assert NOW.token_value(TOKEN, amount) == floor(exact)
    assert NOW.collateral({TOKEN: amount}) == min(floor(exact), 10**14)
    nothing = Holdings(Cash(5), Cash(7), NOW.value_of_lots() * 0, {TOKEN: amount})
    assert equity(NOW, nothing) == NOW.collateral({TOKEN: amount}) - 2


def test_tokens_cover_margin_and_are_not_paid_out_as_cash() -> None:
    accounts = with_tokens(0, 10)
    accounts.reserve(ALICE, auction(FUTURE, 1), Lots(1), grid(FUTURE), NOW)
    assert accounts.withdrawable(ALICE, NOW) == 0
    needed = 10 * WORTH - surplus(NOW, accounts.holdings(ALICE), accounts.intents(ALICE))
    spare = (10 * WORTH - needed) * ONE // WORTH
    with pytest.raises(InsufficientMargin):
        withdraw_token(accounts, ALICE, TOKEN, spare + 1, NOW)
    withdraw_token(accounts, ALICE, TOKEN, spare, NOW)
    accounts.verify_conservation()
    accounts.release(ALICE, auction(FUTURE, 1))
    with pytest.raises(OutOfBounds):
        withdraw_token(accounts, ALICE, TOKEN, 10 * ONE - spare + 1, NOW)
    withdraw_token(accounts, ALICE, TOKEN, 10 * ONE - spare, NOW)
    assert accounts.holdings(ALICE).tokens == {}


def test_what_cannot_be_deposited_is_refused() -> None:
    accounts = with_tokens(0, 1)
    with pytest.raises(UnknownContract, match="token"):
        deposit_token(accounts, ALICE, "SOL", 1)
    with pytest.raises(UnknownContract, match="token"):
        withdraw_token(accounts, ALICE, "SOL", 0, NOW)
    for amount in (-1, CASH_MAX):
        with pytest.raises(OutOfBounds):
            deposit_token(accounts, ALICE, TOKEN, amount)
    accounts._entries[ALICE].add_tokens(TOKEN, 1)
    with pytest.raises(NotConserved, match=TOKEN):
        accounts.verify_conservation()


def indebted(tokens: int, fund: int) -> PortfolioAccounts:
    """Alice owes 12,000 after her future expired, and has tokens."""
    accounts = house(30_000, 100_000, 500_000)
    deposit_token(accounts, ALICE, TOKEN, tokens)
    accounts.deposit(INSURANCE_FUND, Cash(fund * ONE))
    traded(accounts, FUTURE, ALICE, BOB, 2, 61_000 * ONE)
    accounts.expire(FUTURE.identifier, PriceUnits(40_000 * ONE))
    return accounts


@pytest.mark.parametrize("fund", [0, 5_000, 50_000])
@pytest.mark.parametrize("tokens", [0, 1, 3 * ONE, 5 * ONE])
def test_tokens_are_sold_for_what_is_owed(tokens: int, fund: int) -> None:
    accounts = indebted(tokens, fund)
    owed, worth = 12_000 * ONE, NOW.token_value(TOKEN, tokens)
    brought = convert_collateral(accounts, ALICE, INSURANCE_FUND, NOW)
    accounts.verify_conservation()
    assert brought <= min(worth, fund * ONE)
    assert accounts.cash(ALICE) == brought - owed
    sold = accounts.holdings(INSURANCE_FUND).tokens.get(TOKEN, 0)
    left = accounts.holdings(ALICE).tokens.get(TOKEN, 0)
    assert sold + left == tokens
    assert brought == NOW.token_value(TOKEN, sold)
    if brought < owed:
        # everything is sold, or one millionth more would be worth more than the fund has
        assert left == 0 or worth == 0 or NOW.token_value(TOKEN, sold + 1) > fund * ONE
    if worth >= owed and fund * ONE >= owed:
        assert 0 <= accounts.cash(ALICE) < 10**4
        assert accounts.withdrawable(BOB, NOW) > 0
    assert convert_collateral(accounts, ALICE, INSURANCE_FUND, NOW) == 0


@pytest.mark.parametrize("most", [2**63 - 1, 2**63, CASH_MAX])
def test_any_number_of_tokens_that_can_be_paid_in_can_be_sold(most: int) -> None:
    accounts = house(0, 100_000)
    deposit_token(accounts, ALICE, TOKEN, most)
    accounts.transfer(ALICE, BOB, Cash(WORTH))
    assert convert_collateral(accounts, ALICE, BOB, NOW) == WORTH
    assert accounts.holdings(BOB).tokens == {TOKEN: ONE}
    accounts.transfer(ALICE, BOB, Cash(WORTH))
    take_collateral(accounts, ALICE, NOW)
    assert accounts.holdings(INSURANCE_FUND).tokens == {TOKEN: ONE}
    accounts.verify_conservation()


def test_a_debt_is_not_written_off_while_there_are_tokens() -> None:
    accounts = indebted(5 * ONE, 0)
    assert convert_collateral(accounts, ALICE, INSURANCE_FUND, NOW) == 0
    assert cover_debts(accounts) == 0
    assert accounts.withdrawable(BOB, NOW) == 0
    assert convert_collateral(accounts, ALICE, CAROL, NOW) >= 12_000 * ONE
    assert accounts.withdrawable(BOB, NOW) > 0
    accounts.verify_conservation()
    with pytest.raises(InvalidParties, match=CAROL):
        convert_collateral(accounts, CAROL, CAROL, NOW)


def test_a_buyer_keeps_what_its_own_positions_need() -> None:
    accounts = indebted(5 * ONE, 0)
    perpetual = CONTRACTS[0]
    traded(accounts, perpetual, CAROL, BOB, 5, 60_000 * ONE, interval=3)
    free = accounts.withdrawable(CAROL, NOW)
    before = accounts.surplus(CAROL, NOW)
    convert_collateral(accounts, ALICE, CAROL, NOW)
    assert accounts.surplus(CAROL, NOW) >= before - 1
    assert accounts.cash(CAROL) >= 500_000 * ONE - free or free == 0


def test_many_accounts_have_the_same_equity() -> None:
    accounts = with_tokens(1_000, 7)
    held = {account: accounts.holdings(account) for account in (ALICE, BOB)}
    engine = RiskEngine(specification(), market(), held)
    assert engine.standing(0).equity == 1_000 * ONE + 7 * WORTH
    dearer = read_market("dearer", MARKET.replace('"index": "3000"', '"index": "4000"'))
    engine.reprice(dearer, ["BTC"])
    assert engine.standing(0).equity == 1_000 * ONE + 7 * WORTH
    engine.reprice(dearer, ["ETH"])
    assert engine.standing(0).equity == 1_000 * ONE + 7 * 3_400 * ONE
    assert engine.standing(1).equity == 100_000 * ONE
    assert not engine.below_maintenance()


def test_a_market_has_the_price_of_every_token() -> None:
    """Or margin is not computed at it: in the middle of a liquidation an error would be late."""
    terms = SPECIFICATION.replace("[[groups]]", LONE_UNDERLYING + "[[groups]]", 1)
    terms = terms.replace('token = "ETH"\nunderlying = "ETH"', 'token = "SOL"\nunderlying = "SOL"')
    lone = read_specification("contracts.toml", terms)
    with pytest.raises(NoPrice, match="SOL"):
        lot_risk(lone, market(), tuple(lone.contracts.values()))
    with pytest.raises(NoPrice, match="SOL"):
        NOW.collateral({"SOL": 1})


LONE_UNDERLYING = """[[underlyings]]
name = "SOL"
price_range = 1
tail_multiple = 1_000_000
tail_weight = 0
volatility_up = 0
volatility_down = 0
basis = 0
short_option = 0
concentration_from = 0
concentration = 0

"""


def test_portfolio_files_have_tokens_once_and_only_known_ones() -> None:
    data = json.loads((EXAMPLES / "portfolio.json").read_text(encoding="utf-8"))
    portfolio = read_portfolio("p", json.dumps(data), specification())
    assert portfolio.holdings.tokens == {"ETH": 4_500_000}
    data["collateral"] = [{"token": "SOL", "amount": "1"}]
    with pytest.raises(InvalidFile, match=r"collateral\[0\].token: expected one of the spec"):
        read_portfolio("p", json.dumps(data), specification())
    data["collateral"] = 2 * [{"token": "ETH", "amount": "1"}]
    with pytest.raises(InvalidFile, match="each token once"):
        read_portfolio("p", json.dumps(data), specification())
    data["collateral"] = [{"token": "ETH", "amount": "-1"}]
    with pytest.raises(InvalidFile, match=r"collateral\[0\].amount"):
        read_portfolio("p", json.dumps(data), specification())


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("haircut = 150_000", "haircut = 1_000_001", r"collateral\[0\].haircut"),
        ("most = 100_000_000_000_000", "most = -1", r"collateral\[0\].most"),
        ('token = "ETH"\nunderlying = "ETH"', 'token = "ETH"\nunderlying = "SOL"', "file"),
    ],
)
def test_what_is_wrong_with_a_token_is_named(old: str, new: str, path: str) -> None:
    assert old in SPECIFICATION
    with pytest.raises(InvalidFile, match=path):
        read_specification("contracts.toml", SPECIFICATION.replace(old, new))


def test_an_intent_may_fill_on_tokens_alone() -> None:
    accounts = with_tokens(0, 40)
    traded(accounts, FUTURE, ALICE, BOB, 1, 61_000 * ONE)
    accounts.settle_variation(FUTURE.identifier, PriceUnits(60_000 * ONE))
    assert accounts.cash(ALICE) == -1_000 * ONE
    assert accounts.withdrawable(BOB, NOW) == 0
    accounts.deposit(INSURANCE_FUND, Cash(2_000 * ONE))
    assert convert_collateral(accounts, ALICE, INSURANCE_FUND, NOW) >= 1_000 * ONE
    assert accounts.withdrawable(BOB, NOW) > 0
    accounts.reserve(ALICE, auction(FUTURE, 2), Lots(1), grid(FUTURE), NOW)
    accounts.fill(ALICE, auction(FUTURE, 2), Side.SELL, Lots(1), PriceUnits(60_000 * ONE))


def test_dust_in_the_fund_stops_no_account() -> None:
    """A millionth of a token that no buyer gets, and a debt that the fund cannot pay."""
    accounts = house(30_000, 100_000, 500_000)
    deposit_token(accounts, INSURANCE_FUND, TOKEN, 1)
    traded(accounts, FUTURE, ALICE, BOB, 2, 61_000 * ONE)
    accounts.expire(FUTURE.identifier, PriceUnits(40_000 * ONE))
    assert accounts.withdrawable(BOB, NOW) == 0
    assert cover_debts(accounts) == 12_000 * ONE
    assert share_bad_debt(accounts) == 12_000 * ONE
    assert accounts.withdrawable(BOB, NOW) > 0
    accounts.verify_conservation()


def test_what_the_fund_s_tokens_bring_pays_bad_debt_back() -> None:
    accounts = indebted(5 * ONE, 0)
    take_collateral(accounts, ALICE, NOW)
    taken = accounts.holdings(INSURANCE_FUND).tokens[TOKEN]
    assert NOW.token_value(TOKEN, taken) >= 12_000 * ONE > NOW.token_value(TOKEN, taken - 1)
    assert accounts.holdings(ALICE).tokens == {TOKEN: 5 * ONE - taken}, "no more than is owed"
    assert write_off(accounts, ALICE) == 12_000 * ONE
    assert accounts.cash(BAD_DEBT) == -12_000 * ONE
    assert convert_collateral(accounts, INSURANCE_FUND, CAROL, NOW) >= 12_000 * ONE
    assert accounts.cash(BAD_DEBT) == 0
    assert accounts.withdrawable(BOB, NOW) > 0
    accounts.verify_conservation()


def test_a_buyer_keeps_what_its_live_intents_need() -> None:
    accounts = indebted(50 * ONE, 0)
    accounts.transfer(ALICE, BOB, Cash(100_000 * ONE))
    perpetual = CONTRACTS[0]
    accounts.reserve(CAROL, auction(perpetual, 3), Lots(35), grid(perpetual), NOW)
    coverage = accounts.coverage(CAROL, NOW)
    free = coverage.available - coverage.required
    assert 0 < free < 112_000 * ONE
    brought = convert_collateral(accounts, ALICE, CAROL, NOW)
    assert free - WORTH // ONE - 1 <= brought <= free
    coverage = accounts.coverage(CAROL, NOW)
    assert coverage.required <= coverage.available


def test_a_buyer_gets_no_more_than_it_pays_for() -> None:
    accounts = indebted(5 * ONE, 0)
    poor = AccountId("dan")
    accounts.deposit(poor, Cash(1))
    assert convert_collateral(accounts, ALICE, poor, NOW) == 0
    assert accounts.holdings(poor).tokens == {}
