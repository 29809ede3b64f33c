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

from crypto.ring.params import ParameterSet
from darkpool.auction.environment import OpenInterval
from darkpool.auction.publication import auction_summary, evidence_record
from darkpool.auction.terms import VenueTerms
from darkpool.chain.client import Chain
from darkpool.clock import Stopwatch
from darkpool.crossing.mask_shapes import mask_shapes
from darkpool.durable import temporary_folder
from darkpool.errors import DarkpoolError, WrongType
from darkpool.limits import INTENTS_PER_ACCOUNT_MAX
from darkpool.margin.market.instruments import unix_ms
from darkpool.protocol.intents import SealedSubmission
from darkpool.protocol.terms import IntervalTerms
from darkpool.record.writer import RecordWriter
from darkpool.simulation.clients import (
    LocalClients,
    OpeningsFolder,
    Stranger,
    has_minimum,
    instrument_of,
)
from darkpool.simulation.clock import SkippingClock
from darkpool.simulation.errors import NotKept
from darkpool.simulation.folders import require_apart
from darkpool.simulation.local_venue import LocalVenue, Workers, deal_seats, founded
from darkpool.simulation.no_record import NoRecord
from darkpool.simulation.order_file import Order, require_orders
from darkpool.simulation.result import VenueResult, venue_result
from darkpool.simulation.unsent import require_settled
from darkpool.simulation.withdrawing import Withdrawal, claim_granted, send_requests
from darkpool.units import require_kind


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
        AdmissionRefused, MarginError: of the first order, where all were refused.
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
            dealt = deal_seats(setting.parameters, state)
        with step("chain"):
            venue = stack.enter_context(founded(terms, dealt, chain, clock, state))
            opened = venue.open(listed)
        clients = LocalClients(orders, openings, terms.cap_min, strangers)
        workers = _workers(venue, opened, clients, stack)
        if record is not None:
            record.add_material(venue.view.material)
            record.add_margin(opened.margin.inputs)
        with step("deposit"):
            amounts = clients.deposits(opened.margin, opened.terms.rules.bond)
            chain.fund_and_deposit({a: amount for a, amount in amounts.items() if amount})
            send_requests(chain, clients)
        parties = len(clients.parties)
        outcome = venue.run(
            opened,
            workers,
            _submissions(opened.terms, clients, setting.progress),
            record or NoRecord(),
            lambda step: setting.progress(step, 0, parties if step == "admit" else 0),
        )
        if outcome.refusals and not outcome.admitted:
            raise outcome.refusals[0].error
        outcome.settlement.require_signed()
        summary = auction_summary(opened, venue.deployment, outcome)
        not_kept: list[NotKept] = []
        if record is not None:
            with step("record"), _kept("record", record, not_kept):
                record.finish(summary, evidence_record(outcome))
        place = None if not_kept else setting.places.record
        if openings is not None:
            with _kept("openings", openings, not_kept):
                openings.finish(outcome.admitted)
        require_settled(opened.terms.interval, outcome.settlement, place)
        withdrawals: tuple[Withdrawal, ...] = ()
        if clients.requests:
            with step("claim"):
                granted = outcome.applied.balances.granted
                withdrawals = claim_granted(chain, clients, amounts, granted)
    timings = _timings(watch.timings_ms, outcome.timings_ms, clients.sealing_ns // 1_000_000)
    result = venue_result(clients, opened, outcome, timings, place)
    return replace(result, withdrawals=withdrawals, not_kept=tuple(not_kept))


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


def _workers(
    venue: LocalVenue, opened: OpenInterval, clients: LocalClients, stack: ExitStack
) -> Workers:
    """Processes at work on all masks that the parties can need, and ready for their intents."""
    terms = opened.terms
    counts = Counter(instrument_of(party) for party in clients.parties)
    asked = {instrument_of(party) for party in clients.parties if has_minimum(party)}
    sizes = [counts[name] for name in terms.grids]
    shapes = mask_shapes(terms, sizes, [name in asked for name in terms.grids])
    masks = stack.enter_context(venue.mask_factory(shapes))
    capacity = len(clients.parties) * INTENTS_PER_ACCOUNT_MAX
    return Workers(masks, stack.enter_context(venue.arrivals(capacity)))


def _submissions(
    terms: IntervalTerms, clients: LocalClients, progress: Progress
) -> Iterator[SealedSubmission]:
    """What clients send, one after the other."""
    parties = len(clients.parties)
    for number, submission in enumerate(clients.submissions(terms)):
        progress("admit", number, parties)
        yield submission


def _timings(
    venue_ms: Mapping[str, int], auction_ms: Mapping[str, int], sealing_ms: int
) -> dict[str, int]:
    """One list of both; sealing happens inside of admission, and is told apart from it."""
    timings = {name: ms for name, ms in venue_ms.items() if name not in ("record", "claim")}
    timings["seal"] = sealing_ms
    timings |= auction_ms
    timings["admit"] = auction_ms["admit"] - sealing_ms
    return timings | dict(venue_ms)
