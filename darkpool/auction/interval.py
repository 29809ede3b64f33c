"""The spine: one interval's auctions, from sealed submissions to a settled record.

`run_interval` calls the rooms in the order in which an order travels: admit, close, check, cross,
fill, apply, settle. Nothing is decrypted before the batch root is final on the chain. Each step is
named by the state that it reaches (`darkpool.auction.state`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

from crypto.bfv.lanes import LaneShape
from crypto.signing.merkle import merkle_root
from crypto.signing.messages import BatchRoot, SettlementRoot
from crypto.threshold.masks import DrawnMask
from darkpool.admission.admit import Admission
from darkpool.auction.desk import AdmittedBatch, Desk
from darkpool.auction.environment import Environment, OpenInterval
from darkpool.auction.instruments import Fault, Instrument, Instruments
from darkpool.auction.outcome import (
    Applied,
    CommittedBatch,
    Crossed,
    IntervalOutcome,
    MarginChange,
    Settlement,
)
from darkpool.auction.state import IntervalState
from darkpool.chain.errors import ChainError, TransactionReverted
from darkpool.chain.evidence import TransactionReceiptInfo
from darkpool.clock import Stopwatch
from darkpool.committee.beacon import Beacon
from darkpool.committee.session import Session
from darkpool.crossing.crossing_book import EncryptedCross
from darkpool.crossing.encrypted import EncryptedCrossing
from darkpool.crossing.errors import ImplausibleOpening
from darkpool.crossing.lane_comparison import LaneComparison
from darkpool.crossing.mask_shapes import mask_shapes
from darkpool.crossing.prices import PriceRule
from darkpool.crossing.shape import ShapeCheck
from darkpool.fills.fills import Fill, FilledLots, collect_fills
from darkpool.fills.priority import priority_permutation
from darkpool.margin.accounts.balances import Balance, balances_of
from darkpool.margin.accounts.vault_flows import Committed, count_committed, require_no_debts
from darkpool.margin.errors import InsufficientMargin
from darkpool.margin.model.caps import equity
from darkpool.protocol.intents import SealedSubmission, SignedCancellation
from darkpool.protocol.keyper import BatchProposal
from darkpool.protocol.results import BalanceLeaf, InstrumentResult, positions_root
from darkpool.protocol.terms import Pricing
from darkpool.settlement.leaves import balances_root, fills_root, results_root
from darkpool.units import AccountId, AuctionId, Cash, Lots, Tick, in_address_order


@dataclass(frozen=True, slots=True)
class _Run:
    """An interval that is under way: what it is run with and under, and for how long."""

    environment: Environment
    opened: OpenInterval
    watch: Stopwatch = field(default_factory=Stopwatch)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Tell that a step begins, and take its time."""
        self.environment.progress(name)
        with self.watch.step(name):
            yield


@dataclass(frozen=True, slots=True)
class _Begun:
    """What is known once keypers answer openings."""

    state: ClassVar = IntervalState.BEGUN

    committed: Committed
    before: tuple[Balance, ...]
    session: Session
    beacon: Beacon


def run_interval(
    environment: Environment,
    opened: OpenInterval,
    submissions: Iterable[SealedSubmission | SignedCancellation],
) -> IntervalOutcome:
    """Run the auctions of one interval, from its opening until it is settled.

    Submissions end when the interval has closed. A submission that is refused, and an intent that
    is found to be at fault or whose account took its collateral back, take no part and stop no
    other. Once everything was opened, a node that fails is a part of the outcome
    (`Settlement.transaction`).

    Raises:
        AdmissionRefused, MarginError: of the first submission, where all were refused.
        DarkpoolError, CryptoError: the auction cannot go on; nothing settles.
    """
    run = _Run(environment, opened)
    admission = Admission(
        opened.terms, environment.clock, environment.committee.panel, environment.register
    )
    with run.step("admit"):
        admitted = _admit(run, admission, submissions)
    instruments, traded = admitted.instruments, admitted.instruments.traded()
    with run.step("close"):
        batch = _commit(run, admitted)
        begun = _begin(run, batch, instruments)
    with run.step("masks"):
        _require_masks(run, traded)
    with run.watch.step("close_to_fills"):
        with run.step("shape"):
            _check(run, begun, instruments)
        environment.progress("cross")
        crossed = _cross(run, begun, instruments)
    with run.step("margin"):
        admission.note_rejections(map(instruments.intent, instruments.rejected()))
        applied = _apply(run, begun, instruments, crossed)
    with run.step("settle"):
        settlement = _settle(run, crossed, applied)
    return IntervalOutcome(
        instruments=tuple(traded),
        admitted=admitted.submissions,
        refusals=admitted.refusals,
        rejections=tuple(instruments.rejections),
        set_aside=tuple(instruments.set_aside),
        batch=batch,
        beacon=begun.beacon,
        crossed=crossed,
        applied=applied,
        settlement=settlement,
        timings_ms=run.watch.timings_ms,
    )


