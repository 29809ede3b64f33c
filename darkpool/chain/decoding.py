"""What events of the contract Settlement say, as evidence."""

from __future__ import annotations

from typing import Any

from eth_hash.auto import keccak

from crypto.signing.settling import BatchRoot, Settlement, Tree
from darkpool.chain.errors import ChainUnavailable
from darkpool.chain.evidence import BatchEvidence, SettlementEvidence, keyper_numbers
from darkpool.protocol.results import decode_results
from darkpool.units import AccountId, account_bytes


def batch_of(event: Any) -> BatchEvidence:
    """What an event BatchCommitted says."""
    told = event["args"]
    interval, root, count, terms, plan, commit_by = _values(told["batch"])
    previous = bytes(told["previous_settlement"])
    return BatchEvidence(
        BatchRoot(interval, bytes(root), count, previous, bytes(terms), bytes(plan), commit_by),
        told["flows"],
        bytes(told["flows_head"]),
        keyper_numbers(told["signers"]),
        bytes(event["transactionHash"]),
        event["blockNumber"],
        bytes(event["blockHash"]),
    )


def settlement_of(event: Any, batch: BatchEvidence, node: str) -> SettlementEvidence:
    """What an event BatchSettled says of a batch.

    Raises:
        ChainUnavailable: `node` tells another settlement than the one that its own hash names.
    """
    told, interval = event["args"], batch.message.interval
    prices, fills, state, leaf_hash, blobs, record = _values(told["outcome"])
    results = bytes(told["results"])
    message = Settlement(
        interval=interval,
        batch_root=batch.message.root,
        previous_settlement=batch.message.previous_settlement,
        flows=batch.flows_head,
        results=keccak(results),
        prices=bytes(prices),
        fills_root=bytes(fills),
        state_root=bytes(state),
        trees=tuple(map(_tree, told["trees"])),
        leaf_hash=bytes(leaf_hash),
        leaf_blobs=tuple(map(bytes, blobs)),
        record_digest=bytes(record),
        terms=batch.message.terms,
    )
    decoded = decode_results(results)
    if decoded is None or message.struct_hash() != bytes(told["settlement"]):
        reason = f"a settlement of interval {interval} that its hash is not of"
        raise ChainUnavailable(node, reason)
    return SettlementEvidence(
        message,
        decoded,
        keyper_numbers(told["signers"]),
        bytes(event["transactionHash"]),
        event["blockNumber"],
        bytes(event["blockHash"]),
    )


def closing_of(event: Any) -> tuple[tuple[Tree, ...], bytes, tuple[bytes, ...]]:
    """Trees, hash of the leaves and hashes of their blobs, which an event Closed says."""
    told = event["args"]
    _, _, _, leaf_hash, blobs, _ = _values(told["outcome"])
    return tuple(map(_tree, told["trees"])), bytes(leaf_hash), tuple(map(bytes, blobs))


def _tree(told: Any) -> Tree:
    vault, root, exits, claims = _values(told)
    return Tree(account_bytes(AccountId(vault)), bytes(root), exits, claims)


def _values(told: Any) -> tuple[Any, ...]:
    """The fields of a struct in an event, in their order."""
    return tuple(told.values()) if hasattr(told, "values") else tuple(told)
