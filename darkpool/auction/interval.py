"""The spine: one interval's auctions, from sealed submissions to a settled record.

`run_interval` calls the rooms in the order in which an order travels: admit, close, check, cross,
fill, apply, settle. Nothing is decrypted before the batch root is final on the chain. Each step is
named by the state that it reaches (`darkpool.auction.state`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import ClassVar, Final

from crypto.bfv.lanes import LaneShape
from crypto.signing.merkle import merkle_root
from crypto.signing.settling import BatchRoot
from crypto.threshold.masks import DrawnMask
from darkpool.admission.admit import Admission
from darkpool.auction.desk import AdmittedBatch, Desk
from darkpool.auction.environment import Environment, OpenInterval, due_in
from darkpool.auction.errors import FlowsDiffer
from darkpool.auction.instruments import Fault, Instrument, Instruments
from darkpool.auction.kept import Kept
from darkpool.auction.on_chain import commit
from darkpool.auction.outcome import (
    Applied,
    CommittedBatch,
    Concluded,
    Crossed,
    IntervalOutcome,
    MarginChange,
)
from darkpool.auction.settling import sign_and_settle
from darkpool.auction.state import IntervalState
from darkpool.chain.evidence import BatchEvidence
from darkpool.clock import Stopwatch
from darkpool.committee.beacon import Beacon
from darkpool.committee.masks import PlannedMasks
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
from darkpool.margin.accounts.vault_flows import Committed
from darkpool.margin.errors import InsufficientMargin
from darkpool.margin.model.caps import equity
from darkpool.protocol.flows import Flow
from darkpool.protocol.intents import SealedSubmission, SignedCancellation
from darkpool.protocol.keyper import BatchProposal
from darkpool.protocol.results import InstrumentResult
from darkpool.protocol.terms import Pricing
from darkpool.settlement.custody import Custody
from darkpool.settlement.state import states_of
from darkpool.units import AccountId, AuctionId, Cash, Lots, Tick, in_address_order

COMMITMENT_MAX_S: Final = 3_600
"""How long keypers' signatures of a batch can be used to commit it."""