def _admit(
    run: _Run, admission: Admission, submissions: Iterable[SealedSubmission | SignedCancellation]
) -> AdmittedBatch:
    """Admit until the submissions end, which is when the interval has closed."""
    desk = Desk(run.environment, run.opened, admission)
    for number, submission in enumerate(submissions):
        desk.take(number, submission)
    return desk.close()


def _commit(run: _Run, admitted: AdmittedBatch) -> CommittedBatch:
    """Fix the batch: keypers sign its root, the chain takes it, and it becomes final.

    Raises:
        NotConserved: an account owes cash, so nothing could be settled; nothing is committed.
    """
    environment, interval = run.environment, run.opened.terms.interval
    require_no_debts(environment.accounts, _vault(run))
    digests = [intent.certificate.message.intent for intent in admitted.closed.intents]
    root = BatchRoot(interval, merkle_root(digests), len(digests))
    signatures = environment.committee.sign_batch_root(BatchProposal(root, admitted.closed))
    transaction = environment.chain.commit_batch(
        interval, root.root, root.count, list(signatures.values())
    )
    environment.chain.wait_final(transaction, environment.confirmations)
    return CommittedBatch(root, signatures, transaction)


def _vault(run: _Run) -> dict[AccountId, Cash]:
    """Each account's deposits less its withdrawals, until now or until the commitment."""
    flows = run.environment.chain.flows_before(run.opened.terms.interval)
    return {name: Cash(flow.deposited - flow.withdrawn) for name, flow in flows.items()}


def _begin(run: _Run, batch: CommittedBatch, instruments: Instruments) -> _Begun:
    """Book what the vault holds as of the commitment, which pauses it, and begin to open."""
    environment, margin = run.environment, run.opened.margin
    interval = run.opened.terms.interval
    committed = count_committed(environment.accounts, _vault(run), margin.portfolio)
    before = balances_of(environment.accounts, margin.portfolio)
    instruments.set_aside_accounts(committed.uncovered)
    session = environment.committee.begin_auction(interval, environment.record.add_opening)
    beacon = environment.committee.beacon(interval, batch.root)
    return _Begun(committed, before, session, beacon)


def _require_masks(run: _Run, traded: Sequence[Instrument]) -> None:
    counts = [instrument.sealed.count for instrument in traded]
    minimum_fills = [instrument.sealed.intents.has_minimum_fills for instrument in traded]
    terms = run.opened.terms
    run.environment.masks.require(mask_shapes(terms, counts, minimum_fills))


def _check(run: _Run, begun: _Begun, instruments: Instruments) -> None:
    """Take out what is no order, and who may not take part beside those that are left."""
    environment, terms, margin = run.environment, run.opened.terms, run.opened.margin
    instruments.participate(terms.rules, margin)
    check = ShapeCheck(
        environment.evaluators.order,
        begun.session,
        terms.ticks,
        instruments.shape_rows(),
        begun.beacon.value,
    )
    instruments.reject(Fault.SHAPE, check.malformed(instruments.members()))
    instruments.participate(terms.rules, margin)
    environment.arrivals.unload()


def _cross(run: _Run, begun: _Begun, instruments: Instruments) -> Crossed:
    environment, terms = run.environment, run.opened.terms
    traded = instruments.traded()

    def take_mask(shape: LaneShape) -> DrawnMask:
        attested = environment.masks.take(shape)
        mask = environment.committee.consume_mask(attested, begun.session.context)
        environment.record.add_mask(mask, attested.attestations)
        return mask

    def exclude(above: dict[int, list[int]]) -> None:
        for number, intents in above.items():
            places = [traded[number].batch_indices[intent] for intent in intents]
            instruments.reject(Fault.CAP, places)
        instruments.participate(terms.rules, run.opened.margin)

    reference = next(iter(terms.grids.values())).reference_tick
    crossing = EncryptedCrossing.of(
        LaneComparison(terms.material.parameters, environment.evaluators, begun.session, take_mask),
        PriceRule(terms.ticks, reference, terms.pricing is Pricing.REFERENCE),
        exclude,
    )
    priorities = [
        priority_permutation(begun.beacon.value, instrument.id, instrument.sealed.count)
        for instrument in traded
    ]
    crosses = crossing.cross([instrument.sealed for instrument in traded], priorities)
    transcripts = environment.committee.sign_transcript(begun.session, terms.digest, begun.beacon)
    fills, results = _fills(traded, crosses)
    return Crossed(crosses, results, fills, transcripts)


