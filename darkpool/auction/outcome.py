"""What an interval's auctions led to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crypto.signing.messages import BatchRoot
from darkpool.auction.books import Book, Rejection
from darkpool.batching.participation import SetAside
from darkpool.chain.evidence import TransactionReceiptInfo
from darkpool.committee.beacon import Beacon
from darkpool.crossing.encrypted import EncryptedCross
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
class Settlement:
    """What went to the chain, and the roots it carried."""

    results: tuple[InstrumentResult, ...]
    fills_root: bytes
    balances_root: bytes
    leaves: tuple[BalanceLeaf, ...]
    signatures: Mapping[int, bytes]
    transaction: TransactionReceiptInfo


@dataclass(frozen=True, slots=True)
class MarginChange:
    """Initial margin of a trader's positions before and after its fills, and its equity then.

    In cash units, at the prices of the interval.
    """

    before: Cash
    after: Cash
    equity: Cash


@dataclass(frozen=True, slots=True)
class AuctionOutcome:
    """What an interval's auctions led to.

    Attributes:
        fills: of all instruments; `Fill.intent` counts within the instrument.
        admitted: numbers of the submissions that became intents, by place in the batch.
        refusals: the other submissions.
        rejections: intents that were found to be at fault after the batch was final.
        set_aside: intents that took no part at no fault of theirs.
        before: balances as of the commitment of the batch.
        after: as they were settled.
        margins: of every account that traded.
        transcripts: keypers' signatures on all openings, by keyper.
        timings_ms: milliseconds by step; `close_to_fills` is the crossing.
    """

    results: tuple[InstrumentResult, ...]
    crosses: tuple[EncryptedCross | None, ...]
    fills: tuple[Fill, ...]
    books: tuple[Book, ...]
    admitted: tuple[int, ...]
    refusals: tuple[Refusal, ...]
    rejections: tuple[Rejection, ...]
    set_aside: tuple[SetAside, ...]
    batch: BatchRoot
    batch_signatures: Mapping[int, bytes]
    batch_transaction: TransactionReceiptInfo
    settlement: Settlement
    before: tuple[Balance, ...]
    after: tuple[Balance, ...]
    margins: Mapping[AccountId, MarginChange]
    transcripts: Mapping[int, bytes]
    beacon: Beacon
    timings_ms: Mapping[str, int]
