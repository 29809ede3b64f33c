"""Options against QuantLib, against 80 digits, and against what must hold of any option."""

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import QuantLib
from hypothesis import given, settings
from hypothesis import strategies as st

from darkpool.margin.errors import InvalidOption
from darkpool.margin.valuation.black import OptionValues, black_76, black_scholes, out_of_the_money

GREEKS = ("price", "delta", "gamma", "vega", "theta", "rho", "vanna", "volga")
markets = st.tuples(
    st.booleans(),
    st.floats(0.01, 1e5),
    st.floats(-4, 4).map(math.exp),
    st.floats(0.01, 3),
    st.floats(1e-5, 10),
    st.floats(-0.2, 0.2),
    st.floats(-0.2, 0.2),
)


def one(values: OptionValues, field: str) -> float:
    (value,) = getattr(values, field).tolist()
    return float(value)


def exact_76(
    is_call: bool, forward: Any, strike: Any, volatility: Any, years: Any, rate: Any
) -> Any:
    total = volatility * mp.sqrt(years)
    d1 = mp.log(forward / strike) / total + total / 2
    sign = 1 if is_call else -1
    undiscounted = forward * mp.ncdf(sign * d1) - strike * mp.ncdf(sign * (d1 - total))
    return sign * mp.exp(-rate * years) * undiscounted


def exact(
    is_call: bool, spot: Any, strike: Any, vol: Any, years: Any, rate: Any, carry: Any
) -> Any:
    return exact_76(is_call, spot * mp.exp(carry * years), strike, vol, years, rate)


Sample = tuple[bool, float, float, float, float, float, float]


@given(markets)
@settings(max_examples=300)
def test_price_and_greeks_equal_quantlib(market: Sample) -> None:
    is_call, spot, share, volatility, years, rate, dividend = market
    strike = spot * share
    forward = spot * math.exp((rate - dividend) * years)
    deviation, discount = volatility * math.sqrt(years), math.exp(-rate * years)
    kind = QuantLib.Option.Call if is_call else QuantLib.Option.Put
    payoff = QuantLib.PlainVanillaPayoff(kind, strike)
    theirs = QuantLib.BlackCalculator(payoff, forward, deviation, discount)
    ours = black_scholes(is_call, spot, strike, volatility, years, rate, dividend)
    scale = spot + strike
    expected = {
        "price": (theirs.value(), scale),
        "delta": (theirs.delta(spot), 1.0),
        "gamma": (theirs.gamma(spot), 1 / (spot * deviation)),
        "vega": (theirs.vega(years), scale * math.sqrt(years)),
        "rho": (theirs.rho(years), scale * years),
    }
    for field, (value, size) in expected.items():
        assert one(ours, field) == pytest.approx(value, rel=1e-10, abs=1e-10 * size), field


@given(markets)
@settings(max_examples=100)
def test_greeks_are_the_derivatives_of_the_exact_price(market: Sample) -> None:
    is_call, spot, share, *rest = market
    strike = spot * share
    volatility, years, rate, dividend = rest
    ours = black_scholes(is_call, spot, strike, *rest)
    with mp.workdps(60):

        def price(x: Any, s: Any, t: Any, r: Any) -> Any:
            return exact(is_call, x, mp.mpf(strike), s, t, r, r - mp.mpf(dividend))

        at = tuple(map(mp.mpf, (spot, volatility, years, rate)))
        orders = {
            "price": (0, 0, 0, 0),
            "delta": (1, 0, 0, 0),
            "gamma": (2, 0, 0, 0),
            "vega": (0, 1, 0, 0),
            "theta": (0, 0, 1, 0),
            "rho": (0, 0, 0, 1),
            "vanna": (1, 1, 0, 0),
            "volga": (0, 2, 0, 0),
        }
        deviation, root = volatility * math.sqrt(years), math.sqrt(years)
        weight = spot * math.exp(-min(rate, dividend, 0) * years) + strike
        d = abs(math.log(share)) / deviation + deviation + 1
        sizes = {
            "price": weight,
            "delta": weight / spot,
            "gamma": weight / (spot * spot * deviation),
            "vega": weight * root,
            "theta": weight * (volatility / root + 1),
            "rho": weight * years,
            "vanna": weight / spot * d / volatility,
            "volga": weight * root * d * d / volatility,
        }
        for field, order in orders.items():
            derivative = (
                mp.diff(price, at, order, h=mp.mpf(10) ** -15) if any(order) else price(*at)
            )
            sign = -1 if field == "theta" else 1
            error = abs(one(ours, field) - sign * derivative)
            # the forward is rounded, which counts for more the less it moves
            bound = 1e-12 + 1e-15 / deviation
            assert error <= bound * sizes[field], (field, one(ours, field), derivative)


