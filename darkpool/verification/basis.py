"""What several checks of one record build on, each part of it computed once.

Every examination has a basis of its own, so examinations in several threads share nothing.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property

from crypto.threshold.attestation import OpeningEntry
from darkpool.record.core import RecordView, core_digest
from darkpool.verification.accounts import Account, live_intent, surplus
from darkpool.verification.between import due_between
from darkpool.verification.custody import FlowEvent, Settled, Waiting, waiting
from darkpool.verification.openings import terms_digest
from darkpool.verification.requirement import LiveIntent, MarginModel


class Basis:
    """A record, and what follows from it.

    A part that cannot be computed raises the same error whenever it is asked for: `Unsound`,
    `MalformedRecord` or `UnreadablePart`.
    """

    def __init__(self, record: RecordView) -> None:
        self.record = record
        self._unchanged: Settled | None = None

    @cached_property
    def model(self) -> MarginModel:
        """Margin as the record says."""
        return MarginModel(self.record.margin)

    @cached_property
    def owners(self) -> dict[bytes, bytes]:
        """Owner of every account that has one besides itself; all others own themselves."""
        return {e.account: e.owner for e in self.record.summary.participation.owners}

    @cached_property
    def material(self) -> bytes:
        """The digest of the public keys, 32 bytes."""
        return self.record.material().digest()

    @cached_property
    def terms(self) -> bytes:
        """The digest of the terms, 32 bytes."""
        return terms_digest(self.record, self.material)

    @cached_property
    def written(self) -> tuple[OpeningEntry, ...]:
        """All openings as keypers write them down."""
        record = self.record
        return tuple(record.opening(index).written() for index in range(len(record.openings)))

    @cached_property
    def core(self) -> bytes:
        """The digest of the record's core, 32 bytes."""
        opened = [entry.digest() for entry in self.written]
        return core_digest(self.record, opened, self.material)

    @cached_property
    def flows(self) -> tuple[FlowEvent, ...]:
        """The flows since the settlement before."""
        return tuple(
            FlowEvent(flow.index, flow.kind, flow.vault, flow.account, flow.amount, flow.number)
            for flow in self.record.summary.flows
        )

    @cached_property
    def waiting(self) -> Waiting:
        """What the flows ask of the cash vault."""
        return waiting(self.flows, self.record.summary.venue.vault)

    @cached_property
    def uncovered(self) -> frozenset[bytes]:
        """Accounts that do not cover the bond and all their caps at once at the commitment."""
        record, model = self.record, self.model
        numbers = {i.identifier: k for k, i in enumerate(record.summary.instruments)}
        live: dict[bytes, list[LiveIntent]] = defaultdict(list)
        for intent in record.intents:
            number, of_account = numbers.get(intent.sealed.instrument), live[intent.sealed.account]
            if number is not None:
                of_account.append(live_intent(record, model, number, intent.sealed.cap))
        state = self.committed()
        accounts, missing = state.balances.accounts, Account(0)
        bond = record.summary.bond.amount
        uncovered = set()
        for name, intents in live.items():
            account = accounts.get(name, missing)
            left = surplus(model, account, intents)
            if left is None or min(left, account.cash) < bond:
                uncovered.add(name)
        # thousands of accounts are read once: who asks for them next may change them
        self._unchanged = state
        return frozenset(uncovered)

    def committed(self) -> Settled:
        """All accounts as of the commitment, for whoever asks to change.

        What is due since the settlement before is booked, deposits count, debts are paid of them.
        """
        if self._unchanged is not None:
            state, self._unchanged = self._unchanged, None
            return state
        summary, inputs = self.record.summary, self.record.margin
        deposit_min = summary.venue.deposit_min
        state = Settled.of(summary.before, summary.bond.treasury, deposit_min, summary.due)
        due = due_between(state.balances, state.between, summary.interval, inputs)
        state.count(due, self.waiting.deposits, inputs)
        return state
