"""A venue on one machine: it plays every part of an auction on the orders of one file.

Clients seal, n keypers open, an operator crosses, a chain settles. Keys are drawn from the
operating system's generator and are gone with the process; the keypers' durable memory lives in a
folder of its own that is removed at the end. What only clients may know, their openings, is kept
apart from the public record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from coincurve import PrivateKey

from crypto.ring.params import ParameterSet
from crypto.signing.ecdsa import address_of
from crypto.threshold.evaluators import Evaluators
from crypto.threshold.keys import PublicMaterial, deal
from crypto.threshold.replicated import Committee
from darkpool.admission.register import AdmissionRegister
from darkpool.auction.environment import Environment, OpenInterval
from darkpool.auction.interval import run_interval
from darkpool.auction.listing import Listed
from darkpool.auction.publication import auction_summary, evidence_record
from darkpool.auction.terms import KEYPERS, VenueTerms
from darkpool.chain.client import Chain, DeploymentTerms
from darkpool.chain.evidence import Deployment
from darkpool.clock import Clock, Stopwatch
from darkpool.committee.committee import KeyperCommittee
from darkpool.crossing.arrivals import Arrivals
from darkpool.crossing.mask_shapes import mask_shapes
from darkpool.durable import temporary_folder
from darkpool.errors import DarkpoolError, WrongType
from darkpool.keyper.identity import CommitteeView, KeyperIdentity
from darkpool.keyper.references import ReferenceWatch
from darkpool.limits import INTENTS_PER_ACCOUNT_MAX, REFERENCE_AGE_AT_CLOSE_MAX_MS
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.market.instruments import unix_ms
from darkpool.margin.model.intent_margin import IntentMargin
from darkpool.protocol.intents import SealedSubmission
from darkpool.protocol.references import SignedReference
from darkpool.protocol.terms import IntervalTerms
from darkpool.record.core import circuits_digest
from darkpool.record.writer import RecordWriter
from darkpool.settlement.claims import TREASURY
from darkpool.settlement.custody import CashVault, Custody
from darkpool.simulation.clients import (
    LocalClients,
    OpeningsFolder,
    Stranger,
    has_minimum,
    instrument_of,
)
from darkpool.simulation.clock import SkippingClock
from darkpool.simulation.committee import CommitteeSeat, local_committee, view_of
from darkpool.simulation.errors import NotKept
from darkpool.simulation.folders import require_apart
from darkpool.simulation.mask_factory import MaskFactory
from darkpool.simulation.no_record import NoRecord
from darkpool.simulation.node import node_senses
from darkpool.simulation.order_file import Order, require_orders
from darkpool.simulation.processes import ended_by_errors, starting_processes
from darkpool.simulation.reporters import Reporter, reported
from darkpool.simulation.result import VenueResult, venue_result
from darkpool.simulation.unsent import require_settled
from darkpool.units import FIRST_INTERVAL, InstrumentId, account_of, identifier, require_kind

FIRST_EPOCH: Final = 1
CONFIRMATIONS: Final = 1
DEPOSIT_MIN: Final = 1
ACCOUNTS_MAX: Final = 10_000
INTERVAL_MS: Final = REFERENCE_AGE_AT_CLOSE_MAX_MS - 60_000
"""Nobody waits for it: an interval closes when the last order is in. References are fresh then."""
MASK_WORKERS: Final = 2
ARRIVAL_WORKERS: Final = 2


@dataclass(frozen=True, slots=True)
class Places:
    """Folders to be made: the public record, and the clients' openings. None: not wanted.

    Raises:
        WrongType: a folder that is no `Path`.
    """

    record: Path | None = None
    openings: Path | None = None

    def __post_init__(self) -> None:
        for subject, folder in (("record", self.record), ("openings", self.openings)):
            if folder is not None:
                require_kind(subject, Path, folder)

    def require_apart(self) -> None:
        """Check that what only clients may know does not come to lie in the public record.

        Raises:
            FoldersNested: one folder is the other, or lies in it.
        """
        require_apart(self.record, self.openings)


Progress = Callable[[str, int, int], None]
"""Is told the step that runs, and how much of how much is done; 0 of 0 where that is unknown."""


@dataclass(frozen=True, slots=True)
class VenueSetting:
    """What a venue on one machine runs on.

    Attributes:
        parameters: of the rings.
        connect: gives the chain on which the contracts are then deployed.
        places: folders to be made.
        progress: is told how far the run is.

    Raises:
        WrongType: one of another kind.
    """

    parameters: ParameterSet
    connect: Callable[[], Chain]
    places: Places
    progress: Progress

    def __post_init__(self) -> None:
        require_kind("parameters", ParameterSet, self.parameters)
        require_kind("places", Places, self.places)
        for subject, called in (("connect", self.connect), ("progress", self.progress)):
            if not callable(called):
                raise WrongType(subject, "a function", called)


@dataclass(frozen=True, slots=True)
class _Founded:
    """A venue whose contracts stand: its committee, its deployment, and its first interval.

    All keypers of this process share one watch over references.
    """

    seats: tuple[CommitteeSeat, ...]
    view: CommitteeView
    deployment: Deployment
    opened: OpenInterval
    references: ReferenceWatch


def run_orders(
    orders: Sequence[Order],
    terms: VenueTerms,
    setting: VenueSetting,
    strangers: Sequence[Stranger] = (),
) -> VenueResult:
    """Run one interval's auctions on the orders of a file, from keys to settlement.

    `strangers` take part in the instruments of the orders.

    Raises:
        BadInput: arguments of another kind, folders that exist or nest; nothing has been done.
        NotSettled: no block has the settlement; it is kept, and so are the folders.
        DarkpoolError, CryptoError: the auction could not go on; no folder is left that was made.
    """
    orders = require_orders(orders)
    require_kind("terms", VenueTerms, terms)
    require_kind("setting", VenueSetting, setting).places.require_apart()
    watch = Stopwatch()

    @contextmanager
    def step(name: str) -> Iterator[None]:
        with watch.step(name):
            setting.progress(name, 0, 0)
            yield

    listed = terms.listing.of(order.instrument for order in orders)
    with ExitStack() as stack:
        record, openings = _folders(setting, stack)
        state = stack.enter_context(temporary_folder("darkpool-"))
        chain, clock = setting.connect(), SkippingClock(unix_ms(listed.market.time))
        with step("keys"):
            material, seats = _deal(setting.parameters, state)
        with step("chain"):
            founded = _found(terms, listed, (material, seats), chain, clock)
        clients = LocalClients(orders, openings, terms.cap_min, strangers)
        masks = stack.enter_context(_mask_factory(founded, clients))
        capacity = len(clients.parties) * INTENTS_PER_ACCOUNT_MAX
        arrivals = stack.enter_context(_arrivals(material, state, capacity))
        register = AdmissionRegister(state / "register.sqlite")
        stack.callback(register.close)
        if record is not None:
            record.add_material(material)
            record.add_margin(founded.opened.margin.inputs)
        with step("deposit"):
            amounts = clients.deposits(founded.opened.margin, founded.opened.terms.rules.bond)
            chain.fund_and_deposit({a: amount for a, amount in amounts.items() if amount})
        evaluators = Evaluators.of(material)
        environment = Environment(
            evaluators,
            _committee(founded, evaluators, chain, clock),
            masks,
            arrivals,
            chain,
            register,
            clock,
            record or NoRecord(),
            lambda step: setting.progress(step, 0, len(clients.parties) if step == "admit" else 0),
            CONFIRMATIONS,
        )
        submissions = _submissions(founded.opened.terms, clients, clock, setting.progress)
        outcome = run_interval(environment, founded.opened, submissions)
        summary = auction_summary(founded.opened, founded.deployment, outcome)
        evidence = evidence_record(outcome)
        not_kept: list[NotKept] = []
        if record is not None:
            with step("record"), _kept("record", record, not_kept):
                record.finish(summary, evidence)
        place = None if not_kept else setting.places.record
        if openings is not None:
            with _kept("openings", openings, not_kept):
                openings.finish(outcome.admitted)
        require_settled(FIRST_INTERVAL, outcome.settlement, place)
    timings = _timings(watch.timings_ms, outcome.timings_ms, clients.sealing_ns // 1_000_000)
    result = venue_result(clients, founded.opened, outcome, timings, place)
    return replace(result, not_kept=tuple(not_kept))


@contextmanager
def _kept(
    subject: str, folder: RecordWriter | OpeningsFolder, not_kept: list[NotKept]
) -> Iterator[None]:
    """The interval has settled: what its folder lacks is told beside the result."""
    try:
        yield
    except DarkpoolError as error:
        not_kept.append(NotKept(subject, error, folder.keep_unfinished()))


def _folders(
    setting: VenueSetting, stack: ExitStack
) -> tuple[RecordWriter | None, OpeningsFolder | None]:
    """The folders that are wanted; the stack removes them unless they are finished."""
    record = openings = None
    if setting.places.record is not None:
        writer = RecordWriter(setting.places.record, setting.parameters)
        record = stack.enter_context(writer)
    if setting.places.openings is not None:
        openings = OpeningsFolder(setting.places.openings)
        stack.callback(openings.abandon)
    return record, openings


def _deal(
    parameters: ParameterSet, state: Path
) -> tuple[PublicMaterial, tuple[CommitteeSeat, ...]]:
    """Key set-up by a dealer, and a seat for each keyper."""
    material, held = deal(parameters, Committee(KEYPERS, FIRST_EPOCH))
    seats = (
        CommitteeSeat(
            KeyperIdentity(own, PrivateKey().secret), state / f"keyper-{own.keyper}.sqlite"
        )
        for own in held
    )
    return material, tuple(seats)


def _found(
    terms: VenueTerms,
    listed: Listed,
    dealt: tuple[PublicMaterial, tuple[CommitteeSeat, ...]],
    chain: Chain,
    clock: Clock,
) -> _Founded:
    """Deploy the contracts; from then on it is public what this venue is."""
    material, seats = dealt
    deployment = chain.deploy(
        DeploymentTerms(
            keypers=tuple(account_of(address_of(s.identity.signing_key)) for s in seats),
            key_id=material.digest(),
            circuits=circuits_digest(),
            deposit_min=DEPOSIT_MIN,
            accounts_max=ACCOUNTS_MAX,
            fund=chain.account,
            treasury=chain.account,
            rescuer=chain.account,
        )
    )
    view = view_of(material, deployment.domain(), seats)
    opened = _open(terms, listed, view, deployment, clock)
    references = ReferenceWatch(view.domain, opened.terms.reporter, clock)
    references.accept(opened.terms.interval, opened.terms.references)
    return _Founded(seats, view, deployment, opened, references)


def _open(
    terms: VenueTerms,
    listed: Listed,
    view: CommitteeView,
    deployment: Deployment,
    clock: Clock,
) -> OpenInterval:
    """The terms of the first interval.

    The venue plays its reporters as well: they sign the prices that they were given, now.
    """
    grids = {identifier(name): grid for name, grid in listed.grids.items()}
    market, halted = reported(listed.market, listed.specification, view.domain, clock)
    margin = IntentMargin(listed.specification, market, grids, halted)
    reporter = Reporter(PrivateKey().secret, clock)
    references: dict[InstrumentId, SignedReference] = {}
    for name, grid in grids.items():
        references |= reporter.sign(grid, [name], FIRST_INTERVAL, view.domain)
    interval_terms = IntervalTerms(
        domain=view.domain,
        vault=deployment.vault,
        material=view.material,
        keypers=deployment.keypers,
        interval=FIRST_INTERVAL,
        closes_ms=clock.unix_ms() + INTERVAL_MS,
        pricing=terms.pricing,
        reporter=reporter.address,
        references=references,
        margin_digest=margin.inputs.digest(),
        rules=terms.rules(TREASURY),
    )
    custody = Custody(
        CashVault(deployment.vault, TREASURY), PortfolioAccounts(listed.specification)
    )
    return OpenInterval(interval_terms.require_fresh(clock), margin, custody)


@contextmanager
def _mask_factory(founded: _Founded, clients: LocalClients) -> Iterator[MaskFactory]:
    """A factory at work on all masks that the parties can need."""
    terms = founded.opened.terms
    workers = MASK_WORKERS if terms.material.parameters.secure else 1
    counts = Counter(instrument_of(party) for party in clients.parties)
    asked = {instrument_of(party) for party in clients.parties if has_minimum(party)}
    with MaskFactory(founded.view, founded.seats, workers) as masks, ended_by_errors():
        sizes = [counts[name] for name in terms.grids]
        for shape in mask_shapes(terms, sizes, [name in asked for name in terms.grids]):
            with starting_processes():
                masks.order(shape)
        yield masks


@contextmanager
def _arrivals(material: PublicMaterial, state: Path, capacity: int) -> Iterator[Arrivals]:
    """Workers for what is computed of intents as they arrive."""
    workers = ARRIVAL_WORKERS if material.parameters.secure else 1
    with (
        Arrivals(material.order_keys, state / "arrivals", capacity, workers) as arrivals,
        ended_by_errors(),
    ):
        with starting_processes():
            arrivals.start()
        yield arrivals


def _committee(
    founded: _Founded, evaluators: Evaluators, chain: Chain, clock: Clock
) -> KeyperCommittee:
    """The keypers, who share the node of this machine and its reporters' references."""
    senses = node_senses(chain, clock, founded.references.require)
    return local_committee(founded.view, founded.seats, senses, evaluators)


def _submissions(
    terms: IntervalTerms, clients: LocalClients, clock: SkippingClock, progress: Progress
) -> Iterator[SealedSubmission]:
    """What clients send, one after the other; then the interval has closed."""
    parties = len(clients.parties)
    for number, submission in enumerate(clients.submissions(terms)):
        progress("admit", number, parties)
        yield submission
    clock.skip_to(terms.closes_ms)


def _timings(
    venue_ms: Mapping[str, int], auction_ms: Mapping[str, int], sealing_ms: int
) -> dict[str, int]:
    """One list of both; sealing happens inside of admission, and is told apart from it."""
    timings = {name: ms for name, ms in venue_ms.items() if name != "record"}
    timings["seal"] = sealing_ms
    timings |= auction_ms
    timings["admit"] = auction_ms["admit"] - sealing_ms
    return timings | dict(venue_ms)
