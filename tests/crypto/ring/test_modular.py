# mypy: disable-error-code="no-untyped-def"
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from crypto.ring.modular import high_word, multiply, multiply_constant, reduce_wide
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL

PRIMES = sorted(
    {
        prime
        for parameters in (STANDARD, TEST_INSECURE_SMALL)
        for ring in (parameters.order_ring, parameters.comparison_ring)
        for prime in (*ring.key_primes, ring.plain_modulus)
    }
)
WORD = (1 << 64) - 1
words = st.integers(0, WORD) | st.sampled_from([0, 1, WORD - 1, WORD, 1 << 32, (1 << 63) - 1])
primes = st.sampled_from(PRIMES)


@njit
def _high_word(a, b):
    return high_word(a, b)


@njit
def _reduce_wide(high, low, prime, ratio_high, ratio_low):
    return reduce_wide(high, low, prime, ratio_high, ratio_low)


@njit
def _multiply(a, b, prime, ratio_high, ratio_low):
    return multiply(a, b, prime, ratio_high, ratio_low)


@njit
def _multiply_constant(a, constant, quotient, prime):
    return multiply_constant(a, constant, quotient, prime)


def _words(*values: int) -> tuple[np.uint64, ...]:
    return tuple(np.uint64(value) for value in values)


def _ratio(prime: int) -> tuple[int, int]:
    ratio = (1 << 128) // prime
    return ratio >> 64, ratio & WORD


def _extremes(prime: int) -> list[int]:
    return [0, 1, 2, prime // 2, prime // 2 + 1, prime - 2, prime - 1]


@given(words, words)
def test_high_word(a: int, b: int) -> None:
    assert _high_word(*_words(a, b)) == a * b >> 64


@given(primes, st.data())
def test_reduce_wide_on_its_whole_domain(prime: int, data: st.DataObject) -> None:
    high = data.draw(st.integers(0, prime - 1) | st.sampled_from(_extremes(prime)))
    low = data.draw(words)
    assert _reduce_wide(*_words(high, low, prime, *_ratio(prime))) == (high << 64 | low) % prime


@given(primes, st.data())
def test_reduce_wide_beside_multiples_of_the_prime(prime: int, data: st.DataObject) -> None:
    multiple = data.draw(st.integers(1, WORD)) * prime
    for value in (multiple - 1, multiple, multiple + 1):
        got = _reduce_wide(*_words(value >> 64, value & WORD, prime, *_ratio(prime)))
        assert got == value % prime


@pytest.mark.parametrize("prime", PRIMES)
def test_multiply_at_the_extremes(prime: int) -> None:
    for a in _extremes(prime):
        for b in _extremes(prime):
            assert _multiply(*_words(a, b, prime, *_ratio(prime))) == a * b % prime


@given(primes, st.data())
def test_multiply(prime: int, data: st.DataObject) -> None:
    a, b = (data.draw(st.integers(0, prime - 1)) for _ in range(2))
    assert _multiply(*_words(a, b, prime, *_ratio(prime))) == a * b % prime


@given(primes, words, st.data())
def test_multiply_constant_is_lazy_but_never_off(prime: int, a: int, data: st.DataObject) -> None:
    constant = data.draw(st.integers(0, prime - 1) | st.sampled_from(_extremes(prime)))
    quotient = (constant << 64) // prime
    got = int(_multiply_constant(*_words(a, constant, quotient, prime)))
    assert got in (a * constant % prime, a * constant % prime + prime)


def test_the_primes_are_below_the_documented_bound() -> None:
    assert max(PRIMES) < 1 << 61
