"""What the vault holds as of the commitment of a batch, booked; and whose intents it covers."""

from collections.abc import Mapping
from dataclasses import dataclass

from darkpool.margin.ledger import MarginLedger
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
        net_deposits: deposits less withdrawals since the ledger last looked, where there are any.
        short: accounts that do not cover their bond and the margin of all their intents.
    """

    net_deposits: Mapping[AccountId, Cash]
    short: Mapping[AccountId, Shortfall]


def count_committed(ledger: MarginLedger, vault: Mapping[AccountId, Cash]) -> Committed:
    """Book what came and what left; whoever is short then has nothing reserved any more.

    Anybody may pay in for anybody until the commitment, and take its own deposit back. `vault` is
    each account's deposits less its withdrawals; of one that is not named there were none.

    Raises:
        InsufficientMargin: margin of positions, or what was charged, has left, which the vault does
            not pay out.
        OutOfBounds: an account would hold more than `CASH_MAX`.
    """
    net_deposits: dict[AccountId, Cash] = {}
    short: dict[AccountId, Shortfall] = {}
    for account in sorted({*vault, *ledger.accounts()}):
        held = ledger.collateral(account)
        change = Cash(vault.get(account, 0) - ledger.paid(account))
        if change == 0:
            continue
        net_deposits[account] = change
        if change > 0:
            ledger.credit(account, change)
            continue
        required = Cash(held.reserved + held.bond)
        available = Cash(held.free + required + change)
        if available < required:
            ledger.release_account(account)
            short[account] = Shortfall(required, available)
        ledger.debit(account, Cash(-change))
    return Committed(net_deposits, short)
