"""The spine: one interval's auctions, from sealed submissions to a settled, published record.

`run_auction` calls the rooms in the order in which an order travels: admit, close, cross, ration,
fill, margin, settle, publish. Nothing is decrypted before the batch root is final on the chain.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from crypto.ciphertext import Ciphertext
from crypto.commitment import BatchRoot, SettlementRoot
from crypto.lanes import LaneShape
from crypto.masks import DrawnMask
from crypto.merkle import merkle_root
from crypto.packing import PriceLayout, RationLayout, instruments_max
from crypto.revealing import Revealed
from crypto.seal import Evaluator
from darkpool.admission.admit import Admission
from darkpool.admission.intent import (
    AuctionTerms,
    ClosedBatch,
    SealedSubmission,
    SignedCancellation,
)
from darkpool.books import Book, fill_books, place_of
from darkpool.committee.factory import MaskFactory
from darkpool.committee.local import Beacon, LocalCommittee, Session
from darkpool.crossing.encrypted import (
    EncryptedCross,
    EncryptedCrossing,
    ImplausibleOpening,
    SealedBook,
    ration_groups,
)
from darkpool.errors import CheckFailed
from darkpool.fills.fills import Fill, FilledLots, collect_fills
from darkpool.fills.priority import priority_permutation
from darkpool.margin.ledger import MarginLedger
from darkpool.margin.positions import encode_positions
from darkpool.margin.terms import MarginTerms
from darkpool.record_schema import CancellationRecord, IntentRecord
from darkpool.settlement.balances import (
    BalanceLeaf,
    InstrumentResult,
    balances_root,
    fills_root,
    positions_root,
    results_root,
)
from darkpool.settlement.chain import Chain
from darkpool.settlement.evidence import TransactionReceiptInfo
from darkpool.units import (
    AccountId,
    AuctionId,
    Cash,
    InstrumentId,
    Interval,
    Lots,
    Tick,
)


class Pricing(StrEnum):
    """How the price is found."""

    UNIFORM = "uniform"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs auctions: the operator's evaluators, the committee, the chain and the accounts.

    `terms_digest` is the `venue_terms_digest` that the keypers sign with every transcript.
    """

    order: Evaluator
    comparison: Evaluator
    committee: LocalCommittee
    masks: MaskFactory
    chain: Chain
    ledger: MarginLedger
    confirmations: int
    terms_digest: bytes


class RecordSink(Protocol):
    """Takes what becomes public while an auction runs; `darkpool.record.RecordWriter` is one."""

    def add_intent(self, intent: IntentRecord, ciphertext: Ciphertext) -> None:
        """Take an admitted intent, in batch order."""

    def add_cancellation(self, cancelled: CancellationRecord) -> None:
        """Take an intent that was taken back."""

    def add_mask(self, mask: DrawnMask, attestations: Mapping[int, bytes]) -> None:
        """Take a mask that is about to be used."""

    def add_opening(self, opened: Revealed) -> None:
        """Take an opening, in the order in which they are made."""


class CollateralMoved(CheckFailed):
    """Collateral that margin was reserved on left the vault before the batch was committed."""

    def __init__(self, account: AccountId, expected: int, got: int) -> None:
        super().__init__(f"collateral of {account}: expected {expected} in the vault, got {got}")
        self.account, self.expected, self.got = account, expected, got


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
class AuctionOutcome:
    """What an interval's auctions led to.

    Attributes:
        fills: of all instruments; `Fill.intent` counts within the instrument.
        intents: admitted intents, over all instruments.
        credited: deposits between the first look at the vault and the commitment of the batch.
        transcripts: keypers' signatures on all openings, by keyper.
        timings_ms: milliseconds by step; `close_to_fills` is the crossing.
    """

    results: tuple[InstrumentResult, ...]
    crosses: tuple[EncryptedCross | None, ...]
    fills: tuple[Fill, ...]
    books: tuple[Book, ...]
    intents: int
    batch: BatchRoot
    batch_signatures: Mapping[int, bytes]
    batch_transaction: TransactionReceiptInfo
    settlement: Settlement
    credited: Mapping[AccountId, Cash]
    transcripts: Mapping[int, bytes]
    beacon: Beacon
    timings_ms: Mapping[str, int]


class _Stopwatch:
    """Milliseconds by step, in the order in which the steps ran."""

    def __init__(self) -> None:
        self.timings_ms: dict[str, int] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.perf_counter_ns()
        yield
        self.timings_ms[name] = (time.perf_counter_ns() - start) // 1_000_000


