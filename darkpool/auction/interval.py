"""The spine: one interval's auctions, from sealed submissions to a settled, published record.

`run_auction` calls the rooms in the order in which an order travels: admit, close, cross, ration,
fill, margin, settle, publish. Nothing is decrypted before the batch root is final on the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from crypto.bfv.lanes import LaneShape
from crypto.bfv.seal import Evaluator
from crypto.signing.merkle import merkle_root
from crypto.signing.messages import BatchRoot, SettlementRoot
from crypto.threshold.masks import DrawnMask
from darkpool.admission.admit import Admission
from darkpool.auction.books import Book, Books, Fault, Rejection
from darkpool.auction.desk import Arrived, Desk
from darkpool.auction.outcome import AuctionOutcome, MarginChange, Settlement
from darkpool.chain.client import Chain
from darkpool.chain.evidence import TransactionReceiptInfo
from darkpool.clock import Stopwatch
from darkpool.committee.beacon import Beacon
from darkpool.committee.committee import LocalCommittee
from darkpool.committee.session import Session
from darkpool.crossing.arrivals import Arrivals
from darkpool.crossing.encrypted import EncryptedCross, EncryptedCrossing
from darkpool.crossing.errors import ImplausibleOpening
from darkpool.crossing.mask_shapes import mask_shapes
from darkpool.crossing.shape import ShapeCheck
from darkpool.fills.fills import Fill, FilledLots, collect_fills
from darkpool.fills.priority import priority_permutation
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.balances import Balance, balances_of
from darkpool.margin.accounts.bond import BondTerms
from darkpool.margin.accounts.vault_flows import Committed, count_committed
from darkpool.margin.errors import InsufficientMargin
from darkpool.margin.model.caps import equity
from darkpool.margin.model.intent_margin import IntentMargin
from darkpool.protocol.intents import ClosedBatch, SealedSubmission, SignedCancellation
from darkpool.protocol.results import BalanceLeaf, InstrumentResult, positions_root
from darkpool.protocol.terms import AuctionTerms, Pricing
from darkpool.record.writer import RecordSink
from darkpool.settlement.leaves import balances_root, fills_root, results_root
from darkpool.simulation.mask_factory import MaskFactory
from darkpool.units import (
    AccountId,
    AuctionId,
    Cash,
    Interval,
    Lots,
    Tick,
)


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs auctions: the operator's evaluators, the committee, the chain and the accounts."""

    order: Evaluator
    comparison: Evaluator
    committee: LocalCommittee
    masks: MaskFactory
    arrivals: Arrivals
    chain: Chain
    accounts: PortfolioAccounts
    confirmations: int


def run_auction(
    engine: Engine,
    terms: AuctionTerms,
    margin: IntentMargin,
    bond: BondTerms,
    admission: Admission,
    submissions: Iterable[SealedSubmission | SignedCancellation],
    pricing: Pricing,
    record: RecordSink,
    progress: Callable[[str], None],
) -> AuctionOutcome:
    """Run the auctions of one interval.

    A submission that is refused, and an intent that is found to be at fault or whose account took
    its collateral back, take no part and stop nobody else's.

    Raises:
        AdmissionRefused, MarginError: of the first submission, where all were refused.
        DarkpoolError, CryptoError: the auction cannot go on; nothing settles.
    """
    watch = Stopwatch()
    with watch.step("admit"):
        progress("admit")
        arrived = _admit(engine, terms, margin, bond, admission, submissions, record)
        books = arrived.books.traded()
    with watch.step("close"):
        progress("close")
        batch, batch_signatures, batch_transaction = _close(engine, terms, arrived.closed)
        committed = _count_deposits(engine, terms.interval, margin)
        before = balances_of(engine.accounts, margin.portfolio)
        arrived.books.set_aside_accounts(committed.uncovered)
        session = engine.committee.begin_auction(terms.interval, record.add_opening)
        beacon = engine.committee.beacon(terms.interval, batch.root)
    with watch.step("masks"):
        progress("masks")
        _order_masks(engine, terms, books)
    with watch.step("close_to_fills"):
        with watch.step("shape"):
            progress("shape")
            arrived.books.participate(terms, margin)
            _check_shapes(engine, terms, arrived.books, beacon, session)
            arrived.books.participate(terms, margin)
        progress("cross")
        crosses = _cross(engine, terms, margin, arrived.books, beacon, session, pricing, record)
        transcripts = engine.committee.sign_transcript(session, terms.digest, beacon)
        fills, results = _fills(books, crosses)
    with watch.step("margin"):
        progress("margin")
        admission.note_rejections(
            arrived.books.intent(rejection.batch_index) for rejection in arrived.books.rejections
        )
        _charge(engine.accounts, bond, arrived.books.rejections)
        margins = _apply_margin(engine.accounts, terms, margin, books, fills, committed)
        after = balances_of(engine.accounts, margin.portfolio)
    with watch.step("settle"):
        progress("settle")
        settlement = _settle(engine, terms, results, fills, after)
    return AuctionOutcome(
        results=results,
        crosses=crosses,
        fills=fills,
        books=tuple(books),
        admitted=arrived.admitted,
        refusals=arrived.refusals,
        rejections=tuple(arrived.books.rejections),
        set_aside=tuple(arrived.books.set_aside),
        batch=batch,
        batch_signatures=batch_signatures,
        batch_transaction=batch_transaction,
        settlement=settlement,
        before=before,
        after=after,
        margins=margins,
        transcripts=transcripts,
        beacon=beacon,
        timings_ms=watch.timings_ms,
    )


