"""A liquidation in an encrypted auction: sealed like any order, and its fill given up."""

import pytest

from darkpool.auction.listing import ContractListing
from darkpool.auction.terms import VenueTerms
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.defaults import CloseOut
from darkpool.margin.liquidation.calls import Change, MarginCalls
from darkpool.margin.liquidation.liquidator import give_up, limit_order
from darkpool.margin.liquidation.plan import LiquidationOrder, LiquidationTerms, liquidation_orders
from darkpool.margin.market.market import read_market_form
from darkpool.margin.model.caps import surplus
from darkpool.margin.model.engine import RiskEngine
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.margin.model.scenarios import lot_risk
from darkpool.protocol.terms import Pricing
from darkpool.simulation.order_file import Order
from darkpool.units import (
    AccountLabel,
    Cash,
    InstrumentName,
    Lots,
    PriceUnits,
    Side,
    Tick,
    account_id,
)
from tests.support.margin_houses import MARKET, market, specification
from tests.support.one_process import run_here

NAME = InstrumentName("BTC-PERP")
LONG, SHORT, HOUSE = (account_id("0x" + pair * 20) for pair in ("d1", "d2", "d3"))
CONTRACTS = tuple(specification().contracts.values())
CONTRACT_INDEX = [contract.name for contract in CONTRACTS].index(NAME)
MARGIN = PortfolioMargin(specification(), lot_risk(specification(), market(), CONTRACTS))
LISTING = ContractListing(specification(), read_market_form("market.json", MARKET), 16)
TERMS = LiquidationTerms(HOUSE, 250_000, 250_000)
LOTS, CASH, PAID = 10, Cash(200_000 * 10**6), 72_000 * 10**6
LIQUIDATOR = AccountLabel("house")


def in_trouble(accounts: PortfolioAccounts) -> None:
    """One account bought ten lots at 72,000 from the other; they are worth 60,020.5."""
    for account in (LONG, SHORT):
        accounts.deposit(account, CASH)
    accounts.trade(LONG, SHORT, CONTRACT_INDEX, LOTS, PriceUnits(PAID))


def orders_with(order: LiquidationOrder, takers: int) -> list[Order]:
    sealed = limit_order(order, LISTING.grids[NAME])
    rows = [Order(0, LIQUIDATOR, NAME, sealed.side, sealed.size, sealed.limit)]
    for taker in range(takers):
        label, size = AccountLabel(f"taker-{taker}"), Lots(3)
        rows.append(Order(len(rows), label, NAME, Side.BUY, size, Tick(8 - taker)))
    return rows


@pytest.mark.parametrize("takers", [1, 4])
def test_a_sealed_liquidation_restores_an_account(takers: int) -> None:
    """With enough on the other side, all of it; with less, the rest stays for the next auction."""
    before = PortfolioAccounts(specification())
    in_trouble(before)
    calls = MarginCalls()
    engine = RiskEngine(specification(), market(), {LONG: before.holdings(LONG)})
    (call,) = calls.update([engine.standing(0)])
    assert call.change is Change.LIQUIDATED
    (order,) = liquidation_orders(MARGIN, before.holdings(LONG), CONTRACTS, TERMS)
    assert (order.side, 0 < order.size < LOTS) == (Side.SELL, True)
    venue = VenueTerms(LISTING, Pricing.UNIFORM, owners_min=1)
    result = run_here(orders_with(order, takers), venue)
    accounts = result.outcome.applied.custody.copy().accounts
    in_trouble(accounts)
    (fill,) = [fill for fill in result.fills if fill.account == LIQUIDATOR]
    assert fill.size == min(order.size, 3 * takers)
    (booked,) = [fill for fill in result.outcome.crossed.fills if fill.side is Side.SELL]
    price = LISTING.grids[NAME].units_of(booked.tick)
    assert price >= order.reserve
    close_out = CloseOut(CONTRACTS[CONTRACT_INDEX].identifier, booked.size, PriceUnits(price))
    give_up(accounts, booked.account, LONG, booked.side, close_out)
    accounts.verify_conservation()
    assert not accounts.holdings(booked.account).net.any()
    left = accounts.holdings(LONG)
    assert left.net[CONTRACT_INDEX] == LOTS - fill.size
    passes = surplus(MARGIN, left) >= 0
    assert passes == (fill.size == order.size)
    engine = RiskEngine(specification(), market(), {LONG: left})
    changes = [call.change for call in calls.update([engine.standing(0)])]
    assert changes == ([Change.RESTORED] if passes else [])
    if not passes:
        (rest,) = liquidation_orders(MARGIN, left, CONTRACTS, TERMS)
        assert rest.size < order.size
