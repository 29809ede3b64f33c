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
from darkpool.chain.calls import Call, ProvenLeaf
from darkpool.chain.errors import ChainUnavailable
from darkpool.chain.evidence import SettledTrees, VaultPlace, VenueStanding
from darkpool.chain.reading import ReadableChain
from darkpool.client.errors import LeavesMissing, LeavesUnproven
from darkpool.protocol.flows import Flow, FlowKind
from darkpool.protocol.leaves import decode_leaves
from darkpool.units import AccountId, account_bytes, account_of

LeafSource = Callable[[SettledTrees], bytes | None]
"""Gives the bytes of the leaves of a settlement, or None; they need not be believed."""


@dataclass(frozen=True, slots=True)
class OwnDeposit:
    """A deposit that no settlement counts; `noticed_at` is when notice was given, 0 for never."""

    flow: Flow
    noticed_at: int

    @property
    def index(self) -> int:
        """Its number in the vault: that of its flow."""
        return self.flow.index

    @property
    def amount(self) -> int:
        """Token units."""
        return self.flow.amount


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
    deposits: tuple[OwnDeposit, ...]

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


class VenueBalances:
    """What all accounts have in the vaults of a venue, by its last settlement.

    Leaves are looked for on the chain first, then at each of `sources`.

    Raises:
        LeavesMissing: nothing gives the leaves of the last settlement.
        LeavesUnproven: bytes with the right hash are not what the settled roots are of, or a vault
            keeps another root.
        ChainUnavailable: the node does not answer, or answers nothing that can be used.
    """

    def __init__(self, chain: ReadableChain, sources: Sequence[LeafSource] = ()) -> None:
        self._chain = chain
        self.settled = chain.last_settlement()
        self._leaves: list[dict[bytes, int]] = [{} for _ in chain.deployment.vaults]
        self._trees: Sequence[SumTree] = ()
        self._found: Sequence[Sequence[SumLeaf]] = ()
        if self.settled is not None:
            self._require_roots(self.settled)
            self._found = _leaves(chain, self.settled, sources)
            self._trees = _proven_trees(self.settled.trees, self._found)
            self._leaves = [
                {leaf.account: index for index, leaf in enumerate(own)} for own in self._found
            ]
        self.standing: VenueStanding = chain.standing()
        self._flows = chain.flows(self.standing.flows)

    def of(self, account: AccountId) -> tuple[VaultBalance, ...]:
        """What an account has in each vault.

        Raises:
            ChainUnavailable: the node does not answer, or answers nothing that can be used.
        """
        return tuple(
            VaultBalance(
                place,
                self._proven(number, account),
                self._chain.ask(_call(place, "paid_to", account)),
                self._waiting(place, account),
            )
            for number, place in enumerate(self._chain.deployment.vaults)
        )

    def _require_roots(self, settled: SettledTrees) -> None:
        vaults = self._chain.deployment.vaults
        if len(settled.trees) != len(vaults):
            reason = f"a settlement of {len(settled.trees)} vaults, of {len(vaults)}"
            raise ChainUnavailable(self._chain.node, reason)
        for tree, place in zip(settled.trees, vaults, strict=True):
            if account_of(tree.vault) != place.address:
                raise LeavesUnproven(tree.vault, account_bytes(place.address), tree.vault)
            kept = bytes(self._chain.ask(_call(place, "roots", settled.interval)))
            if kept != tree.root:
                raise LeavesUnproven(tree.vault, kept, tree.root)

    def _proven(self, number: int, account: AccountId) -> ProvenLeaf | None:
        index = self._leaves[number].get(account_bytes(account))
        if index is None or self.settled is None:
            return None
        proof = self._trees[number].proof(index)
        return ProvenLeaf(self.settled.interval, self._found[number][index], proof)

    def _waiting(self, place: VaultPlace, account: AccountId) -> tuple[OwnDeposit, ...]:
        counted = 0 if self.settled is None else self.settled.flows
        returned = {flow.number for flow in self._flows if flow.kind is FlowKind.RETURN}
        return tuple(
            OwnDeposit(flow, self._chain.ask(_call(place, "noticed_at", flow.index)))
            for flow in self._flows
            if flow.kind is FlowKind.DEPOSIT
            and (flow.vault, flow.account) == (place.address, account)
            and flow.index > counted
            and flow.index not in returned
        )


def balances_of(
    chain: ReadableChain, account: AccountId, sources: Sequence[LeafSource] = ()
) -> tuple[VaultBalance, ...]:
    """What an account has in each vault, by the last settlement.

    Raises:
        LeavesMissing, LeavesUnproven, ChainUnavailable: as `VenueBalances`.
    """
    return VenueBalances(chain, sources).of(account)


def _call(place: VaultPlace, function: str, *arguments: object) -> Call:
    return Call("CollateralVault", place.address, function, arguments)


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
            return decode_leaves(data, count)
    raise LeavesMissing(settled.interval, settled.leaf_hash)


def _proven_trees(
    trees: Sequence[Tree], leaves: Sequence[Sequence[SumLeaf]]
) -> tuple[SumTree, ...]:
    made = tuple(SumTree(own) for own in leaves)
    for tree, own in zip(trees, made, strict=True):
        if own.root != tree.root:
            raise LeavesUnproven(tree.vault, tree.root, own.root)
    return made
