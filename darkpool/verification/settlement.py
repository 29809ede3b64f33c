"""What keypers sign of an interval's end, put together from what a record says."""

from __future__ import annotations

from dataclasses import dataclass

from eth_hash.auto import keccak

from crypto.signing.settling import Settlement, Tree
from crypto.signing.sum_tree import SumTree
from darkpool.record.core import RecordView
from darkpool.record.forms import SettlementRecord, StateRecord
from darkpool.verification.basis import Basis
from darkpool.verification.batch import check_quorum
from darkpool.verification.leaves import blob_hashes, encode_leaves, leaves_of, state_root
from darkpool.verification.outcome import encode_results, fills_root
from darkpool.verification.report import Findings


@dataclass(frozen=True, slots=True)
class DerivedSettlement:
    """The settlement that follows from a record, and the bytes of its leaves."""

    message: Settlement
    leaves: bytes


def derive_settlement(basis: Basis, states: tuple[StateRecord, ...]) -> DerivedSettlement:
    """The settlement of a record with these states after it.

    It names blobs where the record's names some.

    Raises:
        Unsound: leaves that fit no tree or no blobs.
        CryptoError: sums that are too large.
        MalformedRecord: files that are no openings or keys.
    """
    record = basis.record
    summary, batch = record.summary, record.summary.batch
    leaves = leaves_of(states, summary.bond.treasury)
    tree, data = SumTree(leaves), encode_leaves([leaves])
    message = Settlement(
        interval=summary.interval,
        batch_root=batch.root,
        previous_settlement=batch.previous_settlement,
        flows=batch.flows_head,
        results=keccak(encode_results(record)),
        prices=record.margin_digest,
        fills_root=fills_root(record),
        state_root=state_root(states, record.margin.market.time_ms),
        trees=(Tree(summary.venue.vault, tree.root, tree.exit_total, tree.claim_total),),
        leaf_hash=keccak(data),
        leaf_blobs=blob_hashes(data) if record.evidence.settlement.leaf_blobs else (),
        record_digest=basis.core,
        terms=basis.terms,
    )
    return DerivedSettlement(message, data)


def stated_settlement(record: RecordView, terms: bytes) -> Settlement:
    """What was settled as a record says, under terms of this digest."""
    summary, batch, stated = record.summary, record.summary.batch, record.evidence.settlement
    return Settlement(
        interval=summary.interval,
        batch_root=batch.root,
        previous_settlement=batch.previous_settlement,
        flows=batch.flows_head,
        results=stated.results,
        prices=stated.prices,
        fills_root=stated.fills_root,
        state_root=stated.state_root,
        trees=tuple(
            Tree(tree.vault, tree.root, tree.exit_total, tree.claim_total) for tree in stated.trees
        ),
        leaf_hash=stated.leaf_hash,
        leaf_blobs=stated.leaf_blobs,
        record_digest=stated.record_digest,
        terms=terms,
    )


def check_settlement(basis: Basis, findings: Findings) -> DerivedSettlement:
    """What is settled is what the record says of results, prices, fills and states after.

    Returns what it should be.

    Raises:
        DarkpoolError, CryptoError: see `derive_settlement`.
    """
    derived = derive_settlement(basis, basis.record.summary.after)
    stated = stated_settlement(basis.record, basis.terms)
    for name in SettlementRecord.__dataclass_fields__:
        if name not in ("signatures", "transaction"):
            part = f"settlement, {name.replace('_', ' ')}"
            findings.equal(part, getattr(derived.message, name), getattr(stated, name))
    return derived


def check_settlement_signatures(basis: Basis, findings: Findings) -> None:
    """A quorum of keypers signed what was settled; or nobody did, and no block has it."""
    record = basis.record
    if is_unsigned(record):
        return
    message = stated_settlement(record, basis.terms)
    digest = message.digest(record.summary.venue.domain())
    signatures = record.evidence.settlement.signatures
    check_quorum(record, "settlement, signature", digest, signatures, findings)


def is_unsigned(record: RecordView) -> bool:
    """Whether the record is of an interval that stopped before its settlement was signed."""
    stated = record.evidence.settlement
    return stated.transaction is None and not stated.signatures
