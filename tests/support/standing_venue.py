"""A venue on one machine that goes on from interval to interval, and its clients."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from coincurve import PrivateKey

from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.signing.ecdsa import address_of
from darkpool.auction.environment import OpenInterval
from darkpool.auction.listing import Listing
from darkpool.auction.outcome import IntervalOutcome
from darkpool.auction.publication import auction_summary, evidence_record
from darkpool.auction.terms import VenueTerms
from darkpool.chain.client import Chain
from darkpool.client.leaving import VaultBalance, balances_of
from darkpool.limits import INTENTS_PER_ACCOUNT_MAX
from darkpool.protocol.terms import Pricing
from darkpool.record.writer import RecordWriter
from darkpool.simulation.clients import LocalClients, Stranger
from darkpool.simulation.clock import SkippingClock
from darkpool.simulation.local_venue import LocalVenue, Workers, founded
from darkpool.simulation.order_file import Order
from darkpool.units import AccountId, AccountLabel, InstrumentName, account_of
from tests.support.one_process import one_process, seats

GAS_WEI = 10**18
ListingAt = Callable[[datetime], Listing]
"""What is listed at a time; its market is of that time."""


@dataclass
class StandingVenue:
    """The venue, what it lists, the folder of its records, and the keys of its clients by name."""

    venue: LocalVenue
    listing_at: ListingAt
    records: Path
    keys: dict[AccountLabel, bytes] = field(default_factory=dict)
    last_opened: OpenInterval | None = None

    @property
    def chain(self) -> Chain:
        return self.venue.chain

    def key(self, name: str) -> bytes:
        """The key of a client, whose account has ether from the first time that it is named."""
        label = AccountLabel(name)
        if label not in self.keys:
            self.keys[label] = PrivateKey().secret
            self.chain.fund_gas(self.account(name), GAS_WEI)
        return self.keys[label]

    def account(self, name: str) -> AccountId:
        return account_of(address_of(self.key(name)))

    def deposit(self, **amounts: int) -> None:
        self.chain.fund_and_deposit({self.account(n): amount for n, amount in amounts.items()})

    def request(self, name: str, amount: int) -> None:
        self.chain.request(self.key(name), amount)

    def balance(self, name: str) -> VaultBalance:
        (balance,) = balances_of(self.chain, self.account(name))
        return balance

    def claim(self, name: str) -> int:
        """Take what was granted; returns it."""
        balance = self.balance(name)
        assert balance.proven is not None
        self.chain.claim(self.key(name), balance.proven, self.account(name))
        return balance.claimable

    def record(self, interval: int) -> Path:
        return self.records / str(interval)

    def open(self, names: Sequence[str]) -> OpenInterval:
        """Open the next interval of some instruments, at the market of now."""
        now = datetime.fromtimestamp(self.venue.clock.unix_ms() / 1000, UTC)
        listed = self.listing_at(now).of([InstrumentName(n) for n in names])
        self.last_opened = self.venue.open(listed)
        return self.last_opened

    def trade(
        self,
        names: Sequence[str],
        orders: Sequence[Order] = (),
        strangers: Sequence[Stranger] = (),
        progress: Callable[[str], None] = lambda _step: None,
    ) -> IntervalOutcome:
        """Run one interval of some instruments on the orders; without any it is empty."""
        for order in orders:
            self.key(order.account)
        opened = self.open(names)
        clients = LocalClients(orders, None, self.venue.terms.cap_min, strangers, self.keys)
        with RecordWriter(self.record(opened.terms.interval), TEST_INSECURE_SMALL) as record:
            record.add_material(self.venue.view.material)
            record.add_margin(opened.margin.inputs)
            outcome = self.run(opened, clients, record, progress)
            summary = auction_summary(opened, self.venue.deployment, outcome)
            record.finish(summary, evidence_record(outcome))
        return outcome

    def run(
        self,
        opened: OpenInterval,
        clients: LocalClients,
        record: RecordWriter,
        progress: Callable[[str], None] = lambda _step: None,
    ) -> IntervalOutcome:
        """Run the interval that is open."""
        venue = self.venue
        capacity = max(1, len(clients.parties) * INTENTS_PER_ACCOUNT_MAX)
        with venue.mask_factory(()) as masks, venue.arrivals(capacity) as arrivals:
            submissions = clients.submissions(opened.terms)
            workers = Workers(masks, arrivals)
            return venue.run(opened, workers, submissions, record, progress)


@contextmanager
def standing_venue(
    listing_at: ListingAt, chain: Chain, folder: Path, starts_ms: int, owners_min: int = 2
) -> Iterator[StandingVenue]:
    """A venue on the small rings in this process, whose clock begins at a time."""
    state = folder / "state"
    state.mkdir()
    with one_process():
        dealt = seats(TEST_INSECURE_SMALL, state)
        clock = SkippingClock(starts_ms)
        listing = listing_at(datetime.fromtimestamp(starts_ms / 1000, UTC))
        terms = VenueTerms(listing, Pricing.UNIFORM, owners_min)
        with founded(terms, dealt, chain, clock, state) as venue:
            yield StandingVenue(venue, listing_at, folder)
