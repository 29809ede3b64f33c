"""Mills' ratio of the normal distribution, and how fast it falls.

The ratio is R(u) = (1 - N(u)) / n(u), with N the distribution and n the density, u >= 0. Its slope
is -a(u), with a(u) = 1 - u * R(u). Both are quotients of polynomials with positive terms, so that
nothing cancels: a(u) keeps its relative accuracy where 1 - u * R(u) loses it.

The coefficients interpolate the function at the zeros of a Chebyshev polynomial, computed with 70
digits; tests/margin/valuation/test_mills.py computes them again. Idea of rational approximations by
range: W. J. Cody, "Rational Chebyshev approximations for the error function" (Math. Comp. 1969).
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def"
from __future__ import annotations

from typing import Final

from crypto.compiled import kernel

NEAR_MAX: Final = 2.0
"""Largest argument of the first range."""
MIDDLE_MAX: Final = 6.0
"""Largest argument of the second range."""

_RATIO_NUMERATOR: Final = (
    1.2533141373155003,
    1.2294971263674703,
    0.6120707083120778,
    0.18162926836259025,
    0.03343094485615827,
    0.0035856846047834885,
    0.0001754382423969283,
)
_RATIO_DENOMINATOR: Final = (
    1.0,
    1.778881335482964,
    1.4077037213639638,
    0.644625107005795,
    0.18527257880188255,
    0.03360169806595746,
    0.0035859377448657945,
    0.00017543138970703163,
)
_SLOPE_NEAR_NUMERATOR: Final = (
    1.0,
    0.7320887121769921,
    0.2984073925030662,
    0.07433037487209809,
    0.01183936094294012,
    0.0011204433082554982,
    4.932829656418939e-05,
)
_SLOPE_NEAR_DENOMINATOR: Final = (
    1.0,
    1.9854028494924914,
    1.786740852038526,
    0.9549321636157114,
    0.3327618861814821,
    0.07778055809481843,
    0.011980637483454591,
    0.0011207782903798593,
    4.931994610268638e-05,
)
_SLOPE_MIDDLE_NUMERATOR: Final = (
    0.9999991632802829,
    0.9598941681556246,
    0.4716812064920499,
    0.14422667892915,
    0.028695465341227976,
    0.0035476573180357293,
    0.00022519981235388892,
)
_SLOPE_MIDDLE_DENOMINATOR: Final = (
    1.0,
    2.2132027818775635,
    2.2455373292672007,
    1.3720072982318363,
    0.5563577884774442,
    0.15487322317527133,
    0.029370911028060748,
    0.0035476614935825842,
    0.00022519975849092676,
)
_SLOPE_FAR_NUMERATOR: Final = (
    1.0,
    59.79841780008194,
    1210.2325751696146,
    9921.262769638459,
    30494.88722983298,
    23798.03369542765,
)
_SLOPE_FAR_DENOMINATOR: Final = (
    1.0,
    62.79841780008187,
    1383.6278285699925,
    13235.169988251553,
    55094.81367222613,
    86886.33312407033,
    34057.34960718577,
)


@kernel
def mills_ratio(u):
    """R(u) for u >= 0; relative error below 2**-50."""
    if u <= NEAR_MAX:
        return _quotient(u, _RATIO_NUMERATOR, _RATIO_DENOMINATOR)
    return (1.0 - mills_slope(u)) / u


@kernel
def mills_slope(u):
    """a(u) = 1 - u * R(u) for u >= 0; relative error below 2**-50."""
    if u <= NEAR_MAX:
        return _quotient(u, _SLOPE_NEAR_NUMERATOR, _SLOPE_NEAR_DENOMINATOR)
    if u <= MIDDLE_MAX:
        return _quotient(u, _SLOPE_MIDDLE_NUMERATOR, _SLOPE_MIDDLE_DENOMINATOR)
    y = 1.0 / (u * u)
    return y * _quotient(y, _SLOPE_FAR_NUMERATOR, _SLOPE_FAR_DENOMINATOR)


@kernel
def _quotient(x, numerator, denominator):
    return _polynomial(x, numerator) / _polynomial(x, denominator)


@kernel
def _polynomial(x, coefficients):
    """Horner's rule; `coefficients` from the constant on."""
    total = coefficients[-1]
    for index in range(len(coefficients) - 2, -1, -1):
        total = total * x + coefficients[index]
    return total
