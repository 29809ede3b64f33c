"""How much of a request a settlement grants: what the account does not need, at two marks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.model.caps import NOT_COMPUTED
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.units import AccountId, Cash, in_address_order


@dataclass(frozen=True, slots=True)
class GrantTerms:
    """What bounds a grant besides margin.

    Attributes:
        free_before: what was free at the settlement before, of accounts with positions, cash units.
        deposit_min: the least deposit; what is left of an account without positions is that much
            or nothing.
    """

    free_before: Mapping[AccountId, Cash]
    deposit_min: int


def free_cash(accounts: PortfolioAccounts, account: AccountId, margin: PortfolioMargin) -> Cash:
    """What an account does not need: all its cash without positions, else what is above margin.

    Nothing where margin of its positions is not computed. In cash units, never below zero.
    """
    cash = accounts.cash(account)
    if accounts.is_flat(account):
        return Cash(max(0, cash))
    try:
        left = accounts.surplus(account, margin)
    except NOT_COMPUTED:
        return Cash(0)
    return Cash(max(0, min(cash, left)))


def grant_requests(
    accounts: PortfolioAccounts,
    requests: Mapping[AccountId, Cash],
    terms: GrantTerms,
    margin: PortfolioMargin,
) -> dict[AccountId, Cash]:
    """Take what requests are granted from cash; returns it by account, no entry zero.

    After variation, when no account owes cash. An account with positions gets at most what was free
    at the settlement before (nothing for who was not there), too: a mark that is wrong once pays
    out nothing. An account without positions that would keep less than the least deposit gets all:
    it could not pay in as little, and would hold a leaf and a seat for it.
    """
    granted: dict[AccountId, Cash] = {}
    for account in in_address_order(requests):
        free = free_cash(accounts, account, margin)
        if not accounts.is_flat(account):
            free = Cash(min(free, terms.free_before.get(account, 0)))
        amount = Cash(min(requests[account], free))
        if amount and accounts.is_flat(account) and free - amount < terms.deposit_min:
            amount = free
        if amount:
            accounts.book_withdrawal(account, amount)
            granted[account] = amount
    return granted
