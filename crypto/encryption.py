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

from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt
from numba import njit

from crypto import labels, slots
from crypto.ciphertext import Ciphertext, level_basis
from crypto.modular import multiply
from crypto.params import RingParameters
from crypto.ring import Words
from crypto.sampling import binomial, ternary


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Encryption key (b, a), transform form, shape (2, primes of the key level, degree)."""

    ring: RingParameters
    words: Words


@njit(cache=True, nogil=True)
def _add_scaled(component, message, primes, ratios, quotients, rest, plain):
    """component += round(q * message / t), q = t * quotient + rest, residue by residue."""
    half = (plain + np.uint64(1)) >> np.uint64(1)
    for i in range(message.size):
        m = message[i]
        fix = (rest * m + half) // plain
        for k in range(primes.size):
            prime = primes[k]
            total = component[k, i] + fix
            total += multiply(m, quotients[k], prime, ratios[k, 0], ratios[k, 1])
            component[k, i] = total % prime


def _add_message(ring: RingParameters, component: Words, coefficients: Words) -> None:
    basis = level_basis(ring, component.shape[0])
    q, t = prod(basis.moduli), ring.plain_modulus
    quotients = np.array([q // t % p for p in basis.moduli], dtype=np.uint64)
    _add_scaled(
        component,
        coefficients,
        basis.primes,
        basis.ratios,
        quotients,
        np.uint64(q % t),
        np.uint64(t),
    )


def encrypt(key: PublicKey, coefficients: Words, seed: bytes) -> Ciphertext:
    """Encrypt a polynomial mod t, shape (degree,), with randomness expanded from `seed`.

    Noise: at most 6 (21 + 21) sqrt(degree) with overwhelming probability, about 2^12; budget 139
    bits in the order ring of the standard set.
    """
    ring = key.ring
    level = len(ring.data_primes)
    basis = level_basis(ring, level)
    n = ring.degree
    u = basis.forward(basis.reduce_signed(ternary(seed, labels.ENCRYPTION + b"/u", n)))
    errors = [binomial(seed, labels.ENCRYPTION + tag, n) for tag in (b"/e0", b"/e1")]
    c0, c1 = (basis.inverse(basis.multiply(key.words[i, :level].copy(), u)) for i in (0, 1))
    c0 = basis.add(c0, basis.reduce_signed(errors[0]))
    _add_message(ring, c0, coefficients)
    c1 = basis.add(c1, basis.reduce_signed(errors[1]))
    return Ciphertext(ring, np.stack([c0, c1]))


def encrypt_slots(key: PublicKey, values: npt.NDArray[np.int64], seed: bytes) -> Ciphertext:
    """Encrypt a slot vector of shape (degree,); see `encrypt`."""
    return encrypt(key, slots.encode(key.ring, values), seed)


def add_plain(ciphertext: Ciphertext, coefficients: Words) -> Ciphertext:
    """Add a public polynomial mod t, shape (degree,), without adding noise beyond rounding."""
    words = ciphertext.words.copy()
    _add_message(ciphertext.ring, words[0], coefficients)
    return Ciphertext(ciphertext.ring, words)
