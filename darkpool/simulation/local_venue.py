"""All parties of a venue on one machine, over intervals that follow each other.

An operator, a committee that a dealer gave its keys, and reporters that sign what they are given.
The chain has the contracts; what an interval begins with is what the last settlement left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from coincurve import PrivateKey

from crypto.bfv.lanes import LaneShape
from crypto.ring.params import ParameterSet
from crypto.signing.ecdsa import address_of
from crypto.signing.settling import Rotation, committee_hash
from crypto.threshold.evaluators import Evaluators
from crypto.threshold.keys import PublicMaterial, deal
from crypto.threshold.replicated import Committee
from darkpool.admission.register import AdmissionRegister
from darkpool.auction.environment import Environment, LastSettlement, OpenInterval, due_in
from darkpool.auction.interval import run_interval
from darkpool.auction.listing import Listed
from darkpool.auction.on_chain import end_open
from darkpool.auction.outcome import IntervalOutcome
from darkpool.auction.terms import KEYPERS, VenueTerms
from darkpool.chain.client import Chain, DeploymentTerms
from darkpool.chain.deploying import SEATS_MAX
from darkpool.chain.errors import SettledOtherwise
from darkpool.chain.evidence import Deployment
from darkpool.chain.finality import Finality
from darkpool.committee.committee import KeyperCommittee
from darkpool.crossing.arrivals import Arrivals
from darkpool.keyper.identity import CommitteeView, KeyperIdentity
from darkpool.keyper.references import ReferenceWatch
from darkpool.limits import REFERENCE_AGE_AT_CLOSE_MAX_MS
from darkpool.margin.model.intent_margin import IntentMargin
from darkpool.protocol.intents import SealedSubmission, SignedCancellation
from darkpool.protocol.keyper import VoidInterval
from darkpool.protocol.references import SignedReference
from darkpool.protocol.terms import IntervalTerms
from darkpool.record.core import circuits_digest
from darkpool.record.writer import RecordSink
from darkpool.settlement.between import Between, VoidCharge, void_charges
from darkpool.settlement.claims import TREASURY
from darkpool.settlement.custody import CashVault
from darkpool.settlement.flows import FlowBook
from darkpool.settlement.state import AccountState, custody_of
from darkpool.simulation.clock import SkippingClock
from darkpool.simulation.committee import CommitteeSeat, local_committee, view_of
from darkpool.simulation.mask_factory import MaskFactory
from darkpool.simulation.node import node_senses
from darkpool.simulation.processes import ended_by_errors, starting_processes
from darkpool.simulation.reporters import PriceReporters, Reporter
from darkpool.units import (
    FIRST_INTERVAL,
    InstrumentId,
    Interval,
    account_bytes,
    account_of,
    identifier,
)

FIRST_EPOCH: Final = 1
FINALITY: Final = Finality(2)
DEPOSIT_MIN: Final = 1
ACCOUNTS_MAX: Final = SEATS_MAX
INTERVAL_MS: Final = REFERENCE_AGE_AT_CLOSE_MAX_MS - 60_000
"""Nobody waits for it: an interval closes when the last order is in. References are fresh then."""
MASK_WORKERS: Final = 2
ARRIVAL_WORKERS: Final = 2


Dealt = tuple[PublicMaterial, tuple[CommitteeSeat, ...]]
"""Public keys of an epoch, and a seat for each keyper."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Processes that prepare masks, and that compute what intents need when they arrive."""

    masks: MaskFactory
    arrivals: Arrivals


