"""The state that events make of nothing: accounts, prices and margin calls.

It is deterministic: it reads no clock and draws no number, and prices come as events too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.collateral import convert_collateral, deposit_token, withdraw_token
from darkpool.margin.accounts.defaults import CloseOut, cover_debts, share_bad_debt
from darkpool.margin.accounts.house import HOUSE
from darkpool.margin.errors import NoPrice, NotInLiquidation
from darkpool.margin.liquidation.calls import MarginCall, MarginCalls
from darkpool.margin.liquidation.liquidator import give_up
from darkpool.margin.liquidation.plan import LiquidationTerms
from darkpool.margin.liquidation.waterfall import Resolution, resolve
from darkpool.margin.market.instruments import Specification
from darkpool.margin.market.market import Market, read_market
from darkpool.margin.model.caps import NOT_COMPUTED, PriceRange, is_computed
from darkpool.margin.model.engine import RiskEngine
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.margin.model.scenarios import lot_risk
from darkpool.margin.service import events
from darkpool.protocol.terms import BondTerms
from darkpool.units import AuctionId, Cash, Side


@dataclass(frozen=True, slots=True)
class Moved:
    """Cash that a charge, a sale of collateral or a share of bad debt moved."""

    amount: Cash


@dataclass(frozen=True, slots=True)
class Unpaid:
    """Debts that the insurance fund could not pay."""

    amount: Cash


@dataclass(frozen=True, slots=True)
class Called:
    """How margin calls changed, by account."""

    calls: tuple[MarginCall, ...]


Outcome = Moved | Unpaid | Called | Resolution | None
"""What a change gives back, which follows from the events and is in none of them."""


@dataclass(frozen=True, slots=True)
class MarginTerms:
    """What events are applied under, besides the specification."""

    bond: BondTerms
    liquidation: LiquidationTerms


class MarginState:
    """What events have made of accounts, prices and margin calls.

    Attributes:
        accounts: to be read; only events change them.
        market: the last prices, None before the first.
        margin_calls: which accounts are called or in liquidation.
    """

    def __init__(self, specification: Specification, terms: MarginTerms) -> None:
        self.accounts = PortfolioAccounts(specification)
        self.market: Market | None = None
        self.margin_calls = MarginCalls()
        self._specification = specification
        self._terms = terms
        self._margin: PortfolioMargin | None = None
        self._engine: RiskEngine | None = None

    @property
    def margin(self) -> PortfolioMargin:
        """Margin at the last prices.

        Raises:
            NoPrice: no event has brought prices.
        """
        if self._margin is None:
            raise NoPrice("every contract", "a market")
        return self._margin

    def apply(self, event: events.Event) -> Outcome:
        """Make a change: in full, or it raises and nothing has changed.

        Raises:
            DarkpoolError: what the change itself raises.
        """
        if isinstance(event, events.TakePrices):
            self._take_prices(event.market)
            return None
        if isinstance(event, events.UpdateCalls):
            return self._update_calls()
        outcome: Outcome = None
        if isinstance(event, events.CollateralEvent):
            outcome = self._collateral(event)
        elif isinstance(event, events.DefaultEvent):
            outcome = self._default(event)
        elif isinstance(event, events.IntentEvent):
            self._intent(event)
        else:
            self._contract(event)
        self._engine = None
        return outcome

    def _collateral(self, event: events.CollateralEvent) -> Outcome:
        accounts, bond = self.accounts, self._terms.bond
        match event:
            case events.Deposit():
                accounts.deposit(event.account, event.amount)
            case events.Withdraw():
                accounts.withdraw(event.account, event.amount, self.margin)
            case events.DepositToken():
                deposit_token(accounts, event.account, event.token, event.amount)
            case events.WithdrawToken():
                withdraw_token(accounts, event.account, event.token, event.amount, self.margin)
            case events.HoldBond():
                accounts.hold_bond(event.account, bond, self.margin)
            case events.ChargeBond():
                return Moved(accounts.charge_bond(event.account, event.amount, bond.treasury))
            case events.ReleaseBonds():
                accounts.release_bonds()
            case _:
                assert_never(event)
        return None

    def _intent(self, event: events.IntentEvent) -> None:
        if isinstance(event, events.ReleaseAccount):
            self.accounts.release_account(event.account)
            return
        account, auction = event.account, AuctionId(event.instrument, event.interval)
        match event:
            case events.Reserve():
                prices = PriceRange(event.lowest, event.highest)
                self.accounts.reserve(account, auction, event.cap, prices, self.margin)
            case events.Fill():
                self.accounts.fill(account, auction, Side(event.side), event.size, event.price)
            case events.Release():
                self.accounts.release(account, auction)
            case _:
                assert_never(event)

    def _contract(self, event: events.ContractEvent) -> None:
        match event:
            case events.PayFunding():
                self.accounts.pay_funding(event.instrument, event.price)
            case events.SettleVariation():
                self.accounts.settle_variation(event.instrument, event.price)
            case events.Expire():
                self.accounts.expire(event.instrument, event.price)
            case _:
                assert_never(event)

    def _default(self, event: events.DefaultEvent) -> Outcome:
        accounts, terms = self.accounts, self._terms.liquidation
        match event:
            case events.GiveUp():
                if event.account not in self.margin_calls.in_liquidation():
                    raise NotInLiquidation(event.account)
                close_out = CloseOut(event.instrument, event.size, event.price)
                give_up(accounts, terms.liquidator, event.account, Side(event.side), close_out)
                return None
            case events.Resolve():
                return resolve(accounts, event.account, terms, self.margin)
            case events.ConvertCollateral():
                return Moved(convert_collateral(accounts, event.account, event.buyer, self.margin))
            case events.CoverDebts():
                return Unpaid(cover_debts(accounts))
            case events.ShareBadDebt():
                return Moved(share_bad_debt(accounts))

    def _take_prices(self, text: bytes) -> None:
        market = read_market("market", text.decode(errors="replace"), self._specification)
        risk = lot_risk(self._specification, market, self.accounts.contracts)
        self._margin = PortfolioMargin(self._specification, risk)
        self.market = market

    def _update_calls(self) -> Called:
        """Take over where all accounts but those of the house stand at the last prices.

        An account that margin is not computed for stays as it was called.
        """
        if self.market is None:
            raise NoPrice("every contract", "a market")
        return Called(self.margin_calls.update(self._repriced(self.market).standings()))

    def _repriced(self, market: Market) -> RiskEngine:
        """The engine at the last prices, without accounts that margin is not computed for."""
        # while prices alone change, the positions in the engine are those of the accounts
        if self._engine is not None:
            try:
                self._engine.reprice(market)
            except NOT_COMPUTED:
                self._engine = None
            else:
                return self._engine
        own = [account for account in self.accounts.accounts() if account not in HOUSE]
        held = {account: self.accounts.holdings(account) for account in own}
        measured = {
            a: holdings for a, holdings in held.items() if is_computed(self.margin, holdings)
        }
        engine = RiskEngine(self._specification, market, measured)
        # who was left out may be back at the next prices
        self._engine = engine if len(measured) == len(held) else None
        return engine
