"""Everything that can happen to the accounts of a venue, as events of one form.

An event names a change and its operands. A state is what events have made of nothing: accounts,
prices and margin calls. It is deterministic: it reads no clock and draws no number, and prices come
as events too.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from typing import Annotated, Final, Literal, get_args

from darkpool.canonical_json import Bound, Shape, Width
from darkpool.limits import CASH_MAX, ORDER_SIZE_MAX_LOTS, PRICE_MAX_UNITS
from darkpool.margin.accounts.accounts import HOUSE, PortfolioAccounts
from darkpool.margin.accounts.collateral import convert_collateral, deposit_token, withdraw_token
from darkpool.margin.accounts.defaults import cover_debts, share_bad_debt
from darkpool.margin.errors import MalformedEvent, NoPrice, NotInLiquidation
from darkpool.margin.liquidation.calls import MarginCall, MarginCalls
from darkpool.margin.liquidation.liquidator import give_up
from darkpool.margin.liquidation.plan import LiquidationTerms
from darkpool.margin.liquidation.waterfall import Resolution, resolve
from darkpool.margin.market.instruments import Specification
from darkpool.margin.market.market import Market, read_market
from darkpool.margin.model.engine import RiskEngine
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.margin.model.scenarios import lot_risk
from darkpool.protocol.terms import BondTerms
from darkpool.units import (
    AccountId,
    AuctionId,
    Cash,
    InstrumentId,
    Interval,
    Lots,
    PriceUnits,
    Side,
    account_id,
)

Kind = Literal[
    "deposit",
    "withdraw",
    "reserve",
    "fill",
    "release",
    "release_account",
    "hold_bond",
    "charge_bond",
    "release_bonds",
    "funding",
    "variation",
    "expiry",
    "prices",
    "calls",
    "give_up",
    "resolve",
    "deposit_token",
    "withdraw_token",
    "convert",
    "cover_debts",
    "share_bad_debt",
]
Outcome = Cash | Resolution | tuple[MarginCall, ...] | None
"""What a change gives back, which follows from the events and is in none of them."""

_Account = Annotated[AccountId, Shape(r"0x[0-9A-Fa-f]{40}")]
_Amount = Annotated[int, Bound(CASH_MAX)]
_Size = Annotated[int, Bound(ORDER_SIZE_MAX_LOTS)]
_Price = Annotated[int, Bound(PRICE_MAX_UNITS, -PRICE_MAX_UNITS)]


@dataclass(frozen=True, slots=True)
class Event:
    """A change and its operands; those that its kind does not have are None.

    Attributes:
        counterparty: who buys collateral.
        side: as numbered by `Side`.
        amount: cash units, or millionths of a token.
        size: lots of a fill, or the cap of an intent.
        price: of a fill, a settlement, a unit's funding, or the lowest of an intent's grid.
        highest: price of an intent's grid.
        market: a market file.
        token: of collateral.
    """

    kind: Kind
    account: _Account | None = None
    counterparty: _Account | None = None
    instrument: Annotated[bytes, Width(32)] | None = None
    interval: int | None = None
    side: Annotated[int, Bound(1)] | None = None
    amount: _Amount | None = None
    size: _Size | None = None
    price: _Price | None = None
    highest: _Price | None = None
    market: bytes | None = None
    token: Annotated[str, Shape(r"[ -~]{1,64}")] | None = None


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
        margin_calls: who is called or in liquidation.
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
            NoPrice: there have not been any.
        """
        if self._margin is None:
            raise NoPrice("every contract", "a market")
        return self._margin

    def apply(self, event: Event) -> Outcome:
        """Make a change: in full, or it raises and nothing has changed.

        Raises:
            MalformedEvent: not the operands of its kind.
            DarkpoolError: what the change itself raises.
        """
        values = {field.name: getattr(event, field.name) for field in fields(event)}
        given = {name: value for name, value in values.items() if value is not None}
        del given["kind"]
        for name in ("account", "counterparty"):
            if name in given and account_id(given[name]) != given[name]:
                raise MalformedEvent(event.kind, (account_id(given[name]),), (given[name],))
        expected = _OPERANDS[event.kind]
        if given.keys() != set(expected):
            raise MalformedEvent(event.kind, expected, tuple(given))
        outcome: Outcome = getattr(self, f"_{event.kind}")(**given)
        if event.kind not in {"prices", "calls"}:
            self._engine = None
        return outcome

    def _deposit(self, account: AccountId, amount: int) -> None:
        self.accounts.deposit(account, Cash(amount))

    def _withdraw(self, account: AccountId, amount: int) -> None:
        self.accounts.withdraw(account, Cash(amount), self.margin)

    def _reserve(
        self,
        account: AccountId,
        instrument: bytes,
        interval: int,
        size: int,
        price: int,
        highest: int,
    ) -> None:
        grid = PriceUnits(price), PriceUnits(highest)
        self.accounts.reserve(
            account, _auction(instrument, interval), Lots(size), grid, self.margin
        )

    def _fill(
        self, account: AccountId, instrument: bytes, interval: int, side: int, size: int, price: int
    ) -> None:
        auction, filled = _auction(instrument, interval), Lots(size)
        self.accounts.fill(account, auction, Side(side), filled, PriceUnits(price))

    def _release(self, account: AccountId, instrument: bytes, interval: int) -> None:
        self.accounts.release(account, _auction(instrument, interval))

    def _release_account(self, account: AccountId) -> None:
        self.accounts.release_account(account)

    def _hold_bond(self, account: AccountId) -> None:
        self.accounts.hold_bond(account, self._terms.bond, self.margin)

    def _charge_bond(self, account: AccountId, amount: int) -> Cash:
        return self.accounts.charge_bond(account, Cash(amount), self._terms.bond.treasury)

    def _release_bonds(self) -> None:
        self.accounts.release_bonds()

    def _funding(self, instrument: bytes, price: int) -> None:
        self.accounts.pay_funding(InstrumentId(instrument), PriceUnits(price))

    def _variation(self, instrument: bytes, price: int) -> None:
        self.accounts.settle_variation(InstrumentId(instrument), PriceUnits(price))

    def _expiry(self, instrument: bytes, price: int) -> None:
        self.accounts.expire(InstrumentId(instrument), PriceUnits(price))

    def _prices(self, market: bytes) -> None:
        found = read_market("market", market.decode(errors="replace"))
        risk = lot_risk(self._specification, found, self.accounts.contracts)
        self._margin = PortfolioMargin(self._specification, risk)
        self.market = found

    def _calls(self) -> tuple[MarginCall, ...]:
        """Take over where all accounts but those of the house stand at the last prices."""
        if self.market is None:
            raise NoPrice("every contract", "a market")
        own = [account for account in self.accounts.accounts() if account not in HOUSE]
        if self._engine is None:
            held = {account: self.accounts.holdings(account) for account in own}
            self._engine = RiskEngine(self._specification, self.market, held)
        else:
            self._engine.reprice(self.market)
        return self.margin_calls.update(map(self._engine.standing, range(len(own))))

    def _give_up(
        self,
        account: AccountId,
        instrument: bytes,
        side: int,
        size: int,
        price: int,
    ) -> None:
        if account not in self.margin_calls.in_liquidation():
            raise NotInLiquidation(account)
        fill = Side(side), Lots(size), PriceUnits(price)
        liquidator = self._terms.liquidation.liquidator
        give_up(self.accounts, liquidator, account, InstrumentId(instrument), *fill)

    def _resolve(self, account: AccountId) -> Resolution:
        return resolve(self.accounts, account, self._terms.liquidation, self.margin)

    def _deposit_token(self, account: AccountId, token: str, amount: int) -> None:
        deposit_token(self.accounts, account, token, amount)

    def _withdraw_token(self, account: AccountId, token: str, amount: int) -> None:
        withdraw_token(self.accounts, account, token, amount, self.margin)

    def _convert(self, account: AccountId, counterparty: AccountId) -> Cash:
        return convert_collateral(self.accounts, account, counterparty, self.margin)

    def _cover_debts(self) -> Cash:
        return cover_debts(self.accounts)

    def _share_bad_debt(self) -> Cash:
        return share_bad_debt(self.accounts)


def _auction(instrument: bytes, interval: int) -> AuctionId:
    return AuctionId(InstrumentId(instrument), Interval(interval))


_OPERANDS: Final = {
    kind: tuple(inspect.signature(getattr(MarginState, f"_{kind}")).parameters)[1:]
    for kind in get_args(Kind)
}
"""Of each kind: the parameters of the method that applies it."""
