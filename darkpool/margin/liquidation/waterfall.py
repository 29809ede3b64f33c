"""What becomes of lots that a liquidation's auction did not take.

Makers who have signed up take them over, then the insurance fund as far as it can carry them, then
they are closed against the accounts that gained most. The fund pays what the account owes
afterwards, and what the fund cannot pay is booked as bad debt.

Prices of one unit, for an account that is long; the other way round for one that is short:

- makers: the reserve price, which is between mark and bankruptcy price, so that makers take no more
  out of an account than it has, and never above the mark, so that makers pay no debts;
- the fund: that, or the bankruptcy price where it is higher: then the fund pays the shortfall;
- accounts that are deleveraged: as the fund, but at most the mark and a bound, so that the loss of
  a counterparty has one. What the bound leaves unpaid stays with the account, and is a debt.

An example: an account with cash of 20,000 bought one future at 61,000, the mark is 30,500, and the
lot by itself needs 4,727.50. Its bankruptcy price is 41,000. With no maker and a fund of 2,000 that
cannot carry the lot, the account with the short side is closed out: the fund's price would be
41,000, but the mark and half of the lot's margin are 32,863.75, and so that is the price. The
account has lost 61,000 - 32,863.75 = 28,136.25 and owes 8,136.25; the fund pays its 2,000, and
6,136.25 are bad debt.

Every step moves lots between two accounts at one price, so lots and cost are conserved.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from darkpool.errors import OutOfBounds
from darkpool.limits import CASH_MAX
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.collateral import convert_collateral, take_collateral
from darkpool.margin.accounts.defaults import (
    CloseOut,
    bankruptcy_price,
    cover_debts,
    deleverage,
    write_off,
)
from darkpool.margin.accounts.house import HOUSE, INSURANCE_FUND
from darkpool.margin.errors import InvalidParties
from darkpool.margin.liquidation.liquidator import shared_out
from darkpool.margin.liquidation.plan import (
    LiquidationOrder,
    LiquidationTerms,
    Maker,
    conceded,
    liquidation_orders,
    mark,
)
from darkpool.margin.model.caps import NOT_COMPUTED, equity, surplus
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.units import AccountId, Cash, Lots, PriceUnits, Side


class Step(StrEnum):
    """Where lots of an account in liquidation went."""

    MAKER = "assigned maker"
    FUND = "insurance fund"
    DELEVERAGED = "deleveraged"


@dataclass(frozen=True, slots=True)
class Transfer:
    """Lots that an account took over; side and size of `order` are the liquidated account's."""

    step: Step
    taker: AccountId
    order: LiquidationOrder
    size: Lots
    price: PriceUnits


@dataclass(frozen=True, slots=True)
class Resolution:
    """How an account was brought back to its margin, in order, or out of all positions.

    Attributes:
        unpaid: debts that the insurance fund could not pay, booked as bad debt.
    """

    account: AccountId
    transfers: tuple[Transfer, ...]
    unpaid: Cash


def resolve(
    accounts: PortfolioAccounts,
    account: AccountId,
    terms: LiquidationTerms,
    margin: PortfolioMargin,
) -> Resolution:
    """Bring an account below maintenance margin back to initial margin without an auction.

    After the auction, when it has no live intents. It raises before anything is changed, or not
    at all.

    Raises:
        InvalidParties: an account of the house.
        OutOfBounds: live intents, or positions beyond what margin is computed for.
        NoPrice: a position that has expired and is not settled.
    """
    if account in HOUSE:
        raise InvalidParties("account to liquidate", "an account of a client", account)
    live = accounts.reservations(account)
    if live:
        raise OutOfBounds("live intents of an account to liquidate", 0, 0, len(live))
    held = accounts.holdings(account)
    if equity(margin, held) >= margin.requirement(held.net).maintenance:
        return Resolution(account, (), Cash(0))
    orders = liquidation_orders(margin, held, accounts.contracts, terms)
    waterfall = Waterfall(accounts, account, margin)
    priced = [(order, waterfall.prices(order, terms.deleverage_ppm)) for order in orders]
    transfers: list[Transfer] = []
    for order, prices in priced:
        transfers += waterfall.close(order, prices, terms.makers)
    return Resolution(account, tuple(transfers), waterfall.pay())


@dataclass(frozen=True, slots=True)
class ClosePrices:
    """What the insurance fund pays for a unit, and what counterparties that are closed out do."""

    fund: PriceUnits
    deleveraged: PriceUnits


