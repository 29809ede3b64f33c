"""Market files and volatility surfaces."""

import json
import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpool.errors import BadInput
from darkpool.margin.errors import InvalidFile, NoPrice
from darkpool.margin.market.instruments import Contract, read_specification
from darkpool.margin.market.market import Market, read_market
from darkpool.margin.market.surface import YEAR_MS, Smile, VolatilitySurface
from darkpool.margin.model.scenarios import lot_risk
from darkpool.units import InstrumentName
from tests.support.margin_houses import MARKET, SPECIFICATION, market, specification


def read(text: str) -> Market:
    return read_market("market.json", text)


def contract(name: str) -> Contract:
    return specification().contracts[InstrumentName(name)]


def test_prices_are_read_exactly() -> None:
    assert market().of(contract("BTC-PERP")).forward(contract("BTC-PERP")).price == 60_020_500_000
    future = market().of(contract("ETH-MAR")).forward(contract("ETH-MAR"))
    assert (future.price, future.rate_ppm) == (3_040_250_000, 40_000)
    assert market().underlyings["BTC"].index == 60_000 * 10**6


def test_volatility_goes_through_the_quotes() -> None:
    btc = market().of(contract("BTC-MAR"))
    assert btc.volatility(contract("BTC-MAR-60000-C")) == pytest.approx(0.6, abs=1e-15)
    assert btc.volatility(contract("BTC-MAR-90000-C")) == pytest.approx(0.64, abs=1e-15)


@pytest.mark.parametrize(
    ("old", "new", "path", "expected"),
    [
        ('"version": 1', '"version": 0', "version", "1"),
        ("2026-11-25T00:00:00Z", "2026-11-25T00:00:00", "time", "a time with its zone"),
        ('"2026-11-25T00:00:00Z"', "1795564800", "time", "a time with its zone"),
        ("2026-11-25T00:00:00Z", "1795564800", "time", "a time with its zone"),
        ('"index": "60000"', f'"index": "{"1" * 41}"', "underlyings[0].index", "40 characters"),
        ("2026-11-25", "2028-11-25", "underlyings[0].expiries[0].expiry", "the time of the market"),
        ("2026-11-25T00:00:00Z", "1970-01-01T00:00:00+00:01", "time", "from 1970 to 9999"),
        ("2026-11-25T00:00:00Z", "9999-12-31T23:59:00-00:01", "time", "from 1970 to 9999"),
        ('"60000", "perpetual"', '60000, "perpetual"', "underlyings[0].index", "text in quotes"),
        ('"index": "60000"', '"index": "0"', "underlyings[0].index", "a price above 0"),
        ('"index": "60000"', '"index": "1e5"', "underlyings[0].index", "a number in digits"),
        ('"index": "60000"', '"index": "1000000001"', "underlyings[0].index", "to 1000000000"),
        ('"forward": "61000"', '"forward": "NaN"', "underlyings[0].expiries[0].forward", "digits"),
        (
            '"40000", "60000"',
            '"60000", "40000"',
            "underlyings[0].expiries[0].strikes[1]",
            "above 60000",
        ),
        (
            '"40000", "60000"',
            '"60000", "60000"',
            "underlyings[0].expiries[0].strikes[1]",
            "above 60000",
        ),
        ('"0.68", "0.6"', '"0.68"', "underlyings[0].expiries[0].volatilities", "each strike, 3"),
        (
            '"0.68", "0.6"',
            '"0.68", "0.68", "0.6"',
            "underlyings[0].expiries[0].volatilities",
            "each strike, 3",
        ),
        ("2026-11-25T00", "1966-11-25T00", "time", "a time from 1970"),
        ("2027-06-25", "2167-06-25", "underlyings[0].expiries[1].expiry", "within 36500 days"),
        ('"0.68"', '"0"', "underlyings[0].expiries[0].volatilities[0]", "above 0"),
        ('"name": "ETH"', '"name": "BTC"', "underlyings[1].name", "each underlying once"),
        ('"0.64"', '"1.9"', "underlyings[0].expiries[0].volatilities[2]", "call prices that fall"),
        (
            '"0.66", "0.61"',
            '"0.45", "0.45"',
            "underlyings[0].expiries[1].volatilities",
            "total var",
        ),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, path: str, expected: str) -> None:
    assert old in MARKET
    with pytest.raises(InvalidFile) as caught:
        read(MARKET.replace(old, new, 1))
    assert caught.value.problems[0].path == path
    assert expected in caught.value.problems[0].expected


def test_expiries_that_do_not_rise_are_refused() -> None:
    data = json.loads(MARKET)
    data["underlyings"][0]["expiries"].reverse()
    with pytest.raises(InvalidFile, match="expiry after 2027-06-25T08:00:00"):
        read(json.dumps(data))


def test_an_expiry_is_after_the_one_before_and_after_the_market() -> None:
    data = json.loads(MARKET)
    first, second = data["underlyings"][0]["expiries"]
    second["expiry"] = first["expiry"]
    with pytest.raises(InvalidFile, match=r"expiries\[1\].expiry: expected an expiry after 2027"):
        read(json.dumps(data))
    data = json.loads(MARKET)
    data["time"] = data["underlyings"][0]["expiries"][0]["expiry"]
    with pytest.raises(InvalidFile, match=r"expiries\[0\].expiry: expected an expiry after 2027"):
        read(json.dumps(data))


def without(change: str) -> Market:
    data = json.loads(MARKET)
    btc = data["underlyings"][0]
    if change == "underlying":
        del data["underlyings"][0]
    elif change == "perpetual":
        del btc["perpetual"]
    elif change == "forward":
        del btc["expiries"][0]
    elif change == "volatilities":
        for expiry in btc["expiries"]:
            del expiry["strikes"], expiry["volatilities"]
    return read(json.dumps(data))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("underlying", "BTC-MAR"),
        ("perpetual", "BTC-PERP"),
        ("forward", "BTC-MAR"),
        ("forward", "BTC-MAR-60000-P"),
        ("volatilities", "BTC-MAR-60000-P"),
    ],
)
def test_a_price_that_is_missing_is_named(change: str, name: str) -> None:
    with pytest.raises(NoPrice) as caught:
        lot_risk(specification(), without(change), [contract(name)])
    assert caught.value.contract == name


