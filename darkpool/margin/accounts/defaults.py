"""What becomes of accounts that cannot pay: the fund, bad debt, and closing out against others.

A position can be closed at its bankruptcy price against those who gained most. What is owed then
the insurance fund pays, and what that cannot pay stands in an account of its own, `BAD_DEBT`, below
zero, until it is shared out. `darkpool.margin.liquidation.waterfall` says when which of it is done.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from darkpool.margin.accounts.account import Account
from darkpool.margin.accounts.accounts import BAD_DEBT, HOUSE, INSURANCE_FUND, PortfolioAccounts
from darkpool.margin.errors import UnknownContract
from darkpool.margin.model.caps import Holdings, equity
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.units import AccountId, Cash, InstrumentId, Lots, PriceUnits, Side


def cover_debts(accounts: PortfolioAccounts) -> Cash:
    """Pay what accounts owe that hold nothing; returns what the insurance fund could not pay.

    An account with tokens or live intents is left alone. So is nothing of the fund's: what it owes
    itself once it has no position is booked too, whatever tokens it has.
    """
    fund = accounts.entries[INSURANCE_FUND]
    debtors = [a for a in accounts.accounts() if a not in HOUSE and accounts.entries[a].is_flat]
    unpaid = sum(int(write_off(accounts, account)) for account in debtors)
    if not any(fund.net.values()) and not any(fund.cost.values()) and fund.cash < 0:
        unpaid -= fund.cash
        accounts.entries[BAD_DEBT].cash += fund.cash
        fund.cash = 0
    return Cash(unpaid)


def write_off(accounts: PortfolioAccounts, account: AccountId) -> Cash:
    """Have the fund pay what an account owes; returns what it could not, which is bad debt now."""
    found, fund = accounts.entries[account], accounts.entries[INSURANCE_FUND]
    owed = max(0, -found.total)
    paid = min(owed, max(0, fund.cash))
    fund.cash -= paid
    accounts.entries[BAD_DEBT].cash -= owed - paid
    found.cash += owed
    return Cash(owed - paid)


def repay_bad_debt(accounts: PortfolioAccounts) -> Cash:
    """Take bad debt back with what cash the fund has; returns how much."""
    fund, bad = accounts.entries[INSURANCE_FUND], accounts.entries[BAD_DEBT]
    paid = max(0, min(fund.cash, -bad.cash))
    fund.cash -= paid
    bad.cash += paid
    return Cash(paid)


def share_bad_debt(accounts: PortfolioAccounts) -> Cash:
    """Take bad debt from all who have cash, by how much they have; returns what was taken.

    Shares are rounded down, and what is missing then, less than a unit for each, is taken by a
    unit from the first accounts, in ascending order.
    """
    bad = accounts.entries[BAD_DEBT]
    holders = [
        found
        for account in accounts.accounts()
        if account not in HOUSE and (found := accounts.entries[account]).cash > 0
    ]
    total = sum(found.cash for found in holders)
    owed = min(-bad.cash, total)
    if owed <= 0:
        return Cash(0)
    shares = [found.cash * owed // total for found in holders]
    missing = owed - sum(shares)
    for index, (found, share) in enumerate(zip(holders, shares, strict=True)):
        found.cash -= share + (index < missing)
    bad.cash += owed
    return Cash(owed)


def bankruptcy_price(
    accounts: PortfolioAccounts,
    account: AccountId,
    instrument: InstrumentId,
    margin: PortfolioMargin,
) -> PriceUnits:
    """The price at which closing a position leaves an account nothing.

    What the account is short of, or has left, is shared out over its positions by their value,
    so that nobody pays for a loss on a contract in which it has no part. If each is closed at
    the price that the account has for it then, nothing is owed, and what is left is less than a
    price unit of each.

    Raises:
        UnknownContract: no position in such a contract.
    """
    place = accounts.place(instrument)
    held = accounts.holdings(account)
    contract = accounts.contracts[place]
    if held.net[place] == 0:
        raise UnknownContract("one that the account holds", contract.name)
    return bankruptcy_price_of(margin, held, place, contract.multiplier)


def bankruptcy_price_of(
    margin: PortfolioMargin, held: Holdings, place: int, multiplier: int
) -> PriceUnits:
    """The same of an account that holds something in the contract at a place."""
    lots = int(held.net[place])
    units = lots * multiplier
    size, every = margin.value_of(place, abs(lots)), margin.value(np.abs(held.net))
    # of the value of positions, what this one may fall by until its share of equity is gone
    left = margin.value_of(place, lots) - equity(margin, held) * size // max(1, every)
    return PriceUnits(-(-left // units) if units > 0 else -left // -units)


def deleveraging_order(
    accounts: PortfolioAccounts, instrument: InstrumentId, side: Side, margin: PortfolioMargin
) -> tuple[AccountId, ...]:
    """Who is closed out first of those that hold a side of a contract: the published ranking.

    By gain on the contract relative to what its lots cost when they were taken, times the value
    of all positions relative to equity; both as fractions, exactly, and by account where they
    are equal.
    """
    place = accounts.place(instrument)
    ranked = []
    for account in accounts.accounts():
        lots = accounts.entries[account].net.get(place, 0)
        if account not in HOUSE and (lots > 0 if side is Side.BUY else lots < 0):
            ranked.append((-_rank(accounts, account, place, margin), account))
    return tuple(account for _, account in sorted(ranked))


def _rank(
    accounts: PortfolioAccounts, account: AccountId, place: int, margin: PortfolioMargin
) -> Fraction:
    held = accounts.holdings(account)
    cost = accounts.entries[account].entry.get(place, 0)
    value = margin.value_of(place, int(held.net[place]))
    gain = Fraction(value - cost, max(1, abs(cost)))
    leverage = Fraction(margin.value(np.abs(held.net)), max(1, equity(margin, held)))
    return gain * leverage if gain > 0 else gain / max(leverage, Fraction(1))


def deleverage(
    accounts: PortfolioAccounts,
    account: AccountId,
    instrument: InstrumentId,
    size: Lots,
    price: PriceUnits,
    margin: PortfolioMargin,
) -> dict[AccountId, Lots]:
    """Close lots of an account's position at a price against the first in the opposite ranking.

    At most `size`, and at most what it holds. Returns what each of them was closed by.

    Raises:
        UnknownContract: no contract of the specification.
    """
    place = accounts.place(instrument)
    found = accounts.entries.get(account, Account())
    held = found.net.get(place, 0)
    left = max(-size, min(size, held))
    opposite = Side.SELL if left > 0 else Side.BUY
    closed: dict[AccountId, Lots] = {}
    for other in deleveraging_order(accounts, instrument, opposite, margin):
        against = accounts.entries[other]
        lots = min(abs(left), abs(against.net[place]))
        signed = lots if left > 0 else -lots
        if lots == 0 or other == account:
            continue
        value = signed * price * accounts.contracts[place].multiplier
        against.trade(place, signed, value)
        found.trade(place, -signed, -value)
        left -= signed
        closed[other] = Lots(lots)
    return closed
