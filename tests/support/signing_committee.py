"""A committee that signs what it is asked to, for the whole way of batches over a chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from eth_hash.auto import keccak

from crypto.signing.ecdsa import address_of, sign
from crypto.signing.eip712 import TypedMessage
from crypto.signing.messages import instrument_id
from crypto.signing.settling import BatchRoot, Settlement
from crypto.signing.sum_tree import SumLeaf, SumTree
from darkpool.chain.calls import ProvenLeaf
from darkpool.chain.client import Chain, DeploymentTerms
from darkpool.protocol.leaves import encode_leaves
from darkpool.protocol.results import InstrumentResult, encode_results
from darkpool.settlement.trees import trees_of
from darkpool.units import AccountId, InstrumentId, Interval, Lots, Tick, account_bytes
from darkpool.units import account_of as account_at

KEYS = [bytes([number]) * 32 for number in range(1, 5)]
BATCH = b"\xba" * 32
FILLS = b"\xf1" * 32
STATE = b"\x57" * 32
TERMS = b"\x7e" * 32
PLAN = b"\x91" * 32
FUND_OWNER = account_at(b"\xf0" * 20)
LATER_S = 2**40
RESULTS = (
    InstrumentResult(InstrumentId(instrument_id("ES")), True, Tick(12), Lots(340)),
    InstrumentResult(InstrumentId(instrument_id("NQ")), False, Tick(0), Lots(0)),
)


class SigningCommittee:
    """Four keypers."""

    keys = KEYS
    results = RESULTS

    @property
    def addresses(self) -> list[AccountId]:
        return [account_of(key) for key in self.keys]

    def terms(self, **changes: Any) -> DeploymentTerms:
        """What a venue of this committee is deployed with."""
        terms = DeploymentTerms(
            tuple(self.addresses), b"\x1d" * 32, b"\xc1" * 32, 1, 1000, *[FUND_OWNER] * 3
        )
        return replace(terms, **changes)

    def sign(
        self, chain: Chain, message: TypedMessage, keys: Sequence[bytes] = KEYS[:3]
    ) -> list[bytes]:
        digest = message.digest(chain.deployment.domain())
        return [sign(digest, key) for key in keys]

    def batch(self, chain: Chain, interval: int, count: int = 9) -> BatchRoot:
        """The batch that could be committed next."""
        last = chain.standing().settled
        previous = bytes(32)
        if last:
            settled = chain.evidence(last).settlement
            assert settled is not None
            previous = settled.message.struct_hash()
        return BatchRoot(interval, BATCH, count, previous, TERMS, PLAN, LATER_S)

    def commit(self, chain: Chain, interval: int, count: int = 9) -> BatchRoot:
        message = self.batch(chain, interval, count)
        chain.commit_batch(message, self.sign(chain, message))
        return message

    def settlement(self, chain: Chain, leaves: Sequence[SumLeaf]) -> Settlement:
        """The settlement of the open batch."""
        found = chain.evidence(chain.standing().committed).batch
        assert found is not None
        return Settlement(
            interval=found.message.interval,
            batch_root=found.message.root,
            previous_settlement=found.message.previous_settlement,
            flows=found.flows_head,
            results=keccak(encode_results(RESULTS)),
            prices=bytes(32),
            fills_root=FILLS,
            state_root=STATE,
            trees=trees_of([chain.deployment.vault], [leaves]),
            leaf_hash=keccak(encode_leaves([leaves])),
            leaf_blobs=(),
            record_digest=bytes(32),
            terms=found.message.terms,
        )

    def settle(self, chain: Chain, leaves: Sequence[SumLeaf]) -> Settlement:
        message = self.settlement(chain, leaves)
        chain.publish(encode_leaves([leaves]))
        chain.settle(message, encode_results(RESULTS), self.sign(chain, message, KEYS[1:]))
        return message


def account_of(key: bytes) -> AccountId:
    return account_at(address_of(key))


def balance(account: AccountId, exit_value: int, claimable: int = 0) -> SumLeaf:
    """The leaf of an account."""
    return SumLeaf(account_bytes(account), exit_value, claimable)


def proven(interval: int, leaves: Sequence[SumLeaf], account: AccountId) -> ProvenLeaf:
    """The balance of an account under the root of an interval."""
    index = [leaf.account for leaf in leaves].index(account_bytes(account))
    return ProvenLeaf(Interval(interval), leaves[index], SumTree(leaves).proof(index))
