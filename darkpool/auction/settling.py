"""The settlement of an interval: it follows from the record, and keypers compute it as well."""

from __future__ import annotations

from dataclasses import replace

from eth_hash.auto import keccak

from crypto.signing.settling import Settlement as SettlementMessage
from darkpool.auction.environment import Environment, OpenInterval
from darkpool.auction.kept import Kept
from darkpool.auction.on_chain import settle
from darkpool.auction.outcome import Concluded, Settlement
from darkpool.auction.publication import auction_summary, settlement_record
from darkpool.chain.settling import KeptSettlement
from darkpool.protocol.keyper import SettlementProposal
from darkpool.protocol.leaves import encode_leaves
from darkpool.protocol.results import encode_results
from darkpool.record.core import HeldRecord, core_digest
from darkpool.record.forms import AuctionSummary, CommitmentRecord, EvidenceRecord
from darkpool.settlement.fill_tree import fills_root
from darkpool.settlement.state import state_root
from darkpool.settlement.trees import trees_of


def sign_and_settle(
    environment: Environment, opened: OpenInterval, concluded: Concluded, kept: Kept
) -> Settlement:
    """Have the settlement signed and send it; where no block takes it, it is still to be sent.

    Raises:
        DarkpoolError, CryptoError: fewer than a quorum of keypers computed the same.
    """
    summary = auction_summary(opened, environment.chain.deployment, concluded)
    leaves = encode_leaves([concluded.applied.balances.leaves])
    results = encode_results(concluded.crossed.results)
    message = _message(opened, concluded, (leaves, results))
    message = replace(message, record_digest=_record_digest(opened, summary, concluded, kept))
    proposal = SettlementProposal(
        summary,
        settlement_record(message, {}, None),
        dict(concluded.crossed.transcripts),
        opened.margin.inputs,
        tuple(kept.opened),
    )
    signatures = environment.committee.sign_settlement(proposal, message)
    signed = list(signatures.values())
    call = environment.chain.settle_call(message, results, signed)
    ready = KeptSettlement.of(opened.terms.interval, call, leaves)
    return Settlement(message, leaves, signatures, call, settle(environment, ready))


def _message(
    opened: OpenInterval, concluded: Concluded, data: tuple[bytes, bytes]
) -> SettlementMessage:
    """The settlement, but for the digest of the record."""
    batch, applied, (leaves, results) = concluded.batch, concluded.applied, data
    return SettlementMessage(
        interval=batch.message.interval,
        batch_root=batch.message.root,
        previous_settlement=batch.message.previous_settlement,
        flows=batch.evidence.flows_head,
        results=keccak(results),
        prices=opened.terms.margin_digest,
        fills_root=fills_root(concluded.crossed.fills),
        state_root=state_root(applied.after, opened.margin.inputs.market.time_ms),
        trees=trees_of([opened.terms.vault], [applied.balances.leaves]),
        leaf_hash=keccak(leaves),
        leaf_blobs=(),
        record_digest=bytes(32),
        terms=batch.message.terms,
    )


def _record_digest(
    opened: OpenInterval, summary: AuctionSummary, concluded: Concluded, kept: Kept
) -> bytes:
    nothing = settlement_record(_message(opened, concluded, (b"", b"")), {}, None)
    record = HeldRecord(
        summary,
        EvidenceRecord(CommitmentRecord({}, bytes(32)), {}, nothing),
        opened.terms.material,
        opened.margin.inputs,
        tuple(kept.intents),
        tuple(kept.cancellations),
        tuple(kept.opened),
    )
    return core_digest(record)
