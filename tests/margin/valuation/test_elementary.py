"""Exponential and logarithm against 60 digits, and the same bits with and without the compiler."""

import json
import os
import subprocess
import sys

import mpmath as mp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from darkpool.margin.valuation.elementary import EXPONENT_MAX, EXPONENT_MIN, exponential, log_ratio

SCRIPT = """
import json, sys
import numpy as np
from darkpool.margin.valuation.black import black_76, black_scholes
generator = np.random.default_rng(20)
n = 2000
spread = np.where(np.arange(n) % 2, 1e-4, 1.0)
market = (
    generator.integers(0, 2, n) == 1,
    np.exp(generator.normal(0, 1, n) * spread),
    np.exp(generator.normal(0, 1, n) * spread),
    10.0 ** generator.uniform(-4, 1, n),
    10.0 ** generator.uniform(-6, 1.5, n),
    generator.uniform(-0.2, 0.2, n),
)
values = [black_76(*market), black_scholes(*market, generator.uniform(-0.1, 0.1, n))]
fields = values[0].__slots__
print(json.dumps([[x.hex() for x in getattr(v, f).tolist()] for v in values for f in fields]))
"""


@given(st.floats(EXPONENT_MIN, EXPONENT_MAX))
def test_exponential(x: float) -> None:
    with mp.workdps(60):
        assert abs(exponential(x) / mp.exp(mp.mpf(x)) - 1) < 2.0**-52


def test_ends_of_the_exponential() -> None:
    assert exponential(0.0) == 1.0
    assert exponential(-np.inf) == 0.0
    assert exponential(710.0) == np.inf
    for steps in range(4_000):
        x = -750.0 + steps / 80
        value = exponential(x)
        assert value == 0.0 if x < EXPONENT_MIN else 0 < value < 1e-300


@given(st.floats(1e-12, 1e15), st.floats(1e-12, 1e15))
def test_logarithm(a: float, b: float) -> None:
    assume(a != b)
    with mp.workdps(60):
        assert abs(log_ratio(a, b) / mp.log(mp.mpf(a) / mp.mpf(b)) - 1) < 2.0**-50


@given(st.floats(1e-3, 1e6), st.integers(-1000, 1000))
def test_logarithm_of_neighbours(a: float, steps: int) -> None:
    b = a + steps * np.spacing(a)
    with mp.workdps(60):
        expected = mp.log(mp.mpf(a) / mp.mpf(float(b)))
        assert abs(log_ratio(a, b) - expected) <= abs(expected) * 2.0**-50
    assert log_ratio(a, b) == -log_ratio(b, a)


@pytest.fixture(scope="module")
def printed() -> list[str]:
    """Values from machine code, and from the same source interpreted by Python."""
    runs = []
    for disabled in ("0", "1"):
        environment = os.environ | {"NUMBA_DISABLE_JIT": disabled}
        command = [sys.executable, "-W", "ignore", "-c", SCRIPT]
        run = subprocess.run(  # noqa: S603
            command, env=environment, capture_output=True, text=True, check=True
        )
        runs.append(run.stdout)
    return runs


def test_compiled_and_interpreted_give_the_same_bits(printed: list[str]) -> None:
    compiled, interpreted = (json.loads(text) for text in printed)
    assert len(compiled) == 16
    assert compiled == interpreted
