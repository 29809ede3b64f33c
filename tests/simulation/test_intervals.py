"""Intervals that follow each other: money comes in, trades, is granted, and goes out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from darkpool.auction.errors import FlowsDiffer
from darkpool.auction.listing import Listed, OutrightListing
from darkpool.chain.client import Chain
from darkpool.chain.reader import RecordedVenue
from darkpool.clock import SystemClock
from darkpool.protocol.flows import Flow
from darkpool.record.reader import Record
from darkpool.settlement.claims import RETIRED, TREASURY
from darkpool.settlement.state import AccountState
from darkpool.simulation.order_file import Order
from darkpool.units import AccountLabel, InstrumentName, Lots, PriceGrid, Side, Tick, identifier
from darkpool.verification.audit import audit
from darkpool.verification.evidence import Anchor
from darkpool.wargames.intruders import draw_intruders
from tests.support.audits import failed
from tests.support.standing_venue import StandingVenue, standing_venue

TICKS = 16
ES = InstrumentName("ES-MAR")
RATE_PPM, MULTIPLIER = 100_000, 50
CASH = 10**6
"""Cash units in a unit of the currency."""
ALL = 10**15
"""More than anybody has."""
MARKS = (4805, 4815, 4810)
BUYS, SELLS = Tick(TICKS - 1), Tick(0)
"""Limits that allow every price."""


@dataclass(frozen=True)
class Listing:
    """One instrument at a mark, in a market of a time."""

    mark: int
    now: datetime

    def of(self, names: Iterable[InstrumentName]) -> Listed:
        grid = PriceGrid(Decimal("0.25"), Decimal(self.mark), TICKS)
        listed = OutrightListing(grid, RATE_PPM, MULTIPLIER).of(names)
        return replace(listed, market=listed.market.model_copy(update={"time": self.now}))


@dataclass
class Market:
    """What a test says that the mark is."""

    mark: int = MARKS[0]

    def __call__(self, now: datetime) -> Listing:
        return Listing(self.mark, now)


@pytest.fixture
def market() -> Market:
    return Market()


@pytest.fixture
def standing(tmp_path: Path, market: Market) -> Iterator[StandingVenue]:
    starts_ms = SystemClock().unix_ms()
    with standing_venue(market, Chain.embedded(), tmp_path, starts_ms) as made:
        yield made


def order(row: int, name: str, side: Side, size: int) -> Order:
    limit = BUYS if side is Side.BUY else SELLS
    return Order(row, AccountLabel(name), ES, side, Lots(size), limit)


def orders(**sizes: int) -> list[Order]:
    """Buys of sizes above zero, sells of sizes below."""
    return [
        order(row, name, Side.BUY if size > 0 else Side.SELL, abs(size))
        for row, (name, size) in enumerate(sizes.items(), 2)
    ]


def state(standing: StandingVenue, name: str) -> AccountState:
    (found,) = [s for s in standing.venue.states if s.account == standing.account(name)]
    return found


def lots(standing: StandingVenue) -> dict[str, int]:
    """Net positions by name, of who has one."""
    names = {standing.account(name): name for name in standing.keys}
    return {
        names[s.account]: sum(position.net for position in s.positions.values())
        for s in standing.venue.states
        if s.positions
    }


def initial(size: int, mark: int) -> int:
    """Initial margin of so many lots at a mark, in cash units."""
    return abs(size) * MULTIPLIER * mark * CASH * RATE_PPM // 10**6


def require_audited(standing: StandingVenue, interval: int) -> None:
    """The record holds against the chain, and nothing of it was left unchecked but circuits."""
    directory = standing.record(interval)
    summary = Record.load(directory).summary
    anchor = Anchor(summary.venue.settlement, summary.committee.addresses, summary.reporter)
    venue = RecordedVenue(standing.chain, summary.venue)
    report = audit(directory, venue, quick=True, anchor=anchor)
    assert failed(report) == {}
    assert report.ok


def vault_holds(standing: StandingVenue) -> int:
    chain = standing.chain
    return int(chain._token.functions.balanceOf(chain.deployment.vault).call())


def test_money_comes_in_trades_and_goes_out(standing: StandingVenue, market: Market) -> None:
    chain = standing.chain
    (intruder,) = draw_intruders(1, [identifier(ES)], TICKS)
    standing.keys[AccountLabel("mal")] = intruder._key
    chain.fund_gas(intruder.account, 10**18)
    clients = dict.fromkeys(("ann", "bob", "cid", "mal"), 1_000_000 * CASH)
    standing.deposit(**clients)

    # the first: three trade, one is charged
    first = standing.trade([ES], orders(ann=5, bob=-3, cid=-2), [intruder])
    assert first.settlement.is_final
    assert lots(standing) == {"ann": 5, "bob": -3, "cid": -2}
    charge = clients["mal"] - state(standing, "mal").cash
    assert charge > 0
    free_before = {name: state(standing, name).free for name in ("ann", "bob")}
    for name, size in (("ann", 5), ("bob", 3)):
        assert free_before[name] == state(standing, name).cash - initial(size, MARKS[0])

    # the second, at a higher mark: two ask for everything, one comes
    standing.deposit(dan=500_000 * CASH)
    standing.request("ann", ALL)
    standing.request("bob", ALL)
    market.mark = MARKS[1]
    second = standing.trade([ES], orders(ann=-2, dan=2))
    assert lots(standing) == {"ann": 3, "bob": -3, "cid": -2, "dan": 2}
    granted = second.applied.balances.granted
    free_now = {
        name: state(standing, name).cash + granted[standing.account(name)] - initial(3, MARKS[1])
        for name in ("ann", "bob")
    }
    assert free_before["ann"] < free_now["ann"]
    assert free_before["bob"] > free_now["bob"]
    for name in ("ann", "bob"):
        least = min(free_before[name], free_now[name])
        assert granted[standing.account(name)] == least == standing.balance(name).claimable

    # the third: who had everything granted pays in for a bond and a cap, since an intent hides its
    # side; a claim while the batch is open; all close and ask for everything
    standing.deposit(ann=200_000 * CASH, bob=200_000 * CASH)
    for name in (*clients, "dan"):
        standing.request(name, ALL)
    taken: dict[str, int] = {}

    def claim(step: str) -> None:
        if step == "shape":
            assert chain.standing().is_open
            taken["ann"] = standing.claim("ann")

    market.mark = MARKS[2]
    standing.trade([ES], orders(ann=-3, bob=3, cid=2, dan=-2), progress=claim)
    assert taken["ann"] == granted[standing.account("ann")]
    assert lots(standing) == {}
    for name in (*clients, "dan"):
        taken[name] = taken.get(name, 0) + standing.claim(name)
    assert sum(taken.values()) == sum(clients.values()) + 900_000 * CASH - charge
    assert taken["mal"] == clients["mal"] - charge
    assert vault_holds(standing) == charge

    # the fourth is empty: who has left has no leaf, and what was granted stays counted
    standing.trade([ES])
    after = {s.account: s for s in standing.venue.states}
    assert after.pop(TREASURY).cash == charge
    assert all(s.is_pruned and not s.cash for s in after.values())
    settled = chain.last_settlement()
    assert settled is not None
    (tree,) = settled.trees
    assert (tree.exit_total, tree.claim_total) == (charge, sum(taken.values()))
    assert RETIRED not in after
    for interval in (1, 2, 3, 4):
        require_audited(standing, interval)


def test_an_interval_without_intents_settles_deposits_and_requests(
    standing: StandingVenue,
) -> None:
    standing.deposit(ann=100)
    outcome = standing.trade([ES])
    assert outcome.batch.count == 0
    assert standing.balance("ann").everything == 100
    standing.request("ann", 70)
    outcome = standing.trade([ES])
    assert outcome.applied.balances.granted == {standing.account("ann"): 70}
    assert not outcome.crossed.fills
    assert standing.claim("ann") == 70
    assert vault_holds(standing) == 30
    for interval in (1, 2):
        require_audited(standing, interval)


def test_an_interval_that_failed_changes_nothing_and_the_next_counts_the_same_flows(
    standing: StandingVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chain tells other flows than those that its commitment counts."""
    standing.deposit(ann=100, bob=200)
    standing.trade([ES])
    venue, chain = standing.venue, standing.chain
    standing.request("ann", 70)
    standing.deposit(cid=300)
    kept = (venue.states, venue.flows.last, venue.flows.head, venue.last)
    honest = Chain.flows

    def lying(chain: Chain, last: int | None = None, *rest: int | bytes) -> tuple[Flow, ...]:
        told = honest(chain, last, *rest)  # type: ignore[arg-type]
        return told if last is None else (*told[:-1], replace(told[-1], amount=299))

    monkeypatch.setattr(Chain, "flows", lying)
    # what is committed is what the chain counts: a flow that comes between asking and committing
    progress = {"close": lambda: standing.deposit(dan=400)}
    with pytest.raises(FlowsDiffer, match="hash of the flows that interval 2 counts"):
        standing.trade([ES], progress=lambda step: progress.get(step, lambda: None)())
    monkeypatch.undo()
    assert kept == (
        *(venue.states, venue.flows.last, venue.flows.head),
        venue.last,
    )
    assert chain.standing().is_open
    tester = chain._tester
    assert tester is not None
    tester.time_travel(chain.time() + 3_601)
    assert standing.last_opened is not None
    assert venue.end_void(standing.last_opened, None)
    outcome = standing.trade([ES])
    assert outcome.settlement.is_final
    assert outcome.applied.balances.granted == {standing.account("ann"): 70}
    everything = {name: standing.balance(name).everything for name in ("ann", "bob", "cid", "dan")}
    assert everything == {"ann": 100, "bob": 200, "cid": 300, "dan": 400}
    assert [flow.index for flow in outcome.batch.flows] == [3, 4, 5]
    require_audited(standing, 3)


def test_a_submission_that_is_refused_stops_no_interval(standing: StandingVenue) -> None:
    """Nobody pays for a refusal, so nobody holds back the requests of others with one."""
    standing.deposit(ann=100, bob=200)
    standing.request("ann", 30)
    order = Order(1, AccountLabel("cid"), InstrumentName(ES), Side.BUY, Lots(1), Tick(0))
    outcome = standing.trade([ES], [order])
    assert len(outcome.refusals) == 1
    assert outcome.settlement.is_final
    assert outcome.applied.balances.granted == {standing.account("ann"): 30}
