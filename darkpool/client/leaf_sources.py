"""Where leaves of a settlement come from when the chain has them in no event."""

from __future__ import annotations

from eth_hash.auto import keccak

from crypto.errors import hexadecimal
from darkpool.chain.beacon import BeaconNode
from darkpool.chain.evidence import SettledTrees
from darkpool.chain.reading import ReadableChain
from darkpool.client.errors import ForeignLeaves
from darkpool.client.leaving import LeafSource
from darkpool.protocol.leaves import data_of, decode_leaves, encode_leaves

LEAVES_BYTES_MAX = 1 << 20
"""More than six blobs carry."""


def from_beacon(chain: ReadableChain, beacon: BeaconNode) -> LeafSource:
    """The blobs of the settlement's own transaction, while beacon nodes keep them.

    The source raises `BeaconUnavailable` where the node gives no answer that can be used, and
    `InvalidLeaves` where the blobs carry no leaves.
    """

    def source(settled: SettledTrees) -> bytes | None:
        if not settled.leaf_blobs:
            return None
        blobs = beacon.blobs(chain.time(settled.block), settled.leaf_blobs)
        if blobs is None:
            return None
        # a blob is filled up with zeros, which are not part of what is hashed
        return encode_leaves(decode_leaves(data_of(blobs), len(settled.trees)))

    return source


def from_bytes(name: str, data: bytes) -> LeafSource:
    """Bytes that anybody gave; `name` says in errors where they are from.

    The source raises `ForeignLeaves` where they are those of no or of another settlement.
    """

    def source(settled: SettledTrees) -> bytes | None:
        got = keccak(data)
        if got != settled.leaf_hash:
            expected = f"leaves of interval {settled.interval}, hash "
            raise ForeignLeaves(name, expected + hexadecimal(settled.leaf_hash), hexadecimal(got))
        return data

    return source
