"""What keypers sign for the contracts that hold the money, and what accounts sign for the vaults.

All are EIP-712 typed data (`crypto.signing.eip712`). Of a batch and of a settlement there is one
for each interval, of a rotation one for each epoch: a keyper that signs two is excluded by anybody
who shows them to the contract.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from eth_hash.auto import keccak

from crypto.signing.eip712 import TypedMessage

_TREE = "Tree(address vault,bytes32 root,uint128 exitTotal,uint128 claimTotal)"


@dataclass(frozen=True, slots=True)
class BatchRoot(TypedMessage):
    """The closed batch of an interval: the Merkle root of `count` admitted intents.

    `previous_settlement` is the struct hash of the last settlement, zero before the first; `terms`
    and `plan` are digests of what the auction runs under and of the masks set aside for it;
    `commit_by`, in Unix seconds, is the last moment of the commitment.
    """

    ENCODE_TYPE: ClassVar[str] = (
        "BatchRoot(uint64 interval,bytes32 root,uint32 count,bytes32 previousSettlement,"
        "bytes32 terms,bytes32 plan,uint64 commitBy)"
    )
    interval: int
    root: bytes
    count: int
    previous_settlement: bytes
    terms: bytes
    plan: bytes
    commit_by: int


@dataclass(frozen=True, slots=True)
class Tree(TypedMessage):
    """The balances of one vault: root of the sum tree and its two sums, in token units."""

    ENCODE_TYPE: ClassVar[str] = _TREE
    vault: bytes
    root: bytes
    exit_total: int
    claim_total: int


@dataclass(frozen=True, slots=True)
class Settlement(TypedMessage):
    """The outcome of an interval, and all balances after it.

    `flows` is the head of the chain of deposits, requests, notices and returns at the commitment;
    `leaf_hash` is keccak-256 of the published leaves, `leaf_blobs` the versioned hashes (EIP-4844)
    of the same bytes as blobs; `record_digest` is over the core of the interval's record.
    """

    ENCODE_TYPE: ClassVar[str] = (
        "Settlement(uint64 interval,bytes32 batchRoot,bytes32 previousSettlement,bytes32 flows,"
        "bytes32 results,bytes32 prices,bytes32 fillsRoot,bytes32 stateRoot,Tree[] trees,"
        "bytes32 leafHash,bytes32[] leafBlobs,bytes32 recordDigest,bytes32 terms)" + _TREE
    )
    interval: int
    batch_root: bytes
    previous_settlement: bytes
    flows: bytes
    results: bytes
    prices: bytes
    fills_root: bytes
    state_root: bytes
    trees: tuple[Tree, ...]
    leaf_hash: bytes
    leaf_blobs: tuple[bytes, ...]
    record_digest: bytes
    terms: bytes


@dataclass(frozen=True, slots=True)
class Closing(TypedMessage):
    """All balances when a venue has ended, at the first prices reported after the declaration.

    `declared_at` is the second of the declaration on the chain.
    """

    ENCODE_TYPE: ClassVar[str] = (
        "Closing(uint64 declaredAt,bytes32 previousSettlement,bytes32 prices,bytes32 stateRoot,"
        "Tree[] trees,bytes32 leafHash,bytes32[] leafBlobs,bytes32 recordDigest,bytes32 terms)"
        + _TREE
    )
    declared_at: int
    previous_settlement: bytes
    prices: bytes
    state_root: bytes
    trees: tuple[Tree, ...]
    leaf_hash: bytes
    leaf_blobs: tuple[bytes, ...]
    record_digest: bytes
    terms: bytes


@dataclass(frozen=True, slots=True)
class Rotation(TypedMessage):
    """The committee that follows, by the addresses of its keypers' signing keys.

    `previous_committee` is keccak-256 of the present one's addresses, 32 bytes each; `key_id` and
    `circuits` are digests of the next one's encryption keys and of the circuits that they serve.
    """

    ENCODE_TYPE: ClassVar[str] = (
        "Rotation(uint64 epoch,bytes32 previousCommittee,address[] next,bytes32 keyId,"
        "bytes32 circuits)"
    )
    epoch: int
    previous_committee: bytes
    next: tuple[bytes, ...]
    key_id: bytes
    circuits: bytes


@dataclass(frozen=True, slots=True)
class Claim(TypedMessage):
    """An account lets another sender claim for it, up to `cumulative`, all claims together.

    The sender gets `fee` out of what is paid to `to`; amounts in token units, `deadline` in Unix
    seconds.
    """

    ENCODE_TYPE: ClassVar[str] = (
        "Claim(address account,address vault,address to,uint128 cumulative,uint128 fee,"
        "uint64 deadline)"
    )
    account: bytes
    vault: bytes
    to: bytes
    cumulative: int
    fee: int
    deadline: int


@dataclass(frozen=True, slots=True)
class TakeBack(TypedMessage):
    """An account lets another sender take back its deposit `number`, which no settlement counts.

    The sender gets `fee` out of what is paid to `to`; amounts in token units, `deadline` in Unix
    seconds.
    """

    ENCODE_TYPE: ClassVar[str] = (
        "TakeBack(address account,address vault,address to,uint64 number,uint128 fee,"
        "uint64 deadline)"
    )
    account: bytes
    vault: bytes
    to: bytes
    number: int
    fee: int
    deadline: int


def committee_hash(addresses: Iterable[bytes]) -> bytes:
    """What a rotation names a committee by: keccak-256 of its addresses, 32 bytes each."""
    return keccak(b"".join(address.rjust(32, b"\0") for address in addresses))
