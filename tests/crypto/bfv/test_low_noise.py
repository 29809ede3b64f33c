from math import log2, prod

import numpy as np
import numpy.typing as npt
import pytest

from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.low_noise import encrypt_low_noise
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL, RingParameters
from tests.support.epochs import Epoch

RINGS = [
    ring
    for parameters in (TEST_INSECURE_SMALL, STANDARD)
    for ring in (parameters.order_ring, parameters.comparison_ring)
]
SEED = bytes(range(32))


def epoch_of(ring: RingParameters, small: Epoch, standard: Epoch) -> Epoch:
    return standard if ring.secure else small


def values_of(ring: RingParameters) -> npt.NDArray[np.int64]:
    return np.random.default_rng(1).integers(0, ring.plain_modulus, ring.degree)


@pytest.mark.parametrize("ring", RINGS, ids=lambda ring: ring.name)
def test_decrypts_at_every_level_with_noise_below_the_bound(
    small: Epoch, standard: Epoch, ring: RingParameters
) -> None:
    epoch, values = epoch_of(ring, small, standard), values_of(ring)
    oracle, key = epoch.oracle(ring), epoch.ring_keys(ring).public
    for level in (1, 2, len(ring.data_primes)):
        ciphertext = encrypt_low_noise(key, values, SEED, level)
        assert ciphertext.level == level
        assert np.array_equal(oracle.slots(ciphertext), values)
        # SEAL's budget is log2(q / 2t) less the bits of the noise, t's own rounding included.
        room = log2(prod(ring.data_primes[:level])) - log2(2 * ring.plain_modulus)
        noise = room - oracle.budget(ciphertext)
        assert noise <= 10, f"noise of {noise} bits at level {level}"


@pytest.mark.parametrize("ring", RINGS[2:], ids=lambda ring: ring.name)
def test_is_less_noisy_than_sealing(standard: Epoch, ring: RingParameters) -> None:
    oracle, key = standard.oracle(ring), standard.ring_keys(ring).public
    fresh = oracle.budget(encrypt_slots(key, values_of(ring), SEED))
    assert oracle.budget(encrypt_low_noise(key, values_of(ring), SEED)) >= fresh + 3


def test_the_bytes_follow_from_key_values_and_seed_alone(small: Epoch) -> None:
    ring = TEST_INSECURE_SMALL.order_ring
    key, values = small.ring_keys(ring).public, values_of(ring)
    first = encrypt_low_noise(key, values, SEED)
    assert encrypt_low_noise(key, values.copy(), SEED).digest() == first.digest()
    other = encrypt_low_noise(key, values, SEED[::-1])
    assert not np.array_equal(other.words[1], first.words[1])
    moved = encrypt_low_noise(key, np.roll(values, 1), SEED)
    assert moved.digest() != first.digest()


def test_its_randomness_is_not_that_of_sealing_under_the_same_seed(small: Epoch) -> None:
    """Were it the same, the two ciphertexts' second parts would agree up to a little noise."""
    ring = TEST_INSECURE_SMALL.order_ring
    key, values = small.ring_keys(ring).public, values_of(ring)
    low, usual = encrypt_low_noise(key, values, SEED), encrypt_slots(key, values, SEED)
    prime = np.uint64(ring.data_primes[0])
    gap = usual.basis.subtract(usual.words[1], low.words[1])[0]
    assert np.minimum(gap, prime - gap).max() > prime // 4
