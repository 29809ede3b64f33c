"""What becomes of lots that a liquidation's auction did not take.

Makers who have signed up take them over, then the insurance fund as far as it can carry them, then
they are closed against those who gained most. What the account owes afterwards the fund pays, and
what that cannot pay is booked as bad debt.

Prices of one unit, for an account that is long; the other way round for one that is short:

- makers: the reserve price, which is between mark and bankruptcy price, so that nobody takes more
  out of an account than it has, and never above the mark, so that makers pay no debts;
- the fund: that, or the bankruptcy price where it is higher: then the fund pays the shortfall;
- those deleveraged: as the fund, but at most the mark and a bound, so that the loss of a
  counterparty has one. What the bound leaves unpaid stays with the account, and is a debt.

Every step moves lots between two accounts at one price, so lots and cost are conserved.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from darkpool.errors import OutOfBounds
from darkpool.limits import CASH_MAX
from darkpool.margin.accounts.account import Account
from darkpool.margin.accounts.accounts import HOUSE, INSURANCE_FUND, PortfolioAccounts
from darkpool.margin.accounts.collateral import convert_collateral, take_collateral
from darkpool.margin.accounts.defaults import bankruptcy_price, cover_debts, deleverage, write_off
from darkpool.margin.errors import InvalidParties, NoPrice
from darkpool.margin.liquidation.liquidator import shared_out, transfer
from darkpool.margin.liquidation.plan import (
    LiquidationOrder,
    LiquidationTerms,
    Maker,
    conceded,
    liquidation_orders,
    mark,
)
from darkpool.margin.model.caps import equity, surplus
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.units import AccountId, Cash, Lots, PriceUnits, Side


class Step(StrEnum):
    """Where lots of an account in liquidation went."""

    MAKER = "assigned maker"
    FUND = "insurance fund"
    DELEVERAGED = "deleveraged"


@dataclass(frozen=True, slots=True)
class Transfer:
    """Lots that somebody took over; side and size of `order` are the account's."""

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


@dataclass(frozen=True, slots=True)
class _Prices:
    fund: PriceUnits
    deleveraged: PriceUnits


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
    live = accounts.entries.get(account, Account()).live
    if live:
        raise OutOfBounds("live intents of an account to liquidate", 0, 0, len(live))
    held = accounts.holdings(account)
    if equity(margin, held) >= margin.requirement(held.net).maintenance:
        return Resolution(account, (), Cash(0))
    orders = liquidation_orders(margin, held, accounts.contracts, terms)
    priced = [(order, _prices(accounts, account, order, terms, margin)) for order in orders]
    transfers: list[Transfer] = []
    for order, prices in priced:
        transfers += _close(accounts, account, order, prices, terms.makers, margin)
    return Resolution(account, tuple(transfers), _pay(accounts, account, margin))


def _prices(
    accounts: PortfolioAccounts,
    account: AccountId,
    order: LiquidationOrder,
    terms: LiquidationTerms,
    margin: PortfolioMargin,
) -> _Prices:
    against = -1 if order.side is Side.SELL else 1
    bankrupt = bankruptcy_price(accounts, account, order.instrument, margin)
    bound = conceded(margin, accounts.contracts, order.place, against, terms.deleverage_ppm)
    better, worse = (max, min) if order.side is Side.SELL else (min, max)
    fund = better(order.reserve, bankrupt)
    return _Prices(fund, worse(bound, fund))


def _close(
    accounts: PortfolioAccounts,
    account: AccountId,
    order: LiquidationOrder,
    prices: _Prices,
    makers: Sequence[Maker],
    margin: PortfolioMargin,
) -> list[Transfer]:
    """Take an order through makers, fund and deleveraging; all of it has gone somewhere then."""
    done = assign_to_makers(accounts, account, order, makers, margin)
    left = order.size - sum(transfer.size for transfer in done)
    carried = _room(accounts, INSURANCE_FUND, order, left, prices.fund, Cash(CASH_MAX), margin)
    done += _taken(accounts, account, order, {INSURANCE_FUND: carried}, Step.FUND, prices.fund)
    left -= carried
    if not left:
        return done
    price = prices.deleveraged
    closed = deleverage(accounts, account, order.instrument, Lots(left), price, margin)
    done += [Transfer(Step.DELEVERAGED, o, order, n, price) for o, n in closed.items()]
    left -= sum(closed.values())
    # lots of a contract add up to zero, so the other side of the rest is the fund's
    return done + _taken(accounts, account, order, {INSURANCE_FUND: left}, Step.FUND, price)


