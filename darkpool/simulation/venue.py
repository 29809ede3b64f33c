"""A venue on one machine: it plays every part of an auction on the orders of one file.

Clients seal, n keypers open, an operator crosses, a chain settles. Keys are drawn from the
operating system's generator and are gone with the process; the keypers' durable memory lives in a
folder of its own that is removed at the end. What only clients may know, their openings, is kept
apart from the public record.
"""

from __future__ import annotations

import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import active_children
from pathlib import Path
from typing import Final

from coincurve import PrivateKey

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.seal import Evaluator
from crypto.ring.params import ParameterSet
from crypto.signing.ecdsa import address_of
from crypto.threshold.keys import KeyperSecrets, PublicMaterial, deal
from crypto.threshold.masks import DrawnMask
from crypto.threshold.replicated import Committee
from crypto.threshold.revealing import Revealed
from darkpool.admission.admit import Admission
from darkpool.admission.register import AdmissionRegister
from darkpool.auction.interval import Engine, run_auction
from darkpool.auction.listing import Listed
from darkpool.auction.outcome import AuctionOutcome
from darkpool.auction.publication import PublicTerms, auction_summary, terms_digest
from darkpool.auction.terms import VenueTerms
from darkpool.chain.client import Chain
from darkpool.clock import Clock, Stopwatch
from darkpool.crossing.arrivals import Arrivals
from darkpool.crossing.mask_shapes import mask_shapes
from darkpool.keyper.keyper import FinalRoot
from darkpool.keyper.references import ReferenceWatch
from darkpool.limits import INTENTS_PER_ACCOUNT_MAX, REFERENCE_AGE_AT_CLOSE_MAX_MS
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.bond import BondTerms
from darkpool.margin.market.instruments import unix_ms
from darkpool.margin.model.intent_margin import IntentMargin
from darkpool.protocol.intents import SealedSubmission
from darkpool.protocol.references import SignedReference
from darkpool.protocol.terms import AuctionTerms
from darkpool.record.forms import CancellationRecord, IntentRecord
from darkpool.record.writer import RecordSink, RecordWriter
from darkpool.simulation.clients import (
    LocalClients,
    OpeningsFolder,
    Stranger,
    instrument_of,
    is_minimum_fill,
)
from darkpool.simulation.clock import SkippingClock
from darkpool.simulation.committee import CommitteeSeat, local_committee
from darkpool.simulation.errors import FoldersNested
from darkpool.simulation.mask_factory import MaskFactory
from darkpool.simulation.order_file import Order
from darkpool.simulation.reporters import Reporter, reported
from darkpool.simulation.result import VenueResult, venue_result
from darkpool.units import (
    FIRST_INTERVAL,
    AccountId,
    Cash,
    InstrumentId,
    Interval,
    account_of,
    identifier,
)

FIRST_EPOCH: Final = 1
CONFIRMATIONS: Final = 1
INTERVAL_MS: Final = REFERENCE_AGE_AT_CLOSE_MAX_MS - 60_000
"""Nobody waits for it: an interval closes when the last order is in. References are fresh then."""
MASK_WORKERS: Final = 2
ARRIVAL_WORKERS: Final = 2


@dataclass(frozen=True, slots=True)
class Places:
    """Folders to be made: the public record, and the clients' openings. None: not wanted."""

    record: Path | None = None
    openings: Path | None = None

    def require_apart(self) -> None:
        """Check that what only clients may know does not come to lie in the public record.

        Raises:
            FoldersNested: one folder is the other, or lies in it.
        """
        if self.record is not None and self.openings is not None:
            record, openings = self.record.resolve(), self.openings.resolve()
            if openings.is_relative_to(record) or record.is_relative_to(openings):
                raise FoldersNested(self.record, self.openings)


Progress = Callable[[str, int, int], None]
"""Is told the step that runs, and how much of how much is done; 0 of 0 where nobody knows."""


class _NoRecord:
    """Where what becomes public goes when nobody asked for a record."""

    def add_intent(self, intent: IntentRecord, ciphertext: Ciphertext) -> None:
        """Forget it."""

    def add_cancellation(self, cancelled: CancellationRecord) -> None:
        """Forget it."""

    def add_mask(self, mask: DrawnMask, attestations: Mapping[int, bytes]) -> None:
        """Forget it."""

    def add_opening(self, opened: Revealed) -> None:
        """Forget it."""


