"""A venue's life in ten intervals, and a last one that its operator and a keyper desert."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.signing.ecdsa import sign
from crypto.signing.settling import BatchRoot
from darkpool.auction.instruments import Fault
from darkpool.auction.outcome import IntervalOutcome
from darkpool.chain.client import Chain, SignedStatement
from darkpool.chain.errors import ChainUnavailable
from darkpool.chain.finality import Finality
from darkpool.chain.reader import RecordedVenue
from darkpool.chain.settling import KeptSettlement
from darkpool.client.leaving import balances_of
from darkpool.record.reader import Record
from darkpool.settlement.claims import FUND, TREASURY
from darkpool.simulation.clients import Stranger
from darkpool.simulation.order_file import Order
from darkpool.units import (
    AccountId,
    AccountLabel,
    InstrumentName,
    Interval,
    Lots,
    Side,
    Tick,
    identifier,
)
from darkpool.verification.audit import audit_all
from darkpool.verification.report import Verdict
from darkpool.wargames.intruders import Intruder
from tests.support.moving_listing import TICKS, MovingListing
from tests.support.moving_markets import DAY_MS, MARCH_MS
from tests.support.one_process import seats
from tests.support.standing_venue import StandingVenue, standing_venue

ONE = 10**6
NAMES = ("BTC-PERP", "BTC-MAR", "BTC-MAR-60000-C", "ETH-PERP")
AFTER_MARCH = ("BTC-PERP", "ETH-PERP")
DAY_S = 86_400
DEPTH = 5
"""Blocks that the chain gives up at once."""

Pair = tuple[str, str, str, int]
"""An instrument, its buyer, its seller, and lots."""


@dataclass(frozen=True)
class Machine:
    """A chain whose clock a test moves, and whose last blocks it replaces by empty ones."""

    chain: Chain
    travel: Callable[[int], None]
    reorganise: Callable[[Callable[[], object]], None]
    """Runs something that sends transactions, and then gives its blocks up."""


def embedded() -> Machine:
    """A chain of this process."""
    chain = Chain.embedded()
    tester = chain._tester
    assert tester is not None

    def travel(seconds: int) -> None:
        now = tester.get_block_by_number("latest")["timestamp"]
        tester.time_travel(now + seconds)
        tester.mine_blocks(1)

    def reorganise(send: Callable[[], object]) -> None:
        before = tester.take_snapshot()
        send()
        tester.revert_to_snapshot(before)
        tester.mine_blocks(DEPTH)

    return Machine(chain, travel, reorganise)


@dataclass
class Story:
    """A standing venue, the market that it lists, and its chain."""

    standing: StandingVenue
    market: MovingListing
    machine: Machine

    @property
    def chain(self) -> Chain:
        return self.machine.chain

    def interval(
        self, *pairs: Pair, names: Sequence[str] = NAMES, strangers: Sequence[Stranger] = ()
    ) -> IntervalOutcome:
        """An interval in which each pair trades."""
        orders: list[Order] = []
        for instrument, buyer, seller, size in pairs:
            for name, side, tick in ((buyer, Side.BUY, TICKS - 1), (seller, Side.SELL, 0)):
                label = AccountLabel(name), InstrumentName(instrument)
                orders.append(Order(len(orders) + 1, *label, side, Lots(size), Tick(tick)))
        return self.standing.trade(names, orders, strangers)

    def settled(
        self, *pairs: Pair, names: Sequence[str] = NAMES, strangers: Sequence[Stranger] = ()
    ) -> IntervalOutcome:
        """An interval in which each pair trades, and which settles."""
        outcome = self.interval(*pairs, names=names, strangers=strangers)
        outcome.settlement.final()
        assert len(outcome.crossed.fills) == 2 * len(pairs)
        return outcome

    def tokens_of(self, name: str) -> int:
        """Tokens in the wallet of a client."""
        return self._tokens(self.standing.account(name))

    def tokens_in_vault(self) -> int:
        """Tokens that the vault has."""
        return self._tokens(self.chain.deployment.vault)

    def _tokens(self, account: AccountId) -> int:
        return int(self.chain._token.functions.balanceOf(account).call())

    def cash(self, outcome: IntervalOutcome) -> Mapping[AccountId, int]:
        return {state.account: state.cash for state in outcome.applied.after}


@contextmanager
def story(machine: Machine, folder: Path) -> Iterator[Story]:
    """A venue that begins four days before contracts of March expire."""
    market = MovingListing()
    with standing_venue(market, machine.chain, folder, MARCH_MS - 4 * DAY_MS) as standing:
        standing.venue.finality = Finality(DEPTH + 3)
        yield Story(standing, market, machine)


def live(told: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten intervals with all that may happen, each checked against what should have come of it."""
    standing, market, chain = told.standing, told.market, told.chain
    standing.deposit(ann=10**12, ben=10**12, cat=10**12, dan=3 * 10**11)
    told.settled(
        ("BTC-PERP", "dan", "ben", 10), ("ETH-PERP", "cat", "ann", 5), (NAMES[2], "ann", "cat", 3)
    )
    _trade_and_grant(told)
    _charge(told)
    _lose_a_receipt(told, monkeypatch)
    _be_overtaken(told, monkeypatch)
    _lose_blocks(told, monkeypatch)
    _exclude(told)
    standing.venue.clock.skip_to(MARCH_MS + 1000)
    outcome = told.settled(("ETH-PERP", "ann", "cat", 1), names=AFTER_MARCH)
    held = {i for state in outcome.applied.after for i in state.positions}
    assert held == {identifier(InstrumentName(name)) for name in AFTER_MARCH}
    market.share = 45
    outcome = told.settled(names=AFTER_MARCH)
    assert outcome.applied.balances.variation.covered.keys() == {standing.account("dan")}
    assert told.cash(outcome).get(standing.account("dan"), 0) == 0
    rotate(told)
    told.settled(("ETH-PERP", "cat", "ann", 1), names=AFTER_MARCH)
    assert chain.standing().settled == standing.venue.interval - 1 == 10


