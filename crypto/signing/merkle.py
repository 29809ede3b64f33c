"""Merkle trees over keccak-256, byte for byte those of `contracts/merkle.vy`.

Leaves, inner nodes, the root and the padding are hashed under four different one-byte prefixes
(the separation of leaves and nodes is that of RFC 6962, section 2.1), so that no value of one kind
can be passed off as another:

    leaf hash  = keccak256(0x00 || leaf)
    node hash  = keccak256(0x01 || left || right)
    empty leaf = keccak256(0x03 || "darkpool merkle empty leaf"), padding up to a power of two
    root       = keccak256(0x02 || number of leaves as 32 bytes, big-endian || top of the tree)

Pairs are ordered, so a proof also fixes the position of its leaf; the root binds the number of
leaves, so a list that ends in padding is not the shorter list without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from eth_hash.auto import keccak

from crypto.errors import InvalidMerkleProof
from crypto.labels import MERKLE_EMPTY_LEAF, MERKLE_LEAF, MERKLE_NODE, MERKLE_ROOT

EMPTY_LEAF = keccak(MERKLE_EMPTY_LEAF)
"""What fills the bottom row up to a power of two: 32 bytes that no leaf hashes to."""

DEPTH_MAX = 32
"""Longest proof, in siblings: the bound of the contracts' proof array."""


@dataclass(frozen=True, slots=True)
class MerkleProof:
    """One leaf's way to the root.

    `index` counts leaves from 0, `count` is the number of leaves in the list, `siblings` are 32
    bytes each, from the bottom row to the top.
    """

    index: int
    count: int
    siblings: tuple[bytes, ...]


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Return the 32-byte root of an ordered list of leaves of any length; the list may be empty."""
    row = _bottom_row(leaves)
    while len(row) > 1:
        row = _row_above(row)
    return _root(len(leaves), row[0])


def merkle_proof(leaves: Sequence[bytes], index: int) -> MerkleProof:
    """Return the proof of `leaves[index]`.

    Raises:
        IndexError: `index` is not in `range(len(leaves))`.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"Merkle leaf: expected an index below {len(leaves)}, got {index}")
    row = _bottom_row(leaves)
    position = index
    siblings = []
    while len(row) > 1:
        siblings.append(row[position ^ 1])
        row = _row_above(row)
        position >>= 1
    return MerkleProof(index, len(leaves), tuple(siblings))


def verify_merkle_proof(root: bytes, leaf: bytes, proof: MerkleProof) -> None:
    """Check that `leaf` stands at `proof.index` of the `proof.count` leaves under `root`.

    Raises:
        InvalidMerkleProof: the index, the number of siblings, a sibling's length, or the root
            that follows from them is not what it must be.
    """
    if not 0 <= proof.index < proof.count <= 1 << DEPTH_MAX:
        raise InvalidMerkleProof(
            "index", f"0 <= index < count <= 2**{DEPTH_MAX}", (proof.index, proof.count)
        )
    if len(proof.siblings) != _depth(proof.count):
        raise InvalidMerkleProof("number of siblings", _depth(proof.count), len(proof.siblings))
    node = keccak(MERKLE_LEAF + leaf)
    position = proof.index
    for sibling in proof.siblings:
        if len(sibling) != 32:
            raise InvalidMerkleProof("bytes of a sibling", 32, len(sibling))
        pair = sibling + node if position & 1 else node + sibling
        node = keccak(MERKLE_NODE + pair)
        position >>= 1
    derived = _root(proof.count, node)
    if derived != root:
        raise InvalidMerkleProof("root", root, derived)


def _depth(count: int) -> int:
    return max(count - 1, 0).bit_length()


def _bottom_row(leaves: Sequence[bytes]) -> list[bytes]:
    row = [keccak(MERKLE_LEAF + leaf) for leaf in leaves]
    row.extend([EMPTY_LEAF] * ((1 << _depth(len(row))) - len(row)))
    return row


def _row_above(row: Sequence[bytes]) -> list[bytes]:
    return [keccak(MERKLE_NODE + row[i] + row[i + 1]) for i in range(0, len(row), 2)]


def _root(count: int, top: bytes) -> bytes:
    return keccak(MERKLE_ROOT + count.to_bytes(32, "big") + top)
