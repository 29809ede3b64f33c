"""Products of ciphertexts with public slot vectors, on NumPy words.

One product costs about log2(t) + log2(degree) / 2 bits of budget (about 33 in the order ring, 24 in
the comparison ring), whatever the vector; sums of products cost one product and the sum's noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from crypto.bfv.ciphertext import Ciphertext, level_basis
from crypto.bfv.encryption import add_plain
from crypto.ring import slots
from crypto.ring.params import RingParameters
from crypto.ring.ring import Words

Slots = npt.NDArray[np.int64]


def transformed(ciphertext: Ciphertext) -> Words:
    """Transform form of a ciphertext's words, shape (2, level, degree)."""
    return ciphertext.basis.forward(ciphertext.words.copy())


def coefficient_form(ring: RingParameters, words: Words) -> Ciphertext:
    """Ciphertext of transform-form words of shape (2, level, degree); overwrites its argument."""
    return Ciphertext(ring, level_basis(ring, words.shape[1]).inverse(words))


def sum_of_products(terms: Sequence[tuple[Ciphertext, Slots]]) -> Ciphertext:
    """sum of ciphertext * values over terms of one ring and level; values of shape (degree,)."""
    ring, level, basis = terms[0][0].ring, terms[0][0].level, terms[0][0].basis
    weights = slots.lift(ring, np.stack([values for _, values in terms]), level)
    words = np.stack([transformed(ciphertext) for ciphertext, _ in terms])
    return coefficient_form(ring, basis.weighted_sum(weights, words))


def product(ciphertext: Ciphertext, values: Slots) -> Ciphertext:
    """ciphertext * values, slot by slot; values of shape (degree,)."""
    return sum_of_products([(ciphertext, values)])


def add_slots(ciphertext: Ciphertext, values: Slots) -> Ciphertext:
    """ciphertext + values, slot by slot; values of shape (degree,), taken mod t."""
    return add_plain(ciphertext, slots.encode(ciphertext.ring, values))