@given(
    st.floats(1e-12, 1e15),
    st.floats(0, 38),
    st.floats(-9, 2.5),
)
@settings(max_examples=500)
def test_out_of_the_money_to_the_last_digits(
    low: float, moneyness: float, magnitude: float
) -> None:
    """Relative to the price itself, however small it is."""
    total = 10.0**magnitude
    high = low * math.exp(min(moneyness * total, 60.0))
    with mp.workdps(80):
        value = out_of_the_money(low, high, total).value
        v = mp.mpf(total)
        d1 = mp.log(mp.mpf(low) / mp.mpf(high)) / v + v / 2
        expected = low * mp.ncdf(d1) - high * mp.ncdf(d1 - v)
        if expected > 1e-290:
            assert abs(value / expected - 1) < 1e-12, (value, expected)
        else:
            assert value <= 1e-289


@given(markets)
def test_put_call_parity(market: Sample) -> None:
    _, forward, share, volatility, years, rate, _ = market
    strike = forward * share
    call = black_76(True, forward, strike, volatility, years, rate)
    put = black_76(False, forward, strike, volatility, years, rate)
    discount = math.exp(-rate * years)
    size = 4e-15 * (forward + strike) * discount
    assert one(call, "price") - one(put, "price") == pytest.approx(
        discount * (forward - strike), abs=size
    )
    assert one(call, "delta") - one(put, "delta") == pytest.approx(discount, rel=1e-14)
    for field in ("gamma", "vega", "vanna", "volga"):
        assert one(call, field) == one(put, field)


@given(markets)
def test_bounds_that_hold_of_any_option(market: Sample) -> None:
    is_call, forward, share, volatility, years, _, _ = market
    strike = forward * share
    value = one(black_76(is_call, forward, strike, volatility, years), "price")
    intrinsic = max(forward - strike, 0.0) if is_call else max(strike - forward, 0.0)
    assert intrinsic <= value <= (forward if is_call else strike) * (1 + 1e-15)
    dearer = one(black_76(is_call, forward, strike, volatility * 1.01, years), "price")
    assert dearer >= value * (1 - 1e-15)


@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize(
    ("forward", "delta"), [(99.0, (0.0, -1.0)), (100.0, (0.5, -0.5)), (101.0, (1.0, 0.0))]
)
@pytest.mark.parametrize(("volatility", "years"), [(0.0, 1.0), (0.5, 0.0)])
def test_nothing_left_but_exercise(
    is_call: bool, forward: float, delta: tuple[float, float], volatility: float, years: float
) -> None:
    values = black_76(is_call, forward, 100.0, volatility, years)
    assert one(values, "price") == max(forward - 100 if is_call else 100 - forward, 0)
    assert one(values, "delta") == delta[0 if is_call else 1]
    for field in ("gamma", "vega", "theta", "vanna", "volga"):
        assert one(values, field) == 0


def test_arguments_are_broadcast() -> None:
    strikes = np.array([90.0, 100.0, 110.0])
    values = black_76(True, 100.0, strikes, 0.2, 1.0)
    for field in GREEKS:
        assert getattr(values, field).shape == (3,)
    assert [one(black_76(True, 100.0, k, 0.2, 1.0), "price") for k in strikes] == list(values.price)
    assert black_76(True, 100.0, np.array([]), 0.2, 1.0).price.shape == (0,)


@pytest.mark.parametrize(
    ("field", "market"),
    [
        ("underlying", (True, math.nan, 1, 1, 1)),
        ("underlying", (True, 0, 1, 1, 1)),
        ("strike", (True, 1, [1, math.inf], 1, 1)),
        ("strike", (True, 1, -1, 1, 1)),
        ("volatility", (True, 1, 1, -0.1, 1)),
        ("volatility", (True, 1, 1, 101, 1)),
        ("expiry in years", (True, 1, 1, 1, -1e-9)),
        ("rate", (True, 1, 1, 1, 1, math.nan)),
    ],
)
def test_what_cannot_be_valued_is_named(field: str, market: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidOption) as caught:
        black_76(*market)
    assert caught.value.field == field
    assert caught.value.index == (1 if field == "strike" and isinstance(market[2], list) else 0)
