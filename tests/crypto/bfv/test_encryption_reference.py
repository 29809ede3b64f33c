"""docs/protocol/encryption.md a second time, in plain integers, compared with `crypto`."""

import hashlib
from itertools import count, islice
from typing import Any

import numpy as np
import pytest

from crypto.bfv.ciphertext import to_wire
from crypto.bfv.encryption import PublicKey, encrypt_slots
from crypto.circuits.curves import CurveLayout
from crypto.ring.params import TEST_INSECURE_SMALL, RingParameters
from crypto.threshold.knowledge import KnowledgeContext, VectorSealing
from crypto.threshold.replicated import Committee

RING = TEST_INSECURE_SMALL.order_ring
Polynomial = list[int]


def absorb(*fields: bytes | int) -> bytes:
    octets = [f.to_bytes(8, "little") if isinstance(f, int) else f for f in fields]
    return b"".join(len(o).to_bytes(8, "little") + o for o in octets)


def kdf(*fields: bytes | int) -> bytes:
    return hashlib.shake_256(absorb(*fields)).digest(32)


def stream(seed: bytes, purpose: bytes) -> bytes:
    return hashlib.shake_256(absorb(purpose, seed)).digest(1 << 16)


def ternary(seed: bytes, purpose: bytes, size: int) -> Polynomial:
    values = ((octet >> shift) & 3 for octet in stream(seed, purpose) for shift in (0, 2, 4, 6))
    return list(islice((v - 1 for v in values if v < 3), size))


def binomial(seed: bytes, purpose: bytes, size: int) -> Polynomial:
    data = stream(seed, purpose)

    def ones(start: int) -> int:
        return (int.from_bytes(data[start : start + 3], "little") % 2**21).bit_count()

    return [ones(6 * i) - ones(6 * i + 3) for i in range(size)]


def uniform(seed: bytes, purpose: bytes, bound: int, size: int) -> Polynomial:
    data = stream(seed, purpose)
    words = (int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4))
    cut = (word % 2 ** bound.bit_length() for word in words)
    return list(islice((value for value in cut if value < bound), size))


def smallest_root(prime: int, degree: int) -> int:
    def order_is_full(x: int) -> bool:
        return pow(x, degree, prime) == prime - 1

    exponent = (prime - 1) // (2 * degree)
    root = next(r for r in (pow(x, exponent, prime) for x in count(2)) if order_is_full(r))
    return min(pow(root, k, prime) for k in range(1, 2 * degree, 2))


def interpolate(values: dict[int, int], prime: int, degree: int) -> Polynomial:
    """Coefficients of the polynomial with given values at powers of the smallest root."""
    root = smallest_root(prime, degree)
    powers = [pow(root, k, prime) for k in range(2 * degree)]
    scale = pow(degree, -1, prime)
    return [
        scale * sum(v * powers[-e * i % (2 * degree)] for e, v in values.items()) % prime
        for i in range(degree)
    ]


def encode(ring: RingParameters, vector: Polynomial) -> Polynomial:
    n, half = ring.degree, ring.degree // 2
    values = {pow(3, i, 2 * n): vector[i] for i in range(half)}
    values |= {-pow(3, i, 2 * n) % (2 * n): vector[half + i] for i in range(half)}
    return interpolate(values, ring.plain_modulus, n)


def bit_reverse(i: int, degree: int) -> int:
    width = degree.bit_length() - 1
    return int(f"{i:0{width}b}"[::-1], 2)


def product_of(a: Polynomial, u: Polynomial, prime: int) -> Polynomial:
    size = len(a)
    out = [0] * size
    for j, factor in enumerate(u):
        if factor:
            shifted = [-x for x in a[size - j :]] + a[: size - j]
            out = [x + factor * y for x, y in zip(out, shifted, strict=True)]
    return [x % prime for x in out]


