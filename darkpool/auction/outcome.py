"""What an interval's auctions led to, one part for each state that it reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from crypto.signing.messages import BatchRoot
from darkpool.auction.instruments import Instrument, Rejection
from darkpool.auction.state import IntervalState
from darkpool.batching.participation import SetAside
from darkpool.chain.errors import ChainError
from darkpool.chain.evidence import ContractCall, TransactionReceiptInfo
from darkpool.committee.beacon import Beacon
from darkpool.crossing.crossing_book import EncryptedCross
from darkpool.fills.fills import Fill
from darkpool.margin.accounts.balances import Balance
from darkpool.margin.errors import MarginError
from darkpool.protocol.refusals import AdmissionRefused
from darkpool.protocol.results import BalanceLeaf, InstrumentResult
from darkpool.units import AccountId, Cash


@dataclass(frozen=True, slots=True)
class Refusal:
    """A submission that was not admitted: its number among all, and why."""

    submission: int
    error: AdmissionRefused | MarginError


@dataclass(frozen=True, slots=True)
class CommittedBatch:
    """A batch root on the chain, with the keypers' signatures by keyper."""

    state: ClassVar = IntervalState.COMMITTED

    message: BatchRoot
    signatures: Mapping[int, bytes]
    transaction: TransactionReceiptInfo

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
    """Balances as of the commitment, and after all fills; margins of accounts that traded."""

    state: ClassVar = IntervalState.APPLIED

    before: tuple[Balance, ...]
    after: tuple[Balance, ...]
    margins: Mapping[AccountId, MarginChange]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What goes to the chain, and the roots it carries.

    Attributes:
        call: what the settlement is as a message to its contract.
        transaction: the transaction that is final, or why there is none.
    """

    state: ClassVar = IntervalState.SETTLED

    results: tuple[InstrumentResult, ...]
    fills_root: bytes
    balances_root: bytes
    leaves: tuple[BalanceLeaf, ...]
    signatures: Mapping[int, bytes]
    call: ContractCall
    transaction: TransactionReceiptInfo | ChainError

    def final(self) -> TransactionReceiptInfo:
        """The transaction that settled.

        Raises:
            ChainError: there is none that is final.
        """
        if isinstance(self.transaction, ChainError):
            raise self.transaction
        return self.transaction


@dataclass(frozen=True, slots=True)
class IntervalOutcome:
    """What an interval's auctions led to.

    Attributes:
        instruments: those that have intents.
        admitted: numbers of the submissions that became intents, by batch index.
        refusals: the other submissions.
        rejections: intents that were found to be at fault after the batch was final.
        set_aside: intents that took no part at no fault of theirs.
        timings_ms: milliseconds by step; `close_to_fills` is the crossing.
    """

    instruments: tuple[Instrument, ...]
    admitted: tuple[int, ...]
    refusals: tuple[Refusal, ...]
    rejections: tuple[Rejection, ...]
    set_aside: tuple[SetAside, ...]
    batch: CommittedBatch
    beacon: Beacon
    crossed: Crossed
    applied: Applied
    settlement: Settlement
    timings_ms: Mapping[str, int]
