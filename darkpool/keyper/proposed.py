"""What a keyper is asked to settle, put together with what it knows itself."""

from __future__ import annotations

from crypto.signing.eip712 import Domain
from crypto.threshold.keys import PublicMaterial
from darkpool.keyper.errors import SettlementRefused
from darkpool.protocol.intents import ClosedBatch
from darkpool.protocol.keyper import SettlementProposal
from darkpool.record.core import HeldRecord
from darkpool.record.forms import (
    AuctionSummary,
    CancellationRecord,
    CommitmentRecord,
    EvidenceRecord,
    IntentRecord,
    VenueRecord,
)


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