@dataclass(frozen=True, slots=True)
class _Run:
    """An interval that is under way.

    Attributes:
        custody: the interval's own copy, which takes the place of `opened.custody` once it has
            settled.
        kept: what keypers need to compute the settlement again.
    """

    environment: Environment
    opened: OpenInterval
    custody: Custody
    kept: Kept
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
    other. Without an intent the interval is empty: it opens nothing, and settles the flows that
    wait. Once everything was opened, keypers that sign no settlement and a node that fails are a
    part of the outcome (`Settlement.transaction`).

    Raises:
        DarkpoolError, CryptoError: the auction cannot go on; nothing settles.
    """
    kept = Kept(environment.record, opened.terms.material.parameters)
    run = _Run(environment, opened, opened.custody.copy(), kept)
    run.custody.apply_between(due_in(opened))
    _count_flows(run, None)
    run.custody.credit()
    admission = Admission(
        opened.terms, environment.clock, environment.committee.panel, environment.register
    )
    with run.step("admit"):
        admitted = _admit(run, admission, submissions)
    instruments, traded = admitted.instruments, admitted.instruments.traded()
    with run.step("masks"):
        masks = _set_masks_aside(run, traded)
    with run.step("close"):
        batch = _commit(run, admitted, masks)
        begun = _begin(run, batch, instruments)
    with run.watch.step("close_to_fills"):
        with run.step("shape"):
            _check(run, begun, instruments)
        environment.progress("cross")
        crossed = _cross(run, begun, instruments, masks)
    with run.step("margin"):
        admission.note_rejections(map(instruments.intent, instruments.rejected()))
        applied = _apply(run, begun, batch, (instruments, crossed))
    with run.step("settle"):
        concluded = Concluded(
            instruments=tuple(traded),
            admitted=admitted.submissions,
            refusals=admitted.refusals,
            rejections=tuple(instruments.rejections),
            set_aside=tuple(instruments.set_aside),
            batch=batch,
            context=begun.session.context,
            beacon=begun.beacon,
            crossed=crossed,
            applied=applied,
        )
        settlement = sign_and_settle(environment, opened, concluded, kept)
    parts = {one.name: getattr(concluded, one.name) for one in fields(Concluded)}
    return IntervalOutcome(**parts, settlement=settlement, timings_ms=run.watch.timings_ms)


def _admit(
    run: _Run, admission: Admission, submissions: Iterable[SealedSubmission | SignedCancellation]
) -> AdmittedBatch:
    """Admit until the submissions end, which is when the interval has closed."""
    desk = Desk(run.environment, run.opened, admission, (run.custody.accounts, run.kept))
    for number, submission in enumerate(submissions):
        desk.take(number, submission)
    return desk.close()


def _set_masks_aside(run: _Run, traded: Sequence[Instrument]) -> PlannedMasks:
    """Masks for all comparisons that the batch can need, before it is fixed."""
    counts = [instrument.sealed.count for instrument in traded]
    minimum_fills = [instrument.sealed.intents.has_minimum_fills for instrument in traded]
    shapes = list(mask_shapes(run.opened.terms, counts, minimum_fills)) if traded else []
    source = run.environment.masks
    source.require(shapes)
    return PlannedMasks([source.take(shape) for shape in shapes], source)


def _commit(run: _Run, admitted: AdmittedBatch, masks: PlannedMasks) -> CommittedBatch:
    """Fix the batch: keypers sign its root, the chain takes it, and it becomes final."""
    environment, opened = run.environment, run.opened
    digests = [intent.certificate.message.intent for intent in admitted.closed.intents]
    root = BatchRoot(
        interval=opened.terms.interval,
        root=merkle_root(digests),
        count=len(digests),
        previous_settlement=opened.last.hash,
        terms=opened.terms.digest,
        plan=masks.digest,
        commit_by=environment.chain.time() + COMMITMENT_MAX_S,
    )
    proposal = BatchProposal(root, admitted.closed, masks.planned)
    signatures = environment.committee.sign_batch_root(proposal)
    evidence = commit(environment, root, list(signatures.values()))
    flows = _count_flows(run, evidence)
    return CommittedBatch(root, masks.planned, signatures, evidence, flows)


def _count_flows(run: _Run, committed: BatchEvidence | None) -> tuple[Flow, ...]:
    """Take the flows until the commitment, or until now; returns those since the last settlement.

    Raises:
        FlowsDiffer: the chain counts other ones.
    """
    book, since = run.custody.flows, run.opened.custody.flows.last
    last = None if committed is None else committed.flows
    flows = run.environment.chain.flows(last)
    book.add(flows[book.last :])
    if committed is not None and book.head != committed.flows_head:
        interval = run.opened.terms.interval
        raise FlowsDiffer(interval, committed.flows_head.hex(), book.head.hex())
    return flows[since:]


def _begin(run: _Run, batch: CommittedBatch, instruments: Instruments) -> _Begun:
    """Count what the vault holds as of the commitment, and begin to open."""
    environment, interval = run.environment, run.opened.terms.interval
    committed = run.custody.commit(run.opened.margin.portfolio)
    instruments.set_aside_accounts(committed.uncovered)
    session = environment.committee.begin_auction(interval, run.kept.add_opening)
    beacon = environment.committee.beacon(interval, batch.root)
    return _Begun(committed, session, beacon)


def _check(run: _Run, begun: _Begun, instruments: Instruments) -> None:
    """Take out what is no order, and who may not take part beside those that are left."""
    environment, terms, margin = run.environment, run.opened.terms, run.opened.margin
    instruments.participate(terms.rules, margin)
    if not instruments.traded():
        return
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


def _cross(run: _Run, begun: _Begun, instruments: Instruments, masks: PlannedMasks) -> Crossed:
    environment, terms = run.environment, run.opened.terms
    traded = instruments.traded()

    def take_mask(shape: LaneShape) -> DrawnMask:
        attested = masks.take(shape)
        mask = environment.committee.consume_mask(attested, begun.session.context)
        run.kept.add_mask(mask, attested.attestations)
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


def _apply(
    run: _Run, begun: _Begun, batch: CommittedBatch, outcome: tuple[Instruments, Crossed]
) -> Applied:
    """Charge bonds, book fills, release the other intents, and settle all balances."""
    accounts, terms = run.custody.accounts, run.opened.terms
    instruments, crossed = outcome
    before = states_of(run.opened.custody)
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
    margins = {account: _margin_change(run, account, initial[account]) for account in traders}
    paid = run.environment.chain.paid(terms.vault, batch.evidence.block)
    balances = run.custody.settle(run.opened.margin.portfolio, paid)
    return Applied(before, states_of(run.custody), margins, paid, balances, run.custody)


def _initial_margin(run: _Run, account: AccountId) -> Cash:
    net = run.custody.accounts.holdings(account).net
    return run.opened.margin.portfolio.requirement(net).initial


def _margin_change(run: _Run, account: AccountId, before: Cash) -> MarginChange:
    """What a trader needs now, and has.

    Raises:
        InsufficientMargin: less than it needs, which its reservations do not let happen.
    """
    after = _initial_margin(run, account)
    worth = equity(run.opened.margin.portfolio, run.custody.accounts.holdings(account))
    if worth < after:
        raise InsufficientMargin(after, worth)
    return MarginChange(before, after, worth)
