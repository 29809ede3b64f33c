"""A market from signed reports: the same numbers, and new risk only while all of them count."""

import json
from decimal import Decimal
from typing import Any

import pytest

from crypto.signing.eip712 import Domain
from darkpool.auction.listing import ContractListing, Listed, OutrightListing
from darkpool.margin.errors import (
    BeyondMargin,
    ImpossibleValue,
    InvalidFile,
    NoPrice,
    TradingHalted,
    UnknownContract,
    UnknownFeed,
    UnknownReporter,
)
from darkpool.margin.market import market as market_forms
from darkpool.margin.market.feeds import (
    FeedTerms,
    Halt,
    PriceFeeds,
    SignedReport,
    reporter_address,
    sign_report,
)
from darkpool.margin.market.market import read_market_form
from darkpool.margin.market.quotes import bounds_of, feeds_of, market_of, market_record, numbers_of
from darkpool.margin.model.caps import LiveIntent, PriceRange
from darkpool.margin.model.intent_margin import IntentMargin
from darkpool.margin.model.scenarios import lot_risk
from darkpool.simulation.clock import SimulatedClock
from darkpool.simulation.reporters import PriceReporters
from darkpool.units import InstrumentId, InstrumentName, Lots, PriceGrid, PriceUnits, Tick
from tests.support.intent_margin import DOMAIN, intent_margin
from tests.support.margin_houses import MARKET, market, specification
from tests.support.margin_records import changed, put, unsigned
from tests.support.margin_records import market_record as unsigned_record
from tests.support.reference_prices import NOW_MS

KEYS = [bytes([k]) * 32 for k in range(1, 5)]
TERMS = FeedTerms(tuple(map(reporter_address, KEYS)), 60_000, 100_000, 5_000)
FORM = read_market_form("market.json", MARKET)
GRID = PriceGrid(Decimal("0.5"), Decimal(60_000), 5)
MARCH = "BTC/1806048000000"


