"""What audits of published auctions are asked, and what they answer."""

from typing import Final

from darkpool.chain.reader import RecordedVenue
from darkpool.record.reader import Record
from darkpool.verification.report import AuditReport, Verdict
from tests.support.records import Published

CHECKS: Final = [
    "form",
    "files",
    "committee",
    "anchor",
    "reference",
    "prices",
    "intents",
    "certificates",
    "ciphertexts",
    "batch root",
    "masks",
    "openings",
    "transcript",
    "beacon",
    "schedule",
    "rejections",
    "circuits",
    "results",
    "fills",
    "collateral",
    "settlement",
    "chain",
    "continuity",
]


def chain_of(published: Published) -> RecordedVenue:
    return RecordedVenue(published.chain, Record.load(published.directory).summary.venue)


def failed(report: AuditReport) -> dict[str, str]:
    """Detail of every failed check, by its name."""
    return {c.name: c.detail for c in report.checks if c.verdict is Verdict.FAILS}
