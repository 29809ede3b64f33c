"""The settlement of an interval: it follows from the record, and keypers compute it as well."""

from __future__ import annotations

from dataclasses import replace

from eth_hash.auto import keccak

from crypto.errors import CryptoError
from crypto.signing.settling import Settlement as SettlementMessage
from darkpool.auction.environment import Environment, OpenInterval
from darkpool.auction.kept import Kept
from darkpool.auction.on_chain import settle
from darkpool.auction.outcome import Concluded, Settlement
from darkpool.auction.publication import auction_summary, settlement_record
from darkpool.chain.settling import KeptSettlement
from darkpool.errors import DarkpoolError
from darkpool.protocol.keyper import SettlementProposal
from darkpool.protocol.leaves import encode_leaves
from darkpool.protocol.results import encode_results
from darkpool.record.core import HeldRecord, core_digest
from darkpool.record.forms import CommitmentRecord, EvidenceRecord
from darkpool.settlement.fill_tree import fills_root
from darkpool.settlement.state import state_root
from darkpool.settlement.trees import trees_of


def sign_and_settle(
    environment: Environment, opened: OpenInterval, concluded: Concluded, kept: Kept
) -> Settlement:
    """Have the settlement signed and send it.

    Where too few keypers compute the same, or no block takes it, it says why: it may still be sent,
    or the interval ends void.
    """
    leaves = encode_leaves([concluded.applied.balances.leaves])
    results = encode_results(concluded.crossed.results)
    message, record = _computed(environment, opened, concluded, kept, (leaves, results))
    proposal = SettlementProposal(
        record.summary,
        record.evidence.settlement,
        record.evidence.transcripts,
        record.margin,
        record.opened,
        opened.voids,
        opened.last.prices,
    )
    try:
        signatures = environment.committee.sign_settlement(proposal, message)
    except (DarkpoolError, CryptoError) as error:
        call = environment.chain.settle_call(message, results, ())
        return Settlement(message, leaves, {}, call, record, error)
    signed = list(signatures.values())
    call = environment.chain.settle_call(message, results, signed)
    ready = KeptSettlement.of(opened.terms.interval, call, leaves)
    return Settlement(message, leaves, signatures, call, record, settle(environment, ready))


def _computed(
    environment: Environment,
    opened: OpenInterval,
    concluded: Concluded,
    kept: Kept,
    data: tuple[bytes, bytes],
) -> tuple[SettlementMessage, HeldRecord]:
    """The settlement and what it is computed from; `data` are its leaves and results, as bytes."""
    message = _message(opened, concluded, data)
    unsigned = settlement_record(message, {}, None)
    transcripts = dict(concluded.crossed.transcripts)
    record = HeldRecord(
        auction_summary(opened, environment.chain.deployment, concluded),
        EvidenceRecord(CommitmentRecord({}, bytes(32)), transcripts, unsigned),
        opened.terms.material,
        opened.margin.inputs,
        tuple(kept.intents),
        tuple(kept.cancellations),
        tuple(kept.opened),
    )
    message = replace(message, record_digest=core_digest(record))
    stated = replace(record.evidence, settlement=settlement_record(message, {}, None))
    return message, replace(record, evidence=stated)


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