def run_auction(
    engine: Engine,
    terms: AuctionTerms,
    margin: Mapping[InstrumentId, MarginTerms],
    admission: Admission,
    submissions: Iterable[SealedSubmission | SignedCancellation],
    pricing: Pricing,
    record: RecordSink,
    progress: Callable[[str], None],
) -> AuctionOutcome:
    """Run the auctions of one interval.

    Raises:
        AdmissionRefused, InsufficientMargin: a submission that does not take part; nothing starts.
        DarkpoolError, CryptoError: the auction cannot go on; nothing settles.
    """
    watch = _Stopwatch()
    with watch.step("admit"):
        progress("admit")
        closed, books = _admit(engine, terms, margin, admission, submissions, record)
    with watch.step("close"):
        progress("close")
        batch, batch_signatures, batch_transaction = _close(engine, terms, closed)
        credited = _count_deposits(engine, terms.interval)
        session = engine.committee.begin_auction(terms.interval, record.add_opening)
        beacon = engine.committee.beacon(terms.interval, batch.root)
    with watch.step("masks"):
        progress("masks")
        _order_masks(engine, terms, books)
    with watch.step("close_to_fills"):
        progress("cross")
        crosses = _cross(engine, terms, books, beacon, session, pricing, record)
        transcripts = engine.committee.sign_transcript(session, engine.terms_digest)
        fills, results = _fills(books, crosses)
    with watch.step("margin"):
        progress("margin")
        leaves = _apply_margin(engine.ledger, terms, books, fills)
    with watch.step("settle"):
        progress("settle")
        settlement = _settle(engine, terms, results, fills, leaves)
    return AuctionOutcome(
        results=results,
        crosses=crosses,
        fills=fills,
        books=tuple(books),
        intents=len(closed.intents),
        batch=batch,
        batch_signatures=batch_signatures,
        batch_transaction=batch_transaction,
        settlement=settlement,
        credited=credited,
        transcripts=transcripts,
        beacon=beacon,
        timings_ms=watch.timings_ms,
    )


def _admit(
    engine: Engine,
    terms: AuctionTerms,
    margin: Mapping[InstrumentId, MarginTerms],
    admission: Admission,
    submissions: Iterable[SealedSubmission | SignedCancellation],
    record: RecordSink,
) -> tuple[ClosedBatch, list[Book]]:
    """Admit until the submissions end, which is when the interval has closed; fill the books.

    Collateral is reserved before keypers certify an intent: from then on it has to take part.
    """
    reserved: dict[bytes, tuple[AccountId, AuctionId]] = {}
    for submission in submissions:
        if isinstance(submission, SignedCancellation):
            admission.cancel(submission)
            engine.ledger.release(*reserved.pop(submission.cancellation.intent))
            continue
        proven = admission.prove(submission)
        account, auction = place_of(proven.sealed)
        engine.ledger.reserve(account, auction, margin[auction.instrument], Lots(proven.sealed.cap))
        reserved[proven.digest] = (account, auction)
        admission.certify(proven)
    intents, cancellations = admission.close()
    for digest in reserved.keys() - intents.keys():
        engine.ledger.release(*reserved[digest])
    for cancelled in cancellations:
        record.add_cancellation(CancellationRecord(cancelled.cancellation, cancelled.signature))
    certified, books = fill_books(engine.order, terms, intents, record.add_intent)
    return ClosedBatch(certified, cancellations), books


def _close(
    engine: Engine, terms: AuctionTerms, closed: ClosedBatch
) -> tuple[BatchRoot, Mapping[int, bytes], TransactionReceiptInfo]:
    """Fix the batch: keypers sign its root, the chain takes it, and it becomes final."""
    digests = [intent.certificate.message.intent for intent in closed.intents]
    batch = BatchRoot(terms.interval, merkle_root(digests), len(digests))
    signatures = engine.committee.sign_batch_root(batch, closed)
    ordered = [signatures[keyper] for keyper in sorted(signatures)]
    transaction = engine.chain.commit_batch(terms.interval, batch.root, batch.count, ordered)
    engine.chain.wait_final(transaction, engine.confirmations)
    return batch, signatures, transaction


def _count_deposits(engine: Engine, interval: Interval) -> dict[AccountId, Cash]:
    """Book what the vault holds as of the commitment of the batch; returns what was new.

    Anybody may pay in for anybody until then, and every account that has must have a balance.

    Raises:
        CollateralMoved: a deposit was taken back between reservation and commitment.
    """
    flows = engine.chain.flows_before(interval)
    credited = {}
    for account in {*flows, *engine.ledger.accounts()}:
        held = engine.ledger.collateral(account)
        booked = held.withdrawable + held.encumbered
        flow = flows.get(account)
        there = 0 if flow is None else flow.deposited - flow.withdrawn
        if there < booked:
            raise CollateralMoved(account, booked, there)
        if there > booked:
            credited[account] = Cash(there - booked)
    for account, amount in credited.items():
        engine.ledger.credit(account, amount)
    return credited


def _order_masks(engine: Engine, terms: AuctionTerms, books: Sequence[Book]) -> None:
    engine.masks.require(mask_shapes(terms, [book.packer.count for book in books]))


