"""Tokens of collateral: paid in, taken out, and sold because their account owes cash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from darkpool.errors import OutOfBounds
from darkpool.limits import CASH_MAX
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.defaults import repay_bad_debt
from darkpool.margin.accounts.house import BAD_DEBT, INSURANCE_FUND
from darkpool.margin.errors import InsufficientMargin, InvalidParties
from darkpool.margin.model.caps import NOT_COMPUTED, surplus, within_margin
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.units import AccountId, Cash


def deposit_token(accounts: PortfolioAccounts, account: AccountId, token: str, amount: int) -> None:
    """Add to an account's collateral, millionths of a token.

    Raises:
        UnknownContract: no token of the specification.
        OutOfBounds: a negative amount, or more than `CASH_MAX` of the token altogether.
    """
    highest = CASH_MAX - accounts.tokens_in(token)
    if not 0 <= amount <= highest:
        raise OutOfBounds(f"deposit of {token} in millionths", 0, highest, amount)
    accounts.book_tokens(account, token, amount)


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
        BeyondMargin, NoPrice: positions that margin is not computed for.
        InsufficientMargin: the account needs it, owes cash, or others' debts are uncovered.
    """
    accounts.tokens_in(token)
    before = accounts.holdings(account)
    held = before.tokens.get(token, 0)
    if not 0 <= amount <= held:
        raise OutOfBounds(f"withdrawal of {token} in millionths", 0, held, amount)
    after = replace(before, tokens={**before.tokens, token: held - amount})
    with within_margin():
        free = surplus(margin, after, accounts.intents(account))
    left = min(free, before.cash, -accounts.uncovered())
    if left < 0:
        raise InsufficientMargin(required=0, available=left)
    accounts.book_tokens(account, token, -amount)


def convert_collateral(
    accounts: PortfolioAccounts, account: AccountId, buyer: AccountId, margin: PortfolioMargin
) -> Cash:
    """Sell as many tokens of an account as pay the cash that it owes; returns what they brought.

    The price is their value less the haircut, which is what the buyer earns; tokens are sold one
    after the other by their names. The buyer pays from the cash above what its positions and live
    intents need, and gets no more than it pays for. The insurance fund also owes what is booked as
    bad debt, and pays that back with what its tokens bring.

    Raises:
        InvalidParties: account and buyer are the same.
    """
    if account == buyer:
        raise InvalidParties("buyer of tokens", f"an account besides {account}", buyer)
    if account not in accounts or buyer not in accounts:
        return Cash(0)
    free = _to_spend(accounts, buyer, margin)
    owed = -accounts.cash(account)
    if account == INSURANCE_FUND:
        owed -= accounts.holdings(BAD_DEBT).cash
    brought = 0
    for token, held in sorted(accounts.holdings(account).tokens.items()):
        amount = _amount_worth(margin, token, held, owed - brought, free - brought)
        paid = margin.token_value(token, amount)
        accounts.transfer_tokens(account, buyer, token, amount)
        accounts.transfer(buyer, account, paid)
        brought += paid
    if account == INSURANCE_FUND:
        repay_bad_debt(accounts)
    return Cash(brought)


def _to_spend(accounts: PortfolioAccounts, buyer: AccountId, margin: PortfolioMargin) -> int:
    """The cash of a buyer above what its positions and live intents need."""
    buying = accounts.holdings(buyer)
    try:
        left = surplus(margin, buying, accounts.intents(buyer))
    except NOT_COMPUTED:
        return 0
    return max(0, min(buying.cash, left))


def take_collateral(
    accounts: PortfolioAccounts, account: AccountId, margin: PortfolioMargin
) -> None:
    """Move tokens that are worth what an account owes, or all, to the insurance fund.

    The debt stays, for the fund to pay or to be booked: what the tokens bring one day pays for it.
    """
    owed = -accounts.cash(account)
    for token, held in sorted(accounts.holdings(account).tokens.items()):
        amount = _amount_worth(margin, token, held, owed, CASH_MAX)
        accounts.transfer_tokens(account, INSURANCE_FUND, token, amount)
        owed -= margin.token_value(token, amount)


def _amount_worth(
    margin: PortfolioMargin, token: str, held: int, wanted: int, value_max: int
) -> int:
    """The fewest millionths of a token that are worth `wanted`, or all that are held.

    But no more than are worth `value_max`, and none that would bring nothing.
    """

    def value(amount: int) -> int:
        return margin.token_value(token, amount)

    if min(wanted, value_max) <= 0:
        return 0
    amount = _least(held, lambda amount: value(amount) >= wanted)
    if value(amount) > value_max:
        amount = _least(held, lambda amount: value(amount) > value_max) - 1
    return amount if value(amount) > 0 else 0


def _least(most: int, passes: Callable[[int], bool]) -> int:
    """The least number from 0 to `most` that passes, `most` if none below does.

    All numbers above one that passes have to pass too. `bisect` takes no range beyond 2**63.
    """
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        if passes(middle):
            high = middle
        else:
            low = middle + 1
    return low
