"""Leaves survive their bytes, their blobs and their trees; what is no leaves is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import InvalidBalances, InvalidMerkleProof
from crypto.signing.sum_tree import AMOUNT_MAX, SumLeaf, SumTree, verify_sum_proof
from darkpool.protocol.errors import InvalidLeaves
from darkpool.protocol.leaves import (
    BLOB_BYTES,
    BLOBS_MAX,
    blobs_of,
    data_of,
    decode_leaves,
    encode_leaves,
    versioned_hashes,
)
from darkpool.settlement.claims import RETIRED, Claims
from darkpool.settlement.trees import leaves_of, trees_of
from darkpool.units import account_bytes, account_of

VAULTS = [account_of(bytes([number]) * 20) for number in (7, 8, 9)]
leaf_lists = st.lists(
    st.builds(
        SumLeaf,
        st.binary(min_size=20, max_size=20).filter(any),
        st.integers(0, AMOUNT_MAX >> 8),
        st.integers(0, AMOUNT_MAX >> 8),
    ),
    max_size=20,
    unique_by=lambda leaf: leaf.account,
).map(lambda leaves: tuple(sorted(leaves, key=lambda leaf: leaf.account)))


@given(st.lists(leaf_lists, min_size=1, max_size=8))
def test_leaves_survive_bytes_and_blobs(leaves: list[tuple[SumLeaf, ...]]) -> None:
    data = encode_leaves(leaves)
    assert decode_leaves(data, len(leaves)) == tuple(leaves)
    assert decode_leaves(data_of(blobs_of(data)), len(leaves)) == tuple(leaves)


@given(st.binary(max_size=300), st.integers(1, 8))
def test_any_bytes_are_leaves_or_refused(data: bytes, vaults: int) -> None:
    try:
        leaves = decode_leaves(data, vaults)
    except InvalidLeaves:
        return
    assert encode_leaves(leaves) == data[: len(encode_leaves(leaves))]
    assert not any(data[len(encode_leaves(leaves)) :])


@given(leaf_lists.filter(bool), st.data())
def test_every_leaf_is_proven_and_no_other(
    leaves: tuple[SumLeaf, ...], data: st.DataObject
) -> None:
    tree = SumTree(leaves)
    assert tree.exit_total == sum(leaf.exit_value for leaf in leaves)
    assert tree.claim_total == sum(leaf.claimable for leaf in leaves)
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = tree.proof(index)
    verify_sum_proof(tree.root, leaves[index], proof)
    for other in (
        SumLeaf(leaves[index].account, leaves[index].exit_value + 1, leaves[index].claimable),
        SumLeaf(leaves[index].account, leaves[index].exit_value, leaves[index].claimable + 1),
        SumLeaf(bytes(20), leaves[index].exit_value, leaves[index].claimable),
    ):
        with pytest.raises(InvalidMerkleProof):
            verify_sum_proof(tree.root, other, proof)


def test_trees_need_accounts_that_ascend_and_sums_that_fit() -> None:
    first, second = SumLeaf(b"\x01" * 20, 1, 1), SumLeaf(b"\x02" * 20, 1, 1)
    for leaves in (
        [second, first],
        [first, first],
        [SumLeaf(b"\x01" * 20, AMOUNT_MAX, 0), SumLeaf(b"\x02" * 20, 1, 0)],
        [SumLeaf(b"\x01" * 20, 0, AMOUNT_MAX), SumLeaf(b"\x02" * 20, 0, 1)],
        [SumLeaf(b"\x01" * 20, AMOUNT_MAX + 1, 0)],
        [SumLeaf(b"\x01" * 20, -1, 0)],
        [SumLeaf(b"\x01" * 19, 0, 0)],
    ):
        with pytest.raises(InvalidBalances):
            SumTree(leaves)


def test_the_leaves_of_a_vault_are_who_owns_or_was_granted_something() -> None:
    a, b, c = (account_of(bytes([number]) * 20) for number in (3, 4, 5))
    claims = Claims({b: 5, c: 6}, {a: 7})
    leaves = leaves_of({a: 0, b: 2}, claims)
    assert leaves == (
        SumLeaf(account_bytes(RETIRED), 0, 7),
        SumLeaf(account_bytes(b), 2, 5),
        SumLeaf(account_bytes(c), 0, 6),
    )
    assert SumTree(leaves).claim_total == claims.total == 18
    [tree, *_] = trees_of(VAULTS, [leaves, (), ()])
    assert (tree.exit_total, tree.claim_total) == (2, 18)


def test_as_many_leaves_as_blobs_carry_and_no_more() -> None:
    most = b"\x01" * (BLOBS_MAX * BLOB_BYTES)
    assert data_of(blobs_of(most)) == most
    with pytest.raises(InvalidLeaves, match="at most"):
        blobs_of(most + b"\x01")
    with pytest.raises(InvalidLeaves, match="131072"):
        data_of([b"\0" * 32])
    with pytest.raises(InvalidLeaves, match="zero byte"):
        data_of([b"\x01" * 131_072])


def test_the_versioned_hash_of_a_blob_of_zeros_is_the_known_one() -> None:
    """The commitment to the zero polynomial is the point at infinity, 0xc0 and 47 zeros."""
    from hashlib import sha256

    expected = b"\x01" + sha256(b"\xc0" + bytes(47)).digest()[1:]
    assert versioned_hashes(blobs_of(b"")) == (expected,)
