"""Encryption at the key level, divided by the special prime: a fresh noise ten times smaller.

(b u + e0, a u + e1) over data primes and special prime P, then round(. / P), then plus
round(q m / t): what is left is the rounding. Masks need it, because their depth multiplies the
fresh noise; sealing does not use it, because rounding is not linear. The randomness is that of
`crypto.bfv.encryption`, under its own label.
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def"
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crypto import labels
from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.encryption import PublicKey, add_plain
from crypto.compiled import kernel
from crypto.ring import slots
from crypto.ring.modular import multiply
from crypto.ring.ring import rns_basis
from crypto.ring.sampling import binomial, ternary


@kernel
def _divide_by_last(words, quotient, primes, ratios, inverses):
    """quotient = round(words / last prime), residue by residue."""
    last = quotient.shape[0]
    divisor = primes[last]
    half = divisor >> np.uint64(1)
    for i in range(words.shape[1]):
        top = words[last, i] + half
        if top >= divisor:
            top -= divisor
        for k in range(last):
            prime = primes[k]
            value = words[k, i] + half % prime + prime - top % prime
            quotient[k, i] = multiply(value % prime, inverses[k], prime, ratios[k, 0], ratios[k, 1])


def encrypt_low_noise(
    key: PublicKey, values: npt.NDArray[np.int64], seed: bytes, level: int | None = None
) -> Ciphertext:
    """Encrypt a slot vector of shape (degree,), randomness expanded from `seed`.

    Args:
        level: data primes of the result, all of them by default.

    Noise: about sqrt(n degree / 18) for a secret of n ternary shares, below 2^9.
    """
    ring = key.ring
    level = len(ring.data_primes) if level is None else level
    basis = rns_basis(ring.degree, (*ring.data_primes[:level], ring.special_prime))
    rows = [*range(level), len(ring.data_primes)]
    label = labels.LOW_NOISE_ENCRYPTION
    spectrum = basis.forward(basis.reduce_signed(ternary(seed, label + b"/u", ring.degree)))
    inverses = np.array(
        [pow(ring.special_prime, -1, p) for p in ring.data_primes[:level]], dtype=np.uint64
    )
    words = np.empty((2, level, ring.degree), dtype=np.uint64)
    for i, tag in enumerate((b"/e0", b"/e1")):
        masked = basis.inverse(basis.multiply(key.words[i, rows], spectrum))
        noise = basis.reduce_signed(binomial(seed, label + tag, ring.degree))
        _divide_by_last(basis.add(masked, noise), words[i], basis.primes, basis.ratios, inverses)
    return add_plain(Ciphertext(ring, words), slots.encode(ring, values))
