"""Variation of all accounts at once, at the end of which none owes cash.

Every settlement pays out what positions gained and takes what they lost, at one mark for each
contract, so what an account has in cash is what it would leave with. An account that cannot pay
what it lost is covered, in this order:

1. It pays what it was covered for before, out of what it has above zero, to the insurance fund.
2. Its tokens go to the insurance fund at their value less the haircut.
3. All its positions are closed at the mark: the fund takes what it can carry, the rest is closed
   against the accounts that gained most. (An account that was covered and kept its positions would
   hold a bet of which others pay the losses.)
4. The fund pays what is still owed.
5. What the fund cannot pay is shared by all cash, pro rata, to the unit.

What an account was covered for, less the value of the tokens that it lost, it owes from then on,
out of later gains and deposits. Nothing is
rounded but the shares of step 5, which are rounded down, with the missing units taken one each from
the first accounts in ascending order.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field

from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.collateral import convert_collateral, take_collateral
from darkpool.margin.accounts.defaults import CloseOut, deleverage, share_bad_debt, write_off
from darkpool.margin.accounts.house import BAD_DEBT, HOUSE, INSURANCE_FUND
from darkpool.margin.liquidation.plan import LiquidationOrder, mark
from darkpool.margin.liquidation.waterfall import ClosePrices, Transfer, Waterfall
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.units import AccountId, Cash, Lots, PriceUnits, Side, in_address_order

Debts = MutableMapping[AccountId, Cash]
"""What each account was covered for and has not paid back, in cash units; no entry is zero."""


@dataclass(frozen=True, slots=True)
class Variation:
    """What became of accounts that could not pay.

    Attributes:
        covered: what was paid for each account that owed, in cash units.
        closed: lots that were taken off them, in order.
        shared: what all cash bore together.
    """

    covered: Mapping[AccountId, Cash] = field(default_factory=dict)
    closed: tuple[Transfer, ...] = ()
    shared: Cash = field(default=Cash(0))


def settle_all_variation(
    accounts: PortfolioAccounts, margin: PortfolioMargin, debts: Debts
) -> Variation:
    """Settle variation of every contract at its mark; afterwards no account owes cash.

    No account has live intents or a bond any more. A contract that has expired is settled before,
    at its final price. `debts` is brought up to date.
    """
    for contract_index, contract in enumerate(accounts.contracts):
        if accounts.is_unsettled(contract_index) and not margin.has_expired(contract_index):
            accounts.settle_variation(contract.identifier, _mark(accounts, margin, contract_index))
    repay_debts(accounts, debts)
    debtors = _debtors(accounts)
    seized = {account: _seize(accounts, account, margin) for account in debtors}
    closed = [transfer for account in debtors for transfer in _close(accounts, account, margin)]
    covered: dict[AccountId, Cash] = {}
    for account in debtors:
        if owed := Cash(max(0, -accounts.cash(account))):
            write_off(accounts, account)
            covered[account] = owed
            if unpaid := max(0, owed - seized[account]):
                debts[account] = Cash(debts.get(account, 0) + unpaid)
    if fund_owes := max(0, -accounts.cash(INSURANCE_FUND)):
        _close_fund(accounts, margin)
        accounts.transfer(BAD_DEBT, INSURANCE_FUND, Cash(fund_owes))
    return Variation(covered, tuple(closed), share_bad_debt(accounts))


def repay_debts(accounts: PortfolioAccounts, debts: Debts) -> None:
    """Have accounts pay what they were covered for, out of what they have above zero, bonds too."""
    for account in in_address_order(debts):
        paid = Cash(max(0, min(debts[account], accounts.cash(account))))
        accounts.transfer(account, INSURANCE_FUND, paid)
        debts[account] = Cash(debts[account] - paid)
        if not debts[account]:
            del debts[account]


def _debtors(accounts: PortfolioAccounts) -> list[AccountId]:
    """Accounts of clients that owe cash, in ascending order."""
    return [a for a in accounts.accounts() if a not in HOUSE and accounts.cash(a) < 0]


def _seize(accounts: PortfolioAccounts, account: AccountId, margin: PortfolioMargin) -> Cash:
    """Take tokens for what an account owes; returns the value of those that nobody paid for yet."""
    convert_collateral(accounts, account, INSURANCE_FUND, margin)
    before = accounts.holdings(account).tokens
    take_collateral(accounts, account, margin)
    after = accounts.holdings(account).tokens
    return Cash(
        sum(margin.token_value(token, held - after.get(token, 0)) for token, held in before.items())
    )


def _mark(accounts: PortfolioAccounts, margin: PortfolioMargin, contract_index: int) -> PriceUnits:
    """What a unit of a contract is settled at: its value for a holder."""
    return mark(margin, accounts.contracts, contract_index, 1)


def _close(
    accounts: PortfolioAccounts, account: AccountId, margin: PortfolioMargin
) -> list[Transfer]:
    """Close all positions of an account that still owes, at the marks."""
    if accounts.cash(account) >= 0:
        return []
    waterfall, transfers = Waterfall(accounts, account, margin), []
    for order in _orders(accounts, account, margin):
        prices = ClosePrices(order.reserve, order.reserve)
        transfers += waterfall.close(order, prices, ())
    return transfers


def _orders(
    accounts: PortfolioAccounts, account: AccountId, margin: PortfolioMargin
) -> list[LiquidationOrder]:
    """What closes every position of an account at its mark, by contract index.

    A position in a contract that has expired is closed by its final settlement price.
    """
    orders = []
    for contract_index, contract in enumerate(accounts.contracts):
        net = accounts.position(account, contract_index).net
        if net and not margin.has_expired(contract_index):
            side = Side.SELL if net > 0 else Side.BUY
            price = _mark(accounts, margin, contract_index)
            order = LiquidationOrder(
                contract_index, contract.identifier, side, Lots(abs(net)), price
            )
            orders.append(order)
    return orders


def _close_fund(accounts: PortfolioAccounts, margin: PortfolioMargin) -> None:
    """Close the positions of a fund that owes cash against the accounts that gained most."""
    for order in _orders(accounts, INSURANCE_FUND, margin):
        close_out = CloseOut(order.instrument, order.size, order.reserve)
        deleverage(accounts, INSURANCE_FUND, close_out, margin)
