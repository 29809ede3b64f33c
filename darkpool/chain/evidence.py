"""What the chain says, as plain values: deployments, transactions, and the events of an interval.

Addresses are in EIP-55 mixed case, hashes are 32 raw bytes, amounts are token units, times are Unix
seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from web3.types import TxReceipt

from crypto.signing.eip712 import Domain
from crypto.signing.settling import BatchRoot, Settlement, Tree
from darkpool.protocol.results import InstrumentResult
from darkpool.units import AccountId, Interval, account_bytes

SETTLEMENT_TIMEOUT_S: Final = 3_600
"""Seconds from the commitment in which a batch can be settled, as the contract has it."""


@dataclass(frozen=True, slots=True)
class VaultPlace:
    """Where a vault stands, which token it holds, and its least deposit in token units."""

    address: AccountId
    token: AccountId
    deposit_min: int


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where a venue's contracts stand.

    Attributes:
        block: the block in which Settlement was deployed.
        vaults: in the contract's order, the one of cash first.
        keypers: of the committee, in the order of their numbers; `quorum` of them decide.
        epoch: counts committees, from 1.
        key_id, circuits: digests of the committee's encryption keys and of their circuits.
    """

    chain_id: int
    block: int
    settlement: AccountId
    vaults: tuple[VaultPlace, ...]
    keypers: tuple[AccountId, ...]
    quorum: int
    epoch: int
    key_id: bytes
    circuits: bytes

    @property
    def vault(self) -> AccountId:
        """The vault of cash."""
        return self.vaults[0].address

    def domain(self) -> Domain:
        """Return the EIP-712 domain of everything that is signed for this venue."""
        return Domain(self.chain_id, account_bytes(self.settlement))


@dataclass(frozen=True, slots=True)
class BlockPoint:
    """One block: of all that may ever have the number, the one with this hash."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class TransactionReceiptInfo:
    """A transaction that succeeded, and the block it is in."""

    hash: bytes
    block: int
    block_hash: bytes
    gas_used: int

    @property
    def point(self) -> BlockPoint:
        """The block it is in."""
        return BlockPoint(self.block, self.block_hash)


def info_of(receipt: TxReceipt) -> TransactionReceiptInfo:
    """What a node's receipt of a transaction says."""
    return TransactionReceiptInfo(
        hash=bytes(receipt["transactionHash"]),
        block=receipt["blockNumber"],
        block_hash=bytes(receipt["blockHash"]),
        gas_used=receipt["gasUsed"],
    )


@dataclass(frozen=True, slots=True)
class ContractCall:
    """What any account may send to a contract: the address, and the bytes of the call."""

    chain_id: int
    contract: AccountId
    data: bytes


@dataclass(frozen=True, slots=True)
class VenueStanding:
    """What the contract says of the venue now; 0 stands for never and for none.

    Attributes:
        committed, settled: last such interval.
        is_open: whether the batch of `committed` is neither settled nor void.
        must_be_empty: whether the next batch must be, because the last one was void.
        flows: index of the last flow; `flows_committed`: of the last one before `committed_at`.
        waiting_since: of the oldest request that no settlement has answered.
    """

    committed: Interval
    settled: Interval
    committed_at: int
    is_open: bool
    must_be_empty: bool
    flows: int
    flows_committed: int
    settled_at: int
    waiting_since: int
    declared_at: int
    is_closed: bool


@dataclass(frozen=True, slots=True)
class BatchEvidence:
    """The commitment of a batch.

    Attributes:
        flows: index of the last flow that it counts; `flows_head`: hash of all of them.
        signers: numbers of the keypers whose signatures counted, from 1.
        seconds_left: in which an open batch could still be settled when the node was asked for it;
            all of them where it was asked for the commitment alone.
    """

    message: BatchRoot
    flows: int
    flows_head: bytes
    signers: tuple[int, ...]
    transaction: bytes
    block: int
    block_hash: bytes
    seconds_left: int = SETTLEMENT_TIMEOUT_S

    @property
    def point(self) -> BlockPoint:
        """The block it is in."""
        return BlockPoint(self.block, self.block_hash)


@dataclass(frozen=True, slots=True)
class SettlementEvidence:
    """The settlement of a batch, with the results that it names; signers as in a batch."""

    message: Settlement
    results: tuple[InstrumentResult, ...]
    signers: tuple[int, ...]
    transaction: bytes
    block: int
    block_hash: bytes

    @property
    def point(self) -> BlockPoint:
        """The block it is in."""
        return BlockPoint(self.block, self.block_hash)


@dataclass(frozen=True, slots=True)
class IntervalEvidence:
    """All that the chain says about an interval; None for what has not happened.

    `is_declared` says that the venue has ended, in this interval or another.
    """

    interval: Interval
    batch: BatchEvidence | None
    settlement: SettlementEvidence | None
    voided: bool
    is_declared: bool


@dataclass(frozen=True, slots=True)
class SettledTrees:
    """The balances that the vaults pay by: of the last settlement, or of the closing one.

    Attributes:
        interval: under which the vaults keep them.
        trees: in the order of the vaults.
        leaf_hash: keccak-256 of the leaves; `leaf_blobs` are their versioned hashes as blobs.
        flows: index of the last flow that they count.
        block: in which they were settled.
    """

    interval: Interval
    trees: tuple[Tree, ...]
    leaf_hash: bytes
    leaf_blobs: tuple[bytes, ...]
    flows: int
    block: int


def keyper_numbers(signers: int) -> tuple[int, ...]:
    """Read the contracts' bit set of signers: bit i - 1 stands for keyper number i."""
    return tuple(i + 1 for i in range(signers.bit_length()) if signers >> i & 1)
