"""Whether a quorum of a committee signed a settlement that was kept, before an account pays for it.

To publish leaves is the dearest part of a settlement, and the contract takes leaves that nobody
signed. So what is a stranger's, perhaps, is held to the committee first.
"""

from __future__ import annotations

from typing import Any

from eth_hash.auto import keccak
from web3.contract import Contract

from crypto.errors import InvalidSignature
from crypto.signing.ecdsa import SIGNATURE_BYTES, recover_address
from crypto.signing.eip712 import Domain
from crypto.signing.settling import Settlement, Tree
from darkpool.chain.asking import reading
from darkpool.chain.errors import SettlementUnsigned
from darkpool.chain.settling import KeptSettlement
from darkpool.units import AccountId, account_bytes, account_of


def require_quorum(kept: KeptSettlement, contract: Contract, node: str) -> None:
    """Check that a quorum of keypers signed a settlement of the batch that its contract has open.

    Whose signatures were excluded meanwhile is left to the contract; `node` is what errors name.

    Raises:
        SettlementUnsigned: fewer keypers signed it, or for another batch.
        ChainUnavailable: the node does not answer, or answers nothing that can be used.
    """
    functions = contract.functions
    with reading(node, "the committee of a venue"):
        keypers = set(map(AccountId, functions.committee_members().call()))
        quorum = functions.quorum().call()
    domain = Domain(kept.call.chain_id, account_bytes(kept.call.contract))
    digest, signatures = _message(kept, functions, node).digest(domain), kept.arguments[4]
    signers = set()
    try:
        for at in range(0, len(signatures), SIGNATURE_BYTES):
            one = recover_address(digest, signatures[at : at + SIGNATURE_BYTES])
            signers.add(account_of(one))
    except InvalidSignature as error:
        subject = f"signatures, {error.subject}"
        raise SettlementUnsigned(subject, error.expected, error.got) from error
    counted = len(signers & keypers)
    if counted < quorum:
        expected = f"of {quorum} keypers, for the batch that is open"
        raise SettlementUnsigned("signatures", expected, f"of {counted}")


def _message(kept: KeptSettlement, functions: Any, node: str) -> Settlement:
    """What keypers sign of a settlement, with what the contract itself puts into it."""
    (prices, fills, state, leaf_hash, blobs, record), trees, results = kept.outcome
    with reading(node, "the open batch of a venue"):
        root, terms = functions.batch_root().call(), functions.batch_terms().call()
        previous, flows = functions.last_settlement().call(), functions.batch_flows_head().call()
    return Settlement(
        interval=kept.interval,
        batch_root=bytes(root),
        previous_settlement=bytes(previous),
        flows=bytes(flows),
        results=keccak(results),
        prices=prices,
        fills_root=fills,
        state_root=state,
        trees=tuple(Tree(account_bytes(AccountId(one[0])), *one[1:]) for one in trees),
        leaf_hash=leaf_hash,
        leaf_blobs=blobs,
        record_digest=record,
        terms=bytes(terms),
    )
