"""Encryption against frozen vectors; the script at the end makes them anew."""

import hashlib
import json
import sys
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import labels
from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.encryption import PublicKey, add_plain, encrypt, encrypt_slots, encrypt_sum
from crypto.ring import slots
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL, ParameterSet, RingParameters
from crypto.ring.sampling import binomial, ternary, uniform
from crypto.threshold.decryption import combine_shares, decryption_share
from crypto.threshold.keys import deal
from crypto.threshold.replicated import Committee

VECTORS = Path(__file__).parents[1] / "vectors" / "encryption.json"
RINGS = {
    ring.name: ring
    for parameters in (STANDARD, TEST_INSECURE_SMALL)
    for ring in (parameters.order_ring, parameters.comparison_ring)
}
KEY_STREAM = b"darkpool test vector: public key"


def vector_key(ring: RingParameters) -> PublicKey:
    """A public key for byte comparisons: SHAKE256 of a name, as words modulo each prime."""
    shape = (2, len(ring.key_primes), ring.degree)
    stream = hashlib.shake_256(KEY_STREAM + b" " + ring.name.encode())
    words = np.frombuffer(stream.digest(8 * int(np.prod(shape))), "<u8").reshape(shape)
    primes = np.array(ring.key_primes, dtype=np.uint64)[None, :, None]
    return PublicKey(ring, words.astype(np.uint64) % primes)


def sha256(array: npt.NDArray[np.generic], kind: str) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).astype(kind).tobytes()).hexdigest()


def vector_of(ring: RingParameters, number: int) -> dict[str, Any]:
    seed = hashlib.sha256(f"darkpool test vector: seed {number}".encode()).digest()
    if number == 0:
        plaintext = np.zeros(ring.degree, dtype=np.int64)
    else:
        plaintext = uniform(
            seed, b"darkpool test vector: plaintext", ring.plain_modulus, ring.degree
        )
    coefficients = slots.encode(ring, plaintext)
    u = ternary(seed, labels.ENCRYPTION + b"/u", ring.degree)
    e0 = binomial(seed, labels.ENCRYPTION + b"/e0", ring.degree)
    e1 = binomial(seed, labels.ENCRYPTION + b"/e1", ring.degree)
    ciphertext = encrypt_slots(vector_key(ring), plaintext, seed)
    return {
        "ring": ring.name,
        "seed": seed.hex(),
        "slots_first": plaintext[:4].tolist(),
        "slots_sha256": sha256(plaintext, "<i8"),
        "coefficients_first": coefficients[:4].tolist(),
        "coefficients_sha256": sha256(coefficients, "<u8"),
        "u_first": u[:16].tolist(),
        "u_sha256": sha256(u, "<i8"),
        "e0_first": e0[:16].tolist(),
        "e0_sha256": sha256(e0, "<i8"),
        "e1_first": e1[:16].tolist(),
        "e1_sha256": sha256(e1, "<i8"),
        "c0_first": ciphertext.words[0, :, 0].tolist(),
        "c1_first": ciphertext.words[1, :, 0].tolist(),
        "digest": ciphertext.digest().hex(),
    }


def frozen() -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads(VECTORS.read_text())["vectors"]
    return vectors


@pytest.mark.parametrize("index", range(2 * len(RINGS)))
def test_the_bytes_are_those_of_the_frozen_vector(index: int) -> None:
    expected = frozen()[index]
    assert vector_of(RINGS[expected["ring"]], index % 2) == expected


def decrypt(ciphertext: Ciphertext, seeds: dict[int, bytes]) -> npt.NDArray[np.int64]:
    shares = [decryption_share(ciphertext, 0, seeds[j]) for j in sorted(seeds)]
    decoded = combine_shares(ciphertext, shares, len(seeds))
    return slots.decode(ciphertext.ring, decoded.coefficients)


@pytest.mark.parametrize("parameters", [TEST_INSECURE_SMALL, STANDARD], ids=lambda p: str(p.name))
def test_a_sum_of_encryptions_decrypts_to_the_sum(parameters: ParameterSet) -> None:
    material, held = deal(parameters, Committee(3, 0))
    seeds = {**held[0].seeds, **held[1].seeds}
    for keys in (material.order_keys, material.comparison_keys):
        ring = keys.public.ring
        vectors = [uniform(bytes(32), b"%d" % i, ring.plain_modulus, ring.degree) for i in range(4)]
        terms = [(slots.encode(ring, v), bytes([i]) * 32) for i, v in enumerate(vectors)]
        total = encrypt_sum(keys.public, terms)
        expected = np.sum(vectors, axis=0) % ring.plain_modulus
        assert (decrypt(total, seeds) == expected).all()


@given(count=st.integers(1, 6), data=st.data())
@settings(max_examples=15)
def test_a_sum_is_the_sum_of_its_terms_byte_for_byte(count: int, data: st.DataObject) -> None:
    ring = TEST_INSECURE_SMALL.order_ring
    key = vector_key(ring)
    terms = []
    for _ in range(count):
        seed = data.draw(st.binary(min_size=32, max_size=32))
        terms.append((uniform(seed, b"m", ring.plain_modulus, ring.degree).astype(np.uint64), seed))
    one_by_one = encrypt(key, *terms[0])
    for term in terms[1:]:
        one_by_one = one_by_one.add(encrypt(key, *term))
    assert np.array_equal(encrypt_sum(key, terms).words, one_by_one.words)


def test_adding_a_plaintext_rounds_like_encrypting_it() -> None:
    ring = TEST_INSECURE_SMALL.order_ring
    key, seed = vector_key(ring), bytes(32)
    message = np.full(ring.degree, ring.plain_modulus - 1, dtype=np.uint64)
    zero = encrypt(key, np.zeros(ring.degree, dtype=np.uint64), seed)
    assert np.array_equal(add_plain(zero, message).words, encrypt(key, message, seed).words)


def test_encryption_is_the_documented_formula_in_exact_integers() -> None:
    ring = TEST_INSECURE_SMALL.order_ring
    key, seed = vector_key(ring), b"\x07" * 32
    message = uniform(seed, b"m", ring.plain_modulus, ring.degree)
    got = encrypt(key, message.astype(np.uint64), seed)
    u = ternary(seed, labels.ENCRYPTION + b"/u", ring.degree)
    e0 = binomial(seed, labels.ENCRYPTION + b"/e0", ring.degree)
    t, prime = ring.plain_modulus, ring.data_primes[0]
    modulus = prod(ring.data_primes)
    quotient, rest = divmod(modulus, t)
    basis = got.basis
    b = basis.inverse(key.words[0, : got.level].copy())[0]
    product = [0] * ring.degree
    for i, x in enumerate(b.tolist()):
        for j in np.flatnonzero(u).tolist():
            k = i + j
            sign = -1 if k >= ring.degree else 1
            product[k % ring.degree] += sign * x * int(u[j])
    expected = [
        (product[i] + int(e0[i]) + quotient * m + (rest * m + (t + 1) // 2) // t) % prime
        for i, m in enumerate(message.tolist())
    ]
    assert got.words[0, 0].tolist() == expected


if __name__ == "__main__":
    document = {
        "specification": "docs/protocol/encryption.md",
        "public_key": f"SHAKE256('{KEY_STREAM.decode()} ' || ring name), words mod each prime",
        "vectors": [vector_of(ring, number) for ring in RINGS.values() for number in (0, 1)],
    }
    VECTORS.parent.mkdir(exist_ok=True)
    VECTORS.write_text(json.dumps(document, indent=1) + "\n")
    sys.stdout.write(f"{VECTORS}\n")
