"""What records of void intervals justify in the records that follow them.

A record whose settlement no block had may be of an interval that ended void. The next record tells:
it builds on the settlement before both, where the void one would be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from darkpool.record.core import RecordView
from darkpool.record.due_forms import DueCharge, DueExpiry, DueFunding
from darkpool.verification.basis import Basis
from darkpool.verification.between import Between, Expiry, Funding, VoidCharge, due_between
from darkpool.verification.chain_check import is_unsettled
from darkpool.verification.continuity import check_later
from darkpool.verification.custody import head_of
from darkpool.verification.evidence import ChainEvidence
from darkpool.verification.report import Findings
from darkpool.verification.voids import charges_of, state_before

_LISTS: Final = ("expiries", "fundings", "charges")


def is_void_before(now: RecordView, before: RecordView) -> bool:
    """Whether the record before is of a void interval: both name one settlement before them."""
    named = now.summary.batch.previous_settlement
    return is_unsettled(before) and before.summary.batch.previous_settlement == named


def check_former_void(basis: Basis, former: Basis, findings: Findings) -> None:
    """A record begins where the void one before it began, with the same flows and some more."""
    now, before = basis.record.summary, former.record.summary
    check_later(basis, former, findings)
    findings.equal("collateral before", before.before, now.before)
    settled_ms = before.due.settled_ms
    findings.equal("due, time of the last settlement", settled_ms, now.due.settled_ms)
    findings.equal("flows", before.flows, now.flows[: len(before.flows)])
    head = head_of(basis.flows[len(before.flows) :], before.batch.flows_head)
    findings.equal("batch, flows head", head, now.batch.flows_head)


class KnownDue:
    """What an auditor knows of the void intervals before a record.

    Args:
        former: the record before it, None where there is none.
        said: what the chain says of the record; None where it was not asked.
    """

    def __init__(self, basis: Basis, former: Basis | None, said: ChainEvidence | None) -> None:
        self._record = basis.record
        self._former = former
        self._said = None if said is None or said.batch is None else said

    def check(self, findings: Findings) -> None:
        """What is due follows from the record before, or is of void intervals that have none.

        Raises:
            Unsound, UnreadablePart, MalformedRecord: a part of a record that is none.
        """
        stated, now = state_before(self._record).between, self._record.summary.interval
        void = range(1, now) if self._said is None else _intervals(self._said)
        for interval in sorted({entry.interval for entry in _entries(stated)} - {*void}):
            findings.add("due, interval", "a void one before", interval)
        last, known = self._last(), self._known()
        if known is None:
            return
        for name in _LISTS:
            entries = tuple(e for e in getattr(stated, name) if e.interval <= last)
            findings.equal(f"due, {name}", getattr(known, name), entries)
        if self._said is not None and max(_intervals(self._said), default=0) <= last:
            findings.equal("due, time of the last market", known.market_ms, stated.market_ms)
        elif stated.market_ms < known.market_ms:
            part, least = "due, time of the last market", f"at least {known.market_ms}"
            findings.add(part, least, stated.market_ms)

    def rests_on(self) -> tuple[str, ...]:
        """What of it is the keypers' word alone, in words; nothing where all is known.

        Raises:
            UnreadablePart: a part of the record has not its form.
        """
        due, last = self._record.summary.due, self._last()
        entries: list[DueExpiry | DueFunding | DueCharge]
        entries = [*due.expiries, *due.fundings, *due.charges]
        unknown = sorted({entry.interval for entry in entries if entry.interval > last})
        if not unknown:
            return ()
        named = ", ".join(map(str, unknown))
        return (f"what void intervals without a record here left ({named}) is the keypers' word",)

    def _last(self) -> int:
        """Up to this interval, what is due is known."""
        return 0 if self._former is None else self._former.record.summary.interval

    def _known(self) -> Between | None:
        if self._former is not None:
            if is_void_before(self._record, self._former.record):
                return _due_after(self._former.record)
            return Between(self._former.record.margin.market.time_ms)
        if self._said is not None and not self._said.voids:
            return Between(self._record.summary.due.settled_ms)
        return None


def _due_after(record: RecordView) -> Between:
    """What is due after a void interval."""
    state, summary = state_before(record), record.summary
    due = due_between(state.balances, state.between, summary.interval, record.margin)
    return replace(due, charges=due.charges + charges_of(record))


def _intervals(said: ChainEvidence) -> list[int]:
    return [batch.message.interval for batch in said.voids]


def _entries(due: Between) -> Iterator[Expiry | Funding | VoidCharge]:
    yield from due.expiries
    yield from due.fundings
    yield from due.charges