def _trade_and_grant(told: Story) -> None:
    """A market that moves, funding, and a request that the settlement grants."""
    told.market.share, told.market.premium = 102, 20
    told.standing.request("ann", 4 * 10**11)
    outcome = told.settled(("BTC-MAR", "ann", "cat", 2), ("ETH-PERP", "ben", "ann", 1))
    assert outcome.applied.balances.granted == {told.standing.account("ann"): 4 * 10**11}


def _charge(told: Story) -> None:
    """What is no order is rejected and pays; a client claims while the batch is open."""
    standing = told.standing
    standing.deposit(mallory=10**12)
    key, swap = standing.key("mallory"), identifier(InstrumentName("BTC-PERP"))
    stranger = Intruder("two_buys_in_one", swap, Lots(10), key)
    held = told.tokens_of("ann")
    assert standing.claim("ann") == 4 * 10**11
    assert told.tokens_of("ann") == held + 4 * 10**11
    outcome = told.settled(("BTC-PERP", "ben", "cat", 1), strangers=[stranger])
    assert [rejection.fault for rejection in outcome.rejections] == [Fault.SHAPE]
    charge = standing.venue.terms.rules(TREASURY).bond.charge()
    assert told.cash(outcome)[TREASURY] == charge


def _lose_a_receipt(told: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node answers nothing after it took the settlement: what is on the chain counts."""
    real = told.chain.settle_kept

    def lost(kept: KeptSettlement) -> None:
        monkeypatch.undo()
        real(kept)
        raise ChainUnavailable(told.chain.node, "no receipt")

    monkeypatch.setattr(told.chain, "settle_kept", lost)
    standing = told.standing
    outcome = told.interval(("ETH-PERP", "cat", "ann", 1))
    assert isinstance(outcome.settlement.transaction, ChainUnavailable)
    assert standing.last_opened is not None
    assert not standing.venue.end_void(standing.last_opened, outcome)
    assert told.chain.standing().settled == outcome.batch.message.interval


def _be_overtaken(told: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another account sends the settlement first."""
    real, chain = told.chain.settle_kept, told.chain
    key = told.standing.key("ben")

    def overtaken(kept: KeptSettlement) -> object:
        monkeypatch.undo()
        functions = chain._contract("Settlement", kept.call.contract).functions
        chain._transact(functions.publish(kept.leaves), key)
        chain._transact(functions.settle(*kept.arguments), key)
        return real(kept)

    monkeypatch.setattr(chain, "settle_kept", overtaken)
    told.settled(("ETH-PERP", "cat", "ann", 1))


def _lose_blocks(told: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain gives up the blocks that have the settlement."""
    real = told.chain.settle_kept

    def undone(kept: KeptSettlement) -> None:
        monkeypatch.undo()
        told.machine.reorganise(lambda: real(kept))

    monkeypatch.setattr(told.chain, "settle_kept", undone)
    told.settled(("ETH-PERP", "cat", "ann", 1))


def _exclude(told: Story) -> None:
    """A keyper that signed two batches of an interval does not count any more."""
    venue = told.standing.venue
    key, domain = venue.seats[3].identity.signing_key, venue.view.domain
    none = bytes(32)
    roots = [BatchRoot(10**6, bytes([k]) * 32, 0, none, none, none, 0) for k in (1, 2)]
    told.chain.exclude(*(SignedStatement(r, sign(r.digest(domain), key)) for r in roots))
    outcome = told.settled(("BTC-PERP", "cat", "ann", 1))
    said = told.chain.evidence(Interval(venue.interval - 1)).settlement
    assert said is not None
    assert set(said.signers) == {1, 2, 3}
    assert len(outcome.settlement.signatures) == 4


def rotate(told: Story) -> None:
    """Another committee takes over, after more than a week."""
    venue = told.standing.venue
    dealt = seats(TEST_INSECURE_SMALL, venue.state)
    before = venue.deployment.keypers
    venue.announce_rotation(dealt)
    told.machine.travel(9 * DAY_S)
    venue.rotate(dealt)
    assert set(before).isdisjoint(venue.deployment.keypers)


def require_audited(told: Story) -> None:
    """All records hold, with the chain, each where the one before it ended."""
    standing = told.standing
    folders = [standing.record(k) for k in range(1, standing.venue.interval)]
    venue = Record.load(folders[0]).summary.venue
    for report in audit_all(folders, RecordedVenue(told.chain, venue), quick=True):
        unchecked = {c.name for c in report.checks if c.verdict is Verdict.NOT_CHECKED}
        assert report.ok, [c for c in report.checks if not c.ok]
        assert unchecked == {"anchor", "circuits"}


def desert(told: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Operator and keypers are gone once a batch is committed; deposits came before and after."""
    standing = told.standing
    standing.deposit(eve=7 * 10**9)
    standing.request("ben", 10**9)

    def gone(*_asked: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(standing.venue.committee, "begin_auction", gone)
    with pytest.raises(ConnectionError):
        told.interval(("ETH-PERP", "cat", "ann", 1), names=AFTER_MARCH)
    assert told.chain.standing().is_open
    standing.deposit(fay=3 * 10**9)


def leave(told: Story) -> None:
    """With the chain's data and the clients' keys alone every unit comes out of the vault."""
    chain, standing = told.chain, told.standing
    told.machine.travel(3700)
    chain.void(chain.standing().committed)
    told.machine.travel(14 * DAY_S)
    chain.declare()
    told.machine.travel(DAY_S + 10)
    for name, key in standing.keys.items():
        balance, account = standing.balance(name), standing.account(name)
        before = told.tokens_of(name)
        for deposit in balance.deposits:
            chain.take_back(key, deposit.index, account)
        if balance.proven is not None:
            chain.leave(key, balance.proven, account)
        waiting = sum(deposit.amount for deposit in balance.deposits)
        assert told.tokens_of(name) - before == balance.everything + waiting
    for reserved in (FUND, TREASURY):
        (balance,) = balances_of(chain, reserved)
        if balance.proven is not None:
            chain._transact(chain._vault.functions.leave_reserved(*balance.proven.arguments()))
    assert told.tokens_in_vault() == 0
