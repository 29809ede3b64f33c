"""What a keyper is asked to settle, put together with what it knows itself."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet

from crypto.signing.eip712 import Domain
from crypto.threshold.keys import PublicMaterial
from darkpool.keyper.errors import SettlementRefused
from darkpool.keyper.identity import KeyperSenses
from darkpool.protocol.intents import ClosedBatch
from darkpool.protocol.keyper import SettlementProposal, VoidInterval
from darkpool.record.core import HeldRecord
from darkpool.record.forms import (
    AuctionSummary,
    CancellationRecord,
    CommitmentRecord,
    EvidenceRecord,
    IntentRecord,
    VenueRecord,
)
from darkpool.units import Interval, account_bytes, account_of
from darkpool.verification.voids import LeftByVoid


def proposed_record(
    proposal: SettlementProposal, batch: ClosedBatch, material: PublicMaterial
) -> HeldRecord:
    """The record that a proposal is of: intents are those of the batch that the keyper signed."""
    intents = (
        IntentRecord(i.sealed, i.signature, dict(sorted(i.certificate.signatures.items())))
        for i in batch.intents
    )
    return HeldRecord(
        proposal.summary,
        EvidenceRecord(
            CommitmentRecord({}, bytes(32)), dict(proposal.transcripts), proposal.settlement
        ),
        material,
        proposal.margin,
        tuple(intents),
        tuple(CancellationRecord(c.cancellation, c.signature) for c in batch.cancellations),
        proposal.opened,
    )


def left_by(void: VoidInterval, proven: Collection[Interval]) -> LeftByVoid:
    """What an interval that ended void is said to have left.

    Its terms are compared with those on the chain. `proven` are the intervals of which this keyper
    saw whose intents were at fault: there nobody's fault is left out.

    Raises:
        SettlementRefused: other prices than those of its terms, or openings that are left out.
    """
    interval, digest = void.terms.interval, void.margin.digest()
    part = f"void interval {interval}"
    if digest != void.terms.margin_digest:
        subject, expected = f"{part}, prices", void.terms.margin_digest.hex()
        raise SettlementRefused(subject, expected, digest.hex())
    if void.record is None and interval in proven:
        raise SettlementRefused(f"{part}, openings", "those that a quorum signed", "none")
    times = tuple(signed.message.observed_at for signed in void.terms.references.values())
    return LeftByVoid(interval, void.terms.digest, void.margin, void.record, times)


def require_reporters(proposal: SettlementProposal, senses: KeyperSenses) -> None:
    """Check that all prices are of the reporters that a keyper knows: balances follow from them.

    Who signed them, and how many, `check_proposal` looks at.

    Raises:
        SettlementRefused: other reporters.
    """
    told = [("", proposal.summary.reporter, proposal.margin)]
    for void in proposal.voids:
        part = f"void interval {void.terms.interval}, "
        told.append((part, account_bytes(void.terms.reporter), void.margin))
    for part, reporter, margin in told:
        for what, known, got in (
            ("reporter", {senses.reporter}, {reporter}),
            ("price reporters", senses.price_reporters, {*margin.market.reporters}),
        ):
            if got != known:
                raise SettlementRefused(part + what, *map(_addresses, (known, got)))


def _addresses(of: AbstractSet[bytes]) -> str:
    return ", ".join(map(account_of, sorted(of)))


def venue_of(domain: Domain, summary: AuctionSummary) -> VenueRecord:
    """The venue of a summary.

    Raises:
        SettlementRefused: it is not the keyper's own.
    """
    if summary.venue.domain() != domain:
        expected, got = (
            f"chain {d.chain_id}, 0x{d.verifying_contract.hex()}"
            for d in (domain, summary.venue.domain())
        )
        raise SettlementRefused("venue", expected, got)
    return summary.venue
