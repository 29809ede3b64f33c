"""Arbitrage of a surface whose quotes have digits: what rounding leaves open is none."""

import json
import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkpool.margin.errors import InvalidFile
from darkpool.margin.market.market import Market, MarketForm, half_of_last_digit, read_market
from darkpool.margin.market.quotes import market_of
from darkpool.margin.market.surface import YEAR_MS, Smile, VolatilitySurface
from tests.support.margin_records import market_record, unsigned

HALF_A_YEAR = YEAR_MS // 2


def svi(moneyness: float) -> float:
    """A volatility of a smile without arbitrage."""
    x = moneyness - 0.02
    return math.sqrt((0.02 + 0.05 * (-0.4 * x + math.sqrt(x * x + 0.04))) / 0.5)


def smile(forward: float, step: float, digits: int, count: int = 41) -> Smile:
    strikes = tuple(forward + step * (k - count // 2) for k in range(count))
    volatilities = tuple(round(svi(math.log(k / forward)), digits) for k in strikes)
    return Smile(HALF_A_YEAR, forward, strikes, volatilities, 0.5 * 10.0**-digits)


@given(
    st.floats(1e-3, 1e8),
    st.floats(1e-5, 0.04),
    st.integers(2, 12),
)
@settings(max_examples=60, deadline=None)
def test_a_smile_without_arbitrage_passes_with_any_number_of_digits(
    forward: float, share: float, digits: int
) -> None:
    quoted = smile(forward, forward * share, digits)
    assert VolatilitySurface(0, (quoted,)).arbitrage() == []


def test_what_no_rounding_explains_is_a_butterfly() -> None:
    quoted = smile(6000.0, 5.0, 4)
    bent = list(quoted.volatilities)
    bent[20] += 0.004
    (problem,) = VolatilitySurface(0, (replace(quoted, volatilities=tuple(bent)),)).arbitrage()
    assert problem.path == "expiries[0].volatilities[20]"
    exact = replace(quoted, rounding=0.0)
    assert VolatilitySurface(0, (exact,)).arbitrage() != []


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_a_butterfly_is_one_at_every_scale_of_prices(scale: float) -> None:
    strikes = tuple(scale * k for k in (2.0, 2.1, 2.2))
    cheap = Smile(HALF_A_YEAR, scale, strikes, (0.20, 0.23, 0.20))
    assert VolatilitySurface(0, (cheap,)).arbitrage() != []
    flat = replace(cheap, volatilities=(0.2, 0.2, 0.2))
    assert VolatilitySurface(0, (flat,)).arbitrage() == []


@given(st.floats(1e-6, 1e9), st.floats(1e-6, 1e6), st.floats(0.001, 100.0), st.integers(1, 10**12))
@settings(max_examples=200, deadline=None)
def test_one_strike_is_no_butterfly(
    forward: float, share: float, volatility: float, time_ms: int
) -> None:
    alone = Smile(time_ms, forward, (forward * share,), (volatility,))
    assert VolatilitySurface(0, (alone,)).arbitrage() == []


def test_variance_may_fall_in_time_by_what_rounding_leaves_open() -> None:
    first = Smile(HALF_A_YEAR, 100.0, (100.0,), (0.2,), 0.0005)
    second = Smile(HALF_A_YEAR + HALF_A_YEAR // 1000, 100.0, (100.0,), (0.1995,), 0.0005)
    assert VolatilitySurface(0, (first, second)).arbitrage() == []
    exact = (replace(first, rounding=0.0), replace(second, rounding=0.0))
    assert VolatilitySurface(0, exact).arbitrage() != []


def test_a_quote_stands_for_all_that_rounds_to_it() -> None:
    quoted = Smile(HALF_A_YEAR, 100.0, (90.0, 100.0), (0.2, 0.004), 0.005)
    assert quoted.lowest.volatilities == pytest.approx((0.195, 0.0))
    assert quoted.highest.volatilities == pytest.approx((0.205, 0.009))


def test_the_earlier_expiry_may_have_been_rounded_up() -> None:
    """The later one has too many digits to have been rounded by as much as it is lower."""
    first = Smile(HALF_A_YEAR, 100.0, (100.0,), (0.2,), 0.05)
    second = Smile(HALF_A_YEAR + 1, 100.0, (100.0,), (0.16,), 0.00005)
    assert VolatilitySurface(0, (first, second)).arbitrage() == []
    exact = replace(first, rounding=0.0)
    assert VolatilitySurface(0, (exact, second)).arbitrage() != []
    lower = replace(second, volatilities=(0.1499,))
    assert VolatilitySurface(0, (first, lower)).arbitrage() != []


def test_the_quote_in_the_middle_may_have_been_rounded_up() -> None:
    """Neighbours that were rounded down explain a part of the bend alone."""
    strikes, forward = (95.0, 100.0, 105.0), 100.0

    def bent(level: float) -> Smile:
        return Smile(HALF_A_YEAR, forward, strikes, (0.2, level, 0.2), 0.01)

    def has_arbitrage(quoted: Smile) -> bool:
        return VolatilitySurface(0, (quoted,)).arbitrage() != []

    levels = [0.2 + 0.0005 * k for k in range(400)]
    most = next(level for level in levels if has_arbitrage(replace(bent(level), rounding=0.0)))
    most_with_outer = next(
        level
        for level in levels
        if has_arbitrage(replace(bent(level), volatilities=(0.21, level, 0.21), rounding=0.0))
    )
    assert most_with_outer > most
    assert not has_arbitrage(bent(most_with_outer + 0.009))
    assert has_arbitrage(bent(most_with_outer + 0.011))


def quoted_market(digits: int) -> MarketForm:
    quoted = smile(6000.0, 5.0, digits)
    expiry = {
        "expiry": "2027-05-26T12:00:00Z",
        "forward": "6000",
        "strikes": [f"{strike:.6f}" for strike in quoted.strikes],
        "volatilities": [f"{volatility:.{digits}f}" for volatility in quoted.volatilities],
    }
    underlying = {"name": "SPX", "index": "6000", "expiries": [expiry]}
    data: Any = {"version": 1, "time": "2026-11-25T00:00:00Z", "underlyings": [underlying]}
    return MarketForm.model_validate_json(json.dumps(data))


@pytest.mark.parametrize("digits", [3, 4, 6])
def test_a_record_of_a_market_that_was_taken_is_taken(digits: int) -> None:
    form = quoted_market(digits)
    Market.from_form("market", form)
    market_of(market_record(form, unsigned))


def test_the_place_of_a_butterfly_counts_expiries_without_a_smile() -> None:
    data = json.loads(quoted_market(4).model_dump_json())
    (expiry,) = data["underlyings"][0]["expiries"]
    expiry["volatilities"][20] = "0.5"
    data["underlyings"][0]["expiries"] = [
        {"expiry": "2026-12-26T12:00:00Z", "forward": "6000"},
        expiry,
    ]
    with pytest.raises(InvalidFile) as caught:
        read_market("market", json.dumps(data))
    assert caught.value.problems[0].path.startswith("underlyings[0].expiries[1].volatilities[")


def test_digits_are_those_of_the_longest_number() -> None:
    assert half_of_last_digit([Decimal("0.6"), Decimal("0.6125")]) == 0.5e-4
    assert half_of_last_digit([Decimal("0.600")]) == 0.5e-3
    assert half_of_last_digit([Decimal(1)]) == 0.5
