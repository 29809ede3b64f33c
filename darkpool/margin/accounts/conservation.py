"""What every change of accounts keeps: cash, tokens, and lots and cost of each contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from darkpool.errors import NotConserved
from darkpool.margin.accounts.account import Account
from darkpool.margin.market.instruments import Contract
from darkpool.units import AccountId


def verify_cash(entries: Mapping[AccountId, Account], paid_in: int) -> None:
    """Check that all cash is what was paid in, cash units.

    Raises:
        NotConserved: it is not, more was paid out than in, or a bond is less than nothing.
    """
    if paid_in < 0:
        raise NotConserved("cash paid in, in cash units", 0, paid_in)
    for account, entry in entries.items():
        if (entry.bond or 0) < 0:
            raise NotConserved(f"bond of {account}, in cash units", 0, entry.bond or 0)
    cash = sum(entry.total for entry in entries.values())
    if cash != paid_in:
        raise NotConserved("cash, in cash units", paid_in, cash)


def verify_tokens(entries: Mapping[AccountId, Account], paid_in: Mapping[str, int]) -> None:
    """Check that all tokens are those that were paid in, millionths of each.

    Raises:
        NotConserved: they are not, or an account has less than none.
    """
    for token, paid in paid_in.items():
        tokens = [entry.tokens.get(token, 0) for entry in entries.values()]
        if sum(tokens) != paid or min(tokens, default=0) < 0:
            raise NotConserved(f"{token}, in millionths", paid, sum(tokens))


def verify_positions(entries: Mapping[AccountId, Account], contracts: Sequence[Contract]) -> None:
    """Check that lots and cost of each contract add up to zero over all accounts.

    Raises:
        NotConserved: they do not.
    """
    for contract_index, contract in enumerate(contracts):
        positions = [entry.position(contract_index) for entry in entries.values()]
        lots, cost = sum(p.net for p in positions), sum(p.cost for p in positions)
        if lots or cost:
            what = f"{'lots' if lots else 'cost in cash units'} of {contract.name}"
            raise NotConserved(what, 0, lots or cost)
