"""RNS polynomial arithmetic on NumPy arrays, in SEAL's order of primes and of transform slots.

A polynomial is a uint64 array [prime][coefficient], a ciphertext is
[component][prime][coefficient]. The transform is the negacyclic number-theoretic transform with
SEAL's convention: the minimal primitive 2N-th root psi, slot i holding the value at
psi^(2 * bitreverse(i) + 1).

Sources: P. Longa and M. Naehrig, "Speeding up the number theoretic transform for faster ideal
lattice-based cryptography" (CANS 2016); D. Harvey, "Faster arithmetic for number-theoretic
transforms" (J. Symb. Comp. 2014).
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def"
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numba import uint64

from crypto.compiled import kernel
from crypto.ring.modular import high_word, multiply, multiply_constant, reduce_wide

Words = npt.NDArray[np.uint64]


@kernel
def forward_one(a, prime, roots, quotients):
    """Transform one residue polynomial in place; all arguments but `prime` of shape (degree,)."""
    size = a.size
    twice = prime + prime
    half = size >> 1
    blocks = 1
    while half > 0:
        for block in range(blocks):
            w = roots[blocks + block]
            wq = quotients[blocks + block]
            start = 2 * block * half
            for i in range(start, start + half):
                x = a[i]
                if x >= twice:
                    x -= twice
                y = multiply_constant(a[i + half], w, wq, prime)
                a[i] = x + y
                a[i + half] = x + twice - y
        blocks <<= 1
        half >>= 1
    for i in range(size):
        x = a[i]
        if x >= twice:
            x -= twice
        if x >= prime:
            x -= prime
        a[i] = x


@kernel
def inverse_one(a, prime, roots, quotients, scale, scale_quotient):
    """Inverse of `forward_one`."""
    twice = prime + prime
    half = 1
    blocks = a.size >> 1
    while blocks > 0:
        for block in range(blocks):
            w = roots[blocks + block]
            wq = quotients[blocks + block]
            start = 2 * block * half
            for i in range(start, start + half):
                x = a[i]
                y = a[i + half]
                total = x + y
                if total >= twice:
                    total -= twice
                a[i] = total
                a[i + half] = multiply_constant(x + twice - y, w, wq, prime)
        blocks >>= 1
        half <<= 1
    for i in range(a.size):
        x = multiply_constant(a[i], scale, scale_quotient, prime)
        a[i] = x - prime if x >= prime else x


@kernel
def _forward(a, primes, roots, quotients):
    for k in range(a.shape[0]):
        forward_one(a[k], primes[k], roots[k], quotients[k])


@kernel
def _inverse(a, primes, roots, quotients, scale, scale_quotients):
    for k in range(a.shape[0]):
        inverse_one(a[k], primes[k], roots[k], quotients[k], scale[k], scale_quotients[k])


@kernel
def _dyadic(a, b, result, primes, ratios):
    for k in range(a.shape[0]):
        for i in range(a.shape[1]):
            result[k, i] = multiply(a[k, i], b[k, i], primes[k], ratios[k, 0], ratios[k, 1])


@kernel
def _add(a, b, result, primes):
    for k in range(a.shape[0]):
        prime = primes[k]
        for i in range(a.shape[1]):
            x = a[k, i] + b[k, i]
            result[k, i] = x - prime if x >= prime else x


@kernel
def _subtract(a, b, result, primes):
    for k in range(a.shape[0]):
        prime = primes[k]
        for i in range(a.shape[1]):
            x = a[k, i]
            y = b[k, i]
            result[k, i] = x - y if x >= y else x + prime - y


@kernel
def _weighted_sum(weights, terms, result, primes, ratios):
    """result[c,k,i] = sum over v of weights[v,k,i] * terms[v,c,k,i]; at most 2^10 terms."""
    for k in range(result.shape[1]):
        prime = primes[k]
        for c in range(result.shape[0]):
            for i in range(result.shape[2]):
                high = uint64(0)
                low = uint64(0)
                for v in range(weights.shape[0]):
                    x = weights[v, k, i]
                    y = terms[v, c, k, i]
                    part = x * y
                    low += part
                    high += high_word(x, y)
                    if low < part:
                        high += uint64(1)
                result[c, k, i] = reduce_wide(high, low, prime, ratios[k, 0], ratios[k, 1])


@kernel
def _reduce_signed(values, result, primes):
    for k in range(result.shape[0]):
        prime = np.int64(primes[k])
        for i in range(values.shape[0]):
            x = values[i] % prime
            result[k, i] = np.uint64(x)


def _minimal_root(degree: int, prime: int) -> int:
    index = 2 * degree
    if (prime - 1) % index:
        raise ValueError(f"expected a prime congruent 1 modulo {index}, got {prime}")
    exponent = (prime - 1) // index
    root = next(
        r
        for r in (pow(x, exponent, prime) for x in range(2, prime))
        if pow(r, degree, prime) == prime - 1
    )
    square = root * root % prime
    best = current = root
    for _ in range(degree - 1):
        current = current * square % prime
        best = min(best, current)
    return best


def bit_reversal(size: int) -> npt.NDArray[np.int64]:
    """The bit-reversal permutation of a power of two, shape (size,)."""
    permutation = np.zeros(1, dtype=np.int64)
    while permutation.size < size:
        permutation = np.concatenate([2 * permutation, 2 * permutation + 1])
    return permutation


def _powers(root: int, prime: int, size: int) -> list[int]:
    values = [1] * size
    for i in range(1, size):
        values[i] = values[i - 1] * root % prime
    return values


@kernel
def _multiply_add(weights, terms, totals, primes, ratios):
    """Totals += weights * terms, residue by residue; one weight for all components."""
    for c in range(terms.shape[0]):
        for k in range(terms.shape[1]):
            prime = primes[k]
            for i in range(terms.shape[2]):
                x = multiply(terms[c, k, i], weights[k, i], prime, ratios[k, 0], ratios[k, 1])
                x += totals[c, k, i]
                totals[c, k, i] = x - prime if x >= prime else x


@dataclass(frozen=True, slots=True)
class RnsBasis:
    """Transform tables of Z_p[X]/(X^degree + 1) for each prime p of a basis.

    Shapes: `primes` (L,), roots and quotients (L, degree), `ratios` (L, 2) as (high, low) words of
    floor(2^128 / p).
    """

    degree: int
    moduli: tuple[int, ...]
    primes: Words
    ratios: Words
    roots: Words
    root_quotients: Words
    inverse_roots: Words
    inverse_quotients: Words
    scale: Words
    scale_quotients: Words

    def prefix(self, count: int) -> RnsBasis:
        """The basis of the first `count` primes (ciphertext levels drop primes from the end)."""
        return rns_basis(self.degree, self.moduli[:count])

    def forward(self, a: Words) -> Words:
        """Transform in place, (L, degree) or (components, L, degree); returns its argument."""
        for poly in a.reshape(-1, len(self.moduli), self.degree):
            _forward(poly, self.primes, self.roots, self.root_quotients)
        return a

    def inverse(self, a: Words) -> Words:
        """Inverse transform in place, same shapes; returns its argument."""
        for poly in a.reshape(-1, len(self.moduli), self.degree):
            _inverse(
                poly,
                self.primes,
                self.inverse_roots,
                self.inverse_quotients,
                self.scale,
                self.scale_quotients,
            )
        return a

    def multiply(self, a: Words, b: Words) -> Words:
        """Slot-wise product of two polynomials in transform form, shape (L, degree)."""
        result = np.empty_like(a)
        _dyadic(a, b, result, self.primes, self.ratios)
        return result

    def add(self, a: Words, b: Words) -> Words:
        """Sum of two polynomials or ciphertexts of one shape."""
        return self._each(_add, a, b)

    def subtract(self, a: Words, b: Words) -> Words:
        """Difference of two polynomials or ciphertexts of one shape."""
        return self._each(_subtract, a, b)

    def weighted_sum(self, weights: Words, terms: Words) -> Words:
        """Sum of plaintext-ciphertext products, all in transform form.

        Shapes: weights (V, L, degree), terms (V, components, L, degree); V at most 1024.
        """
        result = np.empty(terms.shape[1:], dtype=np.uint64)
        _weighted_sum(weights, terms, result, self.primes, self.ratios)
        return result

    def multiply_add(self, totals: Words, weights: Words, terms: Words) -> None:
        """Add a plaintext-ciphertext product to `totals`, all in transform form.

        Shapes: weights (L, degree), terms and totals (components, L, degree).
        """
        _multiply_add(weights, terms, totals, self.primes, self.ratios)

    def reduce_signed(self, values: npt.NDArray[np.int64]) -> Words:
        """Residues of small signed coefficients, shape (degree,) to (L, degree)."""
        result = np.empty((len(self.moduli), self.degree), dtype=np.uint64)
        _reduce_signed(values, result, self.primes)
        return result

    def _each(self, kernel, a: Words, b: Words) -> Words:
        result = np.empty_like(a)
        shape = (-1, len(self.moduli), self.degree)
        for x, y, z in zip(a.reshape(shape), b.reshape(shape), result.reshape(shape), strict=True):
            kernel(x, y, z, self.primes)
        return result


def _quotients(values: list[int], prime: int) -> list[int]:
    return [(v << 64) // prime for v in values]


@lru_cache(maxsize=64)
def rns_basis(degree: int, moduli: tuple[int, ...]) -> RnsBasis:
    """Build, once a process, the tables of a basis.

    Raises:
        ValueError: a modulus is not congruent 1 modulo 2 * degree.
    """
    reversal = bit_reversal(degree)
    roots, inverses, scales = [], [], []
    for prime in moduli:
        psi = _minimal_root(degree, prime)
        forward = _powers(psi, prime, degree)
        backward = _powers(pow(psi, -1, prime), prime, degree)
        roots.append([forward[i] for i in reversal])
        inverses.append([backward[i] for i in reversal])
        scales.append(pow(degree, -1, prime))

    def table(rows: list[list[int]]) -> Words:
        return np.array(rows, dtype=np.uint64)

    ratios = [[(1 << 128) // p >> 64, (1 << 128) // p & (1 << 64) - 1] for p in moduli]
    return RnsBasis(
        degree=degree,
        moduli=moduli,
        primes=np.array(moduli, dtype=np.uint64),
        ratios=table(ratios),
        roots=table(roots),
        root_quotients=table([_quotients(r, p) for r, p in zip(roots, moduli, strict=True)]),
        inverse_roots=table(inverses),
        inverse_quotients=table([_quotients(r, p) for r, p in zip(inverses, moduli, strict=True)]),
        scale=np.array(scales, dtype=np.uint64),
        scale_quotients=np.array(
            [(s << 64) // p for s, p in zip(scales, moduli, strict=True)], dtype=np.uint64
        ),
    )
