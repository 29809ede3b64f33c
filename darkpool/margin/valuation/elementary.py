"""Exponential and logarithm that give the same bits on every machine.

The mathematical libraries of two systems, and NumPy on two processors, differ in the last bit. A
margin is an integer that two parties have to agree on, so valuation uses nothing but what IEEE 754
prescribes to the bit: addition, subtraction, multiplication, division and square root of binary64,
rounded to nearest, none of them fused. Tables are rounded from decimal arithmetic, which is exact
to the last digit by its specification.

Method: P. T. P. Tang, "Table-driven implementation of the exponential function in IEEE
floating-point arithmetic" (ACM TOMS 1989).
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def"
from __future__ import annotations

import math
from decimal import Decimal, localcontext
from typing import Final

import numpy as np

from crypto.compiled import kernel

_PARTS: Final = 32
_LOWEST_EXPONENT: Final = -1022
_HIGHEST_EXPONENT: Final = 1023
EXPONENT_MIN: Final = -708.0
"""Below it the exponential is taken to be zero: results are normal numbers or none."""
EXPONENT_MAX: Final = 709.0
"""Above it the exponential is taken to be infinite."""


def _rounded_down(number: Decimal, bits: int) -> float:
    """A number with so many binary digits behind the point that its multiples are exact."""
    return math.ldexp(int(number * (1 << bits)), -bits)


with localcontext(prec=60):
    _LN2: Final = Decimal(2).ln()
    _STEP_HIGH: Final = _rounded_down(_LN2 / _PARTS, 42)
    _STEP_LOW: Final = float(_LN2 / _PARTS - Decimal(_STEP_HIGH))
    _STEPS_PER_ONE: Final = float(_PARTS / _LN2)
    _LN2_HIGH: Final = _rounded_down(_LN2, 42)
    _LN2_LOW: Final = float(_LN2 - Decimal(_LN2_HIGH))
    _ROOT_HALF: Final = float(Decimal("0.5").sqrt())
    _ROOT_TWO: Final = float(Decimal(2).sqrt())
    _FRACTIONS: Final = np.array([float(Decimal(2) ** (Decimal(j) / _PARTS)) for j in range(32)])
_POWERS: Final = np.array(
    [math.ldexp(1.0, e) for e in range(_LOWEST_EXPONENT, _HIGHEST_EXPONENT + 1)]
)


@kernel
def exponential(x):
    """e to the power of x; relative error below 2**-52 from `EXPONENT_MIN` to `EXPONENT_MAX`."""
    if x < EXPONENT_MIN:
        return 0.0
    if x > EXPONENT_MAX:
        return math.inf
    steps = math.floor(x * _STEPS_PER_ONE + 0.5)
    r = (x - steps * _STEP_HIGH) - steps * _STEP_LOW
    tail = r * r * (0.5 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720)))))
    fraction = _FRACTIONS[steps & (_PARTS - 1)]
    return _POWERS[(steps >> 5) - _LOWEST_EXPONENT] * (fraction + fraction * (r + tail))


@kernel
def log_ratio(a, b):
    """Natural logarithm of a / b, for a, b > 0; relative error below 2**-50 also where a is near b.

    Exactly antisymmetric where neither is above 1.4 times the other.
    """
    if _ROOT_HALF * b <= a <= _ROOT_TWO * b:
        return _twice_artanh((a - b) / (a + b))
    fraction, exponent = math.frexp(a / b)
    if fraction < _ROOT_HALF:
        fraction *= 2.0
        exponent -= 1
    rest = _twice_artanh((fraction - 1.0) / (fraction + 1.0))
    return exponent * _LN2_HIGH + (rest + exponent * _LN2_LOW)


@kernel
def _twice_artanh(s):
    """The logarithm of (1 + s) / (1 - s), for |s| below 0.172."""
    z = s * s
    tail = 1 / 15 + z * (1 / 17 + z * (1 / 19 + z * (1 / 21)))
    tail = 1 / 7 + z * (1 / 9 + z * (1 / 11 + z * (1 / 13 + z * tail)))
    return 2.0 * s + 2.0 * s * (z * (1 / 3 + z * (1 / 5 + z * tail)))
