from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.bfv.ciphertext import Ciphertext, level_basis
from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.seal import Evaluator
from crypto.errors import OutOfRange
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL, RingParameters
from crypto.ring.slots import column_element, decode, encode, lift, rotation_element
from crypto.threshold.keys import RingKeys
from tests.support.epochs import Epoch

SMALL_RINGS = [TEST_INSECURE_SMALL.order_ring, TEST_INSECURE_SMALL.comparison_ring]
ALL_RINGS = [*SMALL_RINGS, STANDARD.order_ring, STANDARD.comparison_ring]
EvaluatorOf = Callable[[RingKeys], Evaluator]


def _vector(ring: RingParameters, seed: int) -> npt.NDArray[np.int64]:
    values = np.random.default_rng(seed).integers(0, ring.plain_modulus, ring.degree)
    values[:4] = [0, 1, ring.plain_modulus - 1, ring.plain_modulus // 2]
    return values


@pytest.mark.parametrize("ring", ALL_RINGS, ids=lambda ring: ring.name)
def test_decode_undoes_encode(ring: RingParameters) -> None:
    values = _vector(ring, 1)
    assert np.array_equal(decode(ring, encode(ring, values)), values)


@given(st.integers(-(2**62), 2**62))
def test_values_are_taken_modulo_t(value: int) -> None:
    ring = TEST_INSECURE_SMALL.order_ring
    values = np.full(ring.degree, value, dtype=np.int64)
    assert (decode(ring, encode(ring, values)) == value % ring.plain_modulus).all()


@pytest.mark.parametrize("shape", [(0,), (511,), (513,), (2, 256)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(OutOfRange) as caught:
        encode(TEST_INSECURE_SMALL.order_ring, np.zeros(shape, dtype=np.int64))
    assert (caught.value.expected, caught.value.got) == ((512,), shape)


@pytest.mark.parametrize("ring", SMALL_RINGS, ids=lambda ring: ring.name)
def test_slot_order_is_that_of_seals_encoder(small: Epoch, ring: RingParameters) -> None:
    values = _vector(ring, 2)
    ciphertext = encrypt_slots(small.ring_keys(ring).public, values, bytes(32))
    assert np.array_equal(small.oracle(ring).slots(ciphertext), values)


@pytest.mark.parametrize("ring", SMALL_RINGS, ids=lambda ring: ring.name)
def test_galois_elements_rotate_rows_and_swap_them(
    small: Epoch, evaluator_of: EvaluatorOf, ring: RingParameters
) -> None:
    keys = small.ring_keys(ring)
    evaluator, oracle = evaluator_of(keys), small.oracle(ring)
    values = _vector(ring, 3)
    rows = values.reshape(2, ring.row)
    handle = evaluator.load(encrypt_slots(keys.public, values, bytes(32)))
    steps = [1, 2, ring.row // 2, -1]
    for step in steps:
        rotated = evaluator.apply_galois(handle, rotation_element(ring.degree, step))
        expected = np.roll(rows, -step, axis=1).reshape(-1)
        assert np.array_equal(oracle.slots(evaluator.store(rotated)), expected)
    swapped = evaluator.apply_galois(handle, column_element(ring.degree))
    assert np.array_equal(oracle.slots(evaluator.store(swapped)), rows[::-1].reshape(-1))


@pytest.mark.parametrize("ring", SMALL_RINGS, ids=lambda ring: ring.name)
def test_rotation_elements_compose(ring: RingParameters) -> None:
    order = 2 * ring.degree
    for a, b in [(1, 2), (5, -5), (ring.row - 1, 1), (-3, ring.row + 3)]:
        product = rotation_element(ring.degree, a) * rotation_element(ring.degree, b) % order
        assert product == rotation_element(ring.degree, a + b)


@pytest.mark.parametrize("level", [2, 3, 4])
def test_lifted_plaintexts_multiply_slot_by_slot(
    small: Epoch, evaluator_of: EvaluatorOf, level: int
) -> None:
    ring = small.parameters.order_ring
    evaluator = evaluator_of(small.material.order_keys)
    values = _vector(ring, level)
    weights = np.stack([_vector(ring, level + k) for k in (10, 20, 30)])
    weights[1] -= ring.plain_modulus  # negative representatives
    weights[2] = 3 * ring.plain_modulus + weights[2]
    fresh = encrypt_slots(small.material.order_keys.public, values, bytes(32))
    lower = evaluator.store(evaluator.switch_to(evaluator.load(fresh), level))
    basis = level_basis(ring, level)
    spectrum = basis.forward(lower.words.copy())
    oracle = small.oracle(ring)
    for weight, operand in zip(weights, lift(ring, weights, level), strict=True):
        product = np.stack([basis.inverse(basis.multiply(spectrum[c], operand)) for c in range(2)])
        expected = values * (weight % ring.plain_modulus) % ring.plain_modulus
        assert np.array_equal(oracle.slots(Ciphertext(ring, product)), expected)


@pytest.mark.parametrize("ring", ALL_RINGS, ids=lambda ring: ring.name)
def test_lifted_coefficients_are_the_smallest_representatives(ring: RingParameters) -> None:
    basis = level_basis(ring, 2)
    vectors = np.stack([_vector(ring, k) for k in (1, 2)])
    t = ring.plain_modulus
    for vector, operand in zip(vectors, lift(ring, vectors, 2), strict=True):
        coefficients = encode(ring, vector).astype(np.int64)
        signed = np.where(coefficients > t // 2, coefficients - t, coefficients)
        assert np.array_equal(basis.inverse(operand.copy()), basis.reduce_signed(signed))
