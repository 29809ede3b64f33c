"""What the vault holds as of the commitment of a batch, booked; and whose intents it covers."""

from collections.abc import Mapping
from dataclasses import dataclass

from darkpool.margin.accounts import PortfolioAccounts
from darkpool.margin.portfolio import PortfolioMargin
from darkpool.units import AccountId, Cash


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What an account's bond and intents need, and the lesser cash that could cover them."""

    required: Cash
    available: Cash


@dataclass(frozen=True, slots=True)
class Committed:
    """What was booked.

    Attributes:
        net_deposits: deposits less withdrawals since the accounts last looked, where there are any.
        short: accounts that do not cover their bond and the margin of all their intents.
    """

    net_deposits: Mapping[AccountId, Cash]
    short: Mapping[AccountId, Shortfall]


def count_committed(
    accounts: PortfolioAccounts, vault: Mapping[AccountId, Cash], margin: PortfolioMargin
) -> Committed:
    """Book what came and what left; whoever is short then has nothing reserved any more.

    Anybody may pay in for anybody until the commitment, and take its own deposit back. `vault` is
    each account's deposits less its withdrawals; of one that is not named there were none.

    Raises:
        InsufficientMargin: margin of positions, or what was charged, has left, which the vault does
            not pay out.
        OutOfBounds: more cash than `CASH_MAX`.
    """
    net_deposits: dict[AccountId, Cash] = {}
    short: dict[AccountId, Shortfall] = {}
    for account in sorted({*vault, *accounts.accounts()}):
        change = Cash(vault.get(account, 0) - accounts.paid(account))
        if change == 0:
            continue
        net_deposits[account] = change
        if change > 0:
            accounts.deposit(account, change)
            continue
        required, available = accounts.required(account, margin)
        left = Cash(available + change)
        if left < required:
            accounts.release_account(account)
            short[account] = Shortfall(required, left)
        accounts.withdraw(account, Cash(-change), margin)
    return Committed(net_deposits, short)