def mask_shapes(terms: AuctionTerms, counts: Sequence[int]) -> list[LaneShape]:
    """Shapes of the masks that an interval needs when every instrument crosses.

    `counts` are the intents of each instrument.
    """
    parameters = terms.material.parameters
    ticks = next(iter(terms.grids.values())).ticks
    chunk = instruments_max(parameters, ticks)
    shapes = [
        PriceLayout(parameters, ticks, min(chunk, len(counts) - start)).shape
        for start in range(0, len(counts), chunk)
    ]
    for group in ration_groups(parameters, counts, range(len(counts))):
        rows = (0,) * len(group)
        shapes.append(RationLayout(parameters, tuple(counts[k] for k in group), rows).shape)
    return shapes


def _cross(
    engine: Engine,
    terms: AuctionTerms,
    books: Sequence[Book],
    beacon: Beacon,
    session: Session,
    pricing: Pricing,
    record: RecordSink,
) -> tuple[EncryptedCross | None, ...]:
    grid = next(iter(terms.grids.values()))

    def take_mask(shape: LaneShape) -> DrawnMask:
        attested = engine.masks.take(shape)
        mask = engine.committee.consume_mask(attested, session.context)
        record.add_mask(mask, attested.attestations)
        return mask

    crossing = EncryptedCrossing(
        terms.material.parameters,
        engine.order,
        engine.comparison,
        session,
        take_mask,
        grid.ticks,
        grid.reference_tick if pricing is Pricing.REFERENCE else None,
    )
    sealed = [SealedBook(book.aggregate.ciphertext(), book.packer) for book in books]
    priorities = [
        priority_permutation(beacon.value, book.instrument, book.packer.count) for book in books
    ]
    return crossing.cross(sealed, priorities)


def _fills(
    books: Sequence[Book], crosses: Sequence[EncryptedCross | None]
) -> tuple[tuple[Fill, ...], tuple[InstrumentResult, ...]]:
    fills: list[Fill] = []
    results = []
    for book, cross in zip(books, crosses, strict=True):
        if cross is None:
            results.append(InstrumentResult(book.instrument, False, Tick(0), Lots(0)))
            continue
        lots = FilledLots(cross.bought, cross.sold)
        _check_caps(book, lots)
        fills += collect_fills(book.instrument, book.accounts, cross.tick, cross.volume, lots)
        results.append(InstrumentResult(book.instrument, True, cross.tick, cross.volume))
    return tuple(fills), tuple(results)


def _check_caps(book: Book, lots: FilledLots) -> None:
    """Check fills against the public caps that margin was reserved for.

    Raises:
        ImplausibleOpening: a fill above its cap, which only a malformed intent can lead to.
    """
    for number, cap in enumerate(book.caps):
        size = int(max(lots.bought[number], lots.sold[number]))
        if size > cap:
            raise ImplausibleOpening("fills", f"at most the cap of {cap} lots", f"{size} lots")


def _apply_margin(
    ledger: MarginLedger, terms: AuctionTerms, books: Sequence[Book], fills: Sequence[Fill]
) -> tuple[BalanceLeaf, ...]:
    """Post margin for fills, release the rest, and return everyone's balance."""
    filled = {(fill.instrument, fill.account) for fill in fills}
    for fill in fills:
        auction = AuctionId(fill.instrument, terms.interval)
        price = terms.grids[fill.instrument].units_of(fill.tick)
        ledger.post(fill.account, auction, fill.side, fill.size, price)
    for book in books:
        for account in book.accounts:
            if (book.instrument, account) not in filled:
                ledger.release(account, AuctionId(book.instrument, terms.interval))
    ledger.verify_conservation()
    return tuple(_leaf(ledger, account) for account in ledger.accounts())


def _leaf(ledger: MarginLedger, account: AccountId) -> BalanceLeaf:
    held = ledger.collateral(account)
    encoded = encode_positions(ledger.positions(account))
    return BalanceLeaf(account, held.withdrawable, held.encumbered, positions_root(encoded))


def _settle(
    engine: Engine,
    terms: AuctionTerms,
    results: Sequence[InstrumentResult],
    fills: Sequence[Fill],
    leaves: Sequence[BalanceLeaf],
) -> Settlement:
    roots = SettlementRoot(
        terms.interval, results_root(results), fills_root(fills), balances_root(leaves)
    )
    signatures = engine.committee.sign_settlement(roots)
    ordered = [signatures[keyper] for keyper in sorted(signatures)]
    transaction = engine.chain.settle(
        terms.interval, results, roots.fills_root, roots.balances_root, ordered
    )
    engine.chain.wait_final(transaction, engine.confirmations)
    return Settlement(
        tuple(results),
        roots.fills_root,
        roots.balances_root,
        tuple(leaves),
        signatures,
        transaction,
    )