def run_orders(
    orders: Sequence[Order],
    terms: VenueTerms,
    parameters: ParameterSet,
    connect: Callable[[], Chain],
    places: Places,
    progress: Progress,
    strangers: Sequence[Stranger] = (),
) -> VenueResult:
    """Run one interval's auctions on the orders of a file, from keys to settlement.

    `connect` gives the chain on which the contracts are then deployed; `strangers` take part in the
    instruments of the orders.

    Raises:
        BadInput: folders that exist, or nest; nothing has been done.
        DarkpoolError, CryptoError: the auction could not go on; no folder has been made.
    """
    places.require_apart()
    watch = Stopwatch()
    listed = terms.listing.of(order.instrument for order in orders)
    with ExitStack() as stack:
        record = None
        if places.record is not None:
            record = stack.enter_context(RecordWriter(places.record, parameters))
        openings = None
        if places.openings is not None:
            openings = OpeningsFolder(places.openings)
            stack.callback(openings.abandon)
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="darkpool-")))
        chain, clock = connect(), SkippingClock(unix_ms(listed.market.time))
        with watch.step("keys"):
            progress("keys", 0, 0)
            material, seats = _deal(parameters, terms.keypers, state)
        with watch.step("chain"):
            progress("chain", 0, 0)
            public = _deploy(terms, listed, material, seats, chain, clock)
        references = ReferenceWatch(public.auction.domain, public.auction.reporter, clock)
        references.accept(public.auction.interval, public.auction.references)
        register = AdmissionRegister(state / "register.sqlite")
        stack.callback(register.close)
        clients = LocalClients(orders, openings, terms.cap_min, strangers)
        masks = stack.enter_context(_mask_factory(public, seats, clients))
        arrivals = stack.enter_context(
            _arrivals(material, state, len(clients.parties) * INTENTS_PER_ACCOUNT_MAX)
        )
        if record is not None:
            record.add_material(material)
            record.add_margin(public.margin.inputs)
        with watch.step("deposit"):
            progress("deposit", 0, 0)
            amounts = clients.deposits(public.margin, public.bond)
            accounts = _deposit(chain, public.bond, amounts, listed)
        engine = _engine(public, seats, chain, masks, arrivals, accounts, references, clock)
        admission = Admission(public.auction, clock, engine.committee.keypers, register)
        sink = record or _NoRecord()
        outcome = _auction(engine, public, admission, clients, sink, progress, clock)
        if record is not None:
            with watch.step("record"):
                progress("record", 0, 0)
                record.finish(auction_summary(public, outcome))
        if openings is not None:
            openings.finish(outcome.admitted)
    timings = _timings(watch.timings_ms, outcome.timings_ms, clients.sealing_ns // 1_000_000)
    return venue_result(clients, public, outcome, timings, places.record)


def _deal(
    parameters: ParameterSet, keypers: int, state: Path
) -> tuple[PublicMaterial, tuple[CommitteeSeat, ...]]:
    """Key set-up by a dealer, and a seat for each keyper."""
    material, held = deal(parameters, Committee(keypers, FIRST_EPOCH))

    def seat(own: KeyperSecrets) -> CommitteeSeat:
        return CommitteeSeat(own, PrivateKey().secret, state / f"keyper-{own.keyper}.sqlite")

    return material, tuple(map(seat, held))


def _deploy(
    terms: VenueTerms,
    listed: Listed,
    material: PublicMaterial,
    seats: Sequence[CommitteeSeat],
    chain: Chain,
    clock: Clock,
) -> PublicTerms:
    """Deploy the contracts; from then on it is public what this venue is.

    The venue plays its reporters as well: they sign the prices that they were given, now.
    """
    addresses = [account_of(address_of(seat.signing_key)) for seat in seats]
    deployment = chain.deploy(addresses)
    grids = {identifier(name): grid for name, grid in listed.grids.items()}
    domain = deployment.domain()
    market, halted = reported(listed.market, domain, clock)
    margin = IntentMargin(listed.specification, market, grids, halted)
    reporter = Reporter(PrivateKey().secret, clock)
    references: dict[InstrumentId, SignedReference] = {}
    for name, grid in grids.items():
        references |= reporter.sign(grid, [name], FIRST_INTERVAL, domain)
    auction = AuctionTerms(
        domain,
        material,
        FIRST_INTERVAL,
        reporter.address,
        references,
        clock.unix_ms() + INTERVAL_MS,
        deployment.keypers,
        owners_min=terms.owners_min,
        cap_min=terms.cap_min,
    ).require_fresh(clock)
    bond = terms.bond_terms(deployment.operator)
    digest = terms_digest(auction, terms.pricing, margin, bond, deployment)
    bound = replace(auction, digest=digest)
    return PublicTerms(bound, terms.pricing, margin, bond, deployment)


@contextmanager
def _mask_factory(
    public: PublicTerms, seats: Sequence[CommitteeSeat], clients: LocalClients
) -> Iterator[MaskFactory]:
    """A factory at work on all masks that the parties can need."""
    auction = public.auction
    workers = MASK_WORKERS if auction.material.parameters.secure else 1
    counts = Counter(instrument_of(party) for party in clients.parties)
    minimum_fills = {instrument_of(party) for party in clients.parties if is_minimum_fill(party)}
    with (
        MaskFactory(auction.material, seats, auction.domain, workers) as masks,
        _ended_by_errors(),
    ):
        sizes = [counts[name] for name in auction.grids]
        for shape in mask_shapes(auction, sizes, [name in minimum_fills for name in auction.grids]):
            with _starting_processes():
                masks.order(shape)
        yield masks


@contextmanager
def _arrivals(material: PublicMaterial, state: Path, capacity: int) -> Iterator[Arrivals]:
    """Workers for what is computed of intents as they arrive."""
    workers = ARRIVAL_WORKERS if material.parameters.secure else 1
    with (
        Arrivals(material.order_keys, state / "arrivals", capacity, workers) as arrivals,
        _ended_by_errors(),
    ):
        with _starting_processes():
            arrivals.start()
        yield arrivals


@contextmanager
def _ended_by_errors() -> Iterator[None]:
    """An error ends processes that were started inside at once, whatever they are at."""
    before = set(active_children())
    try:
        yield
    except BaseException:
        for child in set(active_children()) - before:
            child.terminate()
        raise


@contextmanager
def _starting_processes() -> Iterator[None]:
    """Signals wait until a process that is being started is known, and can be ended.

    It is started with SIGINT blocked: Ctrl-C reaches all processes of a terminal, and this one
    answers for all of them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _frame: arrived.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for got in arrived:
        signal.raise_signal(got)


def _deposit(
    chain: Chain, bond: BondTerms, amounts: Mapping[AccountId, Cash], listed: Listed
) -> PortfolioAccounts:
    """Pay collateral into the vault, and credit what the chain says has arrived.

    The treasury has a balance from the start: what it is paid later is never a new account's.
    """
    chain.fund_and_deposit({account: amount for account, amount in amounts.items() if amount})
    flows = chain.flows_before(FIRST_INTERVAL)
    accounts = PortfolioAccounts(listed.specification)
    for account in {**amounts, bond.treasury: Cash(0)}:
        flow = flows.get(account)
        accounts.deposit(account, Cash(0 if flow is None else flow.deposited - flow.withdrawn))
    return accounts


def _final_root(chain: Chain) -> FinalRoot:
    """Ask the chain for the batch root of an interval, as long as the batch can still settle."""

    def root_of(interval: Interval) -> bytes | None:
        evidence = chain.evidence(interval)
        closed = evidence.voided or evidence.halted or evidence.settlement is not None
        return None if evidence.batch is None or closed else evidence.batch.root

    return root_of


def _engine(
    public: PublicTerms,
    seats: Sequence[CommitteeSeat],
    chain: Chain,
    masks: MaskFactory,
    arrivals: Arrivals,
    accounts: PortfolioAccounts,
    references: ReferenceWatch,
    clock: Clock,
) -> Engine:
    material, domain = public.auction.material, public.auction.domain
    order = Evaluator(material.order_keys.evaluation_keys())
    comparison = Evaluator(material.comparison_keys.evaluation_keys())
    final_root = _final_root(chain)
    committee = local_committee(
        material, seats, domain, clock, final_root, order, comparison, references.require
    )
    return Engine(order, comparison, committee, masks, arrivals, chain, accounts, CONFIRMATIONS)


def _auction(
    engine: Engine,
    public: PublicTerms,
    admission: Admission,
    clients: LocalClients,
    record: RecordSink,
    progress: Progress,
    clock: SkippingClock,
) -> AuctionOutcome:
    terms, parties = public.auction, len(clients.parties)

    def counted() -> Iterator[SealedSubmission]:
        for number, submission in enumerate(clients.submissions(terms)):
            progress("admit", number, parties)
            yield submission
        clock.skip_to(terms.closes_ms)

    return run_auction(
        engine,
        terms,
        public.margin,
        public.bond,
        admission,
        counted(),
        public.pricing,
        record,
        lambda step: progress(step, 0, parties if step == "admit" else 0),
    )


def _timings(
    venue_ms: Mapping[str, int], auction_ms: Mapping[str, int], sealing_ms: int
) -> dict[str, int]:
    """One list of both; sealing happens inside of admission, and is told apart from it."""
    timings = {name: ms for name, ms in venue_ms.items() if name != "record"}
    timings["seal"] = sealing_ms
    timings |= auction_ms
    timings["admit"] = auction_ms["admit"] - sealing_ms
    return timings | dict(venue_ms)
