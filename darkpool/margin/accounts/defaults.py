"""What becomes of accounts that cannot pay: the fund, bad debt, and closing out against others.

A position can be closed at its bankruptcy price against those who gained most. The insurance fund
pays what is owed then. What the fund cannot pay stands below zero in an account of its own,
`BAD_DEBT`, until it is shared out. `darkpool.margin.liquidation.waterfall` has the order of steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.house import BAD_DEBT, HOUSE, INSURANCE_FUND
from darkpool.margin.errors import UnknownContract
from darkpool.margin.model.caps import Holdings, equity
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.units import AccountId, Cash, InstrumentId, Lots, PriceUnits, Side


@dataclass(frozen=True, slots=True)
class CloseOut:
    """Lots of a contract that are closed at a price."""

    instrument: InstrumentId
    size: Lots
    price: PriceUnits


def cover_debts(accounts: PortfolioAccounts) -> Cash:
    """Pay what accounts owe that hold nothing; returns what the insurance fund could not pay.

    An account with tokens or live intents keeps its debt, because these may still pay for it. What
    the fund owes once it has no position is bad debt at once, whatever tokens it has.
    """
    debtors = [a for a in accounts.accounts() if a not in HOUSE and accounts.is_flat(a)]
    unpaid = sum(int(write_off(accounts, account)) for account in debtors)
    fund = accounts.positions(INSURANCE_FUND).values()
    owed = max(0, -accounts.holdings(INSURANCE_FUND).cash)
    if owed and not any(position.net or position.cost for position in fund):
        accounts.transfer(BAD_DEBT, INSURANCE_FUND, Cash(owed))
        unpaid += owed
    return Cash(unpaid)


def write_off(accounts: PortfolioAccounts, account: AccountId) -> Cash:
    """Have the fund pay what an account owes; returns what it could not, which is bad debt now."""
    owed = max(0, -accounts.cash(account))
    paid = min(owed, max(0, accounts.holdings(INSURANCE_FUND).cash))
    accounts.transfer(INSURANCE_FUND, account, Cash(paid))
    accounts.transfer(BAD_DEBT, account, Cash(owed - paid))
    return Cash(owed - paid)


def repay_bad_debt(accounts: PortfolioAccounts) -> None:
    """Pay bad debt back with what cash the fund has."""
    fund, bad_debt = accounts.holdings(INSURANCE_FUND).cash, accounts.holdings(BAD_DEBT).cash
    accounts.transfer(INSURANCE_FUND, BAD_DEBT, Cash(max(0, min(fund, -bad_debt))))


def share_bad_debt(accounts: PortfolioAccounts) -> Cash:
    """Take bad debt from all accounts with cash, by how much they have; returns what was taken.

    Shares are rounded down. The units that are missing then, fewer than there are accounts, come
    from the first accounts in ascending order, one from each.
    """
    cash = {
        account: int(accounts.holdings(account).cash)
        for account in accounts.accounts()
        if account not in HOUSE
    }
    holders = {account: amount for account, amount in cash.items() if amount > 0}
    total = sum(holders.values())
    owed = min(-accounts.holdings(BAD_DEBT).cash, total)
    if owed <= 0:
        return Cash(0)
    shares = {account: amount * owed // total for account, amount in holders.items()}
    missing = owed - sum(shares.values())
    for number, (account, share) in enumerate(shares.items()):
        accounts.transfer(account, BAD_DEBT, Cash(share + (number < missing)))
    return Cash(owed)


def bankruptcy_price(
    accounts: PortfolioAccounts,
    account: AccountId,
    instrument: InstrumentId,
    margin: PortfolioMargin,
) -> PriceUnits:
    """The price at which closing a position leaves an account nothing.

    What the account is short of, or has left, is shared out over its positions by their value in
    absolute terms (by their lots where none has a value), so that no counterparty pays for a loss
    on a contract in which it has no part. If each is closed at the price that the account has for
    it then, the account owes nothing, and what is left is less than a price unit of each.

    Raises:
        UnknownContract: no position in such a contract.
    """
    contract_index = accounts.contract_index(instrument)
    held = accounts.holdings(account)
    contract = accounts.contracts[contract_index]
    if held.net[contract_index] == 0:
        raise UnknownContract("one that the account holds", contract.name)
    return bankruptcy_price_of(margin, held, contract_index, contract.multiplier)


def bankruptcy_price_of(
    margin: PortfolioMargin, held: Holdings, contract_index: int, multiplier: int
) -> PriceUnits:
    """`bankruptcy_price` of what is held in a contract, and not nothing."""
    lots = int(held.net[contract_index])
    units = lots * multiplier
    sizes = _sizes(margin, held)
    if not any(sizes.values()):
        sizes = {index: abs(int(held.net[index])) for index in sizes}
    size, every = sizes[contract_index], sum(sizes.values())
    # of the value of positions, what this one may fall by until its share of equity is gone
    left = margin.value_of(contract_index, lots) - equity(margin, held) * size // every
    return PriceUnits(-(-left // units) if units > 0 else -left // -units)


def _sizes(margin: PortfolioMargin, held: Holdings) -> dict[int, int]:
    """What positions are worth as if all were long, in absolute terms, by contract index."""
    indexes = np.flatnonzero(held.net).tolist()
    return {index: abs(margin.value_of(index, abs(int(held.net[index])))) for index in indexes}


def deleveraging_order(
    accounts: PortfolioAccounts, instrument: InstrumentId, side: Side, margin: PortfolioMargin
) -> tuple[AccountId, ...]:
    """The published ranking: accounts that hold a side of a contract, first to be closed first.

    By gain on the contract relative to what its lots cost when they were taken, times the value
    of all positions relative to equity, cost and value in absolute terms; both as fractions,
    exactly, and by account where they are equal.
    """
    contract_index = accounts.contract_index(instrument)
    ranked = []
    for account in accounts.accounts():
        lots = accounts.position(account, contract_index).net
        if account not in HOUSE and (lots > 0 if side is Side.BUY else lots < 0):
            ranked.append((-_rank(accounts, account, contract_index, margin), account))
    # sorting is stable, and accounts come in the order of their bytes
    return tuple(account for _, account in sorted(ranked, key=lambda entry: entry[0]))


def _rank(
    accounts: PortfolioAccounts, account: AccountId, contract_index: int, margin: PortfolioMargin
) -> Fraction:
    held, position = accounts.holdings(account), accounts.position(account, contract_index)
    value = margin.value_of(contract_index, position.net)
    gain = Fraction(value - position.entry, max(1, abs(position.entry)))
    leverage = Fraction(sum(_sizes(margin, held).values()), max(1, equity(margin, held)))
    return gain * leverage if gain > 0 else gain / max(leverage, Fraction(1))


def deleverage(
    accounts: PortfolioAccounts, account: AccountId, close_out: CloseOut, margin: PortfolioMargin
) -> dict[AccountId, Lots]:
    """Close lots of an account's position against the first accounts in the opposite ranking.

    At most the size of the close-out, and at most what the account holds. Returns the lots that
    each of the others was closed by.

    Raises:
        UnknownContract: no contract of the specification.
    """
    contract_index = accounts.contract_index(close_out.instrument)
    held = accounts.position(account, contract_index).net
    sign, left = (1 if held > 0 else -1), min(close_out.size, abs(held))
    opposite = Side.SELL if held > 0 else Side.BUY
    closed: dict[AccountId, Lots] = {}
    for other in deleveraging_order(accounts, close_out.instrument, opposite, margin):
        lots = min(left, abs(accounts.position(other, contract_index).net))
        if lots == 0 or other == account:
            continue
        accounts.trade(other, account, contract_index, sign * lots, close_out.price)
        left -= lots
        closed[other] = Lots(lots)
    return closed
