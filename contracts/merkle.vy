# pragma version 0.4.3
# pragma evm-version cancun
# SPDX-License-Identifier: Apache-2.0
"""
@title Merkle proofs
@license Apache-2.0
@notice Checks that a leaf stands at a given place in a list, given the root of the list.
@dev Leaves, inner nodes and the root are hashed under the prefixes 0x00, 0x01 and 0x02 (leaves and
     nodes as in RFC 6962, section 2.1), pairs are ordered, and the root binds the number of leaves:
     root = keccak256(0x02 || uint256 count || top). Identical to `crypto/signing/merkle.py`.
"""

DEPTH_MAX: constant(uint256) = 32


@internal
@pure
def _root_of(
    leaf: Bytes[128], index: uint256, count: uint256, siblings: DynArray[bytes32, DEPTH_MAX]
) -> bytes32:
    """
    @notice The root that a proof leads to.
    @dev Reverts with "leaf index" when the index is not below the count, and with "proof length"
         when there is not exactly one sibling for each level of a tree of `count` leaves.
    @param leaf The bytes of the leaf, before hashing.
    @param index Place of the leaf in the list, counted from 0.
    @param count Number of leaves in the list, without padding.
    @param siblings Hashes beside the path, from the bottom row to the top.
    @return The root, to be compared with the one that is known.
    """
    assert index < count, "leaf index"
    capacity: uint256 = 1 << len(siblings)
    assert count <= capacity, "proof length"
    assert capacity == 1 or capacity >> 1 < count, "proof length"
    node: bytes32 = keccak256(concat(0x00, leaf))
    position: uint256 = index
    for sibling: bytes32 in siblings:
        if position & 1 == 1:
            node = keccak256(concat(0x01, sibling, node))
        else:
            node = keccak256(concat(0x01, node, sibling))
        position >>= 1
    return keccak256(concat(0x02, convert(count, bytes32), node))
