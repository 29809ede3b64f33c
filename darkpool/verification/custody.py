"""From one settlement's balances to the next, computed apart from the engine.

An auditor checks a settlement so, and a keyper before it signs one: what the vaults tell, what was
paid, what is due in between, what the auctions filled and charged, and the marks give the leaves to
the byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from eth_hash.auto import keccak

from crypto.signing.sum_tree import SumLeaf
from darkpool.record.margin_forms import MarginInputs
from darkpool.verification.accounts import Position
from darkpool.verification.between import Between, VoidCharge, book_charges, book_prices
from darkpool.verification.errors import Unsound
from darkpool.verification.requirement import MarginModel
from darkpool.verification.variation import Balances, repay, settle_variation

RETIRED, FUND, TREASURY = (bytes(19) + bytes([number]) for number in (1, 2, 3))
"""Accounts under which the trees have grants of pruned leaves, the fund, and the treasury."""

DEPOSIT, REQUEST, NOTICE, RETURN = 1, 2, 3, 4
_WORD = 32


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


def head_of(flows: Iterable[FlowEvent], head: bytes = bytes(_WORD)) -> bytes:
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
        pruned: accounts that own nothing and were paid all that they were granted.
        between: what void intervals since then left due, and the time of the last market.
    """

    balances: Balances
    treasury: bytes
    deposit_min: int
    granted: dict[bytes, int] = field(default_factory=dict)
    free: dict[bytes, int] = field(default_factory=dict)
    pruned: set[bytes] = field(default_factory=set)
    between: Between = field(default_factory=Between)

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
    ) -> tuple[SumLeaf, ...]:
        """Settle variation and grant requests; returns the leaves, ascending.

        After the flows, fills and charges; `paid` is what the vault had paid at the commitment.
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
        return self._leaves(paid)

    def _free(self, name: bytes, model: MarginModel) -> int:
        account = self.balances.of(name)
        if not self._has_positions(name):
            return max(0, account.cash)
        net = {model.contract_indices[i]: p.net for i, p in account.positions.items()}
        cost = sum(position.cost for position in account.positions.values())
        left = model.surplus(account.cash, cost, net, ())
        return 0 if left is None else max(0, min(account.cash, left))

    def _has_positions(self, name: bytes) -> bool:
        held = self.balances.of(name).positions.values()
        return any((p.net, p.cost) != (Position().net, Position().cost) for p in held)

    def _leaves(self, paid: Mapping[bytes, int]) -> tuple[SumLeaf, ...]:
        names = {self.balances.fund: FUND, self.treasury: TREASURY}
        leaves, retired = [], 0
        self.pruned = set()
        for name in sorted({*self.balances.accounts, *self.granted}):
            exit_value = self.balances.of(name).cash
            granted = self.granted.get(name, 0)
            if exit_value < 0:
                raise Unsound(f"cash of 0x{name.hex()}", "at least 0", exit_value)
            if exit_value == 0 and granted == paid.get(name, 0):
                retired += granted
                self.pruned |= {name} if granted else set()
            elif exit_value or granted:
                leaves.append(SumLeaf(names.get(name, name), exit_value, granted))
        if retired:
            leaves.append(SumLeaf(RETIRED, 0, retired))
        return tuple(sorted(leaves, key=lambda leaf: leaf.account))
