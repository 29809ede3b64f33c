"""What an interval sends to the chain: its batch, its leaves and its settlement.

Any account may send them, because the keypers' signatures are the permission. So the operator asks
what the chain says and never trusts its own receipt: what another account sent first has happened.
"""

from __future__ import annotations

from collections.abc import Sequence

from crypto.signing.settling import BatchRoot
from darkpool.auction.environment import Environment
from darkpool.auction.errors import OtherBatchCommitted
from darkpool.chain.client import Chain
from darkpool.chain.errors import ChainError, ChainUnavailable
from darkpool.chain.evidence import BatchEvidence, IntervalEvidence, TransactionReceiptInfo
from darkpool.chain.finality import Finality
from darkpool.chain.settling import KeptSettlement
from darkpool.units import Interval


def commit(
    environment: Environment, message: BatchRoot, signatures: Sequence[bytes]
) -> BatchEvidence:
    """Commit a batch and wait until it is final; returns what the chain says of it.

    Raises:
        OtherBatchCommitted: another batch of the interval is on the chain.
        ChainError: none is.
    """
    chain = environment.chain
    try:
        sent = chain.commit_batch(message, signatures)
        chain.wait_final(sent, environment.finality)
    except ChainError:
        found = chain.evidence(Interval(message.interval)).batch
        if found is None:
            raise
        chain.wait_final(chain.receipt(found.transaction), environment.finality)
    found = chain.evidence(Interval(message.interval)).batch
    if found is None or found.message != message:
        got = "none" if found is None else found.message.struct_hash().hex()
        raise OtherBatchCommitted(message.interval, message.struct_hash().hex(), got)
    return found


def settle(environment: Environment, kept: KeptSettlement) -> TransactionReceiptInfo | ChainError:
    """Publish leaves, settle, and wait until it is final; where no block takes it, returns why.

    A revert is no failure where the same settlement is on the chain: another account was first, or
    a node lagged behind.
    """
    chain = environment.chain
    try:
        chain.settle_final(kept, environment.finality)
        settled = chain.evidence(kept.interval).settlement
        if settled is None:
            return ChainUnavailable(chain.node, f"no settlement of {kept.interval}, which is final")
        return chain.receipt(settled.transaction)
    except ChainError as error:
        return error


def end_open(chain: Chain, interval: Interval, finality: Finality) -> IntervalEvidence:
    """Void a batch that is open still, after its hour; returns what is final on the chain then.

    Another account may have voided it first, or settled it.

    Raises:
        ChainError: the hour has not passed, or the node gives no answer that can be used.
    """
    said = chain.evidence(interval)
    if said.batch is None:
        return said
    end = _end_of(chain, said)
    if end is None:
        try:
            end = chain.void(interval)
        except ChainError:
            end = _end_of(chain, chain.evidence(interval))
            if end is None:
                raise
    chain.wait_final(end, finality)
    return chain.evidence(interval)


def _end_of(chain: Chain, said: IntervalEvidence) -> TransactionReceiptInfo | None:
    """What ended a committed batch, if it has ended."""
    if said.settlement is not None:
        return chain.receipt(said.settlement.transaction)
    return chain.void_receipt(said.interval) if said.voided else None
