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

    @cached_property
    def _terms(self) -> bytes:
        return openings.terms_digest(self._record)

    def run(self) -> AuditReport:
        summary = self._record.summary
        intents, opened = len(self._record.intents), len(self._record.openings)
        files = len(self._record.manifest.files)
        self._check("form", "record", "all parts have the form of their version", lambda _: None)
        self._check("files", f"{files} files", "SHA-256 as in the manifest", self._files)
        self._check("committee", "committee", "quorum and addresses", self._committee)
        self._check_anchor()
        self._check(
            "reference",
            f"{len(summary.references)} references",
            "signed for this interval, gives the grid; fresh on the keypers' word",
            self._references,
        )
        margin = self._record.margin
        needed, reporters = 2 * margin.market.false_max + 1, len(margin.market.reporters)
        self._check(
            "prices",
            f"{len(margin.specification.contracts)} contracts",
            f"medians of {needed} of {reporters} reporters; values and risk arrays follow",
            self._prices,
        )
        self._check(
            "intents", f"{intents} intents", "signatures, nonces, caps, one each", self._intents
        )
        self._check(
            "certificates",
            f"{intents} intents",
            "certified by a quorum for these terms before the close, none taken back",
            self._certificates,
        )
        self._check("ciphertexts", f"{intents} ciphertexts", "digests as sealed", self._ciphertexts)
        self._check("batch root", "batch", "root, count, quorum, context", self._batch_root)
        masks = len(self._record.masks)
        self._check("masks", f"{masks} masks", "attested by a quorum, numbers once", self._masks)
        self._check("openings", f"{opened} openings", "shares add up to the values", self._openings)
        self._check(
            "transcript", f"{opened} openings", "signed by a quorum, with terms", self._transcripts
        )
        self._check("beacon", "beacon", "SHA-256 of its shares", self._beacon)
        self._check("schedule", f"{opened} openings", "exactly those prescribed", self._schedule)
        taken_out = len(summary.rejections)
        self._check("rejections", f"{taken_out} intents", "exactly those found", self._rejections)
        self._circuits()
        count = len(summary.instruments)
        self._check("results", f"{count} instruments", "as opened", self._results)
        fills = len(summary.fills)
        self._check("fills", f"{fills} fills", "as opened, within caps, conserved", self._fills)
        self._check(
            "margin",
            f"{len(summary.after)} accounts",
            "caps covered, traders above initial margin, balances rebuilt",
            self._margin,
        )
        self._check("roots", "settlement", "results, fills, balances", self._roots)
        self._check("settlement", "settlement", "signed by a quorum", self._settlement)
        self._ask_chain()
        return AuditReport(tuple(self._checks))

    def _check(
        self, name: str, covered: str, detail: str, check: Callable[[Findings], None]
    ) -> None:
        self._progress(name)
        findings = Findings(name)
        with findings.watch(name):
            check(findings)
        self._checks.append(findings.check(covered, detail))

    def _files(self, findings: Findings) -> None:
        for wrong in self._record.wrong_files():
            findings.add(wrong.subject, wrong.expected, wrong.got)

    def _committee(self, findings: Findings) -> None:
        batch.check_committee(self._record, findings)

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
            lambda findings: evidence.check_anchor(self._record, self._anchor, findings),
        )

    def _references(self, findings: Findings) -> None:
        reference.check_references(self._record, findings)

    def _prices(self, findings: Findings) -> None:
        inputs = self._record.margin
        prices.check_specification(inputs, findings)
        prices.check_market(inputs, self._record.summary.venue.domain(), findings)
        valuation.check_risk_arrays(inputs, findings)

    def _intents(self, findings: Findings) -> None:
        batch.check_intents(self._record, findings)
        batch.check_instruments(self._record, findings)
        participation.check_public_rules(self._record, findings)

    def _certificates(self, findings: Findings) -> None:
        batch.check_certificates(self._record, self._terms, findings)

    def _ciphertexts(self, findings: Findings) -> None:
        batch.check_ciphertexts(self._record, findings)

    def _batch_root(self, findings: Findings) -> None:
        batch.check_batch_root(self._record, findings)

    def _masks(self, findings: Findings) -> None:
        batch.check_masks(self._record, findings)

    def _openings(self, findings: Findings) -> None:
        self._values = openings.check_openings(self._record, findings)

    def _transcripts(self, findings: Findings) -> None:
        openings.check_transcripts(self._record, self._terms, findings)

    def _beacon(self, findings: Findings) -> None:
        openings.check_beacon(self._record, findings)

    def _ranks(self) -> list[Lanes]:
        summary = self._record.summary
        return [
            outcome.priority_ranks(summary.beacon, i.identifier, len(i.intents))
            for i in summary.instruments
        ]

    def _schedule(self, findings: Findings) -> None:
        reader = TranscriptReader(self._record, self._values, self._ranks(), findings)
        self._transcript = reader.read()
        self._schedule_holds = findings.clean

    def _circuits(self) -> None:
        name, covered = "circuits", f"{len(self._record.openings)} openings"
        if self._quick:
            self._checks.append(Check(name, covered, Verdict.NOT_CHECKED, "a quick audit"))
            return
        self._check(name, covered, "computed again to the same bytes", self._run_circuits)

    def _run_circuits(self, findings: Findings) -> None:
        transcript = self._transcript
        if transcript is None or not self._schedule_holds:
            findings.add("openings", "a schedule that holds", "findings: see the schedule")
            return
        inputs = CircuitInputs(
            self._record.material(),
            self._values,
            self._ranks(),
        )
        try:
            CircuitCheck(self._record, inputs, findings, self._progress).run(transcript)
        except (RuntimeError, ValueError) as error:
            # SEAL's own refusals: keys or ciphertexts that load and cannot be computed on
            findings.add("circuits", "keys and ciphertexts that SEAL computes on", error)

    def _rejections(self, findings: Findings) -> None:
        if self._transcript is not None:
            outcome.check_rejections(self._record, self._transcript, findings)
        else:
            findings.add("openings", "a schedule that holds", "findings: see the schedule")

    def _results(self, findings: Findings) -> None:
        if self._transcript is not None:
            outcome.check_results(self._record, self._transcript.outcomes, findings)
        else:
            findings.add("openings", "a schedule that holds", "findings: see the schedule")

    def _fills(self, findings: Findings) -> None:
        outcome.check_fills(self._record, findings)
        if self._transcript is not None:
            outcome.check_opened_fills(self._record, self._transcript.outcomes, findings)
        else:
            findings.add("openings", "a schedule that holds", "findings: see the schedule")

    def _margin(self, findings: Findings) -> None:
        accounts.check_terms(self._record, findings)
        accounts.check_collateral(self._record, findings)

    def _roots(self, findings: Findings) -> None:
        evidence.check_roots(self._record, findings)

    def _settlement(self, findings: Findings) -> None:
        evidence.check_settlement_signatures(self._record, findings)

    def _ask_chain(self) -> None:
        chain = self._chain
        if chain is None:
            detail = "no chain was asked; the evidence is the keypers' signatures"
            uncovered: set[bytes] = set()
            with Findings("chain").watch("margin"):
                uncovered = accounts.uncovered_accounts(self._record)
            if uncovered:
                named = ", ".join(f"0x{account.hex()}" for account in sorted(uncovered))
                detail += f"; on the record's own word these lack collateral: {named}"
            self._checks.append(Check("chain", "chain", Verdict.NOT_CHECKED, detail))
            return
        self._check(
            "chain",
            "chain",
            "says what the record says",
            lambda findings: evidence.check_chain(self._record, chain, findings),
        )
