"""Running sums of ciphertexts: one pass of additions an intent, reduced once."""

from __future__ import annotations

from typing import Final

import numpy as np

from crypto.ciphertext import Ciphertext, level_basis
from crypto.errors import OutOfRange
from crypto.params import RingParameters

_TERMS_MAX: Final = 1 << 16


class AggregateSum:
    """The homomorphic sum of fresh ciphertexts of one ring, held in unreduced 64-bit words."""

    def __init__(self, ring: RingParameters) -> None:
        self._ring = ring
        self._total = np.zeros((2, len(ring.data_primes), ring.degree), dtype=np.uint64)
        self._terms_max = min(_TERMS_MAX, (1 << 64) // max(ring.data_primes))
        self.terms = 0

    def add(self, ciphertext: Ciphertext) -> None:
        """Add a ciphertext at the top level.

        Raises:
            OutOfRange: more terms than 64-bit words or the protocol hold.
        """
        if self.terms >= self._terms_max:
            raise OutOfRange("terms of a sum", f"at most {self._terms_max}", self.terms + 1)
        np.add(self._total, ciphertext.words, out=self._total)
        self.terms += 1

    def remove(self, ciphertext: Ciphertext) -> None:
        """Take out a ciphertext that was added.

        Raises:
            OutOfRange: as `add`; a removal counts as a term.
        """
        basis = level_basis(self._ring, self._total.shape[1])
        self.add(Ciphertext(self._ring, basis.primes[None, :, None] - ciphertext.words))

    def ciphertext(self) -> Ciphertext:
        """The sum so far; noise is the sum of the terms' noise."""
        basis = level_basis(self._ring, self._total.shape[1])
        return Ciphertext(self._ring, self._total % basis.primes[None, :, None])
