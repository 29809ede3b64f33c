"""Tokens of collateral that are sold because their account owes cash."""

from __future__ import annotations

from bisect import bisect_left

from darkpool.errors import OutOfBounds
from darkpool.margin.accounts import INSURANCE_FUND, PortfolioAccounts
from darkpool.margin.portfolio import PortfolioMargin
from darkpool.units import AccountId, Cash


def convert_collateral(
    accounts: PortfolioAccounts, account: AccountId, buyer: AccountId, margin: PortfolioMargin
) -> Cash:
    """Sell as many tokens of an account as pay the cash that it owes; returns what they brought.

    At their value without the haircut, which is what the buyer earns for taking them, one token
    after the other by their names. The buyer pays from cash that nothing stands
    against, and takes no more than it can pay. Nothing is rounded against the account but the last
    millionth of a token.

    Raises:
        OutOfBounds: account and buyer are the same.
        NoPrice: a token whose underlying has no price.
    """
    if account == buyer:
        raise OutOfBounds("accounts", 2, 2, 1)
    found = accounts.entries.get(account)
    if found is None:
        return Cash(0)
    taker = accounts.entries.get(buyer)
    free = 0 if taker is None else max(0, min(taker.cash, accounts.surplus(buyer, margin)))
    brought = 0
    for token, held in sorted(found.tokens.items()):
        owed = -found.cash - (found.bond or 0)
        wanted = min(owed, free - brought)
        if wanted <= 0 or taker is None:
            break
        amount = _least(margin, token, held, wanted)
        paid = min(margin.token_value(token, amount), free - brought)
        if paid == 0:
            continue
        found.tokens[token] = held - amount
        taker.tokens[token] = taker.tokens.get(token, 0) + amount
        found.cash += paid
        taker.cash -= paid
        brought += paid
    return Cash(brought)


def take_collateral(accounts: PortfolioAccounts, account: AccountId) -> None:
    """Move what tokens are left of an account that owes more than all it has to the fund.

    The debt stays, for the fund to pay or to be booked: what the tokens bring one day is the
    fund's.
    """
    found, fund = accounts.entries[account], accounts.entries[INSURANCE_FUND]
    for token, amount in found.tokens.items():
        fund.tokens[token] = fund.tokens.get(token, 0) + amount
    found.tokens.clear()


def _least(margin: PortfolioMargin, token: str, held: int, wanted: int) -> int:
    """The fewest millionths of a token that are worth so much, or all that are held."""
    worth = margin.token_value(token, held)
    if worth <= wanted:
        return held
    return bisect_left(range(held), wanted, key=lambda amount: margin.token_value(token, amount))
