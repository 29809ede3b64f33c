"""The audit: every check in turn, each a line, from nothing but a record and, at best, a chain.

What is trusted: SHA-256, Keccak-256, secp256k1, the arithmetic in `crypto`, and that at most one
keyper is corrupt (a quorum's signatures stand for masks and for the order of events).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from crypto.bfv.lanes import Lanes
from darkpool.errors import UnreadablePart, WrongType
from darkpool.record.reader import Record
from darkpool.units import account_of, require_kind
from darkpool.verification import (
    accounts,
    batch,
    evidence,
    openings,
    outcome,
    participation,
    prices,
    reference,
    valuation,
)
from darkpool.verification.circuits import CircuitCheck, CircuitInputs
from darkpool.verification.errors import NotChecked, TooManyDifferences, Unanswered
from darkpool.verification.evidence import Anchor, ChainReader
from darkpool.verification.report import Audited, AuditReport, Check, Findings, Verdict
from darkpool.verification.steps import Transcript
from darkpool.verification.transcript import TranscriptReader


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
    anchor = require_kind("anchor", Anchor, Anchor() if anchor is None else anchor)
    require_kind("quick", bool, quick)
    if not callable(progress):
        raise WrongType("progress", "a function", progress)
    if chain is not None and not isinstance(chain, ChainReader):
        raise WrongType("chain", "a ChainReader", chain)
    return _Audit(Record(directory), chain, quick, anchor, progress).run(directory)


RecordCheck = Callable[[Record, Findings], None]
"""One check of a record; what it finds, and the error that ends it, go into the findings."""


class _Audit:
    def __init__(
        self,
        record: Record,
        chain: ChainReader | None,
        quick: bool,
        anchor: Anchor,
        progress: Callable[[str], None],
    ) -> None:
        self._record = record
        self._chain = chain
        self._quick = quick
        self._anchor = anchor
        self._progress = progress
        self._checks: list[Check] = []
        self._values: list[Lanes | None] = []
        self._transcript: Transcript | None = None
        self._schedule_holds = False

    def run(self, directory: Path) -> AuditReport:
        self._check("form", "record", "all parts have the form of their version", _check_form)
        files = self._counted("files", lambda record: record.manifest.files)
        self._check("files", files, "SHA-256 as in the manifest", _check_files)
        self._check("committee", "committee", "quorum and addresses", batch.check_committee)
        self._check_anchor()
        self._check_inputs()
        self._check_batch()
        self._check_evidence()
        self._check_outcome()
        unanswered = self._check_chain()
        self._require_bound_anchor()
        return AuditReport(tuple(self._checks), self._audited(directory), unanswered)

    def _audited(self, directory: Path) -> Audited:
        interval, instruments, manifest = None, None, None
        with suppress(UnreadablePart):
            manifest = self._record.manifest_digest
        with suppress(UnreadablePart):
            summary = self._record.summary
            interval, instruments = summary.interval, tuple(i.name for i in summary.instruments)
        return Audited(str(directory), interval, instruments, self._record.versions, manifest)

    def _counted(self, what: str, entries: Callable[[Record], Sized]) -> str:
        """How many of something a check covers; without a number where they cannot be read."""
        try:
            return f"{len(entries(self._record))} {what}"
        except UnreadablePart:
            return what

    def _check(self, name: str, covered: str, detail: str, *checks: RecordCheck) -> None:
        """Run the checks of one line; an error that ends one of them leaves out those after it."""
        self._progress(name)
        findings = Findings(name)
        try:
            with findings.watch(name):
                for check in checks:
                    check(self._record, findings)
        except UnreadablePart as missing:
            self._leave_out(findings, f"needs {missing.part}, which has not its form")
        except NotChecked as missing:
            self._leave_out(findings, f"needs the line {missing.subject}, which was not checked")
        except Unanswered:
            # what a chain contradicted before it fell silent stands
            if findings.clean:
                raise
            self._checks.append(findings.check(covered, detail))
        except TooManyDifferences:
            self._checks.append(findings.check(covered, detail))
        except Exception as error:  # noqa: BLE001 - whatever a stranger's record leads to
            findings.add(name, "a record that this version can check", type(error).__name__)
            self._checks.append(findings.check(covered, detail))
        else:
            self._checks.append(findings.check(covered, detail))

    def _leave_out(self, findings: Findings, why: str) -> None:
        """What was found before a part was missing stands; else nothing was checked."""
        if findings.clean:
            self._checks.append(Check(findings.name, "record", Verdict.NOT_CHECKED, why))
        else:
            self._checks.append(findings.check("record", why))

    def _check_anchor(self) -> None:
        self._check(
            "anchor",
            "venue",
            f"as the auditor knows: {', '.join(self._anchor.known())}",
            lambda record, findings: evidence.check_anchor(record, self._anchor, findings),
        )

    def _require_bound_anchor(self) -> None:
        """Only what a forger could not have written anchors a record."""
        lines = {check.name: number for number, check in enumerate(self._checks)}
        check, chain = self._checks[lines["anchor"]], self._checks[lines["chain"]]
        known, unknown = self._anchor.known(), self._anchor.unknown()
        bound = self._anchor.binds(chain_holds=chain.verdict is Verdict.HOLDS)
        if check.verdict is Verdict.HOLDS and not bound:
            detail = f"{_listed(unknown)} are the record's own word"
            if known:
                detail += f"; {_listed(known)} as the auditor knows, which any record can name"
            self._checks[lines["anchor"]] = replace(
                check, verdict=Verdict.NOT_CHECKED, detail=detail
            )

    def _check_inputs(self) -> None:
        self._check(
            "reference",
            self._counted("references", lambda record: record.summary.references),
            "signed for this interval, gives the grid; fresh on the keypers' word",
            reference.check_references,
        )
        self._check(
            "prices",
            self._counted("contracts", lambda record: record.margin.specification.contracts),
            self._medians(),
            _check_prices,
        )

    def _medians(self) -> str:
        try:
            market = self._record.margin.market
        except UnreadablePart:
            return "medians of reports"
        needed, reporters = 2 * market.false_max + 1, len(market.reporters)
        return f"medians of {needed} of {reporters} reporters; values and risk arrays follow"

    def _check_batch(self) -> None:
        intents = self._counted("intents", lambda record: record.intents)
        self._check(
            "intents",
            intents,
            "signatures, nonces, caps, one each",
            batch.check_intents,
            batch.check_instruments,
            participation.check_public_rules,
        )
        self._check(
            "certificates",
            intents,
            "certified by a quorum for these terms before the close, none taken back",
            lambda record, findings: batch.check_certificates(record, self._terms_digest, findings),
        )
        ciphertexts = self._counted("ciphertexts", lambda record: record.intents)
        self._check("ciphertexts", ciphertexts, "digests as sealed", batch.check_ciphertexts)
        self._check("batch root", "batch", "root, count, quorum, context", batch.check_batch_root)

    def _check_evidence(self) -> None:
        masks = self._counted("masks", lambda record: record.masks)
        opened = self._counted("openings", lambda record: record.openings)
        self._check("masks", masks, "attested by a quorum, numbers once", batch.check_masks)
        self._check("openings", opened, "shares add up to the values", self._decode)
        self._check(
            "transcript",
            opened,
            "signed by a quorum, with terms",
            lambda record, findings: openings.check_transcripts(
                record, self._terms_digest, findings
            ),
        )
        self._check("beacon", "beacon", "SHA-256 of its shares", openings.check_beacon)
        self._check("schedule", opened, "exactly those prescribed", self._understand)
        rejections = self._with_transcript(outcome.check_rejections)
        taken_out = self._counted("intents", lambda record: record.summary.rejections)
        self._check("rejections", taken_out, "exactly those found", rejections)
        if self._quick:
            self._checks.append(Check("circuits", opened, Verdict.NOT_CHECKED, "a quick audit"))
        else:
            self._check("circuits", opened, "computed again to the same bytes", self._compute)

    def _check_outcome(self) -> None:
        results = self._with_transcript(outcome.check_results)
        instruments = self._counted("instruments", lambda record: record.summary.instruments)
        self._check("results", instruments, "as opened", results)
        self._check(
            "fills",
            self._counted("fills", lambda record: record.summary.fills),
            "as opened, within caps, conserved",
            outcome.check_fills,
            self._with_transcript(outcome.check_opened_fills),
        )
        self._check(
            "margin",
            self._counted("accounts", lambda record: record.summary.after),
            "caps covered, traders above initial margin, balances rebuilt",
            accounts.check_terms,
            accounts.check_collateral,
        )
        self._check("roots", "settlement", "results, fills, balances", evidence.check_roots)
        signatures = evidence.check_settlement_signatures
        self._check("settlement", "settlement", "signed by a quorum", signatures)

    def _check_chain(self) -> Unanswered | None:
        """Compare with the chain; returns why that cannot be done, if it was asked for."""
        if self._chain is None:
            self._leave_out_chain("no chain was asked")
            return None
        chain = self._chain
        try:
            self._check(
                "chain",
                "chain",
                "says what the record says",
                lambda record, findings: evidence.check_chain(record, chain, findings),
            )
        except Unanswered as error:
            self._leave_out_chain(str(error))
            return error
        return None

    def _leave_out_chain(self, reason: str) -> None:
        detail = f"{reason}; the evidence is the keypers' signatures"
        uncovered: set[bytes] = set()
        with suppress(UnreadablePart), Findings("chain").watch("margin"):
            uncovered = accounts.uncovered_accounts(self._record)
        if uncovered:
            named = ", ".join(map(account_of, sorted(uncovered)))
            detail += f"; on the record's own word these lack collateral: {named}"
        self._checks.append(Check("chain", "chain", Verdict.NOT_CHECKED, detail))

    @cached_property
    def _terms_digest(self) -> bytes:
        return openings.terms_digest(self._record)

    @cached_property
    def _ranks(self) -> list[Lanes]:
        summary = self._record.summary
        return [
            outcome.priority_ranks(summary.beacon, i.identifier, len(i.intents))
            for i in summary.instruments
        ]

    def _decode(self, record: Record, findings: Findings) -> None:
        self._values = openings.check_openings(record, findings)

    def _understand(self, record: Record, findings: Findings) -> None:
        reader = TranscriptReader(record, self._values, self._ranks, findings)
        self._transcript = reader.read()
        self._schedule_holds = findings.clean

    def _require_schedule(self) -> None:
        if any(c.name == "schedule" and c.verdict is Verdict.NOT_CHECKED for c in self._checks):
            raise NotChecked("schedule")

    def _compute(self, record: Record, findings: Findings) -> None:
        self._require_schedule()
        if self._transcript is None or not self._schedule_holds:
            findings.add("openings", "a schedule that holds", "findings: see the schedule")
            return
        inputs = CircuitInputs(record.material(), self._values, self._ranks)
        try:
            CircuitCheck(record, inputs, findings, self._progress).run(self._transcript)
        except (RuntimeError, ValueError) as error:
            # SEAL's own refusals: keys or ciphertexts that load and cannot be computed on
            findings.add("circuits", "keys and ciphertexts that SEAL computes on", error)

    def _with_transcript(
        self, check: Callable[[Record, Transcript, Findings], None]
    ) -> RecordCheck:
        """The check of a record against its openings, where these were understood."""

        def checked(record: Record, findings: Findings) -> None:
            self._require_schedule()
            if self._transcript is None:
                findings.add("openings", "a schedule that holds", "findings: see the schedule")
            else:
                check(record, self._transcript, findings)

        return checked


def _check_form(record: Record, findings: Findings) -> None:
    for problem in record.problems:
        findings.add(problem.subject, problem.expected, problem.got)


def _check_files(record: Record, findings: Findings) -> None:
    for wrong in record.wrong_files():
        findings.add(wrong.subject, wrong.expected, wrong.got)


def _check_prices(record: Record, findings: Findings) -> None:
    inputs = record.margin
    prices.check_specification(inputs, findings)
    prices.check_market(inputs, record.summary.venue.domain(), findings)
    valuation.check_risk_arrays(inputs, findings)


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
