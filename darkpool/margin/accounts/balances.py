"""What an account owns: cash that it could withdraw, cash that covers positions, and those."""

from dataclasses import dataclass

from darkpool.errors import NotConserved
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.positions import encode_positions
from darkpool.margin.model.caps import NOT_COMPUTED
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.units import AccountId, Cash


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account owns, live intents and bonds not counted.

    Attributes:
        withdrawable: the cash above the initial margin of the account's positions, cash units;
            nothing where margin of them is not computed.
        encumbered: the rest of the cash, cash units.
        positions: as `encode_positions` has them.
    """

    account: AccountId
    withdrawable: Cash
    encumbered: Cash
    positions: bytes


def balances_of(accounts: PortfolioAccounts, margin: PortfolioMargin) -> tuple[Balance, ...]:
    """The balance of every listed account, in ascending order.

    Raises:
        NotConserved: an account owes cash: other accounts own more than there is then, and nothing
            can be settled before the debt is paid or shared out.
    """
    balances = []
    for account in accounts.listed():
        cash = accounts.cash(account)
        if cash < 0:
            raise NotConserved(f"cash of {account}, in cash units", 0, cash)
        free = _free(accounts, account, margin)
        positions = encode_positions(accounts.positions(account))
        balances.append(Balance(account, free, Cash(cash - free), positions))
    return tuple(balances)


def _free(accounts: PortfolioAccounts, account: AccountId, margin: PortfolioMargin) -> Cash:
    try:
        left = accounts.surplus(account, margin)
    except NOT_COMPUTED:
        return Cash(0)
    return Cash(max(0, min(accounts.cash(account), left)))
