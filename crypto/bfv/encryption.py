"""Deterministic BFV public-key encryption: the same seed gives the same bytes in any language.

(c0, c1) = (b u + e0 + round(q m / t), a u + e1) over the data primes, with u uniform ternary and
e0, e1 centred binomial of variance 10.5, expanded by SHAKE256 from a 32-byte seed. SEAL decrypts
the result and computes on it. Source: J. Fan and F. Vercauteren, "Somewhat practical fully
homomorphic encryption" (ePrint 2012/144); error distribution as in the homomorphic encryption
security standard.

A seed must never serve two plaintexts: their difference would be readable. Callers derive it from
(secret, plaintext, auction, purpose, counter).
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def"
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from crypto import labels
from crypto.bfv.ciphertext import Ciphertext, level_basis
from crypto.compiled import kernel
from crypto.ring import slots
from crypto.ring.immutable import immutable
from crypto.ring.modular import multiply
from crypto.ring.params import RingParameters
from crypto.ring.ring import Words
from crypto.ring.sampling import binomial, ternary


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Encryption key (b, a), transform form, shape (2, primes of the key level, degree).

    Its words are immutable: keypers of one process share them.
    """

    ring: RingParameters
    words: Words

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", immutable(self.words))


@kernel
def _add_rounding(coefficients, rest, plain, errors):
    """Add round(rest * coefficient / plain) to errors."""
    half = (plain + np.uint64(1)) >> np.uint64(1)
    for i in range(coefficients.size):
        errors[i] += np.int64((rest * coefficients[i] + half) // plain)


@kernel
def _add_scaled(component, message, small, primes, ratios, quotients):
    """Add quotient * message + small to component; message and |small| below 2^40."""
    for k in range(primes.size):
        prime = primes[k]
        for i in range(message.size):
            total = component[k, i]
            total += multiply(message[i], quotients[k], prime, ratios[k, 0], ratios[k, 1])
            total += np.uint64(small[i] + np.int64(prime) if small[i] < 0 else small[i])
            for _ in range(3):
                if total >= prime:
                    total -= prime
            component[k, i] = total


def _add_messages(
    ring: RingParameters,
    component: Words,
    messages: Sequence[Words],
    errors: npt.NDArray[np.int64],
) -> None:
    """Component, shape (level, degree), += errors + sum of round(q m / t); errors are consumed.

    With q = t * quotient + rest, round(q m / t) = quotient * m + round(rest * m / t).
    """
    basis = level_basis(ring, component.shape[0])
    q, t = prod(basis.moduli), ring.plain_modulus
    total = np.zeros(ring.degree, dtype=np.uint64)
    for message in messages:
        total += message
        _add_rounding(message, np.uint64(q % t), np.uint64(t), errors)
    quotients = np.array([q // t % p for p in basis.moduli], dtype=np.uint64)
    _add_scaled(component, total, errors, basis.primes, basis.ratios, quotients)


def encrypt_sum(key: PublicKey, terms: Sequence[tuple[Words, bytes]]) -> Ciphertext:
    """The sum of `encrypt(key, coefficients, seed)` over at most 2^10 terms, byte for byte.

    Encryption is linear in its randomness, so the sum costs the transforms of one term only.
    Noise: that of one encryption times the number of terms.
    """
    ring = key.ring
    level = len(ring.data_primes)
    basis = level_basis(ring, level)
    u, e0, e1 = (np.zeros(ring.degree, dtype=np.int64) for _ in range(3))
    for _, seed in terms:
        u += ternary(seed, labels.ENCRYPTION + b"/u", ring.degree)
        e0 += binomial(seed, labels.ENCRYPTION + b"/e0", ring.degree)
        e1 += binomial(seed, labels.ENCRYPTION + b"/e1", ring.degree)
    spectrum = basis.forward(basis.reduce_signed(u))
    words = np.empty((2, level, ring.degree), dtype=np.uint64)
    for i in (0, 1):
        words[i] = basis.multiply(np.ascontiguousarray(key.words[i, :level]), spectrum)
        basis.inverse(words[i])
    _add_messages(ring, words[0], [coefficients for coefficients, _ in terms], e0)
    _add_messages(ring, words[1], [], e1)
    return Ciphertext(ring, words)


def encrypt(key: PublicKey, coefficients: Words, seed: bytes) -> Ciphertext:
    """Encrypt a polynomial mod t, shape (degree,), with randomness expanded from `seed`.

    Noise: deviation sqrt(degree (6.9 + 7 n)) for n key shares; at n = 4 that is 540 and 760 in the
    two rings of the standard set, below 2^13 at ten deviations. Budgets: 135 and 349 bits.
    """
    return encrypt_sum(key, [(coefficients, seed)])


def encrypt_slots(key: PublicKey, values: npt.NDArray[np.int64], seed: bytes) -> Ciphertext:
    """Encrypt a slot vector of shape (degree,); see `encrypt`."""
    return encrypt(key, slots.encode(key.ring, values), seed)


def add_plain(ciphertext: Ciphertext, coefficients: Words) -> Ciphertext:
    """Add a public polynomial mod t, shape (degree,), without adding noise beyond rounding."""
    words = ciphertext.words.copy()
    errors = np.zeros(ciphertext.ring.degree, dtype=np.int64)
    _add_messages(ciphertext.ring, words[0], [coefficients], errors)
    return Ciphertext(ciphertext.ring, words)
