"""Futures, perpetual swaps and options of two underlyings in one auction, margined together."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkpool.auction import terms as venue_terms_module
from darkpool.auction.listing import ContractListing
from darkpool.auction.terms import VenueTerms
from darkpool.chain.client import Chain
from darkpool.chain.reader import RecordedVenue
from darkpool.margin.errors import TradingHalted
from darkpool.margin.market.instruments import Contract
from darkpool.margin.market.market import read_market_form
from darkpool.margin.model.intent_margin import IntentMargin
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.margin.model.scenarios import lot_risk
from darkpool.protocol.intents import SealedSubmission
from darkpool.protocol.terms import IntervalTerms, Pricing
from darkpool.record.reader import Record
from darkpool.simulation import venue as venue_module
from darkpool.simulation.clients import LocalClients
from darkpool.simulation.clock import SkippingClock
from darkpool.simulation.order_file import Order
from darkpool.simulation.result import VenueResult
from darkpool.simulation.twin import verify_twin
from darkpool.simulation.venue import Places
from darkpool.units import AccountLabel, InstrumentName, Lots, PriceGrid, PriceUnits, Side, Tick
from darkpool.verification.audit import audit
from darkpool.verification.evidence import Anchor
from tests.support.audits import CHECKS, failed
from tests.support.margin_houses import MARKET, market, specification
from tests.support.one_process import run_here
from tests.support.records import Copy, Published

TICKS = 16
NAMES = [*map(InstrumentName, ("BTC-PERP", "BTC-MAR", "BTC-MAR-60000-C", "ETH-MAR-2500-P"))]
LISTING = ContractListing(specification(), read_market_form("market.json", MARKET), TICKS)
TERMS = VenueTerms(LISTING, Pricing.UNIFORM, 4)


def orders_of(seed: int) -> list[Order]:
    """Eight clients; each trades every contract, the first half hedging one with another."""
    generator = random.Random(seed)
    orders: list[Order] = []
    for number, name in enumerate(NAMES):
        for client in range(8):
            side = Side((client + number) % 2)
            edge = generator.randrange(4)
            limit = TICKS // 2 + (edge if side is Side.BUY else -edge)
            label, size = AccountLabel(f"client-{client}"), Lots(generator.randrange(1, 9))
            orders.append(Order(len(orders), label, name, side, size, Tick(limit)))
    return orders


def run(orders: list[Order], record: Path | None, chain: Chain) -> VenueResult:
    return run_here(orders, TERMS, lambda: chain, Places(record))


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> tuple[VenueResult, Path, Chain]:
    directory, chain = tmp_path_factory.mktemp("contracts") / "record", Chain.embedded()
    return run(orders_of(1), directory, chain), directory, chain


def test_it_trades_like_the_plain_twin(settled: tuple[VenueResult, Path, Chain]) -> None:
    result, _, _ = settled
    verify_twin(orders_of(1), TERMS, result)
    assert {one.instrument for one in result.instruments if one.volume} == set(NAMES)
    assert not result.refused
    assert not result.left_out


def test_margin_is_that_of_the_portfolio(settled: tuple[VenueResult, Path, Chain]) -> None:
    """Computed again from the fills alone; hedges need less than their legs one by one."""
    result, _, _ = settled
    contracts = tuple(specification().contracts.values())
    portfolio = PortfolioMargin(specification(), lot_risk(specification(), market(), contracts))
    places = {contract.name: place for place, contract in enumerate(contracts)}
    hedged = 0
    for change in result.margins:
        net = np.zeros(len(contracts), dtype=np.int64)
        apart = 0
        for fill in (fill for fill in result.fills if fill.account == change.account):
            lots = fill.size if fill.side is Side.BUY else -fill.size
            net[places[fill.instrument]] += lots
            leg = np.zeros_like(net)
            leg[places[fill.instrument]] = lots
            apart += portfolio.requirement(leg).initial
        needed = portfolio.requirement(net).initial
        assert (change.before, change.after) == (0, needed)
        assert change.equity >= needed
        hedged += needed < apart
    assert len(result.margins) >= 6
    assert hedged >= 4


def test_the_audit_covers_the_margin(settled: tuple[VenueResult, Path, Chain]) -> None:
    _, directory, chain = settled
    summary = Record.load(directory).summary
    anchor = Anchor(summary.venue.settlement, summary.committee.addresses, summary.reporter)
    report = audit(directory, RecordedVenue(chain, summary.venue), anchor=anchor)
    assert not failed(report)
    assert [check.name for check in report.checks if check.verdict.value == "holds"] == CHECKS


@pytest.mark.parametrize(
    ("file", "path", "check"),
    [
        ("risk.json", ("contracts", 3, "low", 5), "prices"),
        ("risk.json", ("contracts", 3, "high", 0), "prices"),
        ("risk.json", ("contracts", 8, "delta"), "prices"),
        ("market.json", ("underlyings", 0, "expiries", 0, "volatilities", 1, "value"), "prices"),
        ("market.json", ("underlyings", 1, "index", "value"), "prices"),
        ("market.json", ("time_ms",), "prices"),
        ("contracts.json", ("groups", 0, "offset"), "collateral"),
        ("contracts.json", ("contracts", 3, "strike"), "prices"),
        ("contracts.json", ("horizon_ms",), "prices"),
    ],
)
def test_what_margin_follows_from_cannot_be_another(
    file: str,
    path: tuple[str | int, ...],
    check: str,
    settled: tuple[VenueResult, Path, Chain],
    copy_of: Callable[[Published], Copy],
) -> None:
    """By two units: one of rounding is what an option's value leaves open."""
    copy = copy_of(Published(settled[1], settled[2]))

    def more(tree: Any) -> None:
        for step in path[:-1]:
            tree = tree[step]
        tree[path[-1]] += 10**7 if path[-1] in ("time_ms", "horizon_ms", "strike") else 2

    copy.change(file, more)
    copy.reseal()
    found = failed(audit(copy.directory, quick=True))
    # certified for other terms: what margin follows from is fixed before anything is opened
    assert {check, "certificates", "transcript"} <= set(found), found


