"""Random lives of accounts as events: trades, prices, margin calls, liquidations, defaults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from darkpool.limits import CAP_BUCKETS_LOTS
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.house import BAD_DEBT, INSURANCE_FUND
from darkpool.margin.errors import MarginError
from darkpool.margin.liquidation.plan import (
    LiquidationOrder,
    LiquidationTerms,
    Maker,
    conceded,
    liquidation_orders,
)
from darkpool.margin.liquidation.waterfall import Resolution, Step
from darkpool.margin.market.instruments import Contract
from darkpool.margin.model.caps import equity, surplus
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.margin.service.events import (
    ChargeBond,
    ConvertCollateral,
    CoverDebts,
    Deposit,
    DepositToken,
    Event,
    Expire,
    Fill,
    GiveUp,
    HoldBond,
    PayFunding,
    Release,
    ReleaseAccount,
    ReleaseBonds,
    Reserve,
    Resolve,
    SettleVariation,
    ShareBadDebt,
    TakePrices,
    UpdateCalls,
    Withdraw,
    WithdrawToken,
)
from darkpool.margin.service.state import Called, MarginState, MarginTerms, Moved, Outcome, Unpaid
from darkpool.protocol.terms import BondTerms
from darkpool.units import (
    AccountId,
    Cash,
    InstrumentId,
    InstrumentName,
    Interval,
    Lots,
    PriceUnits,
    Side,
    account_of,
    cap_bucket,
)
from tests.support.margin_houses import margin_at, market_at, specification

SPECIFICATION = specification()
CONTRACTS = tuple(SPECIFICATION.contracts.values())
ONE = 10**6
ALICE, BOB, CAROL, LIQUIDATOR, FIRST, SECOND, TREASURY = (
    account_of(bytes([number]) * 20) for number in range(1, 8)
)
PEOPLE = (ALICE, BOB, CAROL)
MAKERS = (Maker(FIRST, 2, Cash(50_000 * ONE)), Maker(SECOND, 1, Cash(200_000 * ONE)))
TERMS = LiquidationTerms(LIQUIDATOR, 100_000, 500_000, MAKERS)
BOND = BondTerms(Cash(1_000 * ONE), 250_000, TREASURY)
MARGIN_TERMS = MarginTerms(BOND, TERMS)


def named(name: str) -> Contract:
    return SPECIFICATION.contracts[InstrumentName(name)]


def grid(contract: Contract, margin: PortfolioMargin) -> tuple[int, int]:
    worth = int(margin.value_of_lots()[CONTRACTS.index(contract)]) // contract.multiplier
    return worth * 95 // 100, worth * 105 // 100 + 1


def contents(state: MarginState) -> tuple[object, ...]:
    """All that events have made, to compare."""
    calls, accounts = state.margin_calls, state.accounts
    entries = {
        account: (
            accounts.cash(account),
            accounts.paid(account),
            accounts.bond(account),
            accounts.positions(account),
            accounts.holdings(account).tokens,
            accounts.reservations(account),
        )
        for account in accounts.accounts()
    }
    return entries, calls.called(), calls.in_liquidation()


class Life:
    """A random life from a seed; every event goes through `book`, and is noted with its outcome."""

    def __init__(self, seed: int, state: MarginState, book: Callable[[Event], Outcome]) -> None:
        self.draw = np.random.default_rng(seed)
        self.state, self._book = state, book
        self.share, self.interval = 100, 0
        self.expired: list[Contract] = []
        self.noted: list[tuple[Event, Outcome]] = []
        self.seen: Counter[str] = Counter()

    @property
    def accounts(self) -> PortfolioAccounts:
        return self.state.accounts

    @property
    def margin(self) -> PortfolioMargin:
        return margin_at(self.share)

    def number(self, low: int, high: int) -> int:
        return int(self.draw.integers(low, high + 1))

    def do(self, event: Event) -> Outcome:
        """Book an event; one that is refused has changed nothing."""
        try:
            outcome = self._book(event)
        except MarginError:
            self.seen["refused"] += 1
            raise
        self.noted.append((event, outcome))
        if not isinstance(event, Fill):  # one side of two
            self.accounts.verify_conservation()
        return outcome

    def tried(self, event: Event) -> bool:
        try:
            self.do(event)
        except MarginError:
            return False
        return True

    def begin(self) -> None:
        self.do(TakePrices(market_at(100)))
        for account in PEOPLE:
            self.do(Deposit(account, Cash(self.number(0, 150_000) * ONE)))
        for account, most in ((LIQUIDATOR, 300_000), (FIRST, 40_000), (SECOND, 20_000)):
            self.do(Deposit(account, Cash(self.number(0, most) * ONE)))
        self.do(Deposit(INSURANCE_FUND, Cash(self.number(0, 30_000) * ONE)))

    def auction(self) -> None:
        """Two may trade within caps; an account that passed before still passes."""
        self.interval += 1
        contract = CONTRACTS[self.number(0, len(CONTRACTS) - 1)]
        if contract in self.expired:
            return
        taken: list[tuple[AccountId, int]] = []
        for account in (*PEOPLE, FIRST):
            cap = CAP_BUCKETS_LOTS[self.number(0, 4)]
            if self.reserved(account, contract, cap):
                taken.append((account, cap))
        if len(taken) >= 2 and self.number(0, 3):
            (buyer, first), (seller, second) = taken.pop(), taken.pop(0)
            size, price = self.number(1, min(first, second)), self.number(*self.grid(contract))
            self.filled(buyer, contract, Side.BUY, size, price)
            self.filled(seller, contract, Side.SELL, size, price)
            self.seen["trades"] += 1
            for account in (buyer, seller):
                assert surplus(self.margin, self.accounts.holdings(account)) >= 0
        for account, _ in taken:
            self.do(Release(account, *self.where(contract)))

    def grid(self, contract: Contract) -> tuple[int, int]:
        return grid(contract, self.margin)

    def where(self, contract: Contract) -> tuple[InstrumentId, Interval]:
        """The auction of a contract that is on now."""
        return contract.identifier, Interval(self.interval)

    def reserved(self, account: AccountId, contract: Contract, cap: int) -> bool:
        low, high = self.grid(contract)
        where, prices = self.where(contract), (PriceUnits(low), PriceUnits(high))
        return self.tried(Reserve(account, *where, Lots(cap), *prices))

    def filled(
        self, account: AccountId, contract: Contract, side: Side, size: int, price: int
    ) -> None:
        self.do(Fill(account, *self.where(contract), side, Lots(size), PriceUnits(price)))

    def prices(self) -> None:
        self.share = min(160, max(50, self.share + 5 * self.number(-5, 5)))
        self.do(TakePrices(market_at(self.share)))
        self.calls()

    def calls(self) -> None:
        called = self.do(UpdateCalls())
        assert isinstance(called, Called)
        self.seen.update(call.change.name for call in called.calls)

    def variation(self) -> None:
        for contract in CONTRACTS:
            if contract not in self.expired:
                price = PriceUnits(self.grid(contract)[0])
                self.do(SettleVariation(contract.identifier, price))
        for account in PEOPLE:
            if self.accounts.cash(account) < 0:
                self.convert(account, INSURANCE_FUND)
        self.seen["debts"] += self.do(CoverDebts()) != Unpaid(Cash(0))
        if self.number(0, 1):
            self.do(ShareBadDebt())

    def funding(self) -> None:
        price = PriceUnits(self.number(-(10**8), 10**8))
        self.do(PayFunding(named("BTC-PERP").identifier, price))

    def expiry(self) -> None:
        dated = [contract for contract in CONTRACTS if contract.expiry_ms is not None]
        contract = dated[self.number(0, len(dated) - 1)]
        if contract not in self.expired:
            self.expired.append(contract)
            price = PriceUnits(self.number(1, 10**11))
            self.do(Expire(contract.identifier, price))

    def cash(self) -> None:
        account = PEOPLE[self.number(0, 2)]
        free = self.accounts.withdrawable(account, self.margin)
        self.do(Withdraw(account, Cash(self.number(0, free))))
        self.do(Deposit(PEOPLE[self.number(0, 2)], Cash(self.number(0, 10**10))))

    def bonds(self) -> None:
        account = PEOPLE[self.number(0, 2)]
        if self.tried(HoldBond(account)) and self.number(0, 1):
            self.do(ChargeBond(account, Cash(self.number(0, 2_000 * ONE))))
        self.do(ReleaseBonds() if self.number(0, 1) else ReleaseAccount(account))

    def tokens(self) -> None:
        """Paid in, taken out, or sold to the fund or to an account for what is owed."""
        account = PEOPLE[self.number(0, len(PEOPLE) - 1)]
        amount, act = self.number(0, 3 * ONE), self.number(0, 3)
        if act < 2:
            self.do(DepositToken(account, "ETH", amount))
            return
        if act == 2:
            held = self.accounts.holdings(account).tokens.get("ETH", 0)
            amount = min(amount, held)
            self.tried(WithdrawToken(account, "ETH", amount))
            return
        self.convert(account, (INSURANCE_FUND, *PEOPLE)[self.number(0, len(PEOPLE))])

    def convert(self, account: AccountId, buyer: AccountId) -> None:
        """The buyer of tokens is no worse off, and passes if it did."""
        if buyer == account:
            return
        before = surplus(self.margin, self.accounts.holdings(buyer))
        self.seen["converted"] += self.do(ConvertCollateral(account, buyer)) != Moved(Cash(0))
        assert surplus(self.margin, self.accounts.holdings(buyer)) >= min(before, 0)

    def liquidate(self) -> None:
        self.calls()
        for account in self.state.margin_calls.in_liquidation():
            if self.number(0, 1):
                held = self.accounts.holdings(account)
                for order in liquidation_orders(self.margin, held, CONTRACTS, TERMS):
                    self.liquidated_by_auction(account, order)
            self.resolve(account)
        self.calls()

    def liquidated_by_auction(self, account: AccountId, order: LiquidationOrder) -> None:
        """An account may take lots from the liquidator at the reserve price; these are given up."""
        self.interval += 1
        contract = CONTRACTS[order.contract_index]
        other = Side.BUY if order.side is Side.SELL else Side.SELL
        size = self.number(1, int(order.size))
        cap = cap_bucket(Lots(size))
        low, high = self.grid(contract)
        price = min(high, max(low, int(order.reserve)))
        for taker in PEOPLE:
            if taker == account or not self.reserved(taker, contract, cap):
                continue
            if not self.reserved(LIQUIDATOR, contract, cap):
                self.do(Release(taker, *self.where(contract)))
                return
            self.filled(taker, contract, other, size, price)
            self.filled(LIQUIDATOR, contract, order.side, size, price)
            fill = order.side, Lots(size), PriceUnits(price)
            self.do(GiveUp(account, contract.identifier, *fill))
            assert self.accounts.holdings(LIQUIDATOR).net[order.contract_index] == 0
            self.seen["given up"] += 1
            return

    def resolve(self, account: AccountId) -> None:
        """After the waterfall an account passes or is out; who takes part is as bounded."""
        margin, accounts = self.margin, self.accounts
        held, owed = accounts.holdings(account), accounts.cash(BAD_DEBT)
        before = {a: surplus(margin, accounts.holdings(a)) for a in accounts.accounts()}
        solvent = equity(margin, held) >= 0
        below = equity(margin, held) < margin.requirement(held.net).maintenance
        outcome = self.do(Resolve(account))
        assert isinstance(outcome, Resolution)
        assert outcome.account == account
        after = accounts.holdings(account)
        if below:
            assert surplus(margin, after) >= 0 or not after.net.any()
            assert accounts.is_flat(account) or equity(margin, after) >= 0
        assert (abs(after.net) <= abs(held.net)).all()
        assert (after.net * held.net >= 0).all()
        if solvent:
            assert equity(margin, after) >= 0
            assert accounts.cash(BAD_DEBT) == owed
        deleveraged = {
            transfer.taker for transfer in outcome.transfers if transfer.step is Step.DELEVERAGED
        }
        for transfer in outcome.transfers:
            self.seen[transfer.step.name] += 1
            sign = 1 if transfer.order.side is Side.SELL else -1
            now = sign * int(margin.value_of(transfer.order.contract_index, sign))
            mark = now // CONTRACTS[transfer.order.contract_index].multiplier
            bound = conceded(
                margin, CONTRACTS, transfer.order.contract_index, -sign, TERMS.deleverage_ppm
            )
            assert sign * (transfer.price - transfer.order.reserve) >= 0 or not solvent
            if transfer.step is Step.MAKER:
                assert sign * (transfer.price - mark) <= 0
                passes = surplus(margin, accounts.holdings(transfer.taker))
                assert passes >= min(0, before[transfer.taker]) or transfer.taker in deleveraged
            elif transfer.step is Step.DELEVERAGED:
                assert sign * (transfer.price - bound) <= 0
        self.seen["insolvent"] += not solvent
        self.seen["bad debt"] += outcome.unpaid > 0

    def run(self, steps: int) -> None:
        self.begin()
        for _ in range(steps):
            self.step()

    def step(self) -> None:
        acts = [self.auction] * 6 + [self.prices] * 2 + [self.liquidate] * 2
        acts += [self.variation, self.funding, self.expiry, self.cash, self.bonds, self.tokens]
        acts[self.number(0, len(acts) - 1)]()


def life(seed: int) -> Life:
    state = MarginState(SPECIFICATION, MARGIN_TERMS)
    return Life(seed, state, state.apply)


def to_close(side: Side, size: int, reserve: int, contract_index: int = 1) -> LiquidationOrder:
    instrument = CONTRACTS[contract_index].identifier
    return LiquidationOrder(contract_index, instrument, side, Lots(size), PriceUnits(reserve))


def house(cash: dict[AccountId, int]) -> PortfolioAccounts:
    accounts = PortfolioAccounts(SPECIFICATION)
    for account, amount in cash.items():
        accounts.deposit(account, Cash(amount * ONE))
    return accounts


def traded(
    accounts: PortfolioAccounts,
    contract: Contract,
    buyer: AccountId,
    seller: AccountId,
    lots: int,
    price: int,
) -> None:
    """A trade as an auction books it, without its reservation."""
    contract_index = accounts.contract_index(contract.identifier)
    accounts.trade(buyer, seller, contract_index, lots, PriceUnits(price))
    accounts.verify_conservation()
