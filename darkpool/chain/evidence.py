"""What the chain says, as plain values: deployments, transactions, and the events of an interval.

Addresses are in EIP-55 mixed case, hashes are 32 raw bytes, amounts are units of the collateral.
"""

from dataclasses import dataclass

from crypto.signing.eip712 import Domain
from darkpool.protocol.results import InstrumentResult
from darkpool.units import AccountId, Cash, Interval


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where a venue's contracts stand. `block` is the block in which the first was deployed."""

    chain_id: int
    block: int
    token: AccountId
    settlement: AccountId
    vault: AccountId
    operator: AccountId
    keypers: tuple[AccountId, ...]
    quorum: int

    def domain(self) -> Domain:
        """Return the EIP-712 domain of everything that is signed for this venue."""
        return Domain(self.chain_id, bytes.fromhex(self.settlement[2:]))


@dataclass(frozen=True, slots=True)
class TransactionReceiptInfo:
    """A transaction that succeeded, and the block it is in."""

    hash: bytes
    block: int
    block_hash: bytes
    gas_used: int


@dataclass(frozen=True, slots=True)
class ContractCall:
    """What any account may send to a contract: the address, and the bytes of the call."""

    chain_id: int
    contract: AccountId
    data: bytes


@dataclass(frozen=True, slots=True)
class Collateral:
    """An account at the vault: all ever paid in and out, and what no settled root counts yet."""

    deposited: Cash
    withdrawn: Cash
    reclaimable: Cash


@dataclass(frozen=True, slots=True)
class AccountFlow:
    """What an account paid in and was paid out, until some moment."""

    deposited: Cash
    withdrawn: Cash


@dataclass(frozen=True, slots=True)
class VaultTerms:
    """The vault's view of settlement.

    `paying` is False while a batch is open; `committed` and `settled` are the last such intervals,
    0 for none; `balances_root` is that of `settled`.
    """

    paying: bool
    halted: bool
    committed: Interval
    settled: Interval
    balances_root: bytes


@dataclass(frozen=True, slots=True)
class SignedBatchRoot:
    """One keyper's signature of a batch, as evidence."""

    root: bytes
    count: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class BatchEvidence:
    """The commitment of a batch. `signers` are the numbers of the keypers, counted from 1."""

    root: bytes
    count: int
    signers: tuple[int, ...]
    transaction: bytes
    block: int


@dataclass(frozen=True, slots=True)
class SettlementEvidence:
    """The settlement of a batch, with the results that its root stands for."""

    results: tuple[InstrumentResult, ...]
    results_root: bytes
    fills_root: bytes
    balances_root: bytes
    signers: tuple[int, ...]
    transaction: bytes
    block: int


@dataclass(frozen=True, slots=True)
class IntervalEvidence:
    """All that the chain says about an interval; None for what has not happened.

    `is_first` says that nothing was settled in any interval before.
    """

    interval: Interval
    is_first: bool
    batch: BatchEvidence | None
    settlement: SettlementEvidence | None
    voided: bool
    halted: bool


def keyper_numbers(signers: int) -> tuple[int, ...]:
    """Read the contracts' bit set of signers: bit i - 1 stands for keyper number i."""
    return tuple(i + 1 for i in range(signers.bit_length()) if signers >> i & 1)
