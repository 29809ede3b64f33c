"""Mills' ratio and its slope against 60 digits, and where their coefficients come from."""

from collections.abc import Callable
from typing import Any

import mpmath as mp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpool.margin.valuation import mills

ROUNDING = 2.0**-50


def ratio(u: Any) -> Any:
    with mp.workdps(60):
        u = mp.mpf(u)
        if u < 25:
            return mp.sqrt(mp.pi / 2) * mp.exp(u * u / 2) * mp.erfc(u / mp.sqrt(2))
        return 1 / (u + _fraction(u, 1))


def slope(u: Any) -> Any:
    with mp.workdps(60):
        u = mp.mpf(u)
        return 1 - u * ratio(u) if u < 25 else 1 / (u * (u + _fraction(u, 2)) + 1)


def _fraction(u: Any, first: int) -> Any:
    """first/(u + (first + 1)/(u + ...)): the rest of Laplace's continued fraction."""
    rest = mp.mpf(0)
    for k in range(400, first - 1, -1):
        rest = k / (u + rest)
    return rest


@given(st.floats(0, 60))
def test_both_keep_relative_accuracy(u: float) -> None:
    with mp.workdps(60):
        assert abs(mills.mills_ratio(u) / ratio(u) - 1) < ROUNDING
        assert abs(mills.mills_slope(u) / slope(u) - 1) < ROUNDING


@pytest.mark.parametrize("u", [0.0, 2.0, 6.0, 1e-300, 1e8, 1e150])
def test_ends_of_ranges(u: float) -> None:
    with mp.workdps(60):
        for above in (u, u * (1 + 2.0**-52)):
            assert abs(mills.mills_ratio(above) / ratio(above) - 1) < ROUNDING
            assert abs(mills.mills_slope(above) / slope(above) - 1) < ROUNDING


def interpolated(
    function: Callable[[Any], Any], lowest: float, highest: float, degrees: tuple[int, int]
) -> tuple[list[float], list[float]]:
    """The quotient of two polynomials that equals a function at the zeros of a Chebyshev one."""
    top, bottom = degrees
    count = top + bottom + 1
    low, high = mp.mpf(lowest), mp.mpf(highest)
    matrix, ones = mp.matrix(count, count), mp.matrix(count, 1)
    for row in range(count):
        x = (low + high) / 2 + (high - low) / 2 * mp.cos((2 * row + 1) * mp.pi / (2 * count))
        value = function(x)
        for power in range(top + 1):
            matrix[row, power] = x**power / value
        for power in range(1, bottom + 1):
            matrix[row, top + power] = -(x**power)
        ones[row] = 1
    coefficients = [float(number) for number in mp.lu_solve(matrix, ones)]
    return coefficients[: top + 1], [1.0, *coefficients[top + 1 :]]


@pytest.mark.parametrize(
    ("name", "function", "lowest", "highest"),
    [
        ("_RATIO", ratio, 0, mills.NEAR_MAX),
        ("_SLOPE_NEAR", slope, 0, mills.NEAR_MAX),
        ("_SLOPE_MIDDLE", slope, mills.NEAR_MAX, mills.MIDDLE_MAX),
        ("_SLOPE_FAR", lambda y: slope(1 / mp.sqrt(y)) / y, 1e-8, 1 / mills.MIDDLE_MAX**2),
    ],
)
def test_coefficients_come_from_interpolation(
    name: str, function: Callable[[Any], Any], lowest: float, highest: float
) -> None:
    top = getattr(mills, f"{name}_NUMERATOR")
    bottom = getattr(mills, f"{name}_DENOMINATOR")
    with mp.workdps(70):
        coefficients = interpolated(function, lowest, highest, (len(top) - 1, len(bottom) - 1))
    for stored, again in zip((top, bottom), coefficients, strict=True):
        assert list(stored) == pytest.approx(again, rel=1e-12)
