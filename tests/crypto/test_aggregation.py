import numpy as np
import pytest

from crypto.aggregation import RunningSum
from crypto.ciphertext import Ciphertext, zero
from crypto.errors import OutOfRange
from crypto.params import TEST_INSECURE_SMALL, RingParameters

ORDER, COMPARISON = TEST_INSECURE_SMALL.order, TEST_INSECURE_SMALL.comparison


def largest(ring: RingParameters) -> Ciphertext:
    """Every word one below its prime: the first to overflow."""
    words = np.empty((2, len(ring.data_primes), ring.degree), dtype=np.uint64)
    words[:] = np.array(ring.data_primes, dtype=np.uint64)[None, :, None] - np.uint64(1)
    return Ciphertext(ring, words)


@pytest.mark.parametrize("ring", [ORDER, COMPARISON], ids=lambda ring: str(ring.name))
def test_a_running_sum_is_the_sum(ring: RingParameters) -> None:
    draw = np.random.default_rng(1)
    primes = np.array(ring.data_primes)[None, :, None]
    running, expected = RunningSum(ring), zero(ring)
    for _ in range(20):
        words = draw.integers(0, primes, (2, len(ring.data_primes), ring.degree))
        term = Ciphertext(ring, words.astype(np.uint64))
        running.add(term)
        expected = expected.add(term)
        assert np.array_equal(running.total().words, expected.words)
    assert running.count == 20


def test_no_number_of_terms_overflows() -> None:
    """1,024 terms of the comparison ring fill 64 bits; -1 added n times is -n."""
    running, term = RunningSum(COMPARISON), largest(COMPARISON)
    for n in range(1, 2600):
        running.add(term)
        if n in (1022, 1023, 1024, 1025, 2047, 2048, 2599):
            expected = np.array(COMPARISON.data_primes, dtype=np.uint64) - np.uint64(n)
            assert (running.total().words == expected[None, :, None]).all()


def test_overflow_is_averted_without_looking_at_the_sum_in_between() -> None:
    running, term = RunningSum(COMPARISON), largest(COMPARISON)
    for _ in range(5000):
        running.add(term)
    expected = np.array(COMPARISON.data_primes, dtype=np.uint64) - np.uint64(5000)
    assert (running.total().words == expected[None, :, None]).all()


def test_terms_of_another_ring_or_level_are_refused() -> None:
    with pytest.raises(OutOfRange):
        RunningSum(ORDER).add(largest(COMPARISON))
    with pytest.raises(OutOfRange):
        RunningSum(ORDER, 2).add(largest(ORDER))
    assert not RunningSum(ORDER, 2).total().words.any()
