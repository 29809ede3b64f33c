"""The state that a settlement signs besides the leaves: what the next interval begins with.

Leaves say what each account could leave with. Positions, debts, grants of accounts that have left,
what was free and the time of the market are not in them. `state_root` binds all of it, so the next
settlement can be computed by anybody who has the bytes, and none can be slipped in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crypto.signing.merkle import merkle_root
from darkpool.margin.accounts.account import Account
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.positions import Position, encode_positions
from darkpool.margin.market.instruments import Specification
from darkpool.settlement.between import Between
from darkpool.settlement.claims import Claims
from darkpool.settlement.custody import CashVault, Custody
from darkpool.settlement.flows import FlowBook
from darkpool.units import AccountId, Cash, InstrumentId, account_bytes, in_address_order

_AMOUNT_BYTES = 16


@dataclass(frozen=True, slots=True)
class AccountState:
    """One account after a settlement, in cash units; none of the amounts is below zero.

    Attributes:
        cash: all of it; there is no bond then.
        debt: what it was covered for and has not paid back.
        granted: all that it was ever granted for withdrawal.
        is_pruned: whether its grants are in the retired leaf.
        free: what it did not need; 0 without positions.
        positions: by instrument.
    """

    account: AccountId
    cash: int
    debt: int
    granted: int
    is_pruned: bool
    free: int
    positions: dict[InstrumentId, Position]

    def encode(self) -> bytes:
        """The leaf: address, four amounts of 16 bytes, a byte for `is_pruned`, then positions."""
        amounts = (self.cash, self.debt, self.granted, self.free)
        words = [amount.to_bytes(_AMOUNT_BYTES, "big") for amount in amounts]
        head = account_bytes(self.account) + b"".join(words) + bytes([self.is_pruned])
        return head + encode_positions(self.positions)


def states_of(custody: Custody) -> tuple[AccountState, ...]:
    """Every account that has, owes or ever had something, in the order of their addresses."""
    accounts, claims = custody.accounts, custody.claims
    names = {*accounts.accounts(), *custody.debts, *claims.granted, *claims.left}
    states = (
        AccountState(
            account=account,
            cash=accounts.cash(account),
            debt=custody.debts.get(account, Cash(0)),
            granted=claims.granted.get(account, 0) + claims.left.get(account, 0),
            is_pruned=account in claims.left,
            free=custody.free.get(account, Cash(0)),
            positions={i: p for i, p in accounts.positions(account).items() if p != Position()},
        )
        for account in in_address_order(names)
    )
    return tuple(s for s in states if s.cash or s.debt or s.granted or s.positions)


def state_root(states: Iterable[AccountState], market_ms: int) -> bytes:
    """The 32 bytes that bind the state of all accounts, which come in the order of addresses.

    `market_ms` is the time of the settlement's market: the next funding counts from there. It is
    the first leaf, of 8 bytes; those of accounts are longer.
    """
    return merkle_root([market_ms.to_bytes(8, "big"), *(state.encode() for state in states)])


def custody_of(
    vault: CashVault,
    specification: Specification,
    states: Iterable[AccountState],
    flows: FlowBook,
    between: Between,
) -> Custody:
    """Where the next interval begins: the same custody, from its states and what came since.

    `between` has the time of the settlement's market alone, and more after a void interval.
    """
    numbers = {c.identifier: k for k, c in enumerate(specification.contracts.values())}
    known = tuple(states)
    entries = {
        state.account: Account(
            cash=state.cash,
            positions={numbers[i]: p for i, p in state.positions.items()},
            paid=state.cash,
        )
        for state in known
    }
    granted = {s.account: s.granted for s in known if s.granted}
    pruned = {s.account for s in known if s.is_pruned}
    return Custody(
        vault,
        PortfolioAccounts(specification, entries),
        Claims(
            {account: amount for account, amount in granted.items() if account not in pruned},
            {account: amount for account, amount in granted.items() if account in pruned},
        ),
        flows,
        {s.account: Cash(s.debt) for s in known if s.debt},
        {s.account: Cash(s.free) for s in known if s.positions},
        {s.account: Cash(s.cash) for s in known},
        between,
    )
