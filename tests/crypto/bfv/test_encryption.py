from collections.abc import Callable
from itertools import combinations
from math import prod

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import labels
from crypto.bfv.ciphertext import Ciphertext, to_wire
from crypto.bfv.encryption import PublicKey, add_plain, encrypt, encrypt_slots, encrypt_sum
from crypto.bfv.seal import Evaluator
from crypto.ring.params import RingParameters
from crypto.ring.ring import Words, rns_basis
from crypto.ring.sampling import binomial, stream, ternary, uniform
from crypto.ring.slots import encode
from crypto.threshold.keys import RingKeys
from tests.support.epochs import Epoch

EvaluatorOf = Callable[[RingKeys], Evaluator]
SEED = bytes(range(32))


def _values(ring: RingParameters, seed: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, ring.plain_modulus, ring.degree)


def _rings(epoch: Epoch) -> tuple[RingParameters, RingParameters]:
    return epoch.parameters.order_ring, epoch.parameters.comparison_ring


def _seed(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _negacyclic(a: list[int], b: list[int]) -> list[int]:
    """Product of integer polynomials modulo X^n + 1, by packing them into one large integer."""
    width, size = 512, len(a)
    pack = [sum(x << width * i for i, x in enumerate(poly)) for poly in (a, b)]
    product = pack[0] * pack[1]
    half = 1 << (width - 1)
    digits = []
    for _ in range(2 * size):
        digit = (product + half) % (1 << width) - half
        digits.append(digit)
        product = (product - digit) >> width
    return [digits[i] - digits[i + size] for i in range(size)]


def _integers(words: Words, moduli: tuple[int, ...]) -> list[int]:
    """Chinese remainder representatives in [0, q)."""
    q = prod(moduli)
    weights = [q // p * pow(q // p, -1, p) for p in moduli]
    return [sum(int(x) * w for x, w in zip(column, weights, strict=True)) % q for column in words.T]


def _reference(key: PublicKey, message: Words, seed: bytes) -> Words:
    """The encryption as its specification says, on Python's integers."""
    ring = key.ring
    moduli, t = ring.data_primes, ring.plain_modulus
    q, level = prod(moduli), len(moduli)
    basis = rns_basis(ring.degree, moduli)
    u = ternary(seed, labels.ENCRYPTION + b"/u", ring.degree).tolist()
    out = np.empty((2, level, ring.degree), dtype=np.uint64)
    for c, tag in enumerate((b"/e0", b"/e1")):
        errors = binomial(seed, labels.ENCRYPTION + tag, ring.degree).tolist()
        half = basis.inverse(key.words[c, :level].copy())
        product = _negacyclic(_integers(half, moduli), u)
        scaled = [(q * int(m) + (t + 1) // 2) // t if c == 0 else 0 for m in message]
        total = [sum(terms) % q for terms in zip(product, errors, scaled, strict=True)]
        out[c] = [[x % p for x in total] for p in moduli]
    return out


def _noise(epoch: Epoch, ciphertext: Ciphertext, message: Words) -> list[int]:
    """Centred c0 + c1 s - round(q m / t)."""
    ring, basis = ciphertext.ring, ciphertext.basis
    q, t = prod(basis.moduli), ring.plain_modulus
    secret = epoch.secret(ring)[: ciphertext.level].copy()
    product = basis.inverse(basis.multiply(basis.forward(ciphertext.words[1].copy()), secret))
    phase = _integers(basis.add(ciphertext.words[0], product), basis.moduli)
    scaled = [(q * int(m) + (t + 1) // 2) // t for m in message]
    return [(x - y + q // 2) % q - q // 2 for x, y in zip(phase, scaled, strict=True)]


def test_equals_its_specification_on_python_integers(small: Epoch) -> None:
    for ring in _rings(small):
        message = encode(ring, _values(ring, 1))
        message[:3] = [0, ring.plain_modulus - 1, ring.plain_modulus // 2]
        key = small.ring_keys(ring).public
        assert np.array_equal(encrypt(key, message, SEED).words, _reference(key, message, SEED))


def test_frozen_ciphertext(small: Epoch) -> None:
    ring = small.parameters.order_ring
    shape = (2, len(ring.key_primes))
    words = np.empty((*shape, ring.degree), dtype=np.uint64)
    for c, k in np.ndindex(shape):
        octets = stream(SEED, bytes([c, k]), 8 * ring.degree)
        words[c, k] = octets.view("<u8") % np.uint64(ring.key_primes[k])
    message = uniform(SEED, b"message", ring.plain_modulus, ring.degree).astype(np.uint64)
    digest = encrypt(PublicKey(ring, words), message, SEED).digest().hex()
    assert digest == "7f04ac9e6af93000f0af74cc19e410a8db4cc13510cf2a0a991febb26ab65567"


def test_same_seed_same_bytes_other_seed_other_bytes(small: Epoch) -> None:
    ring = small.parameters.order_ring
    key, values = small.material.order_keys.public, _values(ring, 2)
    first = encrypt_slots(key, values, SEED)
    assert to_wire(encrypt_slots(key, values, SEED)) == to_wire(first)
    others = [encrypt_slots(key, values, _seed(k)).words for k in range(4)]
    for a, b in combinations([first.words, *others], 2):
        assert (a != b).mean() > 0.999


def test_no_holder_of_a_public_key_changes_it(small: Epoch) -> None:
    ring, words = small.parameters.order_ring, small.material.order_keys.public.words.copy()
    key = PublicKey(ring, words)
    words[...] = 0
    assert np.array_equal(key.words, small.material.order_keys.public.words)
    with pytest.raises(ValueError, match="WRITEABLE"):
        key.words.setflags(write=True)


def test_the_public_key_enters_both_components(small: Epoch) -> None:
    ring = small.parameters.order_ring
    key, values = small.material.order_keys.public, _values(ring, 2)
    for component in (0, 1):
        words = key.words.copy()
        words[component, 0, 5] ^= np.uint64(1)
        changed = encrypt_slots(PublicKey(ring, words), values, SEED).words
        same = encrypt_slots(key, values, SEED).words
        assert [bool((changed[c] != same[c]).any()) for c in (0, 1)] == [
            component == 0,
            component == 1,
        ]


def test_seal_decrypts_standard_with_the_documented_budget(standard: Epoch) -> None:
    for ring, expected in zip(_rings(standard), (135, 349), strict=True):
        values = _values(ring, 3)
        ciphertext = encrypt_slots(standard.ring_keys(ring).public, values, SEED)
        oracle = standard.oracle(ring)
        assert np.array_equal(oracle.slots(ciphertext), values)
        assert abs(oracle.budget(ciphertext) - expected) <= 1


def test_seal_computes_on_it(small: Epoch, evaluator_of: EvaluatorOf) -> None:
    for ring in _rings(small):
        keys, t = small.ring_keys(ring), ring.plain_modulus
        evaluator, oracle = evaluator_of(keys), small.oracle(ring)
        a, b = _values(ring, 4), _values(ring, 5)
        x, y = (
            evaluator.load(encrypt_slots(keys.public, v, _seed(k))) for k, v in enumerate((a, b))
        )
        results = {
            "product": (evaluator.multiply(x, y), a * b),
            "late": (evaluator.relinearise(evaluator.multiply_only(x, y)), a * b),
            "sum": (evaluator.add(x, y), a + b),
            "difference": (evaluator.subtract(x, y), a - b),
            "negated": (evaluator.negate(x), -a),
            "lower": (evaluator.switch_to(x, 2), a),
        }
        for name, (handle, expected) in results.items():
            got = oracle.slots(evaluator.store(handle))
            assert np.array_equal(got, expected % t), name


def test_sums_and_differences_without_seal(small: Epoch) -> None:
    ring = small.parameters.order_ring
    key, t = small.material.order_keys.public, ring.plain_modulus
    a, b = _values(ring, 6), _values(ring, 7)
    x, y = encrypt_slots(key, a, _seed(1)), encrypt_slots(key, b, _seed(2))
    oracle = small.oracle(ring)
    assert np.array_equal(oracle.slots(x.add(y)), (a + b) % t)
    assert np.array_equal(oracle.slots(x.subtract(y)), (a - b) % t)


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.integers(1, 9))
def test_encrypted_sum_equals_the_sum_of_encryptions(small: Epoch, start: int, count: int) -> None:
    for ring in _rings(small):
        key = small.ring_keys(ring).public
        terms = [(encode(ring, _values(ring, start + k)), _seed(start + k)) for k in range(count)]
        total = encrypt(key, *terms[0])
        for message, seed in terms[1:]:
            total = total.add(encrypt(key, message, seed))
        assert np.array_equal(encrypt_sum(key, terms).words, total.words)


def test_encrypted_sum_is_exact_at_its_documented_length(small: Epoch) -> None:
    ring = small.parameters.order_ring
    key = small.material.order_keys.public
    largest = np.full(ring.degree, ring.plain_modulus - 1, dtype=np.uint64)
    terms = [(largest, _seed(k)) for k in range(1 << 10)]
    words = np.zeros((2, len(ring.data_primes), ring.degree), dtype=np.uint64)
    total = Ciphertext(ring, words)
    for message, seed in terms:
        total = total.add(encrypt(key, message, seed))
    assert np.array_equal(encrypt_sum(key, terms).words, total.words)


def test_adding_a_plaintext_adds_its_slots_and_no_noise(small: Epoch) -> None:
    for ring in _rings(small):
        key, t, oracle = small.ring_keys(ring).public, ring.plain_modulus, small.oracle(ring)
        a, b = _values(ring, 8), _values(ring, 9)
        fresh = encrypt_slots(key, a, SEED)
        total = add_plain(fresh, encode(ring, b))
        assert np.array_equal(oracle.slots(total), (a + b) % t)
        assert np.array_equal(total.words[1], fresh.words[1])
        assert np.array_equal(fresh.words, encrypt_slots(key, a, SEED).words)
        assert oracle.budget(fresh) - oracle.budget(total) <= 1


def test_noise_has_the_variance_of_its_parts(standard: Epoch) -> None:
    ring = standard.parameters.order_ring
    message = encode(ring, _values(ring, 10))
    noise = np.array(
        _noise(standard, encrypt(standard.material.order_keys.public, message, SEED), message),
        dtype=np.float64,
    )
    # e u of the public key (clipped Gaussian of deviation 3.2), e0, and e1 s with s a sum of four
    # ternary polynomials; u, s, and the key's error are themselves one draw each: 15 percent.
    expected = 3.2**2 * ring.degree * 2 / 3 + 10.5 + 10.5 * ring.degree * 4 * 2 / 3
    assert abs(noise.var() / expected - 1) < 0.15
    assert abs(noise.mean()) < 6 * np.sqrt(expected / ring.degree)
    assert np.abs(noise).max() < 2**13


def test_noise_of_a_zero_seed_is_not_zero(small: Epoch) -> None:
    ring = small.parameters.order_ring
    message = encode(ring, _values(ring, 11))
    noise = _noise(small, encrypt(small.material.order_keys.public, message, bytes(32)), message)
    assert len(set(noise)) > ring.degree // 4
