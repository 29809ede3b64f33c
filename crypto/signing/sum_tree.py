"""Merkle sum trees of balances over keccak-256, byte for byte those of `contracts/sum_tree.vy`.

A leaf holds an account's two amounts, each node and the root the sums of both over all leaves
below. So whoever knows the root knows what all balances are together. Leaves, nodes, the root and
the padding are hashed under four different one-byte prefixes; `sums` are two amounts of 128 bits
side by side, 32 bytes:

    leaf hash  = keccak256(0x00 || account || exit value || claimable)
    node hash  = keccak256(0x01 || left || sums of left || right || sums of right)
    empty leaf = keccak256(0x03 || "darkpool merkle empty leaf"), with sums of 0
    root       = keccak256(0x02 || number of leaves as 32 bytes || sums || top of the tree)

The idea of sums in the nodes is that of Maxwell's proof of solvency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eth_hash.auto import keccak

from crypto.errors import InvalidBalances, InvalidMerkleProof
from crypto.labels import MERKLE_LEAF, MERKLE_NODE, MERKLE_ROOT
from crypto.signing.merkle import DEPTH_MAX, EMPTY_LEAF

LEAF_BYTES = 52
AMOUNT_MAX = 2**128 - 1
"""Largest amount of a leaf, and largest sum of a tree."""

_Node = tuple[bytes, int]
_EMPTY: _Node = (EMPTY_LEAF, 0)


@dataclass(frozen=True, slots=True)
class SumLeaf:
    """What an account owns: `exit_value` and `claimable` in token units; `account` is 20 bytes."""

    account: bytes
    exit_value: int
    claimable: int

    def encode(self) -> bytes:
        """Return the 52 bytes of the leaf.

        Raises:
            InvalidBalances: the account is not 20 bytes, or an amount is not of 128 bits.
        """
        if not isinstance(self.account, bytes) or len(self.account) != 20:
            raise InvalidBalances("account of a leaf", "20 bytes", self.account)
        for name, amount in (("exit value", self.exit_value), ("claimable", self.claimable)):
            if not 0 <= amount <= AMOUNT_MAX:
                raise InvalidBalances(f"{name} of 0x{self.account.hex()}", "128 bits", amount)
        return self.account + self.sums.to_bytes(32, "big")

    @property
    def sums(self) -> int:
        """Both amounts side by side: exit value * 2**128 + claimable."""
        return self.exit_value << 128 | self.claimable


@dataclass(frozen=True, slots=True)
class SumProof:
    """One leaf's way to the root.

    `index` counts leaves from 0, `count` is the number of leaves; `siblings` are 32 bytes each and
    `sums` their sums, from the bottom row to the top.
    """

    index: int
    count: int
    siblings: tuple[bytes, ...]
    sums: tuple[int, ...]


class SumTree:
    """The tree over leaves in ascending order of their accounts.

    Raises:
        InvalidBalances: accounts do not ascend, or a sum is not of 128 bits.
    """

    def __init__(self, leaves: Sequence[SumLeaf]) -> None:
        self._count = len(leaves)
        depth = max(self._count - 1, 0).bit_length()
        row = [(keccak(MERKLE_LEAF + leaf.encode()), leaf.sums) for leaf in leaves]
        _check_order(leaves)
        self.exit_total = sum(leaf.exit_value for leaf in leaves)
        self.claim_total = sum(leaf.claimable for leaf in leaves)
        for name, total in (("exit values", self.exit_total), ("claims", self.claim_total)):
            if total > AMOUNT_MAX:
                raise InvalidBalances(f"sum of all {name}", "128 bits", total)
        self._rows = [row or [_EMPTY]]
        padding = _EMPTY
        for _ in range(depth):
            self._rows.append(_row_above(self._rows[-1], padding))
            padding = _parent(padding, padding)
        self.root = _root(self._count, self._rows[-1][0])

    def proof(self, index: int) -> SumProof:
        """Return the proof of the leaf at `index`.

        Raises:
            IndexError: `index` is not in `range(number of leaves)`.
        """
        if not 0 <= index < self._count:
            raise IndexError(f"leaf: expected an index below {self._count}, got {index}")
        beside, padding = [], _EMPTY
        for level, row in enumerate(self._rows[:-1]):
            place = index >> level ^ 1
            beside.append(row[place] if place < len(row) else padding)
            padding = _parent(padding, padding)
        siblings, sums = tuple(node for node, _ in beside), tuple(total for _, total in beside)
        return SumProof(index, self._count, siblings, sums)


def verify_sum_proof(root: bytes, leaf: SumLeaf, proof: SumProof) -> None:
    """Check that a leaf stands at `proof.index` of the `proof.count` leaves under `root`.

    Raises:
        InvalidBalances: the leaf is none.
        InvalidMerkleProof: the index, the number of siblings, a sum, or the root that follows from
            them is not what it must be.
    """
    derived = proven_root(leaf, proof)
    if derived != root:
        raise InvalidMerkleProof("root", root, derived)


def proven_root(leaf: SumLeaf, proof: SumProof) -> bytes:
    """Return the root that a proof leads to.

    Raises:
        InvalidBalances: the leaf is none.
        InvalidMerkleProof: the index, the number of siblings, or a sum is not what it must be.
    """
    if not 0 <= proof.index < proof.count <= 1 << DEPTH_MAX:
        raise InvalidMerkleProof(
            "index", f"0 <= index < count <= 2**{DEPTH_MAX}", (proof.index, proof.count)
        )
    depth = (proof.count - 1).bit_length()
    if not len(proof.siblings) == len(proof.sums) == depth:
        raise InvalidMerkleProof("number of siblings", depth, len(proof.siblings))
    node = (keccak(MERKLE_LEAF + leaf.encode()), leaf.sums)
    for level, sibling in enumerate(zip(proof.siblings, proof.sums, strict=True)):
        if len(sibling[0]) != 32 or not 0 <= sibling[1] < 1 << 256:
            raise InvalidMerkleProof("sibling", "32 bytes and sums of 32 bytes", sibling)
        node = _parent(sibling, node) if proof.index >> level & 1 else _parent(node, sibling)
    return _root(proof.count, node)


def _check_order(leaves: Sequence[SumLeaf]) -> None:
    before = b""
    for leaf in leaves:
        if leaf.account <= before:
            raise InvalidBalances(
                "accounts of leaves",
                "ascending order",
                f"0x{before.hex()}, then 0x{leaf.account.hex()}",
            )
        before = leaf.account


def _row_above(row: list[_Node], padding: _Node) -> list[_Node]:
    full = [_parent(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
    return [*full, _parent(row[-1], padding)] if len(row) % 2 else full


def _parent(left: _Node, right: _Node) -> _Node:
    exits = (left[1] >> 128) + (right[1] >> 128)
    claims = (left[1] & AMOUNT_MAX) + (right[1] & AMOUNT_MAX)
    if max(exits, claims) > AMOUNT_MAX:
        raise InvalidMerkleProof("sum", "128 bits", (exits, claims))
    left_sums, right_sums = left[1].to_bytes(32, "big"), right[1].to_bytes(32, "big")
    below = MERKLE_NODE + left[0] + left_sums + right[0] + right_sums
    return keccak(below), exits << 128 | claims


def _root(count: int, top: _Node) -> bytes:
    return keccak(MERKLE_ROOT + count.to_bytes(32, "big") + top[1].to_bytes(32, "big") + top[0])
