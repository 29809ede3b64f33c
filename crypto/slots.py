"""Slots of a plaintext: vectors of residues mod t and the polynomials that carry them.

Two rows of degree / 2 slots. A Galois map X -> X^(3^k) rotates both rows left by k slots; the map
X -> X^(2 degree - 1) swaps the rows. Source: N. Smart and F. Vercauteren, "Fully homomorphic SIMD
operations" (DCC 2014); slot order as in SEAL's BatchEncoder.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from crypto.errors import OutOfRange
from crypto.params import RingParameters
from crypto.ring import RnsBasis, Words, bit_reversal, rns_basis


@lru_cache(maxsize=16)
def slot_positions(degree: int) -> npt.NDArray[np.int64]:
    """Position in the transform of each slot, row 0 then row 1, shape (degree,)."""
    reverse = np.empty(degree, dtype=np.int64)
    reverse[bit_reversal(degree)] = np.arange(degree)
    order = 2 * degree
    positions = np.empty(degree, dtype=np.int64)
    power = 1
    for i in range(degree // 2):
        positions[i] = reverse[(power - 1) // 2]
        positions[i + degree // 2] = reverse[(order - power - 1) // 2]
        power = power * 3 % order
    return positions


def plain_basis(ring: RingParameters) -> RnsBasis:
    """Transform tables modulo the plain modulus."""
    return rns_basis(ring.degree, (ring.plain_modulus,))


def encode(ring: RingParameters, values: npt.NDArray[np.int64]) -> Words:
    """Coefficients mod t of the polynomial whose slots are `values`, both of shape (degree,).

    Values are taken modulo t; negative ones count from t downwards.

    Raises:
        OutOfRange: the shape is not (degree,).
    """
    if values.shape != (ring.degree,):
        raise OutOfRange("shape of a slot vector", (ring.degree,), values.shape)
    spectrum = np.empty((1, ring.degree), dtype=np.uint64)
    residues = np.mod(values, ring.plain_modulus).astype(np.uint64)
    spectrum[0, slot_positions(ring.degree)] = residues
    coefficients: Words = plain_basis(ring).inverse(spectrum)[0]
    return coefficients


def decode(ring: RingParameters, coefficients: Words) -> npt.NDArray[np.int64]:
    """Slots in [0, t) of a polynomial with coefficients mod t, both of shape (degree,)."""
    spectrum = plain_basis(ring).forward(coefficients.reshape(1, -1).copy())[0]
    values: npt.NDArray[np.int64] = spectrum[slot_positions(ring.degree)].astype(np.int64)
    return values


def centred(ring: RingParameters, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Representatives in (-t/2, t/2)."""
    t = ring.plain_modulus
    halves: npt.NDArray[np.int64] = np.where(values > t // 2, values - t, values)
    return halves


def lift(ring: RingParameters, coefficients: Words, level: int) -> Words:
    """A plaintext operand in transform form for products at `level`, shape (level, degree).

    Coefficients above t/2 stand for negative numbers, which keeps the noise of a product small.
    """
    basis = rns_basis(ring.degree, ring.data_primes[:level])
    signed = centred(ring, coefficients.astype(np.int64))
    return basis.forward(basis.reduce_signed(signed))


def rotation_element(degree: int, steps: int) -> int:
    """Galois element that rotates both rows left by `steps` (right when negative)."""
    return pow(3, steps % (degree // 2), 2 * degree)


def column_element(degree: int) -> int:
    """Galois element that swaps the two rows."""
    return 2 * degree - 1
