"""Flooding noise: a wide discrete Gaussian from integers alone, identical on every platform.

A sample is sum of 256^i g_i over `digits` draws g_i of a discrete Gaussian of deviation 512, so its
deviation is 2^(8 digits + 1) up to a factor below 1 + 2^-16, and its low bits are as random as its
high ones. (A double-precision Gaussian of that width has dozens of zero low bits, through which a
ciphertext's own noise shows.) Draws invert a 128-bit cumulative table; the base deviation is twice
the radix, so that each digit added keeps the sum Gaussian up to a factor within 2^-112 of one.

Source: D. Micciancio and M. Walter, "Gaussian sampling over the integers: efficient, generic,
constant-time" (CRYPTO 2017).
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def"
from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from Crypto.Cipher import AES

from crypto.compiled import kernel
from crypto.ring.modular import reduce_wide
from crypto.ring.ring import RnsBasis, Words

RADIX_BITS: Final = 8
BASE_DEVIATION: Final = 512
_TAIL: Final = 7168
_PRECISION: Final = 128
_GUIDE_BITS: Final = 16
_GROUP: Final = 7
"""Digits composed before one reduction: 7168 * (256^7 - 1) / 255 is below 2^61."""


@lru_cache(maxsize=1)
def cumulative_table() -> tuple[tuple[int, ...], npt.NDArray[np.uint64]]:
    """Cumulative probabilities of -7168 .. 7168 in units of 2^-128, and their high words."""
    with localcontext() as context:
        context.prec = 60
        scale = Decimal(2 * BASE_DEVIATION * BASE_DEVIATION)
        half = [(-Decimal(x * x) / scale).exp() for x in range(_TAIL + 1)]
        total = 2 * sum(half[1:]) + half[0]
        running = Decimal(0)
        table = []
        for x in range(-_TAIL, _TAIL):
            running += half[abs(x)]
            table.append(int(running / total * (1 << _PRECISION)))
    return tuple(table), np.array([value >> 64 for value in table], dtype=np.uint64)


@lru_cache(maxsize=1)
def _guide() -> npt.NDArray[np.uint16]:
    """Entries at or below each multiple of 2^48: two neighbours bound the search for a word."""
    _, table = cumulative_table()
    edges = np.arange(1 << _GUIDE_BITS, dtype=np.uint64) << np.uint64(64 - _GUIDE_BITS)
    below = np.append(np.searchsorted(table, edges, side="right"), table.size)
    return below.astype(np.uint16)


@kernel
def _lookup(words, table, guide, samples, ties):
    tied = 0
    for i in range(words.size):
        word = words[i]
        bucket = np.int64(word >> np.uint64(64 - _GUIDE_BITS))
        low = np.int64(guide[bucket])
        high = np.int64(guide[bucket + 1])
        while low < high:
            middle = (low + high) >> 1
            if table[middle] <= word:
                low = middle + 1
            else:
                high = middle
        samples[i] = low - _TAIL
        if low > 0 and table[low - 1] == word:
            ties[tied] = i
            tied += 1
    return tied


@kernel
def _compose(draws, residues, primes, ratios, biases):
    """residues = sum of 256^d draws[d], by groups from the top: total * 2^56 + group, reduced."""
    digits, size = draws.shape
    residues[:] = 0
    for top in range((digits - 1) // _GROUP * _GROUP, -1, -_GROUP):
        for i in range(size):
            group = np.int64(0)
            for d in range(min(top + _GROUP, digits) - 1, top - 1, -1):
                group = group * 256 + draws[d, i]
            for k in range(primes.size):
                total = residues[k, i]
                addend = np.uint64(group + biases[k])
                low = (total << np.uint64(56)) + addend
                high = total >> np.uint64(8)
                if low < addend:
                    high += np.uint64(1)
                residues[k, i] = reduce_wide(high, low, primes[k], ratios[k, 0], ratios[k, 1])


def draws(key: bytes, count: int) -> npt.NDArray[np.int16]:
    """`count` draws of the base Gaussian from the AES-256-CTR streams of a 32-byte key.

    Stream 0 gives the high 64 bits of each draw's uniform number; stream 1, read only where those
    equal a table entry, the low 64 bits.
    """
    exact, table = cumulative_table()
    words = _keystream(key, 0, count)
    samples = np.empty(count, dtype=np.int16)
    ties = np.empty(count, dtype=np.int64)
    tied = int(_lookup(words, table, _guide(), samples, ties))
    if tied:
        low = _keystream(key, 1, count)
        for i in map(int, ties[:tied]):
            samples[i] = bisect_right(exact, (int(words[i]) << 64) | int(low[i])) - _TAIL
    return samples


def flooding(key: bytes, digits: int, basis: RnsBasis) -> Words:
    """Gaussian polynomial of deviation 2^(8 digits + 1), residues of shape (L, degree)."""
    base = draws(key, digits * basis.degree).reshape(digits, basis.degree)
    residues = np.empty((len(basis.moduli), basis.degree), dtype=np.uint64)
    _compose(base, residues, basis.primes, basis.ratios, _biases(basis))
    return residues


def _biases(basis: RnsBasis) -> npt.NDArray[np.int64]:
    """Multiples of each prime that make a group of digits positive."""
    return np.array([-(-(1 << 61) // p) * p for p in basis.moduli], dtype=np.int64)


def _keystream(key: bytes, number: int, count: int) -> Words:
    cipher = AES.new(key, AES.MODE_CTR, nonce=number.to_bytes(8, "big"))
    return np.frombuffer(cipher.encrypt(bytes(8 * count)), "<u8").astype(np.uint64, copy=False)
