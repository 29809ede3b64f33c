import numpy as np
import pytest
import tenseal.sealapi as sealapi
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.seal import seal_ring
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL, RingParameters
from crypto.ring.ring import Words, bit_reversal, rns_basis

RINGS = [
    ring
    for parameters in (STANDARD, TEST_INSECURE_SMALL)
    for ring in (parameters.order_ring, parameters.comparison_ring)
]
MODULI = (*STANDARD.order_ring.key_primes, *STANDARD.comparison_ring.key_primes, 67043329, 65537)
SMALL_DEGREE = 16
seeds = st.integers(0, 2**32 - 1)


def _residues(shape: tuple[int, ...], moduli: tuple[int, ...], seed: int) -> Words:
    """Uniform residues, a quarter of them replaced by 0, 1 and p - 1."""
    random = np.random.default_rng(seed)
    primes = np.array(moduli, dtype=np.uint64)[:, None]
    values = random.integers(0, 1 << 63, shape, dtype=np.uint64) % primes
    kinds = random.integers(0, 12, shape)
    return np.select(
        [kinds == k for k in range(3)], [0 * values, 0 * values + 1, primes - 1], values
    )


def _schoolbook(a: list[int], b: list[int], prime: int) -> list[int]:
    size = len(a)
    out = [0] * size
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            sign = 1 if i + j < size else -1
            out[(i + j) % size] += sign * x * y
    return [value % prime for value in out]


@settings(max_examples=25)
@given(seeds)
def test_product_is_the_schoolbook_negacyclic_product(seed: int) -> None:
    basis = rns_basis(SMALL_DEGREE, MODULI)
    a, b = (_residues((len(MODULI), SMALL_DEGREE), MODULI, seed + k) for k in range(2))
    product = basis.inverse(basis.multiply(basis.forward(a.copy()), basis.forward(b.copy())))
    for k, prime in enumerate(MODULI):
        assert product[k].tolist() == _schoolbook(a[k].tolist(), b[k].tolist(), prime)


def test_slot_i_holds_the_value_at_the_documented_root() -> None:
    prime = MODULI[0]
    order = 2 * SMALL_DEGREE
    roots = [
        x
        for x in (pow(g, (prime - 1) // order, prime) for g in range(2, 200))
        if pow(x, SMALL_DEGREE, prime) == prime - 1
    ]
    psi = min(pow(roots[0], k, prime) for k in range(1, order, 2))
    a = _residues((1, SMALL_DEGREE), (prime,), 3)
    coefficients = a[0].tolist()
    spectrum = rns_basis(SMALL_DEGREE, (prime,)).forward(a)[0].tolist()
    for i, reverse in enumerate(bit_reversal(SMALL_DEGREE).tolist()):
        point = pow(psi, 2 * reverse + 1, prime)
        value = sum(c * pow(point, e, prime) for e, c in enumerate(coefficients)) % prime
        assert spectrum[i] == value


@pytest.mark.parametrize("ring", RINGS, ids=lambda ring: ring.name)
def test_forward_and_inverse_undo_each_other(ring: RingParameters) -> None:
    basis = rns_basis(ring.degree, ring.key_primes)
    for kind in range(4):
        a = _residues((2, len(ring.key_primes), ring.degree), ring.key_primes, kind)
        if kind == 1:
            a[:] = np.array(ring.key_primes, dtype=np.uint64)[:, None] - np.uint64(1)
        if kind == 2:
            a[:] = 0
        spectrum = basis.forward(a.copy())
        assert (spectrum < basis.primes[:, None]).all()
        assert np.array_equal(basis.inverse(spectrum.copy()), a)
        assert np.array_equal(basis.forward(basis.inverse(a.copy())), a)


@pytest.mark.parametrize("ring", RINGS, ids=lambda ring: ring.name)
def test_transform_is_the_one_of_seal(ring: RingParameters) -> None:
    moduli = ring.data_primes
    words = _residues((2, len(moduli), ring.degree), moduli, 5)
    spectrum = rns_basis(ring.degree, moduli).forward(words.copy())
    environment = seal_ring(ring)
    handle = environment.to_seal(Ciphertext(ring, spectrum), transformed=True)
    sealapi.Evaluator(environment.context).transform_from_ntt_inplace(handle)
    assert np.array_equal(environment.from_seal(handle).words, words)


@settings(max_examples=20)
@given(seeds)
def test_sums_and_products_are_those_of_the_integers(seed: int) -> None:
    basis = rns_basis(SMALL_DEGREE, MODULI)
    a, b = (_residues((len(MODULI), SMALL_DEGREE), MODULI, seed + k) for k in range(2))
    for k, prime in enumerate(MODULI):
        pairs = list(zip(a[k].tolist(), b[k].tolist(), strict=True))
        assert basis.add(a, b)[k].tolist() == [(x + y) % prime for x, y in pairs]
        assert basis.subtract(a, b)[k].tolist() == [(x - y) % prime for x, y in pairs]
        assert basis.multiply(a, b)[k].tolist() == [x * y % prime for x, y in pairs]


def test_sums_of_ciphertexts_are_component_by_component() -> None:
    basis = rns_basis(SMALL_DEGREE, MODULI)
    a, b = (_residues((2, len(MODULI), SMALL_DEGREE), MODULI, k) for k in range(2))
    assert np.array_equal(basis.add(a, b), np.stack([basis.add(a[c], b[c]) for c in range(2)]))
    assert np.array_equal(basis.subtract(basis.add(a, b), b), a)


@pytest.mark.parametrize("terms", [1, 2, 1023, 1024])
def test_weighted_sum_is_exact_up_to_its_documented_length(terms: int) -> None:
    basis = rns_basis(SMALL_DEGREE, MODULI)
    weights = _residues((terms, len(MODULI), SMALL_DEGREE), MODULI, terms)
    values = _residues((terms * 2, len(MODULI), SMALL_DEGREE), MODULI, terms + 1)
    values = values.reshape(terms, 2, len(MODULI), SMALL_DEGREE)
    largest = (basis.primes - np.uint64(1))[:, None]
    weights[..., :4] = largest
    values[..., :4] = largest
    got = basis.weighted_sum(weights, values)
    exact = (weights.astype(object)[:, None] * values.astype(object)).sum(axis=0)
    assert (got == exact % np.array(MODULI, dtype=object)[:, None]).all()


@given(st.lists(st.integers(-(2**62), 2**62), min_size=SMALL_DEGREE, max_size=SMALL_DEGREE))
def test_reduce_signed(values: list[int]) -> None:
    got = rns_basis(SMALL_DEGREE, MODULI).reduce_signed(np.array(values, dtype=np.int64))
    assert got.tolist() == [[value % prime for value in values] for prime in MODULI]


def test_prefix_is_the_basis_of_the_first_primes() -> None:
    assert rns_basis(SMALL_DEGREE, MODULI).prefix(3) is rns_basis(SMALL_DEGREE, MODULI[:3])


def test_a_prime_without_the_roots_is_refused() -> None:
    with pytest.raises(ValueError, match="congruent 1 modulo 32"):
        rns_basis(SMALL_DEGREE, (1_000_003,))
