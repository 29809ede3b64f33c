"""From one settlement's states to the next, computed apart from the engine.

An auditor checks a settlement so, and a keyper before it signs one: what the vaults tell, what was
paid, what is due in between, what the auctions filled and charged, and the marks give the states to
the byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from eth_hash.auto import keccak

from crypto.signing.sum_tree import AMOUNT_MAX
from darkpool.record.due_forms import DueRecord
from darkpool.record.forms import StateRecord
from darkpool.record.margin_forms import MarginInputs
from darkpool.units import account_of
from darkpool.verification.accounts import Account, encode_positions, read_positions, surplus
from darkpool.verification.between import (
    Between,
    Expiry,
    Funding,
    VoidCharge,
    book_charges,
    book_prices,
)
from darkpool.verification.errors import Unsound
from darkpool.verification.leaves import BAD_DEBT, INSURANCE_FUND, leaf_name
from darkpool.verification.requirement import MarginModel
from darkpool.verification.variation import Balances, repay, settle_variation

DEPOSIT, REQUEST, NOTICE, RETURN = 1, 2, 3, 4
NO_FLOWS: Final = bytes(32)
"""The hash of no flows."""

_WORD: Final = 32
_NO_POSITIONS: Final = encode_positions({})


@dataclass(frozen=True, slots=True)
class FlowEvent:
    """A flow as the contract's event tells it: addresses of 20 bytes, amounts in token units."""

    index: int
    kind: int
    vault: bytes
    account: bytes
    amount: int
    number: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """What flows ask of the next settlement, by account, in token units."""

    deposits: Mapping[bytes, int]
    requests: Mapping[bytes, int]


def head_of(flows: Iterable[FlowEvent], head: bytes = NO_FLOWS) -> bytes:
    """The hash of a chain of flows, after the flows with the hash `head`."""
    for flow in flows:
        numbers = (flow.index, flow.kind)
        words = [head, *(number.to_bytes(_WORD, "big") for number in numbers)]
        words += [flow.vault.rjust(_WORD, b"\0"), flow.account.rjust(_WORD, b"\0")]
        words += [number.to_bytes(_WORD, "big") for number in (flow.amount, flow.number)]
        head = keccak(b"".join(words))
    return head


def waiting(flows: Iterable[FlowEvent], vault: bytes) -> Waiting:
    """What the flows since the last settlement ask of the next one, at one vault.

    Raises:
        Unsound: a notice or a return of no deposit among them.
    """
    deposits: dict[int, FlowEvent] = {}
    noticed: set[int] = set()
    requests: dict[bytes, int] = {}
    for flow in flows:
        if flow.vault != vault:
            continue
        if flow.kind == DEPOSIT:
            deposits[flow.index] = flow
        elif flow.kind == REQUEST:
            requests[flow.account] = flow.amount
        elif flow.number not in deposits:
            part = f"flow {flow.index}, deposit"
            raise Unsound(part, "one that no settlement counts", flow.number)
        elif flow.kind == NOTICE:
            noticed.add(flow.number)
        else:
            del deposits[flow.number]
    counted: dict[bytes, int] = {}
    for index, flow in deposits.items():
        counted[flow.account] = counted.get(flow.account, 0) + flow.amount
        if index in noticed:
            requests[flow.account] = requests.get(flow.account, 0) + flow.amount
    return Waiting(counted, requests)


