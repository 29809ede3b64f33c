"""What an interval's auctions led to, one part for each state that it reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from crypto.errors import CryptoError
from crypto.signing.settling import BatchRoot
from crypto.signing.settling import Settlement as SettlementMessage
from darkpool.auction.instruments import Instrument, Rejection
from darkpool.auction.state import IntervalState
from darkpool.batching.participation import SetAside
from darkpool.chain.evidence import BatchEvidence, ContractCall, TransactionReceiptInfo
from darkpool.committee.beacon import Beacon
from darkpool.crossing.crossing_book import EncryptedCross
from darkpool.errors import DarkpoolError
from darkpool.fills.fills import Fill
from darkpool.margin.errors import MarginError
from darkpool.protocol.flows import Flow
from darkpool.protocol.refusals import AdmissionRefused
from darkpool.protocol.results import InstrumentResult
from darkpool.record.core import HeldRecord
from darkpool.record.forms import PlannedMask
from darkpool.settlement.custody import Custody, SettledBalances
from darkpool.settlement.state import AccountState
from darkpool.units import AccountId, Cash


@dataclass(frozen=True, slots=True)
class Refusal:
    """A submission that was not admitted: its number among all, and why."""

    submission: int
    error: AdmissionRefused | MarginError


@dataclass(frozen=True, slots=True)
class CommittedBatch:
    """A batch root on the chain, with the keypers' signatures by keyper.

    Attributes:
        masks: set aside for the interval; the message has their digest.
        evidence: what the chain says of the commitment.
        flows: those that it counts and no settlement before it did.
    """

    state: ClassVar = IntervalState.COMMITTED

    message: BatchRoot
    masks: tuple[PlannedMask, ...]
    signatures: Mapping[int, bytes]
    evidence: BatchEvidence
    flows: tuple[Flow, ...]

    @property
    def root(self) -> bytes:
        """Merkle root of the intents, 32 bytes."""
        return self.message.root

    @property
    def count(self) -> int:
        """Intents of the batch."""
        return self.message.count


@dataclass(frozen=True, slots=True)
class Crossed:
    """What crossing gave.

    Attributes:
        crosses: of each instrument that has intents; None where it did not cross.
        results: of the same instruments.
        fills: of all of them; `Fill.intent` counts within the instrument.
        transcripts: keypers' signatures on all openings, by keyper.
    """

    state: ClassVar = IntervalState.CROSSED

    crosses: tuple[EncryptedCross | None, ...]
    results: tuple[InstrumentResult, ...]
    fills: tuple[Fill, ...]
    transcripts: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class MarginChange:
    """Initial margin of a trader's positions before and after its fills, and its equity then.

    In cash units, at the prices of the interval.
    """

    before: Cash
    after: Cash
    equity: Cash


@dataclass(frozen=True, slots=True)
class Applied:
    """What charges, fills, variation and grants made of all accounts.

    Attributes:
        before, after: states as of the settlement before, and as this one binds them.
        margins: of accounts that traded.
        paid: what the vault had paid each account at the commitment, in token units.
        balances: leaves, grants, and what became of accounts that could not pay.
        custody: where the next interval begins, once this one has settled.
    """

    state: ClassVar = IntervalState.APPLIED

    before: tuple[AccountState, ...]
    after: tuple[AccountState, ...]
    margins: Mapping[AccountId, MarginChange]
    paid: Mapping[AccountId, int]
    balances: SettledBalances
    custody: Custody


@dataclass(frozen=True, slots=True)
class Settlement:
    """What goes to the chain.

    Attributes:
        leaves: the public bytes of all leaves, which are on the chain before it.
        signatures: by keyper; none where too few keypers signed.
        call: what the settlement is as a message to its contract.
        record: what keypers compute it again from.
        transaction: the transaction that is final, or why there is none.
    """

    state: ClassVar = IntervalState.SETTLED

    message: SettlementMessage
    leaves: bytes
    signatures: Mapping[int, bytes]
    call: ContractCall
    record: HeldRecord
    transaction: TransactionReceiptInfo | DarkpoolError | CryptoError

    @property
    def balances_root(self) -> bytes:
        """Root of the balances of the cash vault, 32 bytes."""
        return self.message.trees[0].root

    @property
    def is_final(self) -> bool:
        """Whether a block has it for good."""
        return isinstance(self.transaction, TransactionReceiptInfo)

    def final(self) -> TransactionReceiptInfo:
        """The transaction that settled.

        Raises:
            DarkpoolError, CryptoError: there is none that is final.
        """
        if isinstance(self.transaction, TransactionReceiptInfo):
            return self.transaction
        raise self.transaction

    def require_signed(self) -> None:
        """Check that a quorum of keypers signed, so that any account may send it.

        Raises:
            DarkpoolError, CryptoError: too few did.
        """
        if not self.signatures:
            self.final()


@dataclass(frozen=True, slots=True)
class Concluded:
    """All of an interval before its settlement is signed.

    Attributes:
        instruments: those that have intents.
        admitted: numbers of the submissions that became intents, by batch index.
        refusals: the other submissions.
        rejections: intents that were found to be at fault after the batch was final.
        set_aside: intents that took no part at no fault of theirs.
    """

    instruments: tuple[Instrument, ...]
    admitted: tuple[int, ...]
    refusals: tuple[Refusal, ...]
    rejections: tuple[Rejection, ...]
    set_aside: tuple[SetAside, ...]
    batch: CommittedBatch
    context: bytes
    beacon: Beacon
    crossed: Crossed
    applied: Applied


@dataclass(frozen=True, slots=True)
class IntervalOutcome(Concluded):
    """What an interval's auctions led to.

    `timings_ms` are milliseconds by step; `close_to_fills` is the crossing.
    """

    settlement: Settlement
    timings_ms: Mapping[str, int]
