"""What an account owns: what it could withdraw, what stands against its positions, and those."""

from dataclasses import dataclass

from darkpool.errors import NotConserved
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.positions import encode_positions
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.units import AccountId, Cash


@dataclass(frozen=True, slots=True)
class Balance:
    """Cash units, live intents and bonds not counted; `positions` as `encode_positions` has it.

    `withdrawable` is what initial margin of the positions leaves of the cash, `encumbered` the rest
    of it.
    """

    account: AccountId
    withdrawable: Cash
    encumbered: Cash
    positions: bytes


def balances_of(accounts: PortfolioAccounts, margin: PortfolioMargin) -> tuple[Balance, ...]:
    """Everyone's balance, in ascending order.

    Raises:
        NotConserved: an account owes cash: what others own is then more than there is, and nothing
            can be settled before it is paid or shared out.
    """
    balances = []
    for account in accounts.listed():
        cash = accounts.cash(account)
        if cash < 0:
            raise NotConserved(f"cash of {account}", 0, cash)
        free = Cash(max(0, min(cash, accounts.surplus(account, margin))))
        positions = encode_positions(accounts.positions(account))
        balances.append(Balance(account, free, Cash(cash - free), positions))
    return tuple(balances)
