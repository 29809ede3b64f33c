"""How much of a request a settlement grants: what the account does not need, at two marks."""

from __future__ import annotations

from collections.abc import Mapping

from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.model.caps import NOT_COMPUTED
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.units import AccountId, Cash, in_address_order


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
    free_before: Mapping[AccountId, Cash],
    margin: PortfolioMargin,
) -> dict[AccountId, Cash]:
    """Take what requests are granted from cash; returns it by account, no entry zero.

    After variation, when no account owes cash. An account with positions gets at most what was free
    at the settlement before (`free_before`, nothing for who was not there), too: a mark that is
    wrong once pays out nothing.
    """
    granted: dict[AccountId, Cash] = {}
    for account in in_address_order(requests):
        free = free_cash(accounts, account, margin)
        if not accounts.is_flat(account):
            free = min(free, free_before.get(account, Cash(0)))
        amount = Cash(min(requests[account], free))
        if amount:
            accounts.book_withdrawal(account, amount)
            granted[account] = amount
    return granted
