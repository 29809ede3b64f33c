"""All that is checked of a record by itself, line by line, with no more than it says.

An auditor runs these lines on a record, and a keyper on what it is asked to sign. What is trusted:
SHA-256, Keccak-256, secp256k1, the arithmetic in `crypto`, and that at most one keyper is corrupt
(a quorum's signatures stand for masks and for the order of events).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Sized
from functools import cached_property

from crypto.bfv.lanes import Lanes
from darkpool.errors import UnreadablePart
from darkpool.record.core import RecordView
from darkpool.record.forms import MaskRecord, StateRecord
from darkpool.verification import (
    batch,
    collateral,
    openings,
    outcome,
    participation,
    prices,
    reference,
    settlement,
    valuation,
)
from darkpool.verification.basis import Basis
from darkpool.verification.errors import NotChecked
from darkpool.verification.lines import Line, LineCheck, Lines
from darkpool.verification.report import Findings
from darkpool.verification.steps import Transcript
from darkpool.verification.transcript import TranscriptReader

Masks = Callable[[], Sequence[MaskRecord] | None]


def no_masks() -> None:
    """Where the masks that were used are not at hand."""


class Examination:
    """One record under examination.

    Args:
        lines: where the lines run.
        masks: gives the masks that were used, in order; None where they are not at hand.
        signed: whether quorums have signed batch and settlement already.

    Attributes:
        values: decoded openings, shape (degree,) each, None where one cannot be read.
        transcript: what the openings mean, once they were understood.
        schedule_holds: whether they are those prescribed.
        after: the states that follow, once they were rebuilt.
        settled: the settlement of the states that the record states, once it was computed.
    """

    def __init__(self, record: RecordView, lines: Lines, masks: Masks, *, signed: bool) -> None:
        self.record = record
        self.basis = Basis(record)
        self.values: list[Lanes | None] = []
        self.transcript: Transcript | None = None
        self.schedule_holds = False
        self.after: tuple[StateRecord, ...] | None = None
        self.settled: settlement.DerivedSettlement | None = None
        self._lines = lines
        self._masks = masks
        self._signed = signed

    def lines(self) -> Iterator[Line]:
        """All lines in their order, each made when those before it have run."""
        yield from self._of_terms()
        yield from self._of_batch()
        yield from self._of_openings()
        yield from self._of_outcome()

    def counted(self, what: str, entries: Callable[[RecordView], Sized]) -> str:
        """How many of something a line covers; without a number where they cannot be read."""
        try:
            return f"{len(entries(self.record))} {what}"
        except UnreadablePart:
            return what

    @cached_property
    def ranks(self) -> list[Lanes]:
        """Priority of each instrument's intents, shape (n,) each."""
        summary = self.record.summary
        return [
            outcome.priority_ranks(summary.beacon, i.identifier, len(i.intents))
            for i in summary.instruments
        ]

    def require_schedule(self) -> None:
        """Check that the openings were looked at.

        Raises:
            NotChecked: a part was missing.
        """
        if not self._lines.was_checked("schedule"):
            raise NotChecked("schedule")

    def _of_terms(self) -> Iterator[Line]:
        committee = self._stated(batch.check_committee)
        yield Line("committee", "committee", "quorum and addresses", (committee,))
        yield Line(
            "reference",
            self.counted("references", lambda record: record.summary.references),
            "signed for this interval, gives the grid; fresh on the keypers' word",
            (self._stated(reference.check_references),),
        )
        yield Line(
            "prices",
            self.counted("contracts", lambda record: record.margin.specification.contracts),
            self._medians(),
            (self._stated(_check_prices),),
        )

    def _of_batch(self) -> Iterator[Line]:
        intents = self.counted("intents", lambda record: record.intents)
        yield Line(
            "intents",
            intents,
            "signatures, nonces, caps, one each",
            (
                self._stated(batch.check_intents),
                self._stated(batch.check_instruments),
                self._derived(participation.check_public_rules),
            ),
        )
        yield Line(
            "certificates",
            intents,
            "certified by a quorum for these terms before the close, none taken back",
            (self._under_terms(batch.check_certificates),),
        )
        checks = [self._under_terms(batch.check_batch_root)]
        if self._signed:
            checks.append(self._under_terms(batch.check_batch_signatures))
        detail = "root, count, quorum, context" if self._signed else "root, count, context"
        yield Line("batch root", "batch", detail, tuple(checks))

    def _of_openings(self) -> Iterator[Line]:
        opened = self.counted("openings", lambda record: record.openings)
        yield Line("openings", opened, "shares add up to the values", (self._decode,))
        transcripts = self._check_transcripts
        yield Line("transcript", opened, "signed by a quorum, with terms", (transcripts,))
        beacon = self._stated(openings.check_beacon)
        yield Line("beacon", "beacon", "SHA-256 of its shares", (beacon,))
        yield Line("schedule", opened, "exactly those prescribed", (self._understand,))
        taken_out = self.counted("intents", lambda record: record.summary.rejections)
        rejections = self._with_transcript(outcome.check_rejections)
        yield Line("rejections", taken_out, "exactly those found", (rejections,))

    def _of_outcome(self) -> Iterator[Line]:
        instruments = self.counted("instruments", lambda record: record.summary.instruments)
        results = self._with_transcript(outcome.check_results)
        yield Line("results", instruments, "as opened", (results,))
        yield Line(
            "fills",
            self.counted("fills", lambda record: record.summary.fills),
            "as opened, within caps, conserved",
            (
                self._stated(outcome.check_fills),
                self._with_transcript(outcome.check_opened_fills),
            ),
        )
        yield Line(
            "collateral",
            self.counted("accounts", lambda record: record.summary.after),
            "caps covered, traders above initial margin, states rebuilt",
            (self._derived(collateral.check_terms), self._rebuild),
        )
        checks: list[LineCheck] = [self._settle]
        detail = "results, prices, fills, states, leaves and record"
        if self._signed:
            checks.append(self._derived(settlement.check_settlement_signatures))
            detail += ", signed by a quorum"
        yield Line("settlement", "settlement", detail, tuple(checks))

    def _stated(self, check: Callable[[RecordView, Findings], None]) -> LineCheck:
        return lambda findings: check(self.record, findings)

    def _derived(self, check: Callable[[Basis, Findings], None]) -> LineCheck:
        return lambda findings: check(self.basis, findings)

    def _under_terms(self, check: Callable[[RecordView, bytes, Findings], None]) -> LineCheck:
        return lambda findings: check(self.record, self.basis.terms, findings)

    def _with_transcript(
        self, check: Callable[[RecordView, Transcript, Findings], None]
    ) -> LineCheck:
        """The check of a record against its openings, where these were understood."""

        def checked(findings: Findings) -> None:
            self.require_schedule()
            if self.transcript is None:
                findings.add("openings", "a schedule that holds", "findings: see the schedule")
            else:
                check(self.record, self.transcript, findings)

        return checked

    def _decode(self, findings: Findings) -> None:
        self.values = openings.check_openings(self.record, findings)

    def _check_transcripts(self, findings: Findings) -> None:
        basis = self.basis
        openings.check_transcripts(self.record, basis.terms, basis.written, findings)

    def _understand(self, findings: Findings) -> None:
        reader = TranscriptReader(self.basis, self.values, self.ranks, self._masks(), findings)
        self.transcript = reader.read()
        self.schedule_holds = findings.clean

    def _rebuild(self, findings: Findings) -> None:
        self.after = collateral.check_collateral(self.basis, findings)

    def _settle(self, findings: Findings) -> None:
        self.settled = settlement.check_settlement(self.basis, findings)

    def _medians(self) -> str:
        try:
            market = self.record.margin.market
        except UnreadablePart:
            return "medians of reports"
        needed, reporters = 2 * market.false_max + 1, len(market.reporters)
        return f"medians of {needed} of {reporters} reporters; values and risk arrays follow"


def _check_prices(record: RecordView, findings: Findings) -> None:
    inputs = record.margin
    prices.check_specification(inputs, findings)
    prices.check_market(inputs, record.summary.venue.domain(), findings)
    valuation.check_risk_arrays(inputs, findings)