def feeds_at(now_ms: int, **changes: int) -> PriceFeeds:
    """Feeds of the market that three of four reporters have reported, one of them falsely."""
    numbers = numbers_of("market", FORM)
    feeds = PriceFeeds(DOMAIN, TERMS, bounds_of(numbers))
    for k, key in enumerate(KEYS[:3]):
        for name, value in (numbers | changes).items():
            low = max(1, value // 2) if k == 0 and not name.endswith("rate") else value
            feeds.accept(sign_report(name, low, now_ms, DOMAIN, key), now_ms)
    return feeds


def test_every_number_has_a_feed_of_its_underlying() -> None:
    numbers = numbers_of("market", FORM)
    assert numbers["BTC/index"] == 60_000 * 10**6
    assert numbers["BTC/perpetual"] == 60_020_500_000
    assert numbers[f"{MARCH}/forward"] == 61_000 * 10**6
    assert numbers[f"{MARCH}/rate"] == 40_000
    assert numbers[f"{MARCH}/volatility/{90_000 * 10**6}"] == 640_000
    assert len(numbers) == 2 + 2 * 5 + 2 + 5
    assert [*feeds_of(FORM, "BTC"), *feeds_of(FORM, "ETH")] == list(numbers)


def test_a_market_from_its_feeds_gives_the_same_risk_to_the_unit() -> None:
    record = market_record(FORM, feeds_at(NOW_MS), TERMS, NOW_MS)
    contracts = tuple(specification().contracts.values())
    published = lot_risk(specification(), market_of(record), contracts).record()
    assert published == lot_risk(specification(), market(), contracts).record()
    quote = record.underlyings[0].index
    assert quote.value == 60_000 * 10**6
    assert sorted(report.value for report in quote.reports) == [30_000 * 10**6] + 2 * [quote.value]


def test_a_number_keeps_the_reports_that_it_was_taken_over_from() -> None:
    """While a jump is disputed, the old number stands with its old reports."""
    feeds = feeds_at(NOW_MS)
    jumped = [sign_report("BTC/index", 70_000 * 10**6, NOW_MS + 1, DOMAIN, key) for key in KEYS]
    for report in jumped:
        feeds.accept(report, NOW_MS + 1)
    assert feeds.number("BTC/index", NOW_MS + 1).halt is Halt.DISPUTED
    number = feeds.taken("BTC/index", NOW_MS + 1)
    seen = [report.message.value // 10**6 for report in number.reports]
    assert (number.value, sorted(seen)) == (60_000 * 10**6, [60_000, 60_000, 70_000])
    later = [sign_report("BTC/index", 70_000 * 10**6, NOW_MS + 5_001, DOMAIN, key) for key in KEYS]
    for report in later:
        feeds.accept(report, NOW_MS + 5_001)
    number = feeds.taken("BTC/index", NOW_MS + 1)
    assert number.value == 70_000 * 10**6
    assert {report.message.observed_at for report in number.reports} <= {NOW_MS + 1, NOW_MS + 5_001}
    with pytest.raises(UnknownFeed):
        feeds.taken("BTC/funding", NOW_MS)


@pytest.mark.parametrize("forward", [0, -1])
def test_a_record_with_volatilities_around_no_price_names_the_model(forward: int) -> None:
    """What reporters signed may be below zero; what options on it are worth is not defined."""
    record = unsigned_record(FORM, unsigned)
    below = changed(record, "underlyings.0.expiries.0.forward.value", put(forward))
    with pytest.raises(InvalidFile, match=f"{MARCH}/forward: .* Bachelier.*, got {forward} price"):
        market_of(below)
    bare = changed(below, "underlyings.0.expiries.0.strikes", put(()))
    bare = changed(bare, "underlyings.0.expiries.0.volatilities", put(()))
    assert market_of(bare).underlyings["BTC"].forwards[1806048000000].price == forward


def test_a_record_has_room_for_so_many_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    count = len(numbers_of("market", FORM))
    monkeypatch.setattr(market_forms, "NUMBERS_MAX", count - 1)
    with pytest.raises(InvalidFile, match=f"at most {count - 1} numbers, got {count} numbers"):
        read_market_form("market", MARKET)
    monkeypatch.setattr(market_forms, "NUMBERS_MAX", count)
    read_market_form("market", MARKET)


def test_what_a_feed_cannot_carry_is_named() -> None:
    data: Any = json.loads(MARKET)
    data["underlyings"][0]["expiries"][1]["volatilities"][2] = "0.6300001"
    with pytest.raises(InvalidFile, match=r"underlyings\[0\].expiries\[1\].volatilities\[2\]"):
        numbers_of("market", read_market_form("market", json.dumps(data)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BTC/index", 0),
        (f"{MARCH}/rate", 10**6 + 1),
        (f"{MARCH}/volatility/60000000000", 10**8 + 1),
    ],
)
def test_numbers_have_the_bounds_of_their_kind(name: str, value: int) -> None:
    feeds = PriceFeeds(DOMAIN, TERMS, bounds_of(numbers_of("market", FORM)))
    with pytest.raises(ImpossibleValue):
        feeds.accept(sign_report(name, value, NOW_MS, DOMAIN, KEYS[0]), NOW_MS)


def test_stale_prices_stop_new_risk_and_nothing_else() -> None:
    clock = SimulatedClock(NOW_MS)
    listed = ContractListing(specification(), FORM, 11).of([InstrumentName("BTC-MAR")])
    record, halted = PriceReporters().report(listed, Domain(5, bytes(20)), clock)
    contract = specification().contracts[InstrumentName("BTC-MAR")]
    grids = {contract.identifier: listed.grids[contract.name]}
    margin = IntentMargin(listed.specification, record, grids, halted)
    margin.require_open(contract.identifier)
    clock.advance(record.age_max_ms + 1)
    with pytest.raises(TradingHalted, match="BTC/index: too few fresh reports") as caught:
        margin.require_open(contract.identifier)
    assert caught.value.halts["BTC/index"] == Halt.STALE
    assert margin.alone(contract.identifier, Lots(1)) > 0


def test_an_intent_needs_its_worst_price_and_its_margin() -> None:
    grid = PriceGrid(Decimal("0.25"), Decimal(100), 9)
    margin = intent_margin(OutrightListing(grid, 100_000, 5), ["A", "B"])
    first, second = margin.names
    prices = PriceRange(PriceUnits(99_000_000), PriceUnits(101_000_000))
    assert margin.prices(first) == prices
    assert margin.alone(first, Lots(3)) == 3 * 5 * (1_000_000 + 10_000_000)
    assert margin.intent(first, Lots(3)) == LiveIntent(0, Lots(3), prices, 5)
    both = [margin.intent(instrument, Lots(3)) for instrument in (first, second)]
    assert margin.together(both) == 2 * margin.alone(first, Lots(3))
    with pytest.raises(BeyondMargin):
        margin.alone(first, Lots(10**10))


def test_grids_lie_around_what_contracts_are_worth() -> None:
    listing = ContractListing(specification(), FORM, 21)
    lows = lot_risk(specification(), market(), tuple(specification().contracts.values())).low
    for (name, grid), low in zip(listing.grids.items(), lows[:, 0].tolist(), strict=True):
        step = specification().contracts[name].tick_size
        middle = grid.units_of(Tick(10))
        assert middle % step == 0
        assert abs(2 * (middle - low)) <= step
        assert grid.tick_units == step
    assert listing.grids[InstrumentName("BTC-PERP")].reference == Decimal("60020.5")


def test_what_is_not_listed_is_refused() -> None:
    listing = ContractListing(specification(), FORM, 21)
    with pytest.raises(UnknownContract):
        listing.of([InstrumentName("SOL-PERP")])
    data: Any = json.loads(MARKET)
    data["time"] = "2027-03-26T08:00:00Z"
    for underlying in data["underlyings"]:
        underlying["expiries"] = underlying["expiries"][1:]
    late = ContractListing(specification(), read_market_form("late", json.dumps(data)), 21)
    assert list(late.grids) == ["BTC-PERP", "BTC-JUN", "ETH-PERP"]
    with pytest.raises(UnknownContract, match="not expired"):
        late.of([InstrumentName("BTC-MAR")])
    listed = Listed(late.specification, late.market, {})
    record, halted = PriceReporters().report(listed, DOMAIN, SimulatedClock(NOW_MS))
    expired = {specification().contracts[InstrumentName("BTC-MAR")].identifier: GRID}
    with pytest.raises(NoPrice):
        IntentMargin(specification(), record, expired, halted)
    with pytest.raises(UnknownContract):
        IntentMargin(specification(), record, {InstrumentId(bytes(32)): GRID}, halted)


def test_reports_are_bound_to_the_venue() -> None:
    """A report for another contract has no reporter of this one."""
    feeds = PriceFeeds(DOMAIN, TERMS, bounds_of(numbers_of("market", FORM)))
    other: SignedReport = sign_report("BTC/index", 1, NOW_MS, Domain(2, bytes(20)), KEYS[0])
    with pytest.raises(UnknownReporter):
        feeds.accept(other, NOW_MS)
