"""What an interval sends to the chain: its batch, its leaves and its settlement.

Any account may send them, because the keypers' signatures are the permission. So the operator asks
what the chain says and never trusts its own receipt: what another account sent first has happened.
"""

from __future__ import annotations

from collections.abc import Sequence

from crypto.signing.settling import BatchRoot, Settlement
from darkpool.auction.environment import Environment
from darkpool.auction.errors import OtherBatchCommitted
from darkpool.chain.client import Chain
from darkpool.chain.errors import ChainError
from darkpool.chain.evidence import BatchEvidence, IntervalEvidence, TransactionReceiptInfo
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
        chain.wait_final(sent, environment.confirmations)
    except ChainError:
        found = chain.evidence(Interval(message.interval)).batch
        if found is None:
            raise
        chain.wait_final(chain.receipt(found.transaction), environment.confirmations)
    found = chain.evidence(Interval(message.interval)).batch
    if found is None or found.message != message:
        got = "none" if found is None else found.message.struct_hash().hex()
        raise OtherBatchCommitted(message.interval, message.struct_hash().hex(), got)
    return found


def settle(
    environment: Environment,
    message: Settlement,
    data: tuple[bytes, bytes],
    signatures: Sequence[bytes],
) -> TransactionReceiptInfo | ChainError:
    """Publish leaves and settle; where no block takes the settlement, returns why.

    `data` are the leaves and the results, as bytes. A revert is no failure where the same
    settlement is on the chain: another account was first, or a node lagged behind.
    """
    chain, (leaves, results) = environment.chain, data
    try:
        if chain.leaves(message.leaf_hash) is None:
            chain.publish(leaves)
        sent = chain.settle(message, results, signatures)
        chain.wait_final(sent, environment.confirmations)
    except ChainError as error:
        return _settled_by_another(environment, message) or error
    return sent


def _settled_by_another(
    environment: Environment, message: Settlement
) -> TransactionReceiptInfo | None:
    chain = environment.chain
    try:
        found = chain.evidence(Interval(message.interval)).settlement
        if found is None or found.message != message:
            return None
        receipt = chain.receipt(found.transaction)
        chain.wait_final(receipt, environment.confirmations)
    except ChainError:
        return None
    return receipt


def end_open(chain: Chain, interval: Interval, confirmations: int) -> IntervalEvidence:
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
    chain.wait_final(end, confirmations)
    return chain.evidence(interval)


def _end_of(chain: Chain, said: IntervalEvidence) -> TransactionReceiptInfo | None:
    """What ended a committed batch, if it has ended."""
    if said.settlement is not None:
        return chain.receipt(said.settlement.transaction)
    return chain.void_receipt(said.interval) if said.voided else None
