"""Tokens of collateral: paid in, taken out, and sold because their account owes cash."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import replace

from darkpool.errors import OutOfBounds
from darkpool.limits import CASH_MAX
from darkpool.margin.accounts.account import Account
from darkpool.margin.accounts.accounts import BAD_DEBT, INSURANCE_FUND, PortfolioAccounts
from darkpool.margin.accounts.defaults import repay_bad_debt
from darkpool.margin.errors import InsufficientMargin, InvalidParties, UnknownContract
from darkpool.margin.model.caps import surplus
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.units import AccountId, Cash


def deposit_token(accounts: PortfolioAccounts, account: AccountId, token: str, amount: int) -> None:
    """Add to an account's collateral, millionths of a token.

    Raises:
        UnknownContract: no token of the specification.
        OutOfBounds: a negative amount, or more than `CASH_MAX` of the token altogether.
    """
    highest = CASH_MAX - _tokens_of(accounts, token)
    if not 0 <= amount <= highest:
        raise OutOfBounds(f"deposit of {token}", 0, highest, amount)
    found = accounts.entries.setdefault(account, Account())
    if amount:
        found.tokens[token] = found.tokens.get(token, 0) + amount
        accounts.tokens_in[token] += amount


def withdraw_token(
    accounts: PortfolioAccounts,
    account: AccountId,
    token: str,
    amount: int,
    margin: PortfolioMargin,
) -> None:
    """Take from an account's collateral, millionths of a token.

    Raises:
        UnknownContract: no token of the specification.
        OutOfBounds: a negative amount, or more than the account has.
        InsufficientMargin: the account needs it, owes cash, or others' debts are uncovered.
    """
    _tokens_of(accounts, token)
    found = accounts.entries.get(account, Account())
    held = found.tokens.get(token, 0)
    if not 0 <= amount <= held:
        raise OutOfBounds(f"withdrawal of {token}", 0, held, amount)
    before = accounts.holdings(account)
    after = replace(before, tokens={**before.tokens, token: held - amount})
    left = surplus(margin, after, found.intents())
    if left < 0 or found.cash < 0 or accounts.uncovered() > 0:
        raise InsufficientMargin(required=max(0, -left), available=0)
    move_token(accounts, account, None, token, amount)
    accounts.tokens_in[token] -= amount


def move_token(
    accounts: PortfolioAccounts,
    account: AccountId,
    taker: AccountId | None,
    token: str,
    amount: int,
) -> None:
    """Move millionths of a token that an account has; to nobody if they leave."""
    tokens = accounts.entries.setdefault(account, Account()).tokens
    tokens[token] = tokens.get(token, 0) - amount
    if not tokens[token]:
        del tokens[token]
    if taker is not None and amount:
        theirs = accounts.entries.setdefault(taker, Account()).tokens
        theirs[token] = theirs.get(token, 0) + amount


def _tokens_of(accounts: PortfolioAccounts, token: str) -> int:
    if token not in accounts.tokens_in:
        raise UnknownContract("a token of the specification", token)
    return accounts.tokens_in[token]


def convert_collateral(
    accounts: PortfolioAccounts, account: AccountId, buyer: AccountId, margin: PortfolioMargin
) -> Cash:
    """Sell as many tokens of an account as pay the cash that it owes; returns what they brought.

    At their value less the haircut, which is what the buyer earns for taking them, one token after
    the other by their names. The buyer pays from cash that nothing stands against, its live intents
    included, and gets no more than it pays for. The insurance fund owes what is booked as bad debt,
    too, and pays that back with what its tokens bring.

    Raises:
        InvalidParties: account and buyer are the same.
    """
    if account == buyer:
        raise InvalidParties("buyer of tokens", f"an account besides {account}", buyer)
    found, taker = accounts.entries.get(account), accounts.entries.get(buyer)
    if found is None or taker is None:
        return Cash(0)
    left = surplus(margin, accounts.holdings(buyer), taker.intents())
    free = max(0, min(taker.cash, left))
    owed = -found.total
    if account == INSURANCE_FUND:
        owed -= accounts.entries[BAD_DEBT].cash
    brought = 0
    for token, held in sorted(found.tokens.items()):
        amount = _worth(margin, token, held, owed - brought, free - brought)
        paid = margin.token_value(token, amount)
        move_token(accounts, account, buyer, token, amount)
        found.cash += paid
        taker.cash -= paid
        brought += paid
    if account == INSURANCE_FUND:
        repay_bad_debt(accounts)
    return Cash(brought)


def take_collateral(
    accounts: PortfolioAccounts, account: AccountId, margin: PortfolioMargin
) -> None:
    """Move tokens that are worth what an account owes, or all, to the insurance fund.

    The debt stays, for the fund to pay or to be booked: what the tokens bring one day pays for it.
    """
    found = accounts.entries[account]
    owed = -found.total
    for token, held in sorted(found.tokens.items()):
        amount = _worth(margin, token, held, owed, CASH_MAX)
        move_token(accounts, account, INSURANCE_FUND, token, amount)
        owed -= margin.token_value(token, amount)


def _worth(margin: PortfolioMargin, token: str, held: int, wanted: int, most: int) -> int:
    """The fewest millionths of a token that are worth `wanted`, or all that are held.

    But no more than are worth `most`, and none that would bring nothing.
    """

    def value(amount: int) -> int:
        return margin.token_value(token, amount)

    if min(wanted, most) <= 0:
        return 0
    amount = bisect_left(range(held), wanted, key=value)
    if value(amount) > most:
        amount = bisect_right(range(held), most, key=value) - 1
    return amount if value(amount) > 0 else 0
