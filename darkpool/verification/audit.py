"""The audit: every check in turn, each a line, from nothing but a record and, at best, a chain.

Several records of one venue are audited in the order of their intervals, each beside the one
before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from darkpool.errors import UnreadablePart, WrongType
from darkpool.record.reader import Record
from darkpool.units import account_of, require_kind
from darkpool.verification import batch, chain_check, continuity, evidence, settlement
from darkpool.verification.basis import Basis
from darkpool.verification.circuits import CircuitCheck, CircuitInputs
from darkpool.verification.errors import Unanswered
from darkpool.verification.evidence import Anchor, ChainEvidence, ChainReader
from darkpool.verification.examination import Examination
from darkpool.verification.lines import Line, LineCheck, Lines
from darkpool.verification.report import Audited, AuditReport, Check, Findings, Verdict
from darkpool.verification.void_records import KnownDue, check_former_void, is_void_before


def audit(
    directory: Path,
    chain: ChainReader | None = None,
    *,
    quick: bool = False,
    anchor: Anchor | None = None,
    progress: Callable[[str], None] = lambda _step: None,
) -> AuditReport:
    """Check a record; `quick` leaves out the circuits, `progress` hears of every step.

    `anchor` is what the auditor knows of the venue from elsewhere: without it, a record of another
    venue, with keypers of its maker's own, passes as well.

    Never raises for what it finds: every check has a line of every report. A part that cannot be
    read fails `form`, and leaves out the checks that need it.

    Raises:
        WrongType: an argument of another kind.
    """
    require_kind("record", Path, directory)
    (report,) = audit_all([directory], chain, quick=quick, anchor=anchor, progress=progress)
    return report


def audit_all(
    directories: Sequence[Path],
    chain: ChainReader | None = None,
    *,
    quick: bool = False,
    anchor: Anchor | None = None,
    progress: Callable[[str], None] = lambda _step: None,
) -> tuple[AuditReport, ...]:
    """Check records of one venue in the order of their intervals; a report for each.

    Each has to go on where the one before it ended: no settlement is left out between two of them.
    The other arguments are those of `audit`, and what is raised is the same.
    """
    for directory in directories:
        require_kind("record", Path, directory)
    anchor = require_kind("anchor", Anchor, Anchor() if anchor is None else anchor)
    require_kind("quick", bool, quick)
    if not callable(progress):
        raise WrongType("progress", "a function", progress)
    if chain is not None and not isinstance(chain, ChainReader):
        raise WrongType("chain", "a ChainReader", chain)
    reports: list[AuditReport] = []
    former: Basis | None = None
    for directory in directories:
        one = _Audit(Record(directory), chain, quick, anchor, former, progress)
        reports.append(one.run(directory))
        former = one.basis
    return tuple(reports)


class _Audit:
    def __init__(
        self,
        record: Record,
        chain: ChainReader | None,
        quick: bool,
        anchor: Anchor,
        former: Basis | None,
        progress: Callable[[str], None],
    ) -> None:
        self._record = record
        self._chain = chain
        self._quick = quick
        self._anchor = anchor
        self._former = former
        self._progress = progress
        self._lines = Lines(progress)
        self._examined = Examination(record, self._lines, lambda: record.masks, signed=True)
        self._said: ChainEvidence | None = None

    @property
    def basis(self) -> Basis:
        """The record, for an audit of the next one."""
        return self._examined.basis

    def run(self, directory: Path) -> AuditReport:
        self._check_folder()
        own = {
            "committee": self._check_anchor,
            "certificates": self._check_ciphertexts,
            "batch root": self._check_masks,
            "rejections": self._check_circuits,
        }
        for line in self._examined.lines():
            self._lines.run(line)
            own.get(line.name, lambda: None)()
        self._note_unsigned()
        unanswered = self._check_chain()
        self._check_continuity()
        self._require_bound_anchor()
        return AuditReport(tuple(self._lines.checks), self._audited(directory), unanswered)

    def _audited(self, directory: Path) -> Audited:
        interval, instruments, manifest = None, None, None
        with suppress(UnreadablePart):
            manifest = self._record.manifest_digest
        with suppress(UnreadablePart):
            summary = self._record.summary
            interval, instruments = summary.interval, tuple(i.name for i in summary.instruments)
        return Audited(str(directory), interval, instruments, self._record.versions, manifest)

    def _run(self, name: str, covered: str, detail: str, check: Callable[[Findings], None]) -> None:
        self._lines.run(Line(name, covered, detail, (check,)))

    def _leave_out(self, name: str, covered: str, why: str) -> None:
        self._lines.checks.append(Check(name, covered, Verdict.NOT_CHECKED, why))

    def _check_folder(self) -> None:
        record = self._record
        self._run("form", "record", "all parts have the form of their version", self._check_form)
        files = self._examined.counted("files", lambda _record: record.manifest.files)
        self._run("files", files, "SHA-256 as in the manifest", self._check_files)

    def _check_form(self, findings: Findings) -> None:
        for problem in self._record.problems:
            findings.add(problem.subject, problem.expected, problem.got)

    def _check_files(self, findings: Findings) -> None:
        for wrong in self._record.wrong_files():
            findings.add(wrong.subject, wrong.expected, wrong.got)

    def _check_anchor(self) -> None:
        self._run(
            "anchor",
            "venue",
            f"as the auditor knows: {', '.join(self._anchor.known())}",
            lambda findings: evidence.check_anchor(self._record, self._anchor, findings),
        )

    def _require_bound_anchor(self) -> None:
        """Only what a forger could not have written anchors a record."""
        checks = self._lines.checks
        lines = {check.name: number for number, check in enumerate(checks)}
        check, chain = checks[lines["anchor"]], checks[lines["chain"]]
        known, unknown = self._anchor.known(), self._anchor.unknown()
        bound = self._anchor.binds(chain_holds=chain.verdict is Verdict.HOLDS)
        if check.verdict is Verdict.HOLDS and not bound:
            detail = f"{_listed(unknown)} are the record's own word"
            if known:
                detail += f"; {_listed(known)} as the auditor knows, which any record can name"
            checks[lines["anchor"]] = replace(check, verdict=Verdict.NOT_CHECKED, detail=detail)

    def _check_ciphertexts(self) -> None:
        self._run(
            "ciphertexts",
            self._examined.counted("ciphertexts", lambda record: record.intents),
            "digests as sealed",
            lambda findings: batch.check_ciphertexts(self._record, findings),
        )

    def _check_masks(self) -> None:
        self._run(
            "masks",
            self._examined.counted("masks", lambda _record: self._record.masks),
            "attested by a quorum, planned, numbers once",
            lambda findings: batch.check_masks(self._record, findings),
        )

    def _check_circuits(self) -> None:
        opened = self._examined.counted("openings", lambda record: record.openings)
        if self._quick:
            self._leave_out("circuits", opened, "a quick audit")
        else:
            self._run("circuits", opened, "computed again to the same bytes", self._compute)

    def _compute(self, findings: Findings) -> None:
        examined = self._examined
        examined.require_schedule()
        if examined.transcript is None or not examined.schedule_holds:
            findings.add("openings", "a schedule that holds", "findings: see the schedule")
            return
        inputs = CircuitInputs(self._record.material(), examined.values, examined.ranks)
        try:
            CircuitCheck(self._record, inputs, findings, self._progress).run(examined.transcript)
        except (RuntimeError, ValueError) as error:
            # SEAL's own refusals: keys or ciphertexts that load and cannot be computed on
            findings.add("circuits", "keys and ciphertexts that SEAL computes on", error)

    def _note_unsigned(self) -> None:
        """Of what nobody signed, a record stands alone for the states before it."""
        check = self._lines.checks[-1]
        with suppress(UnreadablePart):
            if check.verdict is Verdict.HOLDS and settlement.is_unsigned(self._record):
                why = "follows, but no keyper signed it; states before are the record's own word"
                self._lines.checks[-1] = replace(check, verdict=Verdict.NOT_CHECKED, detail=why)

    def _check_chain(self) -> Unanswered | None:
        """Compare with the chain; returns why that cannot be done, if it was asked for."""
        if self._chain is None:
            self._leave_out_chain("no chain was asked")
            return None
        chain = self._chain
        try:
            detail = "says what the record says"
            self._run("chain", "chain", detail, lambda findings: self._ask(chain, findings))
            if self._said is not None and self._said.is_void:
                self._note_void()
        except Unanswered as error:
            self._leave_out_chain(str(error))
            return error
        return None

    def _ask(self, chain: ChainReader, findings: Findings) -> None:
        self._said = said = chain_check.ask_chain(self._record, chain, findings)
        if said is not None:
            chain_check.check_committed(self.basis, said, findings)
            chain_check.check_outcome(self.basis, said, findings)

    def _note_void(self) -> None:
        check = self._lines.checks[-1]
        if check.verdict is Verdict.HOLDS:
            detail = f"{check.detail}; the batch is void: nothing of it was settled"
            self._lines.checks[-1] = replace(check, detail=detail)

    def _leave_out_chain(self, reason: str) -> None:
        detail = f"{reason}; the evidence is the keypers' signatures"
        uncovered: frozenset[bytes] = frozenset()
        with suppress(UnreadablePart), Findings("chain").watch("collateral"):
            uncovered = self.basis.uncovered
        if uncovered:
            named = ", ".join(map(account_of, sorted(uncovered)))
            detail += f"; on the record's own word these lack collateral: {named}"
        self._leave_out("chain", "chain", detail)

    def _check_continuity(self) -> None:
        """Compare with what was settled before: on the chain, and in the record before."""
        due = KnownDue(self.basis, self._former, self._said)
        try:
            checks = [*self._against_chain(), *self._against_former()]
            rests = due.rests_on()
        except UnreadablePart as missing:
            why = f"needs {missing.part}, which has not its form"
            self._leave_out("continuity", "record", why)
            return
        if checks:
            covered = self._examined.counted("accounts", lambda record: record.summary.before)
            detail = "; ".join([*(says for says, _ in checks), *rests])
            self._lines.run(
                Line("continuity", covered, detail, (*(check for _, check in checks), due.check))
            )
        else:
            why = "no chain and no record before it; states before are the keypers' word"
            self._leave_out("continuity", "states before", "; ".join([why, *rests]))

    def _against_chain(self) -> Iterator[tuple[str, LineCheck]]:
        basis, said = self.basis, self._said
        if continuity.is_first(self._record):
            yield (
                "nothing was settled before",
                lambda findings: continuity.check_first(basis, findings),
            )
        elif said is not None and said.batch is not None:
            previous, says = said.previous, "no settlement before on the chain"
            if previous is not None:
                says = (
                    f"states before are those of interval {previous.interval} on the chain, "
                    f"with leaves 0x{previous.leaf_hash.hex()}"
                )
            yield says, lambda findings: continuity.check_previous(basis, previous, findings)

    def _against_former(self) -> Iterator[tuple[str, LineCheck]]:
        basis, former = self.basis, self._former
        if former is None:
            return
        if is_void_before(basis.record, former.record):
            yield (
                "begins where the record before it did, whose interval is void",
                lambda findings: check_former_void(basis, former, findings),
            )
        else:
            yield (
                "goes on where the record before it ended",
                lambda findings: continuity.check_former(basis, former, findings),
            )


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
