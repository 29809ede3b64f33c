"""Leaves of all vaults as public bytes, and the blobs that carry them.

The bytes are, for each vault in the vaults' order, the number of its leaves (4 bytes, big-endian)
and then its leaves of 52 bytes, ascending by account. Who has them can make every proof. They reach
the chain as calldata or as blobs (EIP-4844): a blob carries 4,096 words of 31 bytes, each behind a
zero byte, so that every word is a field element; the last one is filled up with zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Final

import ckzg

from crypto.signing.sum_tree import LEAF_BYTES, SumLeaf
from darkpool.protocol.errors import InvalidLeaves

VAULTS_MAX: Final = 8
BLOBS_MAX: Final = 6
BLOB_BYTES: Final = 4096 * 31
"""What a blob carries."""

CALLDATA_BYTES_MAX: Final = LEAF_BYTES * 2_400
"""The bound of the contract's `publish`; a transaction of 128 KiB carries no more."""

_COUNT_BYTES: Final = 4
_WORD_BYTES: Final = 31
_VERSION_KZG: Final = b"\x01"


def encode_leaves(leaves: Sequence[Sequence[SumLeaf]]) -> bytes:
    """The public bytes of the leaves of all vaults.

    Raises:
        InvalidBalances: a leaf is none.
    """
    return b"".join(
        len(own).to_bytes(_COUNT_BYTES, "big") + b"".join(leaf.encode() for leaf in own)
        for own in leaves
    )


def decode_leaves(data: bytes, vaults: int) -> tuple[tuple[SumLeaf, ...], ...]:
    """The leaves of each vault from their public bytes; what follows them must be zeros.

    Raises:
        InvalidLeaves: the bytes end too early, or something follows them.
    """
    leaves, at = [], 0
    for _ in range(vaults):
        count = int.from_bytes(_taken(data, at, _COUNT_BYTES), "big")
        at += _COUNT_BYTES
        own = _taken(data, at, count * LEAF_BYTES)
        at += len(own)
        leaves.append(tuple(_leaf(own[i : i + LEAF_BYTES]) for i in range(0, len(own), LEAF_BYTES)))
    if data[at:].strip(b"\0"):
        raise InvalidLeaves("bytes after the leaves", "zeros", f"{len(data) - at} bytes")
    return tuple(leaves)


def blobs_of(data: bytes) -> tuple[bytes, ...]:
    """The blobs that carry the bytes; there is one at least.

    Raises:
        InvalidLeaves: more than six blobs carry.
    """
    if len(data) > BLOBS_MAX * BLOB_BYTES:
        raise InvalidLeaves("leaves", f"at most {BLOBS_MAX * BLOB_BYTES} bytes", f"{len(data)}")
    count = max(1, -(-len(data) // BLOB_BYTES))
    filled = data.ljust(count * BLOB_BYTES, b"\0")
    words = [filled[i : i + _WORD_BYTES] for i in range(0, len(filled), _WORD_BYTES)]
    padded = b"".join(b"\0" + word for word in words)
    size = len(padded) // count
    return tuple(padded[i : i + size] for i in range(0, len(padded), size))


def data_of(blobs: Sequence[bytes]) -> bytes:
    """The bytes that blobs carry, with the zeros that fill up the last one.

    Raises:
        InvalidLeaves: a blob is not of 131,072 bytes, or a word does not begin with a zero byte.
    """
    for blob in blobs:
        if len(blob) != BLOB_BYTES // _WORD_BYTES * (_WORD_BYTES + 1):
            raise InvalidLeaves("blob", "131072 bytes", f"{len(blob)} bytes")
    joined = b"".join(blobs)
    if first := max(joined[:: _WORD_BYTES + 1], default=0):
        raise InvalidLeaves("words of a blob", "a zero byte first", f"byte {first}")
    return b"".join(
        joined[i + 1 : i + _WORD_BYTES + 1] for i in range(0, len(joined), _WORD_BYTES + 1)
    )


def versioned_hashes(blobs: Sequence[bytes]) -> tuple[bytes, ...]:
    """What names each blob on the chain (EIP-4844): a hash of its KZG commitment."""
    commitments = (ckzg.blob_to_kzg_commitment(blob, _setup()) for blob in blobs)
    return tuple(_VERSION_KZG + sha256(commitment).digest()[1:] for commitment in commitments)


def _taken(data: bytes, at: int, length: int) -> bytes:
    taken = data[at : at + length]
    if len(taken) != length:
        raise InvalidLeaves("leaves", f"{length} bytes at byte {at}", f"{len(taken)} bytes")
    return taken


def _leaf(data: bytes) -> SumLeaf:
    exit_value, claimable = data[20:36], data[36:52]
    return SumLeaf(data[:20], int.from_bytes(exit_value, "big"), int.from_bytes(claimable, "big"))


@cache
def _setup() -> object:
    """The public parameters of the KZG ceremony, which take seconds to load."""
    package = resources.files("eth_account.typed_transactions.blob_transactions")
    with resources.as_file(package / "kzg_trusted_setup.txt") as path:
        return ckzg.load_trusted_setup(str(path), 0)
