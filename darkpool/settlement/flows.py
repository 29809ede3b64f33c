"""What clients do at the vaults between two commitments, in the one order that the chain gives it.

Deposits, requests, notices and returns ("flows") extend one hash chain in the contract Settlement.
A batch counts the flows up to its commitment. Which of them it settles follows from the list alone:

- A deposit counts in the first settled batch that was committed after it, unless it was returned
  before that commitment.
- A request asks the next settlement for a withdrawal; the last one of an account and vault counts,
  and what is not granted lapses.
- A notice of a deposit that is not returned by then counts as a request for as much, beside it.

A void batch settles nothing: its flows wait for the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from darkpool.protocol.flows import NO_FLOWS, Flow, FlowKind
from darkpool.settlement.errors import FlowOutOfOrder
from darkpool.units import AccountId


@dataclass(frozen=True, slots=True)
class Deposit:
    """A deposit that no settled batch has counted, and that was not returned."""

    vault: AccountId
    account: AccountId
    amount: int
    is_noticed: bool = False


Amounts = Mapping[tuple[AccountId, AccountId], int]
"""Token units by vault and account; no entry is zero."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What a batch counts: deposits and requests in token units, by vault and account."""

    deposits: Amounts
    requests: Amounts


@dataclass(slots=True)
class FlowBook:
    """The flows that no settlement has answered.

    Attributes:
        last: index of the last flow.
        head: hash of all flows, 32 bytes.
    """

    last: int = 0
    head: bytes = NO_FLOWS
    _deposits: dict[int, Deposit] = field(default_factory=dict)
    _requests: dict[tuple[AccountId, AccountId], int] = field(default_factory=dict)

    def add(self, flows: Iterable[Flow]) -> None:
        """Take further flows, in their order.

        Raises:
            FlowOutOfOrder: the next flow is missing, or a notice or a return is of no deposit.
        """
        for flow in flows:
            if flow.index != self.last + 1:
                raise FlowOutOfOrder("flow", f"number {self.last + 1}", f"number {flow.index}")
            self._take(flow)
            self.last, self.head = flow.index, flow.head_after(self.head)

    def counted(self) -> Counted:
        """What a batch that was committed after the last flow counts."""
        deposits: dict[tuple[AccountId, AccountId], int] = {}
        requests = dict(self._requests)
        for deposit in self._deposits.values():
            key = (deposit.vault, deposit.account)
            deposits[key] = deposits.get(key, 0) + deposit.amount
            if deposit.is_noticed:
                requests[key] = requests.get(key, 0) + deposit.amount
        return Counted(deposits, {key: amount for key, amount in requests.items() if amount})

    def settle(self) -> None:
        """A batch that was committed after the last flow has settled: nothing waits any more."""
        self._deposits.clear()
        self._requests.clear()

    def _take(self, flow: Flow) -> None:
        match flow.kind:
            case FlowKind.DEPOSIT:
                self._deposits[flow.index] = Deposit(flow.vault, flow.account, flow.amount)
            case FlowKind.REQUEST:
                self._requests[flow.vault, flow.account] = flow.amount
            case FlowKind.NOTICE:
                deposit = self._own(flow)
                noticed = Deposit(deposit.vault, deposit.account, deposit.amount, is_noticed=True)
                self._deposits[flow.number] = noticed
            case FlowKind.RETURN:
                self._own(flow)
                del self._deposits[flow.number]

    def _own(self, flow: Flow) -> Deposit:
        deposit = self._deposits.get(flow.number)
        told = (flow.vault, flow.account, flow.amount)
        if deposit is None or (deposit.vault, deposit.account, deposit.amount) != told:
            subject, name = (
                f"{flow.kind.name.lower()} at flow {flow.index}",
                f"deposit {flow.number}",
            )
            raise FlowOutOfOrder(subject, "a deposit that waits", name)
        return deposit
