"""Slots of a plaintext: vectors of residues mod t and the polynomials that carry them.

Two rows of degree / 2 slots. A Galois map X -> X^(3^k) rotates both rows left by k slots; the map
X -> X^(2 degree - 1) swaps the rows. Source: N. Smart and F. Vercauteren, "Fully homomorphic SIMD
operations" (DCC 2014); slot order as in SEAL's BatchEncoder.
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def"
from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from crypto.compiled import kernel
from crypto.errors import OutOfRange
from crypto.ring.params import RingParameters
from crypto.ring.ring import RnsBasis, Words, bit_reversal, forward_one, inverse_one, rns_basis


@lru_cache(maxsize=16)
def slot_positions(degree: int) -> npt.NDArray[np.int64]:
    """Position in the transform of each slot, row 0 then row 1, shape (degree,)."""
    reverse = np.empty(degree, dtype=np.int64)
    reverse[bit_reversal(degree)] = np.arange(degree)
    index = 2 * degree
    positions = np.empty(degree, dtype=np.int64)
    power = 1
    for i in range(degree // 2):
        positions[i] = reverse[(power - 1) // 2]
        positions[i + degree // 2] = reverse[(index - power - 1) // 2]
        power = power * 3 % index
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


def lift(ring: RingParameters, vectors: npt.NDArray[np.int64], level: int) -> Words:
    """Operands in transform form for products of slot vectors with ciphertexts at `level`.

    Shapes: vectors (count, degree) to operands (count, level, degree). Coefficients above t/2 stand
    for negative numbers, which keeps the noise of a product small. One compiled call that holds no
    lock, so that threads can lift while others compute.
    """
    plain, basis = plain_basis(ring), rns_basis(ring.degree, ring.data_primes[:level])
    operands = np.empty((vectors.shape[0], level, ring.degree), dtype=np.uint64)
    _lift(
        np.ascontiguousarray(vectors, dtype=np.int64),
        slot_positions(ring.degree),
        np.uint64(ring.plain_modulus),
        plain.inverse_roots[0],
        plain.inverse_quotients[0],
        plain.scale[0],
        plain.scale_quotients[0],
        basis.primes,
        basis.roots,
        basis.root_quotients,
        operands,
    )
    return operands


@kernel
def _lift(
    vectors,
    positions,
    plain,
    plain_roots,
    plain_quotients,
    plain_scale,
    plain_scale_quotient,
    primes,
    roots,
    quotients,
    operands,
):
    spectrum = np.empty(vectors.shape[1], dtype=np.uint64)
    signed_plain = np.int64(plain)
    for v in range(vectors.shape[0]):
        for i in range(positions.size):
            value = vectors[v, i]
            if value < 0 or value >= signed_plain:
                value %= signed_plain
            spectrum[positions[i]] = np.uint64(value)
        inverse_one(
            spectrum, plain, plain_roots, plain_quotients, plain_scale, plain_scale_quotient
        )
        for k in range(primes.size):
            shift = primes[k] - plain
            for i in range(positions.size):
                x = spectrum[i]
                operands[v, k, i] = x + shift if x > plain >> np.uint64(1) else x
            forward_one(operands[v, k], primes[k], roots[k], quotients[k])


def rotation_element(degree: int, steps: int) -> int:
    """Galois element that rotates both rows left by `steps` (right when negative)."""
    return pow(3, steps % (degree // 2), 2 * degree)


def column_element(degree: int) -> int:
    """Galois element that swaps the two rows."""
    return 2 * degree - 1
