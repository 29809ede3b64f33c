import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.products import add_slots, coefficient_form, product, sum_of_products, transformed
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL, RingParameters
from tests.support.epochs import Epoch

SMALL_RINGS = [TEST_INSECURE_SMALL.order_ring, TEST_INSECURE_SMALL.comparison_ring]
SEED = bytes(range(32))


def drawn(ring: RingParameters, seed: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, ring.plain_modulus, ring.degree)


def sealed(epoch: Epoch, ring: RingParameters, values: npt.NDArray[np.int64]) -> Ciphertext:
    return encrypt_slots(epoch.ring_keys(ring).public, values, SEED)


@pytest.mark.parametrize("ring", SMALL_RINGS, ids=lambda ring: ring.name)
def test_the_transform_form_of_a_ciphertext_goes_back_to_it(
    small: Epoch, ring: RingParameters
) -> None:
    ciphertext = sealed(small, ring, drawn(ring, 1))
    back = coefficient_form(ring, transformed(ciphertext))
    assert back.digest() == ciphertext.digest()


@pytest.mark.parametrize("ring", SMALL_RINGS, ids=lambda ring: ring.name)
def test_sums_of_products_are_those_of_the_slots(small: Epoch, ring: RingParameters) -> None:
    oracle, t = small.oracle(ring), ring.plain_modulus
    values = [drawn(ring, 10 + k) for k in range(3)]
    weights = [drawn(ring, 20), -drawn(ring, 21), np.arange(ring.degree) % 2]
    terms = [(sealed(small, ring, v), w) for v, w in zip(values, weights, strict=True)]
    expected = sum(v * w % t for v, w in zip(values, weights, strict=True)) % t
    assert np.array_equal(oracle.slots(sum_of_products(terms)), expected)


@given(data=st.data())
@settings(max_examples=15)
def test_a_one_hot_product_leaves_that_slot_and_zeros(small: Epoch, data: st.DataObject) -> None:
    ring = data.draw(st.sampled_from(SMALL_RINGS))
    slot = data.draw(st.integers(0, ring.degree - 1))
    values = drawn(ring, 3)
    one_hot = np.zeros(ring.degree, dtype=np.int64)
    one_hot[slot] = 1
    found = small.oracle(ring).slots(product(sealed(small, ring, values), one_hot))
    assert np.array_equal(found, values * one_hot)


@pytest.mark.parametrize("ring", SMALL_RINGS, ids=lambda ring: ring.name)
def test_public_slots_are_added_modulo_t(small: Epoch, ring: RingParameters) -> None:
    values, addend = drawn(ring, 4), drawn(ring, 5) - ring.plain_modulus // 2
    ciphertext = sealed(small, ring, values)
    total = add_slots(ciphertext, addend)
    assert np.array_equal(small.oracle(ring).slots(total), (values + addend) % ring.plain_modulus)
    assert np.array_equal(total.words[1], ciphertext.words[1])


@pytest.mark.parametrize(("kind", "cost"), [("order", 34), ("comparison", 25)])
def test_one_product_costs_the_budget_that_is_written_down(
    standard: Epoch, kind: str, cost: int
) -> None:
    ring = STANDARD.order_ring if kind == "order" else STANDARD.comparison_ring
    oracle, ciphertext = standard.oracle(ring), sealed(standard, ring, drawn(ring, 6))
    before = oracle.budget(ciphertext)
    for weights in (drawn(ring, 7), np.arange(ring.degree) % 2):
        assert before - oracle.budget(product(ciphertext, weights)) <= cost
