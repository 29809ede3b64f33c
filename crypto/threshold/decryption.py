"""Decrypting together: shares, their combination, and the exact decoding of a phase.

Share j of (c0, c1) is c1 * s_j + e_j, e_j Gaussian flooding noise drawn from PRF_j over (epoch,
ring, level, H(c1)): a function of c1 alone, so asking again, or with another c0, gives nothing new.
The width of the noise depends on ring and level alone, the widest that still decodes. A party that
misses one share sees the ciphertext's own noise E only under e_j. With |E| <= 2^-40 sigma on each
of at most 2^14 coefficients and at most 2^20 openings an epoch, the Renyi divergence of order a
between real and simulated shares is at most R_a = exp(a * 2^34 * 2^-80 / 2) = exp(a * 2^-47), and
an event of probability p in the simulation has at most (p R_a)^((a-1)/a) in reality: with
a = 2^40 almost nothing is lost.

Sources: S. Bai et al., "Improved security proofs in lattice-based cryptography: using the Renyi
divergence" (J. Cryptology 2018); Mouchet et al., "Multiparty homomorphic encryption" (PETS 2021).
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def"
from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

import numpy as np

from crypto import labels
from crypto.bfv.ciphertext import Ciphertext, level_basis, level_primes
from crypto.bfv.flooding import RADIX_BITS, flooding
from crypto.compiled import kernel
from crypto.errors import MalformedCiphertext, MissingShare, NoiseBudgetTooSmall
from crypto.ring.modular import high_word, multiply
from crypto.ring.params import RingParameters
from crypto.ring.ring import Words
from crypto.ring.sampling import derive_seed
from crypto.threshold.keys import secret_share

STATISTICAL_BITS: Final = 40
"""Ratio, in bits, of the flooding deviation to the largest noise it must hide."""

DECODING_BITS: Final = 2
"""Budget, in bits, that flooding leaves even at eight deviations."""

_TAIL_BITS: Final = 4
"""The sum of at most four shares' noise, eight deviations out: below 2^4 of one's deviation."""


def flooding_digits(ring: RingParameters, level: int) -> int:
    """Base-256 digits of the flooding noise: the widest that leaves DECODING_BITS of budget.

    Raises:
        NoiseBudgetTooSmall: the level is too low for any flooding.
    """
    # t * 2^(8 digits + 1 + tail) <= q / 2^(decoding + 1)
    room = _quotient_bits(ring, level) - 1 - _TAIL_BITS - DECODING_BITS - 1
    least = STATISTICAL_BITS + RADIX_BITS
    if room < least:
        raise NoiseBudgetTooSmall(f"{ring.name} level {level}", f"at least {least} bits", room)
    return room // RADIX_BITS


def _quotient_bits(ring: RingParameters, level: int) -> int:
    """log2(q / t), rounded down."""
    return (prod(level_primes(ring, level)) // ring.plain_modulus).bit_length() - 1


def noise_bits_max(ring: RingParameters, level: int) -> int:
    """log2 of the largest ciphertext noise that the flooding of a level hides."""
    return RADIX_BITS * flooding_digits(ring, level) + 1 - STATISTICAL_BITS


def budget_bits_min(ring: RingParameters, level: int) -> int:
    """Smallest noise budget, in bits, that a ciphertext may have before it is opened."""
    return _quotient_bits(ring, level) - 1 - noise_bits_max(ring, level)


def decryption_share(ciphertext: Ciphertext, epoch: int, seed: bytes) -> Words:
    """What virtual party j sends for a ciphertext, from its share seed; shape (level, degree)."""
    ring, level, basis = ciphertext.ring, ciphertext.level, ciphertext.basis
    c1 = np.ascontiguousarray(ciphertext.words[1])
    key = derive_seed(
        labels.FLOODING,
        seed,
        epoch,
        ring.name.encode(),
        level,
        hashlib.sha256(c1.astype("<u8", copy=False).tobytes()).digest(),
    )
    secret = secret_share(ring, seed)[:level].copy()
    product = basis.inverse(basis.multiply(basis.forward(c1.copy()), secret))
    return basis.add(product, flooding(key, flooding_digits(ring, level), basis))


@dataclass(frozen=True, slots=True)
class Decoded:
    """Plaintext coefficients mod t, shape (degree,), and the noise budget found while decoding."""

    coefficients: Words
    budget_bits: int


def combine_shares(ciphertext: Ciphertext, shares: Sequence[Words], size: int) -> Decoded:
    """Add all n shares to c0 and decode.

    Raises:
        MissingShare: another number of shares than `size`.
        MalformedCiphertext: a share of another shape than (level, degree).
        NoiseBudgetTooSmall: less than one bit of budget is left, so the result may be wrong.
    """
    if len(shares) != size:
        raise MissingShare(len(shares), size, len(shares))
    phase = np.ascontiguousarray(ciphertext.words[0])
    for share in shares:
        if share.shape != phase.shape:
            raise MalformedCiphertext("shape of a decryption share", phase.shape, share.shape)
        phase = ciphertext.basis.add(phase, share)
    decoded = decode_phase(ciphertext.ring, phase)
    if decoded.budget_bits < 1:
        raise NoiseBudgetTooSmall(
            "noise budget after flooding", "at least 1 bit", decoded.budget_bits
        )
    return decoded


@kernel
def _round_phase(phase, primes, ratios, inverses, plain, quotients, coefficients):
    worst = np.uint64(0)
    half = np.uint64(1) << np.uint64(63)
    for i in range(phase.shape[1]):
        whole = np.uint64(0)
        fraction = np.uint64(0)
        for k in range(phase.shape[0]):
            prime = primes[k]
            y = multiply(phase[k, i], inverses[k], prime, ratios[k, 0], ratios[k, 1])
            quotient = high_word(y, quotients[k])
            rest = y * plain - quotient * prime
            if rest >= prime:
                rest -= prime
                quotient += np.uint64(1)
            part = rest * ratios[k, 0] + high_word(rest, ratios[k, 1])
            fraction += part
            whole += quotient
            if fraction < part:
                whole += np.uint64(1)
        if fraction >= half:
            whole += np.uint64(1)
            distance = np.uint64(0) - fraction
        else:
            distance = fraction
        worst = max(worst, distance)
        coefficients[i] = whole % plain
    return worst


def decode_phase(ring: RingParameters, phase: Words) -> Decoded:
    """round(t * phase / q) mod t, exactly, with the budget -log2(2 * largest fraction).

    Fractions carry 64 bits, so a budget above 60 reads as 60. Shape of `phase`: (level, degree).
    """
    basis = level_basis(ring, phase.shape[0])
    q, t = prod(basis.moduli), ring.plain_modulus
    inverses = np.array([pow(q // p, -1, p) for p in basis.moduli], dtype=np.uint64)
    quotients = np.array([(t << 64) // p for p in basis.moduli], dtype=np.uint64)
    coefficients = np.empty(ring.degree, dtype=np.uint64)
    worst = _round_phase(
        phase, basis.primes, basis.ratios, inverses, np.uint64(t), quotients, coefficients
    )
    return Decoded(coefficients, min(60, 63 - int(worst).bit_length()))