def test_prices_of_what_is_traded_are_of_one_time(
    settled: tuple[VenueResult, Path, Chain], copy_of: Callable[[Published], Copy]
) -> None:
    """Yesterday's numbers of one underlying do not go with today's of another."""
    copy = copy_of(Published(settled[1], settled[2]))

    def older(tree: Any) -> None:
        quotes = tree["underlyings"][1]
        numbers = [quotes["index"], quotes["perpetual"]]
        for expiry in quotes["expiries"]:
            numbers += [expiry["forward"], expiry["rate"], *expiry["volatilities"]]
        for report in (report for number in numbers for report in number["reports"]):
            report["observed_at"] -= tree["age_max_ms"] + 2_001

    copy.change("market.json", older)
    copy.reseal()
    found = failed(audit(copy.directory, quick=True))
    assert found["reference"].startswith("references and prices, times: expected within 902000 ms")


def test_nobody_has_anything_where_nothing_was_settled(
    settled: tuple[VenueResult, Path, Chain], copy_of: Callable[[Published], Copy]
) -> None:
    _, directory, chain = settled
    copy = copy_of(Published(directory, chain))

    def invent(tree: Any) -> None:
        state = tree["summary"]["after"][0]
        tree["summary"]["before"] = [{**state, "cash": 0, "free": 0}]

    copy.change("record.json", invent)
    copy.reseal()
    venue = RecordedVenue(chain, Record.load(copy.directory).summary.venue)
    found = failed(audit(copy.directory, venue, quick=True))
    assert set(found) == {"collateral", "settlement", "continuity"}
    assert found["continuity"] == "collateral before, accounts: expected 0, got 1"


class Elsewhere(ContractListing):
    """Lays its grids at half of what contracts are worth, with ticks of another size."""

    def _grid(self, contract: Contract, value: int) -> PriceGrid:
        odd = replace(contract, tick_size=PriceUnits(7 * contract.tick_size))
        return super()._grid(odd, value // 2)


def test_a_grid_that_is_not_the_contract_s_is_found(tmp_path: Path) -> None:
    """All is signed, settled and as opened; but at half of the value somebody gives money away."""
    listing = Elsewhere(specification(), read_market_form("market.json", MARKET), TICKS)
    terms = VenueTerms(listing, Pricing.REFERENCE, 4)
    run_here(orders_of(1), terms, places=Places(tmp_path / "record"))
    found = failed(audit(tmp_path / "record", quick=True))
    assert list(found) == ["reference"]
    assert "reference 0, tick size: expected 500000, got 3500000" in found["reference"]
    assert "price at the contract's value" in found["reference"]


class Waiting(LocalClients):
    """Waits half-way until the prices of margin are no longer fresh."""

    clock: SkippingClock

    def submissions(self, terms: IntervalTerms) -> Iterator[SealedSubmission]:
        for number, submission in enumerate(super().submissions(terms)):
            if number == len(self.parties) // 2:
                self.clock.skip_to(self.clock.unix_ms() + 61_000)
            yield submission


def test_stale_prices_stop_new_intents_in_an_auction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clock(begins_ms: int) -> SkippingClock:
        Waiting.clock = SkippingClock(begins_ms)
        return Waiting.clock

    monkeypatch.setattr(venue_module, "LocalClients", Waiting)
    monkeypatch.setattr(venue_module, "SkippingClock", clock)
    monkeypatch.setattr(venue_terms_module, "REFERENCE_AGE_AT_CLOSE_MAX_MS", 60_000)
    result = run(orders_of(2), tmp_path / "record", Chain.embedded())
    assert len(result.refused) == len(orders_of(2)) // 2
    assert all("too few fresh reports" in one.reason for one in result.refused)
    assert {fill.instrument for fill in result.fills} == set(NAMES[:2])
    assert audit(tmp_path / "record", quick=True).ok


def test_a_halt_refuses_intents_and_stops_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prices of ETH are disputed: what is on BTC trades."""
    honest = IntentMargin.require_open
    ether = LISTING.specification.contracts[InstrumentName("ETH-MAR-2500-P")].identifier

    def halted(margin: IntentMargin, instrument: bytes) -> None:
        if instrument == ether:
            raise TradingHalted("ETH", {"ETH/index": "it jumped by more than it may"})
        honest(margin, instrument)  # type: ignore[arg-type]

    monkeypatch.setattr(IntentMargin, "require_open", halted)
    result = run(orders_of(2), tmp_path / "record", Chain.embedded())
    assert len(result.refused) == 8
    assert all("ETH/index" in one.reason for one in result.refused)
    assert {fill.instrument for fill in result.fills} == set(NAMES[:3])
    assert audit(tmp_path / "record", quick=True).ok
