import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import InvalidMerkleProof
from crypto.signing.merkle import (
    EMPTY_LEAF,
    MerkleProof,
    merkle_proof,
    merkle_root,
    verify_merkle_proof,
)

leaf_lists = st.lists(st.binary(max_size=80), min_size=1, max_size=40)


@given(leaves=leaf_lists, data=st.data())
def test_every_leaf_is_proven_at_its_place(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    verify_merkle_proof(merkle_root(leaves), leaves[index], merkle_proof(leaves, index))


@given(leaves=leaf_lists, data=st.data())
def test_a_leaf_is_not_proven_at_another_place(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    other = data.draw(st.integers(0, len(leaves) - 1))
    if leaves[index] == leaves[other]:
        return
    with pytest.raises(InvalidMerkleProof, match="root"):
        verify_merkle_proof(merkle_root(leaves), leaves[index], merkle_proof(leaves, other))


@given(leaves=leaf_lists, data=st.data())
def test_one_changed_bit_breaks_the_proof(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = merkle_proof(leaves, index)
    if not proof.siblings:
        return
    level = data.draw(st.integers(0, len(proof.siblings) - 1))
    bit = data.draw(st.integers(0, 255))
    changed = int.from_bytes(proof.siblings[level], "big") ^ 1 << bit
    siblings = list(proof.siblings)
    siblings[level] = changed.to_bytes(32, "big")
    forged = MerkleProof(proof.index, proof.count, tuple(siblings))
    with pytest.raises(InvalidMerkleProof, match="root"):
        verify_merkle_proof(merkle_root(leaves), leaves[index], forged)


@given(leaves=leaf_lists, other=leaf_lists)
def test_different_lists_have_different_roots(leaves: list[bytes], other: list[bytes]) -> None:
    assert (merkle_root(leaves) == merkle_root(other)) == (leaves == other)


def test_layout_of_three_leaves_is_the_documented_one() -> None:
    a, b, c = (keccak(b"\0" + leaf) for leaf in (b"a", b"b", b"c"))
    top = keccak(b"\1" + keccak(b"\1" + a + b) + keccak(b"\1" + c + EMPTY_LEAF))
    assert merkle_root([b"a", b"b", b"c"]) == keccak(b"\2" + (3).to_bytes(32, "big") + top)


def test_roots_of_no_leaf_and_one_leaf_are_the_documented_ones() -> None:
    assert merkle_root([]) == keccak(b"\2" + bytes(32) + EMPTY_LEAF)
    assert merkle_root([b"a"]) == keccak(b"\2" + (1).to_bytes(32, "big") + keccak(b"\0a"))


def test_an_inner_node_is_not_a_leaf() -> None:
    leaves = [b"a", b"b", b"c", b"d"]
    pair = keccak(b"\0a") + keccak(b"\0b")
    proof = merkle_proof(leaves, 0)
    for count in (2, 4):
        with pytest.raises(InvalidMerkleProof):
            verify_merkle_proof(
                merkle_root(leaves), pair, MerkleProof(0, count, proof.siblings[1:])
            )


def test_padding_is_not_a_leaf() -> None:
    leaves = [b"a", b"b", b"c"]
    siblings = (keccak(b"\0c"), merkle_proof(leaves, 2).siblings[1])
    for leaf in (EMPTY_LEAF, b"\x03darkpool merkle empty leaf", b""):
        for count in (3, 4):
            with pytest.raises(InvalidMerkleProof):
                verify_merkle_proof(merkle_root(leaves), leaf, MerkleProof(3, count, siblings))


def test_a_shorter_list_has_another_root_though_the_tree_above_it_is_equal() -> None:
    leaves = [b"a", b"b", b"c"]
    proof = merkle_proof(leaves, 0)
    with pytest.raises(InvalidMerkleProof, match="root"):
        verify_merkle_proof(merkle_root(leaves), b"a", MerkleProof(0, 4, proof.siblings))


@pytest.mark.parametrize(
    ("index", "count", "cut"),
    [(-1, 3, 0), (3, 3, 0), (0, 0, 0), (0, 2**32 + 1, 0), (0, 3, 1)],
)
def test_malformed_proofs_are_refused(index: int, count: int, cut: int) -> None:
    leaves = [b"a", b"b", b"c"]
    siblings = merkle_proof(leaves, 0).siblings[cut:]
    with pytest.raises(InvalidMerkleProof, match=r"index|number of siblings"):
        verify_merkle_proof(merkle_root(leaves), b"a", MerkleProof(index, count, siblings))


def test_a_sibling_of_another_length_is_refused() -> None:
    proof = MerkleProof(0, 2, (b"short",))
    with pytest.raises(InvalidMerkleProof, match="bytes of a sibling"):
        verify_merkle_proof(merkle_root([b"a", b"b"]), b"a", proof)


@pytest.mark.parametrize("index", [-1, 3])
def test_no_proof_beyond_the_list(index: int) -> None:
    with pytest.raises(IndexError, match="below 3"):
        merkle_proof([b"a", b"b", b"c"], index)