@dataclass(slots=True)
class LocalVenue:
    """A venue whose contracts stand, between two intervals.

    Attributes:
        state: folder of what operator and keypers must not forget.
        states: of all accounts after the last settlement; `flows` are those that it answered.
        between: what void intervals since then left due.
        voids: these intervals, as keypers are shown them.
        last: the last settlement.
        interval: the next one.
        finality: when a block of the chain is final.
    """

    terms: VenueTerms
    chain: Chain
    clock: SkippingClock
    state: Path
    seats: tuple[CommitteeSeat, ...]
    view: CommitteeView
    deployment: Deployment
    evaluators: Evaluators
    committee: KeyperCommittee
    register: AdmissionRegister
    references: ReferenceWatch
    reporter: Reporter
    price_reporters: PriceReporters
    states: tuple[AccountState, ...] = ()
    flows: FlowBook = field(default_factory=FlowBook)
    between: Between = field(default_factory=Between)
    voids: tuple[VoidInterval, ...] = ()
    last: LastSettlement = field(default_factory=LastSettlement)
    interval: Interval = FIRST_INTERVAL
    finality: Finality = FINALITY

    def open(self, listed: Listed) -> OpenInterval:
        """The terms of the next interval, which keypers accept; the reporters sign what is listed.

        After a void interval the contract takes an empty batch alone: no submission is admitted.

        Raises:
            DarkpoolError: what is listed cannot be traded now.
        """
        grids = {identifier(name): grid for name, grid in listed.grids.items()}
        domain, clock = self.view.domain, self.clock
        market, halted = self.price_reporters.report(listed, domain, clock)
        margin = IntentMargin(listed.specification, market, grids, halted)
        references: dict[InstrumentId, SignedReference] = {}
        for name, grid in grids.items():
            references |= self.reporter.sign(grid, [name], self.interval, domain)
        terms = IntervalTerms(
            domain=domain,
            vault=self.deployment.vault,
            material=self.view.material,
            keypers=self.deployment.keypers,
            interval=self.interval,
            closes_ms=clock.unix_ms() + INTERVAL_MS,
            pricing=self.terms.pricing,
            reporter=self.reporter.address,
            references=references,
            margin_digest=margin.inputs.digest(),
            rules=self.terms.rules(TREASURY),
        ).require_fresh(clock)
        self.references.accept(terms.interval, terms.references)
        place = self.deployment.vaults[0]
        vault = CashVault(place.address, TREASURY, place.deposit_min)
        known = (self.states, self.flows, self.between)
        custody = custody_of(vault, listed.specification, *known)
        must_be_empty = self.chain.standing().must_be_empty
        return OpenInterval(terms, margin, custody, self.last, self.voids, must_be_empty)

    def run(
        self,
        opened: OpenInterval,
        workers: Workers,
        submissions: Iterable[SealedSubmission | SignedCancellation],
        record: RecordSink,
        progress: Callable[[str], None],
    ) -> IntervalOutcome:
        """Run the interval that is open; if it settles, the next one begins there.

        If it does not, or if this raises, `end_void` has to come before the next one.

        Raises:
            DarkpoolError, CryptoError: see `run_interval`.
        """
        environment = Environment(
            self.evaluators,
            self.committee,
            workers.masks,
            workers.arrivals,
            self.chain,
            self.register,
            self.clock,
            record,
            progress,
            self.finality,
        )
        self.interval = Interval(opened.terms.interval + 1)
        outcome = run_interval(environment, opened, self._until_close(opened, submissions))
        if outcome.settlement.is_final:
            self._go_on(opened, outcome)
        return outcome

    def end_void(self, opened: OpenInterval, outcome: IntervalOutcome | None) -> bool:
        """End an interval that did not settle, after the contract's hour; returns if it is void.

        `outcome` is what `run` returned, None where it raised. What the interval's market made due,
        and what it found, is booked by the next settlement; an interval that was never committed
        leaves nothing. Another account may have ended it first, also by sending its settlement.

        Raises:
            ChainError: the hour has not passed, or the node gives no answer that can be used.
            SettledOtherwise: it has settled, and not as this venue computed it.
        """
        said = end_open(self.chain, opened.terms.interval, self.finality)
        if said.settlement is not None:
            if outcome is None or said.settlement.message != outcome.settlement.message:
                subject = f"settlement of interval {opened.terms.interval}"
                own = "none" if outcome is None else outcome.settlement.message.struct_hash().hex()
                raise SettledOtherwise(subject, own, said.settlement.message.struct_hash().hex())
            self._go_on(opened, outcome)
        elif said.voided:
            charges: tuple[VoidCharge, ...] = ()
            if outcome is not None:
                rejected = [rejection.account for rejection in outcome.rejections]
                bond = opened.terms.rules.bond
                charges = void_charges(opened.terms.interval, rejected, bond)
            opened.custody.void(due_in(opened), charges)
            self.between = opened.custody.between
            record = None if outcome is None else outcome.settlement.record
            left = VoidInterval(opened.terms, opened.margin.inputs, record)
            self.voids = (*opened.voids, left)
        return said.voided

    def _go_on(self, opened: OpenInterval, outcome: IntervalOutcome) -> None:
        """Let the next interval begin where this one has settled."""
        self.states, self.flows = outcome.applied.after, outcome.applied.custody.flows
        self.between, self.voids = outcome.applied.custody.between, ()
        prices = opened.margin.inputs
        name = outcome.settlement.message.struct_hash()
        self.last = LastSettlement(name, prices.market.time_ms, prices)

    def announce_rotation(self, dealt: Dealt) -> Rotation:
        """Have the committee sign for the one that follows it, and announce that on the chain."""
        material, seats = dealt
        message = Rotation(
            epoch=self.deployment.epoch + 1,
            previous_committee=committee_hash(self.view.addresses),
            next=tuple(address_of(seat.identity.signing_key) for seat in seats),
            key_id=material.digest(),
            circuits=circuits_digest(),
        )
        signatures = self.committee.sign_rotation(message)
        self.chain.announce_rotation(message, list(signatures.values()))
        return message

    def rotate(self, dealt: Dealt) -> None:
        """Let the announced committee take over, between two intervals."""
        self.chain.rotate()
        self.deployment = self.chain.deployment
        self._seat(dealt)

    @contextmanager
    def mask_factory(self, shapes: Iterable[LaneShape]) -> Iterator[MaskFactory]:
        """A factory at work on masks of some shapes."""
        workers = MASK_WORKERS if self.view.material.parameters.secure else 1
        with MaskFactory(self.view, self.seats, workers) as masks, ended_by_errors():
            for shape in shapes:
                with starting_processes():
                    masks.order(shape)
            yield masks

    @contextmanager
    def arrivals(self, capacity: int) -> Iterator[Arrivals]:
        """Workers for what is computed of intents as they arrive, of so many at once."""
        material = self.view.material
        workers = ARRIVAL_WORKERS if material.parameters.secure else 1
        folder = self.state / f"arrivals-{self.interval}"
        with (
            Arrivals(material.order_keys, folder, capacity, workers) as arrivals,
            ended_by_errors(),
        ):
            with starting_processes():
                arrivals.start()
            yield arrivals

    def _seat(self, dealt: Dealt) -> None:
        material, self.seats = dealt
        self.view = view_of(material, self.deployment.domain(), self.seats)
        self.evaluators = Evaluators.of(material)
        reporters = account_bytes(self.reporter.address), self.price_reporters.addresses
        require = self.references.require
        senses = node_senses(self.chain, self.finality, self.clock, require, reporters)
        self.committee = local_committee(self.view, self.seats, senses, self.evaluators)

    def _until_close(
        self, opened: OpenInterval, submissions: Iterable[SealedSubmission | SignedCancellation]
    ) -> Iterator[SealedSubmission | SignedCancellation]:
        """What clients send, unless the batch must be empty; then the interval has closed."""
        if not opened.must_be_empty:
            yield from submissions
        self.clock.skip_to(opened.terms.closes_ms)