def test_what_has_expired_has_no_price() -> None:
    past = SPECIFICATION.replace("2027-03-26", "2025-03-26")
    expired = read_specification("past.toml", past).contracts[InstrumentName("BTC-MAR")]
    with pytest.raises(NoPrice, match="before its expiry"):
        market().of(expired)
    worth = lot_risk(specification(), market(), [expired])
    assert worth.expired.all()
    assert not worth.largest.any()


@given(st.text(max_size=100))
def test_no_text_does_anything_else(text: str) -> None:
    with pytest.raises(BadInput):
        read(text)


def test_times_are_told_apart_by_milliseconds() -> None:
    data = json.loads(MARKET)
    expiries = data["underlyings"][0]["expiries"]
    expiries[1]["expiry"] = expiries[0]["expiry"].replace("Z", ".0009Z")
    with pytest.raises(InvalidFile, match=r"expiries\[1\].expiry: expected an expiry after"):
        read(json.dumps(data))
    data = json.loads(MARKET)
    data["time"] = "2027-03-26T07:59:59.9991Z"
    expiries = data["underlyings"][0]["expiries"]
    expiries[0]["expiry"] = "2027-03-26T07:59:59.9999Z"
    with pytest.raises(InvalidFile, match=r"expiries\[0\].expiry: expected an expiry after"):
        read(json.dumps(data))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(InvalidFile):
        read("[" * 100_000)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.data(), json_values)
def test_any_value_anywhere_is_read_or_refused(data: st.DataObject, value: Any) -> None:
    market_data = json.loads(MARKET)
    place: Any = market_data
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = value
    try:
        read(json.dumps(market_data))
    except BadInput as error:
        assert "expected" in str(error)  # noqa: PT017


def surface(*volatilities: tuple[float, ...]) -> VolatilitySurface:
    smiles = [
        Smile(YEAR_MS * (year + 1), 100.0, (80.0, 100.0, 125.0), values)
        for year, values in enumerate(volatilities)
    ]
    return VolatilitySurface(0, tuple(smiles))


def test_total_variance_is_linear_in_moneyness_and_time() -> None:
    both = surface((0.2, 0.2, 0.2), (0.3, 0.3, 0.3))
    middle = both.volatility(YEAR_MS * 3 // 2, 0.0)
    assert middle**2 * 1.5 == pytest.approx((0.2**2 + 0.3**2 * 2) / 2)
    smile = surface((0.3, 0.2, 0.3))
    between = smile.volatility(YEAR_MS, math.log(125 / 100) / 2)
    assert between**2 == pytest.approx((0.2**2 + 0.3**2) / 2)


def test_volatility_is_constant_beyond_the_quotes() -> None:
    both = surface((0.25, 0.2, 0.3), (0.3, 0.28, 0.33))
    assert both.volatility(1, 0.0) == pytest.approx(0.2)
    assert both.volatility(YEAR_MS * 9, 0.0) == pytest.approx(0.28)
    assert both.volatility(YEAR_MS, -5.0) == 0.25
    assert both.volatility(YEAR_MS, 5.0) == 0.3


@given(st.floats(0.05, 1.5), st.integers(1, 5 * YEAR_MS), st.floats(-3, 3))
def test_a_flat_surface_is_flat_and_free_of_arbitrage(level: float, time: int, node: float) -> None:
    flat = surface((level,) * 3, (level,) * 3)
    assert flat.arbitrage() == []
    assert flat.volatility(time, node) == pytest.approx(level, rel=1e-12)


@given(st.lists(st.floats(0.05, 1.5), min_size=6, max_size=6), st.floats(-1, 1))
def test_variance_rises_in_time_where_no_arbitrage_is_found(
    levels: list[float], node: float
) -> None:
    both = surface(tuple(levels[:3]), tuple(levels[3:]))
    if both.arbitrage():
        return
    times = [YEAR_MS * k // 8 for k in range(1, 24)]
    total = [both.volatility(time, node) ** 2 * time for time in times]
    assert all(b >= a * (1 - 1e-8) for a, b in pairwise(total))
