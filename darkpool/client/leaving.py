"""Everything that an account can take out of a venue's vaults, from the chain's data alone.

No operator and no keyper is asked: deposits and payments are events, and so are the leaves of a
settlement, or they are blobs that a beacon node serves for some 18 days. Leaves that come from
elsewhere prove themselves by the hash that the settlement names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eth_hash.auto import keccak

from crypto.signing.settling import Tree
from crypto.signing.sum_tree import SumLeaf, SumTree
from darkpool.chain.calls import ProvenLeaf
from darkpool.chain.evidence import SettledTrees, VaultPlace
from darkpool.chain.reading import ReadableChain
from darkpool.client.errors import LeavesMissing, LeavesUnproven
from darkpool.protocol.flows import Flow, FlowKind
from darkpool.protocol.leaves import decode_leaves
from darkpool.units import AccountId, account_bytes

LeafSource = Callable[[SettledTrees], bytes | None]
"""Gives the bytes of the leaves of a settlement, or None; they need not be believed."""


@dataclass(frozen=True, slots=True)
class VaultBalance:
    """What an account has in a vault, in token units.

    Attributes:
        proven: its leaf under the last root, with the proof; None where it has none.
        paid: what it was paid so far.
        deposits: its deposits that no settlement counts and that were not returned.
    """

    vault: VaultPlace
    proven: ProvenLeaf | None
    paid: int
    deposits: tuple[Flow, ...]

    @property
    def claimable(self) -> int:
        """What `claim` pays now."""
        return 0 if self.proven is None else max(0, self.proven.leaf.claimable - self.paid)

    @property
    def everything(self) -> int:
        """What `leave` pays once exits are open."""
        if self.proven is None:
            return 0
        return max(0, self.proven.leaf.exit_value + self.proven.leaf.claimable - self.paid)


def balances_of(
    chain: ReadableChain, account: AccountId, sources: Sequence[LeafSource] = ()
) -> tuple[VaultBalance, ...]:
    """What an account has in each vault, by the last settlement.

    Leaves are looked for on the chain first, then at each of `sources`.

    Raises:
        LeavesMissing: nothing gives the leaves of the last settlement.
        LeavesUnproven: bytes with the right hash are not what the settled roots are of.
        ChainUnavailable: the node does not answer, or answers nothing that can be used.
    """
    settled, vaults = chain.last_settlement(), chain.deployment.vaults
    leaves: Sequence[Sequence[SumLeaf]] = [()] * len(vaults)
    if settled is not None:
        leaves = _leaves(chain, settled, sources)
    flows, height = chain.flows(), chain.height()
    counted = 0 if settled is None else settled.flows
    return tuple(
        VaultBalance(
            vault,
            None if settled is None else _proven(settled, own, account),
            chain.paid(vault.address, height).get(account, 0),
            _waiting(flows, vault.address, account, counted),
        )
        for vault, own in zip(vaults, leaves, strict=True)
    )


def _leaves(
    chain: ReadableChain, settled: SettledTrees, sources: Sequence[LeafSource]
) -> tuple[tuple[SumLeaf, ...], ...]:
    count = len(settled.trees)
    if settled.leaf_hash == keccak(b""):
        return ((),) * count

    def published(named: SettledTrees) -> bytes | None:
        return chain.leaves(named.leaf_hash)

    for source in (published, *sources):
        data = source(settled)
        if data is not None and keccak(data) == settled.leaf_hash:
            return _checked(settled.trees, decode_leaves(data, count))
    raise LeavesMissing(settled.interval, settled.leaf_hash)


def _checked(
    trees: Sequence[Tree], leaves: tuple[tuple[SumLeaf, ...], ...]
) -> tuple[tuple[SumLeaf, ...], ...]:
    for tree, own in zip(trees, leaves, strict=True):
        root = SumTree(own).root
        if root != tree.root:
            raise LeavesUnproven(tree.vault, tree.root, root)
    return leaves


def _proven(
    settled: SettledTrees, leaves: Sequence[SumLeaf], account: AccountId
) -> ProvenLeaf | None:
    name = account_bytes(account)
    for index, leaf in enumerate(leaves):
        if leaf.account == name:
            return ProvenLeaf(settled.interval, leaf, SumTree(leaves).proof(index))
    return None


def _waiting(
    flows: Sequence[Flow], vault: AccountId, account: AccountId, counted: int
) -> tuple[Flow, ...]:
    returned = {flow.number for flow in flows if flow.kind is FlowKind.RETURN}
    return tuple(
        flow
        for flow in flows
        if flow.kind is FlowKind.DEPOSIT
        and (flow.vault, flow.account) == (vault, account)
        and flow.index > counted
        and flow.index not in returned
    )