@dataclass(slots=True)
class Settled:
    """All that goes from one settlement to the next.

    Attributes:
        balances: cash and positions of all accounts, and their debts.
        treasury: the account that charges go to.
        deposit_min: the least deposit that the vault takes.
        granted: all that each account was ever granted, pruned or not.
        free: what accounts with positions did not need.
        between: what void intervals since then left due, and the time of the last market.
    """

    balances: Balances
    treasury: bytes
    deposit_min: int
    granted: dict[bytes, int] = field(default_factory=dict)
    free: dict[bytes, int] = field(default_factory=dict)
    between: Between = field(default_factory=Between)

    @classmethod
    def of(
        cls, states: Iterable[StateRecord], treasury: bytes, deposit_min: int, due: DueRecord
    ) -> Settled:
        """Where the states of a settlement, and void intervals since then, leave off.

        Raises:
            Unsound: positions that are none.
        """
        accounts, granted, free, debts = {}, {}, {}, {}
        for state in states:
            name = state.account
            accounts[name] = Account(state.cash, read_positions(name, state.positions))
            if state.granted:
                granted[name] = state.granted
            if state.debt:
                debts[name] = state.debt
            if accounts[name].positions:
                free[name] = state.free
        balances = Balances(accounts, INSURANCE_FUND, BAD_DEBT, debts)
        return cls(balances, treasury, deposit_min, granted, free, _between(due))

    def void(self, due: Between, charges: tuple[VoidCharge, ...]) -> None:
        """An interval ended void: what was due stays due, and what it found is due too."""
        self.between = replace(due, charges=due.charges + charges)

    def count(self, due: Between, deposits: Mapping[bytes, int], inputs: MarginInputs) -> None:
        """Book what is due, and credit deposits: debts are paid out of them first, then charges.

        Raises:
            Unsound: a contract that is not in the specification.
        """
        book_prices(self.balances, due, inputs)
        for name, amount in deposits.items():
            self.balances.of(name).cash += amount
        repay(self.balances)
        book_charges(self.balances, due, self.treasury)
        self.between = Between(due.market_ms)

    def settle(
        self, requests: Mapping[bytes, int], paid: Mapping[bytes, int], model: MarginModel
    ) -> tuple[StateRecord, ...]:
        """Settle variation and grant requests; returns the states of all accounts, ascending.

        After the flows, fills and charges; `paid` is what the vault had paid at the commitment.

        Raises:
            Unsound: a number is not what a state can have.
        """
        settle_variation(self.balances, model)
        for name in sorted(requests):
            most = self._free(name, model)
            if self._has_positions(name):
                most = min(most, self.free.get(name, 0))
            amount = min(requests[name], most)
            if amount and not self._has_positions(name) and most - amount < self.deposit_min:
                amount = most
            self.balances.of(name).cash -= amount
            self.granted[name] = self.granted.get(name, 0) + amount
        names = [name for name in self.balances.accounts if self._has_positions(name)]
        self.free = {name: self._free(name, model) for name in names}
        return tuple(self._states(paid))

    def _free(self, name: bytes, model: MarginModel) -> int:
        account = self.balances.of(name)
        if not self._has_positions(name):
            return max(0, account.cash)
        left = surplus(model, account)
        return 0 if left is None else max(0, min(account.cash, left))

    def _has_positions(self, name: bytes) -> bool:
        held = self.balances.of(name).positions.values()
        return any(position.net or position.cost for position in held)

    def _states(self, paid: Mapping[bytes, int]) -> Iterator[StateRecord]:
        balances, debts = self.balances, self.balances.debts
        for name in sorted({*balances.accounts, *debts, *self.granted}):
            account, granted = balances.of(name), self.granted.get(name, 0)
            # what fund and treasury own is in leaves of other names
            owned = account.cash if leaf_name(name, self.treasury) == name else 0
            state = StateRecord(
                account=name,
                cash=account.cash,
                debt=debts.get(name, 0),
                granted=granted,
                is_pruned=granted > 0 and owned == 0 and granted == paid.get(name, 0),
                free=self.free.get(name, 0),
                positions=encode_positions(account.positions),
            )
            if state.cash or state.debt or granted or state.positions != _NO_POSITIONS:
                _require_amounts(state)
                yield state


def _between(due: DueRecord) -> Between:
    return Between(
        due.market_ms,
        tuple(Expiry(each.interval, each.instrument, each.price) for each in due.expiries),
        tuple(Funding(each.interval, each.instrument, each.for_a_unit) for each in due.fundings),
        tuple(VoidCharge(each.interval, each.account, each.amount) for each in due.charges),
    )


def _require_amounts(state: StateRecord) -> None:
    for what, amount in (("cash", state.cash), ("debt", state.debt), ("granted", state.granted)):
        if not 0 <= amount <= AMOUNT_MAX:
            part = f"state of {account_of(state.account)}, {what}"
            raise Unsound(part, "at least 0, and 16 bytes", amount)
