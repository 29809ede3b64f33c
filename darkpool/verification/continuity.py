"""From one settlement to the next: what the one ended with, the other begins with."""

from __future__ import annotations

from typing import Final

from crypto.signing.messages import instrument_id
from darkpool.record.core import RecordView
from darkpool.record.margin_forms import MarginInputs
from darkpool.verification.basis import Basis
from darkpool.verification.custody import NO_FLOWS, head_of
from darkpool.verification.evidence import PreviousSettlement
from darkpool.verification.leaves import state_root
from darkpool.verification.reference import held_in
from darkpool.verification.report import Findings
from darkpool.verification.settlement import stated_settlement

NO_SETTLEMENT: Final = bytes(32)
"""What the first batch of a venue names as the settlement before it."""


def is_first(record: RecordView) -> bool:
    """Whether nothing was settled before, as the keypers signed."""
    return record.summary.batch.previous_settlement == NO_SETTLEMENT


def check_first(basis: Basis, findings: Findings) -> None:
    """Before the first settlement there is no account and no flow."""
    findings.equal("collateral before, accounts", 0, len(basis.record.summary.before))
    findings.equal("due, time of the last settlement", 0, basis.record.summary.due.settled_ms)
    _check_first_flow(basis, 0, findings)
    _check_head(basis, NO_FLOWS, findings)


def check_previous(basis: Basis, previous: PreviousSettlement | None, findings: Findings) -> None:
    """The states before are those that the settlement before bound on the chain."""
    summary = basis.record.summary
    if previous is None:
        named = summary.batch.previous_settlement
        findings.add("batch, previous settlement", "one on the chain", named)
        return
    findings.equal("collateral before, root", previous.state_root, _root_before(basis))
    _check_first_flow(basis, previous.flows, findings)


def check_later(basis: Basis, former: Basis, findings: Findings) -> None:
    """A record is of the same venue as the one before it, and no number or time goes back."""
    now, before = basis.record.summary, former.record.summary
    findings.equal("venue", before.venue, now.venue)
    if now.interval <= before.interval:
        findings.add("interval", f"above {before.interval}", now.interval)
    _check_times(basis.record, former.record, findings)
    check_contracts(basis.record, former.record.margin, basis.record.margin, findings)


def check_prices_before(
    basis: Basis,
    previous: PreviousSettlement | None,
    stated: MarginInputs | None,
    findings: Findings,
) -> None:
    """What is said of the prices of the settlement before is true, and what is held is the same."""
    if previous is None:
        return
    digest = None if stated is None else stated.digest()
    findings.equal("prices of the settlement before", previous.prices, digest)
    if stated is not None and digest == previous.prices:
        check_contracts(basis.record, stated, basis.record.margin, findings)


def check_contracts(
    record: RecordView, before: MarginInputs, now: MarginInputs, findings: Findings
) -> None:
    """What accounts hold is the contract that they took: another one would be worth something else.

    Raises:
        Unsound: positions that are none.
    """
    held = held_in(record.summary.before)
    known, listed = (
        {instrument_id(c.name): c for c in inputs.specification.contracts}
        for inputs in (before, now)
    )
    for instrument in sorted(held & known.keys() & listed.keys()):
        taken, found = known[instrument], listed[instrument]
        for name in ("kind", "underlying", "multiplier", "expiry_ms", "strike"):
            part = f"contract {taken.name}, {name}"
            findings.equal(part, getattr(taken, name), getattr(found, name))


def check_former(basis: Basis, former: Basis, findings: Findings) -> None:
    """A record goes on where the record of the settlement before it ended.

    Raises:
        UnreadablePart, MalformedRecord: a part of the former record that cannot be read.
    """
    now, before = basis.record.summary, former.record.summary
    check_later(basis, former, findings)
    ended = stated_settlement(former.record, former.terms).struct_hash()
    findings.equal("batch, previous settlement", ended, now.batch.previous_settlement)
    findings.equal("collateral before", before.after, now.before)
    root = former.record.evidence.settlement.state_root
    findings.equal("collateral before, root", root, _root_before(basis))
    findings.equal(
        "due, time of the last settlement", former.record.margin.market.time_ms, now.due.settled_ms
    )
    _check_first_flow(basis, before.batch.flows, findings)
    _check_head(basis, before.batch.flows_head, findings)


def _root_before(basis: Basis) -> bytes:
    summary = basis.record.summary
    return state_root(summary.before, summary.due.settled_ms)


def _check_first_flow(basis: Basis, counted: int, findings: Findings) -> None:
    """No flow is missing between the last one that was counted before and the first one."""
    summary = basis.record.summary
    first = summary.batch.flows - len(summary.flows)
    findings.equal("flows, last one before", counted, first)


def _check_head(basis: Basis, head: bytes, findings: Findings) -> None:
    derived = head_of(basis.flows, head)
    findings.equal("batch, flows head", derived, basis.record.summary.batch.flows_head)


def _check_times(now: RecordView, before: RecordView, findings: Findings) -> None:
    """No price is of a time before the one of the same thing in the record before."""
    earlier, later = before.margin.market.time_ms, now.margin.market.time_ms
    if later < earlier:
        findings.add("market, time", f"at least {earlier}", later)
    observed = {r.instrument: r.observed_at for r in before.summary.references}
    for index, reference in enumerate(now.summary.references):
        least = observed.get(reference.instrument, 0)
        if reference.observed_at < least:
            part = f"reference {index}, time"
            findings.add(part, f"at least {least}", reference.observed_at)
