"""Booking what the vault holds as of a batch's commitment, and which accounts are uncovered."""

from collections.abc import Mapping
from dataclasses import dataclass

from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.model.caps import NOT_COMPUTED
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.units import AccountId, Cash, in_address_order


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What an account's bond and intents need, and the lesser amount that it has for them."""

    required: Cash
    available: Cash


@dataclass(frozen=True, slots=True)
class Committed:
    """What was booked.

    Attributes:
        net_deposits: deposits less withdrawals since the accounts last looked, where there are any.
        uncovered: accounts that do not cover their bond and the margin of all their intents.
    """

    net_deposits: Mapping[AccountId, Cash]
    uncovered: Mapping[AccountId, Shortfall]


def book_vault(
    accounts: PortfolioAccounts, vault: Mapping[AccountId, Cash]
) -> dict[AccountId, Cash]:
    """Book what came and what left since the accounts last looked; returns it, none of it zero.

    Until the commitment any address may pay in for any account. `vault` is each account's deposits
    less what it was granted or took back; an account that is not in it has none.

    Raises:
        OutOfBounds: more cash than `CASH_MAX`.
    """
    net_deposits: dict[AccountId, Cash] = {}
    for account in in_address_order({*vault, *accounts.accounts()}):
        change = Cash(vault.get(account, 0) - accounts.paid(account))
        if change > 0:
            accounts.deposit(account, change)
        elif change < 0:
            accounts.book_withdrawal(account, Cash(-change))
        if change:
            net_deposits[account] = change
    return net_deposits


def release_uncovered(
    accounts: PortfolioAccounts, margin: PortfolioMargin
) -> dict[AccountId, Shortfall]:
    """End what is reserved for accounts that do not cover their bond and intents; returns them.

    An expiry since an intent was reserved may have cost its account as much as a deposit that went
    back, so all accounts with a bond are looked at.
    """
    uncovered: dict[AccountId, Shortfall] = {}
    for account in accounts.accounts():
        shortfall = _shortfall(accounts, account, margin)
        if shortfall is not None:
            accounts.release_account(account)
            uncovered[account] = shortfall
    return uncovered


def _shortfall(
    accounts: PortfolioAccounts, account: AccountId, margin: PortfolioMargin
) -> Shortfall | None:
    """What an account lacks for its bond and intents, None if nothing.

    It has to have its bond in cash; gains that are not settled do not count for that. Where margin
    is not computed it has nothing, and lacks its bond, or a unit at least.
    """
    bond = accounts.bond(account)
    if bond is None and not accounts.reservations(account):
        return None
    held, cash = bond or Cash(0), accounts.cash(account)
    try:
        coverage = accounts.coverage(account, margin)
    except NOT_COMPUTED:
        return Shortfall(Cash(max(1, held)), Cash(0))
    if coverage.available < coverage.required:
        return Shortfall(coverage.required, coverage.available)
    return Shortfall(held, cash) if cash < held else None
