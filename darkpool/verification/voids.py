"""What intervals left due that were committed and ended void since a settlement.

The chain says which they are, and which terms their batches were committed under; the terms name
the prices. What their rejected intents cost follows from openings that a quorum signed. See
docs/decisions/0024-between-settlements.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from crypto.signing.eip712 import Domain
from darkpool.record.core import RecordView
from darkpool.record.margin_forms import MarginInputs
from darkpool.verification import prices
from darkpool.verification.asked import AskedChain
from darkpool.verification.basis import Basis
from darkpool.verification.between import Between, VoidCharge, due_between, void_charges
from darkpool.verification.continuity import check_contracts
from darkpool.verification.custody import Settled
from darkpool.verification.evidence import ChainBatch, ChainReader
from darkpool.verification.examination import Examination, no_masks
from darkpool.verification.lines import Line, Lines
from darkpool.verification.reference import check_reported, held_in
from darkpool.verification.report import Findings, Verdict

_LAST_LINE: Final = "rejections"
"""What comes after it in an examination is of fills and balances, which a void undoes."""


@dataclass(frozen=True, slots=True)
class LeftByVoid:
    """An interval that was committed and ended void, as it is said to be.

    Attributes:
        terms: digest of the terms, 32 bytes, which `margin` was compared with.
        record: what was opened in it; None where the openings were not complete or not signed.
        times: when the references of its terms were observed, Unix ms.
    """

    interval: int
    terms: bytes
    margin: MarginInputs
    record: RecordView | None
    times: tuple[int, ...] = ()


class DueCheck:
    """What a proposed settlement books of void intervals is what follows from these.

    Args:
        asked: the chain beside the record of the settlement.
        voids: what is said of the void intervals, in their order.
    """

    def __init__(self, asked: AskedChain, voids: Sequence[LeftByVoid], chain: ChainReader) -> None:
        self._asked = asked
        self._voids = voids
        self._chain = chain

    def check(self, findings: Findings) -> None:
        """Expiries, funding and charges are those of the void intervals: none more, none less.

        Raises:
            NotChecked: the chain was not asked.
            Unsound: a market that is earlier than the one before it, or lacks a number.
            Unanswered: the chain gives no answer that can be used.
        """
        _check_committed(self._voids, self._asked.require().voids, findings)
        if not findings.clean:
            return
        state = state_before(self._asked.record)
        due = Between(self._asked.record.summary.due.settled_ms)
        for void in self._voids:
            charges = self._charges(void, due, findings)
            due = due_between(state.balances, due, void.interval, void.margin)
            due = replace(due, charges=due.charges + charges)
        if findings.clean:
            _check_same(due, state.between, findings)

    def _charges(
        self, void: LeftByVoid, due: Between, findings: Findings
    ) -> tuple[VoidCharge, ...]:
        """What a void interval charges, once its prices and its openings were looked at."""
        lines = Lines(lambda _step: None)
        domain = self._asked.record.summary.venue.domain()
        lines.run(Line("prices", "", "", (lambda told: _check_prices(void, domain, told),)))
        lines.run(Line("held", "", "", (lambda told: self._check_held(void, told),)))
        if void.record is not None:
            asked = AskedChain(Basis(void.record), self._chain, self._asked.prices_before)
            _examine(asked, (void.interval, due), lines)
        part = f"void interval {void.interval}"
        for check in lines.checks:
            for found in check.differences:
                findings.add(f"{part}, {found.part}", found.expected, found.got)
            if check.verdict is Verdict.NOT_CHECKED:
                findings.add(f"{part}, {check.part}", "a check that could run", check.detail)
        return charges_of(void.record) if void.record is not None and findings.clean else ()

    def _check_held(self, void: LeftByVoid, findings: Findings) -> None:
        """What accounts held was the contract that they took, at prices of the market's time."""
        record, before = self._asked.record, self._asked.prices_before
        check_reported(void.margin, held_in(record.summary.before), void.times, findings)
        if before is not None:
            check_contracts(record, before, void.margin, findings)


def state_before(record: RecordView) -> Settled:
    """Balances as of the settlement before, and what void intervals since then left due, as stated.

    Raises:
        Unsound: positions that are none.
    """
    summary = record.summary
    return Settled.of(summary.before, summary.bond.treasury, summary.venue.deposit_min, summary.due)


def charges_of(record: RecordView) -> tuple[VoidCharge, ...]:
    """What the rejected intents of a void interval cost their accounts."""
    summary = record.summary
    rejected = [record.intents[found.intent].sealed.account for found in summary.rejections]
    bond = summary.bond
    return void_charges(summary.interval, rejected, bond.amount, bond.charge_ppm)


def _check_committed(
    voids: Sequence[LeftByVoid], committed: Sequence[ChainBatch], findings: Findings
) -> None:
    """They are those of the chain, each under the terms that its batch was committed under."""
    expected = [batch.message.interval for batch in committed]
    got = [void.interval for void in voids]
    if expected != got:
        findings.add("void intervals since the settlement before", expected, got)
        return
    for void, batch in zip(voids, committed, strict=True):
        findings.equal(f"void interval {void.interval}, terms", batch.message.terms, void.terms)


def _check_same(expected: Between, got: Between, findings: Findings) -> None:
    findings.equal("due, time of the last market", expected.market_ms, got.market_ms)
    for name in ("expiries", "fundings", "charges"):
        findings.equal(f"due, {name}", getattr(expected, name), getattr(got, name))


def _check_prices(void: LeftByVoid, domain: Domain, findings: Findings) -> None:
    prices.check_specification(void.margin, findings)
    prices.check_market(void.margin, domain, findings)


def _examine(asked: AskedChain, expected: tuple[int, Between], lines: Lines) -> None:
    """Find who was at fault in a void interval, as before its settlement would have been signed.

    `expected` are its number, and what was due before it.
    """
    interval, due = expected
    record = asked.record
    examined = Examination(record, lines, no_masks, signed=False)
    for line in examined.lines():
        lines.run(line)
        if line.name == _LAST_LINE:
            break
    lines.run(Line("chain", "chain", "", (asked.check_committed,)))
    lines.run(Line("continuity", "states before", "", (asked.check_continuity,)))

    def check_due(findings: Findings) -> None:
        findings.equal("interval", interval, record.summary.interval)
        _check_same(due, state_before(record).between, findings)

    lines.run(Line("due", "due", "", (check_due,)))