def assign_to_makers(
    accounts: PortfolioAccounts,
    account: AccountId,
    order: LiquidationOrder,
    makers: Sequence[Maker],
    margin: PortfolioMargin,
) -> list[Transfer]:
    """Give lots to makers at the reserve price by their shares, to each as far as it has room.

    Parts of a lot are rounded down, and lots that are left then go round, one to each, in the
    order of the makers. What one of them has no room for is shared out again among the others.
    """
    room = {
        maker.account: _room(
            accounts, maker.account, order, order.size, order.reserve, maker.initial_max, margin
        )
        for maker in makers
        if maker.account != account
    }
    taken = shared_out(order.size, {m.account: m.share for m in makers}, room)
    return _taken(accounts, account, order, taken, Step.MAKER, order.reserve)


def _room(
    accounts: PortfolioAccounts,
    taker: AccountId,
    order: LiquidationOrder,
    most: int,
    price: PriceUnits,
    initial_max: Cash,
    margin: PortfolioMargin,
) -> int:
    """How many lots of an order somebody can take over and still pass.

    Passing is equity that covers initial margin with all live intents, and initial margin of
    positions of at most `initial_max`; or, where that does not hold before, no worse than before.
    Surplus is concave and margin convex in the lots, so what passes is a range from 0.
    """
    sign = 1 if order.side is Side.SELL else -1
    held = accounts.holdings(taker)
    live = accounts.entries.get(taker, Account()).intents()
    value = sign * price * accounts.contracts[order.place].multiplier

    def with_more(size: int) -> tuple[int, int]:
        net = held.net.copy()
        net[order.place] += sign * size
        after = replace(held, cost=Cash(held.cost + size * value), net=net)
        return surplus(margin, after, live), margin.requirement(net).initial

    def fails(size: int) -> bool:
        try:
            left, initial = with_more(size)
        except OutOfBounds:
            return True
        return left < min(0, before) or initial > max(initial_max, initial_before)

    try:
        before, initial_before = with_more(0)
    except (OutOfBounds, NoPrice):
        return 0
    return bisect_left(range(1, most + 1), True, key=fails)


def _taken(
    accounts: PortfolioAccounts,
    account: AccountId,
    order: LiquidationOrder,
    taken: dict[AccountId, int],
    step: Step,
    price: PriceUnits,
) -> list[Transfer]:
    """Move lots of an order to those who take them over."""
    sign = 1 if order.side is Side.SELL else -1
    done = []
    for taker, lots in taken.items():
        if lots:
            transfer(accounts, account, taker, order.place, sign * lots, price)
            done.append(Transfer(step, taker, order, Lots(lots), price))
    return done


def _pay(accounts: PortfolioAccounts, account: AccountId, margin: PortfolioMargin) -> Cash:
    """Pay what an account owes that has no position and no equity; returns what is bad debt.

    What was lost and is not settled is no cash that could be paid, so variation is settled first,
    at the mark, of every contract and for everybody: whoever is hedged gets the one for the other.
    Then tokens pay, and the fund; it takes those that it cannot pay.
    """
    held = accounts.holdings(account)
    if held.net.any() or equity(margin, held) >= 0:
        return Cash(0)
    unsettled = {p for entry in accounts.entries.values() for p, cost in entry.cost.items() if cost}
    for place in sorted(place for place in unsettled if not margin.has_expired(place)):
        contract = accounts.contracts[place]
        accounts.settle_variation(contract.identifier, mark(margin, contract, place, 1))
    convert_collateral(accounts, account, INSURANCE_FUND, margin)
    take_collateral(accounts, account, margin)
    return Cash(write_off(accounts, account) + cover_debts(accounts))