def _admit(
    engine: Engine,
    terms: AuctionTerms,
    margin: IntentMargin,
    bond: BondTerms,
    admission: Admission,
    submissions: Iterable[SealedSubmission | SignedCancellation],
    record: RecordSink,
) -> Arrived:
    """Admit until the submissions end, which is when the interval has closed."""
    desk = Desk(engine.order, engine.arrivals, engine.accounts, terms, margin, bond, admission)
    for number, submission in enumerate(submissions):
        desk.take(number, submission)
    return desk.close(record)


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


def _count_deposits(engine: Engine, interval: Interval, margin: IntentMargin) -> Committed:
    """Book what the vault holds as of the commitment of the batch, which pauses it."""
    flows = engine.chain.flows_before(interval)
    vault = {name: Cash(flow.deposited - flow.withdrawn) for name, flow in flows.items()}
    return count_committed(engine.accounts, vault, margin.portfolio)


def _order_masks(engine: Engine, terms: AuctionTerms, books: Sequence[Book]) -> None:
    counts = [book.sealed.count for book in books]
    engine.masks.require(
        mask_shapes(terms, counts, [book.sealed.intents.has_minimum_fills for book in books])
    )


def _check_shapes(
    engine: Engine, terms: AuctionTerms, books: Books, beacon: Beacon, session: Session
) -> None:
    """Take out what is no order."""
    ticks = next(iter(terms.grids.values())).ticks
    shapes = engine.arrivals.shape
    check = ShapeCheck(
        engine.order, session, ticks, shapes, books.rows(), books.minimum_fills(), beacon.value
    )
    books.reject(Fault.SHAPE, check.malformed(books.members()))
    engine.arrivals.unload()


def _cross(
    engine: Engine,
    terms: AuctionTerms,
    margin: IntentMargin,
    books: Books,
    beacon: Beacon,
    session: Session,
    pricing: Pricing,
    record: RecordSink,
) -> tuple[EncryptedCross | None, ...]:
    grid, traded = next(iter(terms.grids.values())), books.traded()

    def take_mask(shape: LaneShape) -> DrawnMask:
        attested = engine.masks.take(shape)
        mask = engine.committee.consume_mask(attested, session.context)
        record.add_mask(mask, attested.attestations)
        return mask

    def exclude(above: dict[int, list[int]]) -> None:
        for book, numbers in above.items():
            books.reject(Fault.CAP, [traded[book].intents[number] for number in numbers])
        books.participate(terms, margin)

    crossing = EncryptedCrossing(
        terms.material.parameters,
        engine.order,
        engine.comparison,
        session,
        take_mask,
        grid.ticks,
        grid.reference_tick if pricing is Pricing.REFERENCE else None,
        exclude,
    )
    priorities = [
        priority_permutation(beacon.value, book.instrument, book.sealed.count) for book in traded
    ]
    return crossing.cross([book.sealed for book in traded], priorities)


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
        ImplausibleOpening: a fill above its cap, which the cap check does not let happen.
    """
    for number, cap in enumerate(book.sealed.caps):
        size = int(max(lots.bought[number], lots.sold[number]))
        if size > cap:
            raise ImplausibleOpening("fills", f"at most the cap of {cap} lots", f"{size} lots")


def _charge(accounts: PortfolioAccounts, bond: BondTerms, rejections: Iterable[Rejection]) -> None:
    """Take what each intent at fault costs from its account's bond, in batch order."""
    for rejection in sorted(rejections, key=lambda rejection: rejection.batch_index):
        accounts.charge_bond(rejection.account, bond.charge(), bond.treasury)


def _apply_margin(
    accounts: PortfolioAccounts,
    terms: AuctionTerms,
    margin: IntentMargin,
    books: Sequence[Book],
    fills: Sequence[Fill],
    committed: Committed,
) -> dict[AccountId, MarginChange]:
    """Book fills, release the other intents and the bonds; returns what changed for who traded."""
    filled = {(fill.instrument, fill.account) for fill in fills}
    traders = sorted({fill.account for fill in fills})
    before = {account: _initial_margin(accounts, account, margin) for account in traders}
    for fill in fills:
        auction = AuctionId(fill.instrument, terms.interval)
        price = terms.grids[fill.instrument].units_of(fill.tick)
        accounts.fill(fill.account, auction, fill.side, fill.size, price)
    for book in books:
        for account in book.accounts:
            if (book.instrument, account) not in filled and account not in committed.uncovered:
                accounts.release(account, AuctionId(book.instrument, terms.interval))
    accounts.release_bonds()
    accounts.verify_conservation()
    return {account: _change(accounts, account, before[account], margin) for account in traders}


def _initial_margin(accounts: PortfolioAccounts, account: AccountId, margin: IntentMargin) -> Cash:
    return margin.portfolio.requirement(accounts.holdings(account).net).initial


def _change(
    accounts: PortfolioAccounts, account: AccountId, before: Cash, margin: IntentMargin
) -> MarginChange:
    """What a trader needs now, and has.

    Raises:
        InsufficientMargin: less than it needs, which its reservations do not let happen.
    """
    after = _initial_margin(accounts, account, margin)
    worth = equity(margin.portfolio, accounts.holdings(account))
    if worth < after:
        raise InsufficientMargin(after, worth)
    return MarginChange(before, after, worth)


def _settle(
    engine: Engine,
    terms: AuctionTerms,
    results: Sequence[InstrumentResult],
    fills: Sequence[Fill],
    balances: Sequence[Balance],
) -> Settlement:
    leaves = tuple(
        BalanceLeaf(b.account, b.withdrawable, b.encumbered, positions_root(b.positions))
        for b in balances
    )
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
        leaves,
        signatures,
        transaction,
    )