def deal_seats(parameters: ParameterSet, state: Path, epoch: int = FIRST_EPOCH) -> Dealt:
    """Key set-up by a dealer, and a seat for each keyper."""
    material, held = deal(parameters, Committee(KEYPERS, epoch))
    seats = (
        CommitteeSeat(
            KeyperIdentity(own, PrivateKey().secret), state / f"keyper-{epoch}-{own.keyper}.sqlite"
        )
        for own in held
    )
    return material, tuple(seats)


@contextmanager
def founded(
    terms: VenueTerms, dealt: Dealt, chain: Chain, clock: SkippingClock, state: Path
) -> Iterator[LocalVenue]:
    """Deploy the contracts and start the parties; from then on it is public what this venue is."""
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
    view, evaluators = view_of(material, deployment.domain(), seats), Evaluators.of(material)
    reporter = Reporter(PrivateKey().secret, clock)
    references = ReferenceWatch(view.domain, reporter.address, clock)
    price_reporters = PriceReporters()
    reporters = account_bytes(reporter.address), price_reporters.addresses
    senses = node_senses(chain, FINALITY, clock, references.require, reporters)
    with ExitStack() as stack:
        register = AdmissionRegister(state / "register.sqlite")
        stack.callback(register.close)
        yield LocalVenue(
            terms,
            chain,
            clock,
            state,
            seats,
            view,
            deployment,
            evaluators,
            local_committee(view, seats, senses, evaluators),
            register,
            references,
            reporter,
            price_reporters,
        )