@dataclass(frozen=True, slots=True)
class _Standing:
    """What an account has above its initial margin, live intents counted, and that margin."""

    surplus: int
    initial: Cash


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The steps that close positions of one account, in accounts at the prices of `margin`."""

    accounts: PortfolioAccounts
    account: AccountId
    margin: PortfolioMargin

    def prices(self, order: LiquidationOrder, deleverage_ppm: int) -> ClosePrices:
        """What the fund and the counterparties that are deleveraged pay for a unit."""
        sells = order.side is Side.SELL
        bankrupt = bankruptcy_price(self.accounts, self.account, order.instrument, self.margin)
        contracts, against = self.accounts.contracts, -1 if sells else 1
        bound = conceded(self.margin, contracts, order.contract_index, against, deleverage_ppm)
        better, worse = (max, min) if sells else (min, max)
        fund = better(order.reserve, bankrupt)
        return ClosePrices(fund, worse(bound, fund))

    def close(
        self, order: LiquidationOrder, prices: ClosePrices, makers: Sequence[Maker]
    ) -> list[Transfer]:
        """Take an order through makers, fund and deleveraging; no lot of it is left then."""
        transfers = self.assign(order, makers)
        left = order.size - sum(transfer.size for transfer in transfers)
        rest = replace(order, size=Lots(left), reserve=prices.fund)
        carried = self._room(INSURANCE_FUND, rest, Cash(CASH_MAX))
        transfers += self._give(Step.FUND, order, {INSURANCE_FUND: carried}, prices.fund)
        left -= carried
        if not left:
            return transfers
        price = prices.deleveraged
        close_out = CloseOut(order.instrument, Lots(left), price)
        closed = deleverage(self.accounts, self.account, close_out, self.margin)
        transfers += [
            Transfer(Step.DELEVERAGED, other, order, lots, price) for other, lots in closed.items()
        ]
        left -= sum(closed.values())
        # lots of a contract add up to zero, so the other side of the rest is the fund's
        return transfers + self._give(Step.FUND, order, {INSURANCE_FUND: left}, price)

    def assign(self, order: LiquidationOrder, makers: Sequence[Maker]) -> list[Transfer]:
        """Give lots to makers at the reserve price by their shares, as far as each has room."""
        room = {
            maker.account: self._room(maker.account, order, maker.initial_max)
            for maker in makers
            if maker.account != self.account
        }
        taken = shared_out(order.size, {m.account: m.share for m in makers}, room)
        return self._give(Step.MAKER, order, taken, order.reserve)

    def _room(self, taker: AccountId, order: LiquidationOrder, initial_max: Cash) -> int:
        """How many lots of an order an account can take over at its reserve price and still pass.

        Passing is equity that covers initial margin with all live intents, and initial margin of
        positions of at most `initial_max`; or, where that does not hold before, no worse than
        before. Surplus is concave and margin convex in the lots, so what passes is a range from 0.
        """
        held, live = self.accounts.holdings(taker), self.accounts.intents(taker)
        multiplier = self.accounts.contracts[order.contract_index].multiplier
        sign = 1 if order.side is Side.SELL else -1

        def after(size: int) -> _Standing:
            net = held.net.copy()
            net[order.contract_index] += sign * size
            cost = Cash(held.cost + sign * size * order.reserve * multiplier)
            left = surplus(self.margin, replace(held, cost=cost, net=net), live)
            return _Standing(left, self.margin.requirement(net).initial)

        def fails(size: int) -> bool:
            try:
                standing = after(size)
            except OutOfBounds:
                return True
            worse = standing.surplus < min(0, before.surplus)
            return worse or standing.initial > max(initial_max, before.initial)

        try:
            before = after(0)
        except NOT_COMPUTED:
            return 0
        return bisect_left(range(1, order.size + 1), True, key=fails)

    def _give(
        self,
        step: Step,
        order: LiquidationOrder,
        taken: Mapping[AccountId, int],
        price: PriceUnits,
    ) -> list[Transfer]:
        """Move lots of an order to the accounts that take them over."""
        sign = 1 if order.side is Side.SELL else -1
        transfers = []
        for taker, lots in taken.items():
            if lots:
                signed = sign * lots
                self.accounts.trade(taker, self.account, order.contract_index, signed, price)
                transfers.append(Transfer(step, taker, order, Lots(lots), price))
        return transfers

    def pay(self) -> Cash:
        """Pay what the account owes if it has no position and no equity; returns the bad debt.

        What was lost and is not settled is no cash that could be paid. So variation is settled
        first, at the mark, of every contract and for every account: a hedged account gets from one
        contract what it pays for the other. Then the account's tokens pay, then the fund; the fund
        takes the tokens that it cannot pay for.
        """
        accounts, account, margin = self.accounts, self.account, self.margin
        held = accounts.holdings(account)
        if held.net.any() or equity(margin, held) >= 0:
            return Cash(0)
        for contract_index, contract in enumerate(accounts.contracts):
            if accounts.is_unsettled(contract_index) and not margin.has_expired(contract_index):
                price = mark(margin, accounts.contracts, contract_index, 1)
                accounts.settle_variation(contract.identifier, price)
        convert_collateral(accounts, account, INSURANCE_FUND, margin)
        take_collateral(accounts, account, margin)
        return Cash(write_off(accounts, account) + cover_debts(accounts))
