"""Homomorphic sums of many ciphertexts, one memory pass each."""

# mypy: disable-error-code="untyped-decorator,no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit

from crypto.ciphertext import Ciphertext
from crypto.errors import OutOfRange
from crypto.params import RingParameters
from crypto.ring import Words


@njit(cache=True, nogil=True)
def _add_lazily(total, words):
    for i in range(total.size):
        total[i] += words[i]


@njit(cache=True, nogil=True)
def _reduce(total, primes):
    for c in range(total.shape[0]):
        for k in range(total.shape[1]):
            prime = primes[k]
            for i in range(total.shape[2]):
                total[c, k, i] %= prime


class RunningSum:
    """The sum of the ciphertexts added so far, of one ring and level; noise adds.

    Words are added without reduction for as long as 64 bits hold them: a million times in the
    order ring, where primes have 44 bits.
    """

    def __init__(self, ring: RingParameters, level: int | None = None) -> None:
        level = len(ring.data_primes) if level is None else level
        self._ring = ring
        self._total: Words = np.zeros((2, level, ring.degree), dtype=np.uint64)
        self._primes = np.array(ring.data_primes[:level], dtype=np.uint64)
        self._room = (1 << 64) // max(ring.data_primes[:level]) - 1
        self._unreduced = 0
        self.count = 0

    def add(self, ciphertext: Ciphertext) -> None:
        """Add one more.

        Raises:
            OutOfRange: a ciphertext of another ring or level.
        """
        got = (ciphertext.ring.name, ciphertext.level)
        expected = (self._ring.name, self._total.shape[1])
        if got != expected:
            raise OutOfRange("ring and level of a term", expected, got)
        if self._unreduced == self._room:
            self._reduce()
        words = np.ascontiguousarray(ciphertext.words).reshape(-1)
        _add_lazily(self._total.reshape(-1), words)
        self._unreduced += 1
        self.count += 1

    def total(self) -> Ciphertext:
        """The sum; zero when nothing was added, which must then neither be sent nor opened."""
        self._reduce()
        return Ciphertext(self._ring, self._total.copy())

    def _reduce(self) -> None:
        _reduce(self._total, self._primes)
        self._unreduced = 1