class Reference:
    """Encryption under one public key, kept as coefficients."""

    def __init__(self, key: PublicKey) -> None:
        self.ring = ring = key.ring
        n = ring.degree
        exponents = [2 * bit_reverse(i, n) + 1 for i in range(n)]
        self.key = [
            [
                interpolate(dict(zip(exponents, key.words[c, k].tolist(), strict=True)), prime, n)
                for k, prime in enumerate(ring.data_primes)
            ]
            for c in (0, 1)
        ]

    def encrypt(self, vector: Polynomial, seed: bytes) -> list[list[Polynomial]]:
        ring, label = self.ring, b"darkpool/v1/encryption"
        n, t = ring.degree, ring.plain_modulus
        q = 1
        for prime in ring.data_primes:
            q *= prime
        u = ternary(seed, label + b"/u", n)
        errors = [binomial(seed, label + b"/e0", n), binomial(seed, label + b"/e1", n)]
        message = [q // t * m + (q % t * m + (t + 1) // 2) // t for m in encode(ring, vector)]
        added = [[e + m for e, m in zip(errors[0], message, strict=True)], errors[1]]
        return [
            [
                [
                    (x + y) % prime
                    for x, y in zip(product_of(self.key[c][k], u, prime), added[c], strict=True)
                ]
                for k, prime in enumerate(ring.data_primes)
            ]
            for c in (0, 1)
        ]


@pytest.fixture(scope="module")
def key() -> PublicKey:
    shape = (2, len(RING.key_primes), RING.degree)
    words = np.frombuffer(
        hashlib.shake_256(b"any key").digest(8 * int(np.prod(shape))), "<u8"
    ).reshape(shape)
    primes = np.array(RING.key_primes, dtype=np.uint64)[None, :, None]
    return PublicKey(RING, words.astype(np.uint64) % primes)


@pytest.fixture(scope="module")
def reference(key: PublicKey) -> Reference:
    return Reference(key)


def digest_of(words: Any) -> str:
    octets = b"".join(w.to_bytes(8, "little") for c in words for row in c for w in row)
    head = b"darkpool/v1/ciphertext-digest" + RING.name.encode() + bytes([len(RING.data_primes)])
    return hashlib.sha256(head + octets).hexdigest()


def test_encryption_and_its_bytes_are_as_documented(key: PublicKey, reference: Reference) -> None:
    seed = b"\x21" * 32
    vector = uniform(seed, b"any vector", RING.plain_modulus, RING.degree)
    ciphertext = encrypt_slots(key, np.array(vector, dtype=np.int64), seed)
    expected = reference.encrypt(vector, seed)
    assert ciphertext.words.tolist() == expected
    assert ciphertext.digest().hex() == digest_of(expected)
    wire = b"DPCT" + b"\1\0" + b"\1" + b"\4" + RING.degree.to_bytes(4, "little")
    wire += b"".join(w.to_bytes(6, "little") for c in expected for row in c for w in row)
    assert to_wire(ciphertext) == wire


def pack(vector: Polynomial) -> bytes:
    width = RING.plain_modulus.bit_length()
    number = sum(value << width * i for i, value in enumerate(vector))
    return number.to_bytes(RING.degree * width // 8, "little")


@pytest.mark.parametrize("size", [3, 4])
def test_sealing_is_as_documented(key: PublicKey, reference: Reference, size: int) -> None:
    root, name, t, n = b"\x42" * 32, RING.name.encode(), RING.plain_modulus, RING.degree
    context = KnowledgeContext(1 << 70, b"\1" * 20, 3, 4, b"\2" * 32, b"\5" * 20, 6)
    fields = ((1 << 70).to_bytes(32, "big"), b"\1" * 20, 3, 4, b"\2" * 32, b"\5" * 20, 6)
    order = CurveLayout(RING, 100).vector(1, 77, 33)
    v = order.tolist()
    master = kdf(b"darkpool/v1/opening-seed", root, size, name, pack(v), *fields)
    seeds = [kdf(b"darkpool/v1/opening-seed", master, j) for j in range(size)]
    label = b"darkpool/v1/opening-vector"
    vectors = [
        uniform(kdf(label, seeds[j], j, name, *fields), label, t, n) for j in range(size - 1)
    ]
    vectors.append([(x - sum(others)) % t for x, *others in zip(v, *vectors, strict=True)])
    last = pack(vectors[-1])
    explicit = [b""] * (size - 1) + [last]
    label = b"darkpool/v1/opening-encryption"
    shares = [
        reference.encrypt(vectors[j], kdf(label, seeds[j], j, name, explicit[j], *fields))
        for j in range(size)
    ]
    total = [
        [
            [sum(column) % prime for column in zip(*(s[c][k] for s in shares), strict=True)]
            for k, prime in enumerate(RING.data_primes)
        ]
        for c in (0, 1)
    ]
    committee = Committee(size, 3)
    sealed = VectorSealing(key, committee, context).seal(order, root)
    assert sealed.ciphertext.words.tolist() == total
    for i in range(size):
        expected = b"DPSO" + b"\1\0" + bytes([i, size])
        expected += b"".join(seeds[j] for j in range(size) if j != i)
        expected += b"" if i == size - 1 else last
        assert sealed.proofs[i].to_bytes(committee) == expected
