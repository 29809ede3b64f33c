"""The audit: every check in turn, each a line, from nothing but a record and, at best, a chain.

What is trusted: SHA-256, Keccak-256, secp256k1, the arithmetic in `crypto`, and that at most one
keyper is corrupt (a quorum's signatures stand for masks and for the order of events).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from crypto.bfv.lanes import Lanes
from crypto.errors import CryptoError
from darkpool.errors import DarkpoolError, MalformedRecord
from darkpool.record.reader import Record
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
from darkpool.verification.errors import Unanswered
from darkpool.verification.evidence import Anchor, ChainReader
from darkpool.verification.report import AuditReport, Check, Findings, Verdict
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

    Never raises for what it finds: a record that cannot be read is a report of one failed check.
    """
    try:
        record = Record.load(directory)
    except (CryptoError, DarkpoolError) as error:
        part = error.subject if isinstance(error, MalformedRecord) else "record"
        return AuditReport((Check("form", part, Verdict.FAILS, str(error)),))
    return _Audit(record, chain, quick, anchor or Anchor(), progress).run()


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

    def run(self) -> AuditReport:
        files = len(self._record.manifest.files)
        self._check("form", "record", "all parts have the form of their version")
        self._check("files", f"{files} files", "SHA-256 as in the manifest", _check_files)
        self._check("committee", "committee", "quorum and addresses", batch.check_committee)
        self._check_anchor()
        self._check_inputs()
        self._check_batch()
        self._check_evidence()
        self._check_outcome()
        unanswered = self._check_chain()
        return AuditReport(tuple(self._checks), unanswered)

    def _check(self, name: str, covered: str, detail: str, *checks: RecordCheck) -> None:
        """Run the checks of one line; an error that ends one of them leaves out those after it."""
        self._progress(name)
        findings = Findings(name)
        with findings.watch(name):
            for check in checks:
                check(self._record, findings)
        self._checks.append(findings.check(covered, detail))

    def _check_anchor(self) -> None:
        known = self._anchor.known()
        if not known:
            part = f"0x{self._record.summary.venue.settlement.hex()}"
            detail = "contract, keypers and reporters are the record's own word"
            self._checks.append(Check("anchor", part, Verdict.NOT_CHECKED, detail))
            return
        self._check(
            "anchor",
            "venue",
            f"as the auditor knows: {', '.join(known)}",
            lambda record, findings: evidence.check_anchor(record, self._anchor, findings),
        )

    def _check_inputs(self) -> None:
        self._check(
            "reference",
            f"{len(self._record.summary.references)} references",
            "signed for this interval, gives the grid; fresh on the keypers' word",
            reference.check_references,
        )
        margin = self._record.margin
        needed, reporters = 2 * margin.market.false_max + 1, len(margin.market.reporters)
        self._check(
            "prices",
            f"{len(margin.specification.contracts)} contracts",
            f"medians of {needed} of {reporters} reporters; values and risk arrays follow",
            _check_prices,
        )

    def _check_batch(self) -> None:
        intents = f"{len(self._record.intents)} intents"
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
        ciphertexts = f"{len(self._record.intents)} ciphertexts"
        self._check("ciphertexts", ciphertexts, "digests as sealed", batch.check_ciphertexts)
        self._check("batch root", "batch", "root, count, quorum, context", batch.check_batch_root)

    def _check_evidence(self) -> None:
        masks = f"{len(self._record.masks)} masks"
        opened = f"{len(self._record.openings)} openings"
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
        taken_out = f"{len(self._record.summary.rejections)} intents"
        self._check("rejections", taken_out, "exactly those found", rejections)
        if self._quick:
            self._checks.append(Check("circuits", opened, Verdict.NOT_CHECKED, "a quick audit"))
        else:
            self._check("circuits", opened, "computed again to the same bytes", self._compute)

    def _check_outcome(self) -> None:
        summary = self._record.summary
        results = self._with_transcript(outcome.check_results)
        self._check("results", f"{len(summary.instruments)} instruments", "as opened", results)
        self._check(
            "fills",
            f"{len(summary.fills)} fills",
            "as opened, within caps, conserved",
            outcome.check_fills,
            self._with_transcript(outcome.check_opened_fills),
        )
        self._check(
            "margin",
            f"{len(summary.after)} accounts",
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
        self._progress("chain")
        findings, chain = Findings("chain"), self._chain
        try:
            with findings.watch("chain", Unanswered):
                evidence.check_chain(self._record, chain, findings)
        except Unanswered as error:
            self._leave_out_chain(str(error))
            return error
        self._checks.append(findings.check("chain", "says what the record says"))
        return None

    def _leave_out_chain(self, reason: str) -> None:
        detail = f"{reason}; the evidence is the keypers' signatures"
        uncovered: set[bytes] = set()
        with Findings("chain").watch("margin"):
            uncovered = accounts.uncovered_accounts(self._record)
        if uncovered:
            named = ", ".join(f"0x{account.hex()}" for account in sorted(uncovered))
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

    def _compute(self, record: Record, findings: Findings) -> None:
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
            if self._transcript is None:
                findings.add("openings", "a schedule that holds", "findings: see the schedule")
            else:
                check(record, self._transcript, findings)

        return checked


def _check_files(record: Record, findings: Findings) -> None:
    for wrong in record.wrong_files():
        findings.add(wrong.subject, wrong.expected, wrong.got)


def _check_prices(record: Record, findings: Findings) -> None:
    inputs = record.margin
    prices.check_specification(inputs, findings)
    prices.check_market(inputs, record.summary.venue.domain(), findings)
    valuation.check_risk_arrays(inputs, findings)
