"""Running sums of ciphertexts: one pass of additions an intent, reduced when words fill up."""

from __future__ import annotations

import numpy as np

from crypto.bfv.ciphertext import Ciphertext, level_basis
from crypto.ring.params import RingParameters


class AggregateSum:
    """The homomorphic sum of fresh ciphertexts of one ring, held in unreduced 64-bit words."""

    def __init__(self, ring: RingParameters) -> None:
        self._ring = ring
        self._basis = level_basis(ring, len(ring.data_primes))
        self._total = np.zeros((2, len(ring.data_primes), ring.degree), dtype=np.uint64)
        self._room = (1 << 64) // max(ring.data_primes)
        self._held = 0

    def add(self, ciphertext: Ciphertext) -> None:
        """Add a ciphertext at the top level."""
        if self._held == self._room:
            self._total %= self._basis.primes[None, :, None]
            self._held = 1
        np.add(self._total, ciphertext.words, out=self._total)
        self._held += 1

    def remove(self, ciphertext: Ciphertext) -> None:
        """Take out a ciphertext that was added."""
        negated = self._basis.primes[None, :, None] - ciphertext.words
        self.add(Ciphertext(self._ring, negated))

    def ciphertext(self) -> Ciphertext:
        """The sum so far; noise is the sum of the terms' noise."""
        return Ciphertext(self._ring, self._total % self._basis.primes[None, :, None])
