"""Values and sensitivities of European options: Black-76, and Black-Scholes with a carry yield.

The kernel works on the option of the two (call and put of one strike) that is out of the money and
adds what the other is worth if exercised now. With x = |ln(F/K)|, v the total volatility, u = x/v
and t = v/2, the first costs, undiscounted,

    min(F, K) * n(d1) * (R(u - t) - R(u + t)),    d1 = t - u,

R being Mills' ratio. Where t is small the difference is a series in t whose terms are derivatives
of R, so that no digits are lost. The idea to work with that ratio is P. Jaeckel's: "Let's be
rational" (Wilmott, 2015).

Everything is binary64 arithmetic of the operations that `darkpool.margin.valuation.elementary`
names: the same inputs give the same bits on every machine.

Sources: F. Black, "The pricing of commodity contracts" (J. Financial Economics 1976); F. Black and
M. Scholes, "The pricing of options and corporate liabilities" (J. Political Economy 1973);
E. G. Haug, "The complete guide to option pricing formulas" (2007), for the cost of carry.
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def"
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from crypto.compiled import kernel
from darkpool.margin.errors import InvalidOption
from darkpool.margin.valuation.elementary import exponential, log_ratio
from darkpool.margin.valuation.mills import mills_ratio, mills_slope

Floats = npt.NDArray[np.float64]

PRICE_LOWEST: Final = 1e-12
"""Lowest forward, spot or strike."""
PRICE_HIGHEST: Final = 1e15
"""Highest forward, spot or strike."""
VOLATILITY_HIGHEST: Final = 100.0
"""Highest volatility, a year: 10,000 percent."""
EXPIRY_HIGHEST_YEARS: Final = 100.0
"""Longest time to expiry."""
RATE_HIGHEST: Final = 2.0
"""Largest absolute rate and carry, a year, continuously compounded."""

_SERIES_SHARE: Final = 0.01
_DENSITY_AT_ZERO: Final = 0.3989422804014327


@dataclass(frozen=True, slots=True, eq=False)
class OptionValues:
    """Values of options, each of the arguments' common shape, for one unit of the underlying.

    Attributes:
        price: in the currency of the strike.
        delta: change of the price for one unit of the underlying (forward in Black-76, else spot).
        gamma: change of delta, likewise.
        vega: change of the price for 1.0 of volatility.
        theta: change of the price in a year of calendar time, at constant underlying.
        rho: change of the price for 1.0 of interest rate; in Black-76 at a constant forward.
        vanna: change of delta for 1.0 of volatility.
        volga: change of vega for 1.0 of volatility.
    """

    price: Floats
    delta: Floats
    gamma: Floats
    vega: Floats
    theta: Floats
    rho: Floats
    vanna: Floats
    volga: Floats


def black_76(
    is_call: npt.ArrayLike,
    forward: npt.ArrayLike,
    strike: npt.ArrayLike,
    volatility: npt.ArrayLike,
    expiry_years: npt.ArrayLike,
    rate: npt.ArrayLike = 0.0,
) -> OptionValues:
    """Value options on a forward or future.

    Arguments are broadcast to one shape, of at least one dimension; `rate` discounts, continuously
    compounded. Without volatility or time left the option is worth its exercise; delta is 1/2 where
    that is undecided, and what has no limit there (gamma, vega and beyond) is given as zero.

    Errors are relative, against exact arithmetic: 1e-12 of the price, 1e-12 of each sensitivity's
    largest term, as long as results are normal numbers.

    Raises:
        InvalidOption: a number that is not finite or beyond the bounds of this module.
    """
    numbers = (forward, strike, volatility, expiry_years, rate, 0.0)
    return _valued(_checked(is_call, *numbers), rho_of_spot=False)


def black_scholes(
    is_call: npt.ArrayLike,
    spot: npt.ArrayLike,
    strike: npt.ArrayLike,
    volatility: npt.ArrayLike,
    expiry_years: npt.ArrayLike,
    rate: npt.ArrayLike,
    yield_rate: npt.ArrayLike = 0.0,
) -> OptionValues:
    """Value options on an asset that pays a continuous yield; otherwise as `black_76`.

    The forward is rounded, so errors are larger by 1e-15 over the total volatility.

    Raises:
        InvalidOption: a number that is not finite or beyond the bounds of this module.
    """
    carry = np.subtract(rate, yield_rate)
    numbers = (spot, strike, volatility, expiry_years, rate, carry)
    return _valued(_checked(is_call, *numbers), rho_of_spot=True)


class _Options(NamedTuple):
    """Contiguous arrays of one shape."""

    is_call: npt.NDArray[np.bool_]
    underlying: Floats
    strike: Floats
    volatility: Floats
    years: Floats
    rate: Floats
    carry: Floats


def _checked(is_call: npt.ArrayLike, *numbers: npt.ArrayLike) -> _Options:
    fields = (
        ("underlying", PRICE_LOWEST, PRICE_HIGHEST),
        ("strike", PRICE_LOWEST, PRICE_HIGHEST),
        ("volatility", 0.0, VOLATILITY_HIGHEST),
        ("expiry in years", 0.0, EXPIRY_HIGHEST_YEARS),
        ("rate", -RATE_HIGHEST, RATE_HIGHEST),
        ("carry", -2 * RATE_HIGHEST, 2 * RATE_HIGHEST),
    )
    arrays = [np.asarray(number, dtype=np.float64) for number in numbers]
    for array, (field, lowest, highest) in zip(arrays, fields, strict=True):
        within = (array >= lowest) & (array <= highest)
        if not within.all():
            index = int(np.flatnonzero(~within.reshape(-1))[0])
            got = repr(float(array.reshape(-1)[index]))
            raise InvalidOption(field, index, f"{lowest:g} to {highest:g}", got)
    every = [np.atleast_1d(array) for array in (np.asarray(is_call, dtype=np.bool_), *arrays)]
    shape = np.broadcast_shapes(*(array.shape for array in every))
    columns: list[npt.NDArray[Any]] = [
        np.ascontiguousarray(array)
        if array.shape == shape
        else np.broadcast_to(array, shape).copy()
        for array in every
    ]
    return _Options(*columns)


def _valued(options: _Options, *, rho_of_spot: bool) -> OptionValues:
    shape = options.is_call.shape
    out = np.empty((8, options.is_call.size), dtype=np.float64)
    flat: list[npt.NDArray[Any]] = [column.reshape(-1) for column in options]
    _value_all(_Options(*flat), rho_of_spot, out)
    return OptionValues(*(row.reshape(shape) for row in out))


class OutOfTheMoney(NamedTuple):
    """An undiscounted value, n(d1) times the lower of forward and strike, and d1."""

    value: float
    weight: float
    d1: float


@kernel
def out_of_the_money(low, high, total_volatility):
    """The option out of the money at a forward and a strike, `low` <= `high`.

    Positive `total_volatility`: volatility times the root of time.
    """
    half = 0.5 * total_volatility
    u = log_ratio(high, low) / total_volatility
    first, second = half - u, half + u
    density = _DENSITY_AT_ZERO * exponential(-0.5 * first * first)
    if density == 0.0:
        return OutOfTheMoney(low if first > 0.0 else 0.0, 0.0, first)
    if half < _SERIES_SHARE * max(1.0, u):
        value = low * density * _difference(u, half)
    elif first < 0.0:
        value = low * density * (mills_ratio(-first) - mills_ratio(second))
    else:
        value = low * (1.0 - density * (mills_ratio(first) + mills_ratio(second)))
    return OutOfTheMoney(value, low * density, first)


@kernel
def _difference(u, t):
    """R(u - t) - R(u + t) for small t: twice the odd terms of Taylor's series.

    With r_n the n-th derivative of the ratio at -u: r_1 = a(u), r_3 = (u^2 + 3) * r_1 - 1, and
    r_(n + 2) = (u^2 + 2n + 1) * r_n - n * (n - 1) * r_(n - 2).
    """
    square = u * u
    first = mills_slope(u)
    third = (square + 3.0) * first - 1.0
    fifth = (square + 7.0) * third - 6.0 * first
    seventh = (square + 11.0) * fifth - 20.0 * third
    z = t * t
    return 2.0 * t * (first + z * (third / 6.0 + z * (fifth / 120.0 + z * (seventh / 5040.0))))


@kernel
def _value_all(options, rho_of_spot, out):
    is_call, underlying, strike, volatility, years, rate, carry = options
    for i in range(out.shape[1]):
        discount = exponential(-rate[i] * years[i])
        growth = exponential(carry[i] * years[i]) if carry[i] != 0.0 else 1.0
        forward = underlying[i] * growth
        root = math.sqrt(years[i])
        total = volatility[i] * root
        intrinsic = forward - strike[i] if is_call[i] else strike[i] - forward
        if total == 0.0:
            step = 1.0 if intrinsic > 0.0 else (0.5 if intrinsic == 0.0 else 0.0)
            delta = step if is_call[i] else -step
            price, weight = max(intrinsic, 0.0), 0.0
            vega = vanna = volga = gamma = decay = 0.0
        else:
            low, high = min(forward, strike[i]), max(forward, strike[i])
            price, weight, first = out_of_the_money(low, high, total)
            # the two d of the textbook: in the kernel's terms, sign and order depend on the side
            second = first - total
            d1, d2 = (first, second) if forward <= strike[i] else (-second, -first)
            price += max(intrinsic, 0.0)
            density = weight / forward
            per_root, per_volatility = 1.0 / root, 1.0 / volatility[i]
            tail = density * mills_ratio(abs(d1)) if density > 0.0 else 0.0
            if is_call[i]:
                delta = tail if d1 < 0.0 else 1.0 - tail
            else:
                delta = tail - 1.0 if d1 < 0.0 else -tail
            vega = weight * root
            gamma = density * per_root * per_volatility / forward
            vanna = -density * d2 * per_volatility
            volga = vega * d1 * d2 * per_volatility
            decay = 0.5 * weight * volatility[i] * per_root
        price *= discount
        delta *= discount * growth
        spot_delta = underlying[i] * delta
        out[0, i] = price
        out[1, i] = delta
        out[2, i] = gamma * discount * growth * growth
        out[3, i] = vega * discount
        out[4, i] = rate[i] * price - discount * decay - carry[i] * spot_delta
        out[5, i] = years[i] * (spot_delta - price) if rho_of_spot else -years[i] * price
        out[6, i] = vanna * discount * growth
        out[7, i] = volga * discount
