# pragma version 0.4.3
# pragma evm-version cancun
# SPDX-License-Identifier: Apache-2.0
"""
@title Merkle sum tree of balances
@license Apache-2.0
@notice Leads from one account's balance to the root over all balances and their two sums.
@dev A leaf is account (20 bytes), exit value and claimable (16 bytes each). Its two amounts, side by
     side in one word, are its sums; a node's sums are those of its two children together. Leaves,
     nodes and the root are hashed under the prefixes 0x00, 0x01 and 0x02, so that none passes for
     another; pairs are ordered; the root binds the number of leaves and the sums:
     leaf = keccak256(0x00 || account || exit value || claimable)
     node = keccak256(0x01 || left || sums of left || right || sums of right)
     root = keccak256(0x02 || uint256 count || sums || top)
     Identical to `crypto/signing/sum_tree.py`.
"""

DEPTH_MAX: constant(uint256) = 32
LOW_HALF: constant(uint256) = 2**128 - 1


struct Leaf:
    account: address
    exit_value: uint128
    claimable: uint128


struct Proof:
    index: uint256
    count: uint256
    siblings: DynArray[bytes32, DEPTH_MAX]
    sums: DynArray[uint256, DEPTH_MAX]


@internal
@pure
def _root_of(leaf: Leaf, proof: Proof) -> bytes32:
    """
    @notice The root that a proof leads to.
    @dev Reverts with "leaf index" when the index is not below the count, with "proof length" when
         there is not exactly one sibling and one pair of sums for each level of a tree of `count`
         leaves, and with "sum" when a sum does not fit 128 bits.
    @param leaf The balance.
    @param proof Place of the leaf, number of leaves, and what stands beside the path, from the
           bottom row to the top.
    @return The root, to be compared with the one that is known.
    """
    assert proof.index < proof.count, "leaf index"
    capacity: uint256 = 1 << len(proof.siblings)
    assert proof.count <= capacity, "proof length"
    assert capacity == 1 or capacity >> 1 < proof.count, "proof length"
    assert len(proof.sums) == len(proof.siblings), "proof length"
    sums: uint256 = (convert(leaf.exit_value, uint256) << 128) | convert(leaf.claimable, uint256)
    node: bytes32 = keccak256(concat(0x00, convert(leaf.account, bytes20), convert(sums, bytes32)))
    position: uint256 = proof.index
    for level: uint256 in range(len(proof.siblings), bound=DEPTH_MAX):
        sibling: bytes32 = proof.siblings[level]
        beside: uint256 = proof.sums[level]
        if position & 1 == 1:
            node = keccak256(
                concat(0x01, sibling, convert(beside, bytes32), node, convert(sums, bytes32))
            )
        else:
            node = keccak256(
                concat(0x01, node, convert(sums, bytes32), sibling, convert(beside, bytes32))
            )
        assert unsafe_add(sums & LOW_HALF, beside & LOW_HALF) <= LOW_HALF, "sum"
        sums = unsafe_add(sums, beside)
        assert sums >= beside, "sum"
        position >>= 1
    return keccak256(concat(0x02, convert(proof.count, bytes32), convert(sums, bytes32), node))
