import numpy as np
import pytest

from crypto.bfv.aggregation import AggregateSum
from crypto.bfv.ciphertext import Ciphertext, zero
from crypto.bfv.encryption import encrypt_slots
from crypto.ring.params import TEST_INSECURE_SMALL, RingParameters
from tests.support.epochs import Epoch

ORDER, COMPARISON = TEST_INSECURE_SMALL.order_ring, TEST_INSECURE_SMALL.comparison_ring


def largest(ring: RingParameters) -> Ciphertext:
    """Every word one below its prime: the first to overflow."""
    words = np.empty((2, len(ring.data_primes), ring.degree), dtype=np.uint64)
    words[:] = np.array(ring.data_primes, dtype=np.uint64)[None, :, None] - np.uint64(1)
    return Ciphertext(ring, words)


@pytest.mark.parametrize("ring", [ORDER, COMPARISON], ids=lambda ring: str(ring.name))
def test_a_running_sum_is_the_sum(ring: RingParameters) -> None:
    draw = np.random.default_rng(1)
    primes = np.array(ring.data_primes)[None, :, None]
    running, expected = AggregateSum(ring), zero(ring)
    for _ in range(20):
        words = draw.integers(0, primes, (2, len(ring.data_primes), ring.degree))
        term = Ciphertext(ring, words.astype(np.uint64))
        running.add(term)
        expected = expected.add(term)
        assert np.array_equal(running.ciphertext().words, expected.words)


def test_sums_are_reduced_before_64_bits_are_full() -> None:
    """The primes of the comparison ring have 54 bits; -1 added n times is -n."""
    running, term = AggregateSum(COMPARISON), largest(COMPARISON)
    count = 3 * (2**64 // max(COMPARISON.data_primes)) + 5
    for _ in range(count):
        running.add(term)
    expected = np.array(COMPARISON.data_primes, dtype=np.uint64) - np.uint64(count)
    assert (running.ciphertext().words == expected[None, :, None]).all()


def test_a_running_sum_decrypts_to_the_sum_of_the_slots(small: Epoch) -> None:
    draw, t = np.random.default_rng(2), ORDER.plain_modulus
    running, expected = AggregateSum(ORDER), np.zeros(ORDER.degree, dtype=np.int64)
    for k in range(100):
        values = draw.integers(0, t, ORDER.degree)
        running.add(encrypt_slots(small.material.order_keys.public, values, k.to_bytes(32, "big")))
        expected = (expected + values) % t
    assert np.array_equal(small.oracle(ORDER).slots(running.ciphertext()), expected)


def test_what_is_removed_was_never_there(small: Epoch) -> None:
    """To the byte, in any order, also a ciphertext with words that are zero or the largest."""
    key, draw = small.material.order_keys.public, np.random.default_rng(3)
    values = draw.integers(0, ORDER.plain_modulus, (6, ORDER.degree))
    terms = [encrypt_slots(key, v, k.to_bytes(32, "big")) for k, v in enumerate(values)]
    terms += [largest(ORDER), zero(ORDER)]
    running, expected = AggregateSum(ORDER), AggregateSum(ORDER)
    for term in terms:
        running.add(term)
    for number in (6, 1, 7, 4):
        running.remove(terms[number])
    for number in (0, 2, 3, 5):
        expected.add(terms[number])
    assert running.ciphertext().digest() == expected.ciphertext().digest()
    found = small.oracle(ORDER).slots(running.ciphertext())
    assert np.array_equal(found, values[[0, 2, 3, 5]].sum(axis=0) % ORDER.plain_modulus)


def test_removals_count_too() -> None:
    """Words of zero are taken out as the prime itself, the largest that is ever added."""
    running, term = AggregateSum(COMPARISON), zero(COMPARISON)
    for _ in range(2 * (2**64 // max(COMPARISON.data_primes)) + 5):
        running.remove(term)
    assert not running.ciphertext().words.any()