def _fills(
    traded: Sequence[Instrument], crosses: Sequence[EncryptedCross | None]
) -> tuple[tuple[Fill, ...], tuple[InstrumentResult, ...]]:
    fills: list[Fill] = []
    results = []
    for instrument, cross in zip(traded, crosses, strict=True):
        if cross is None:
            results.append(InstrumentResult(instrument.id, False, Tick(0), Lots(0)))
            continue
        lots = FilledLots(cross.bought, cross.sold)
        _require_within_caps(instrument, lots)
        fills += collect_fills(instrument.id, instrument.accounts, cross.tick, cross.volume, lots)
        results.append(InstrumentResult(instrument.id, True, cross.tick, cross.volume))
    return tuple(fills), tuple(results)


def _require_within_caps(instrument: Instrument, lots: FilledLots) -> None:
    """Check fills against the public caps that margin was reserved for.

    Raises:
        ImplausibleOpening: a fill above its cap, which the cap check does not let happen.
    """
    for number, cap in enumerate(instrument.sealed.caps):
        size = int(max(lots.bought[number], lots.sold[number]))
        if size > cap:
            raise ImplausibleOpening("fills", f"at most the cap of {cap} lots", f"{size} lots")


def _apply(run: _Run, begun: _Begun, instruments: Instruments, crossed: Crossed) -> Applied:
    """Charge bonds, book fills, and release the other intents and the bonds."""
    accounts, terms, margin = run.environment.accounts, run.opened.terms, run.opened.margin
    for rejection in sorted(instruments.rejections, key=lambda r: r.batch_index):
        bond = terms.rules.bond
        accounts.charge_bond(rejection.account, bond.charge(), bond.treasury)
    filled = {(fill.instrument, fill.account) for fill in crossed.fills}
    traders = in_address_order({fill.account for fill in crossed.fills})
    initial = {account: _initial_margin(run, account) for account in traders}
    for fill in crossed.fills:
        auction = AuctionId(fill.instrument, terms.interval)
        price = terms.grids[fill.instrument].units_of(fill.tick)
        accounts.fill(fill.account, auction, fill.side, fill.size, price)
    for instrument in instruments.traded():
        auction = AuctionId(instrument.id, terms.interval)
        for account in instrument.accounts:
            if (instrument.id, account) not in filled and account not in begun.committed.uncovered:
                accounts.release(account, auction)
    accounts.release_bonds()
    accounts.verify_conservation()
    margins = {account: _margin_change(run, account, initial[account]) for account in traders}
    return Applied(begun.before, balances_of(accounts, margin.portfolio), margins)


def _initial_margin(run: _Run, account: AccountId) -> Cash:
    net = run.environment.accounts.holdings(account).net
    return run.opened.margin.portfolio.requirement(net).initial


def _margin_change(run: _Run, account: AccountId, before: Cash) -> MarginChange:
    """What a trader needs now, and has.

    Raises:
        InsufficientMargin: less than it needs, which its reservations do not let happen.
    """
    after = _initial_margin(run, account)
    worth = equity(run.opened.margin.portfolio, run.environment.accounts.holdings(account))
    if worth < after:
        raise InsufficientMargin(after, worth)
    return MarginChange(before, after, worth)


def _settle(run: _Run, crossed: Crossed, applied: Applied) -> Settlement:
    """Have the roots signed and settled; where no block takes them, they are still to be sent."""
    environment, interval = run.environment, run.opened.terms.interval
    leaves = tuple(
        BalanceLeaf(b.account, b.withdrawable, b.encumbered, positions_root(b.positions))
        for b in applied.after
    )
    roots = SettlementRoot(
        interval, results_root(crossed.results), fills_root(crossed.fills), balances_root(leaves)
    )
    signatures = environment.committee.sign_settlement(roots)
    call = (
        interval,
        crossed.results,
        roots.fills_root,
        roots.balances_root,
        list(signatures.values()),
    )
    transaction: TransactionReceiptInfo | ChainError
    try:
        transaction = environment.chain.settle(*call)
        environment.chain.wait_final(transaction, environment.confirmations)
    except TransactionReverted:
        raise  # the contract would refuse it again
    except ChainError as error:
        transaction = error
    return Settlement(
        crossed.results,
        roots.fills_root,
        roots.balances_root,
        leaves,
        signatures,
        environment.chain.settle_call(*call),
        transaction,
    )
