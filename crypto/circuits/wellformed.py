"""The shape check: it finds sealed vectors that are no orders, and opens none of them.

With V' = V rotated left by one slot, a vector of `crypto.circuits.curves` makes all of these zero:

1. V' (V - V') at slots row-1 and 0 .. T-2 of both rows: a chain from the size q through all ticks,
   on which every value is 0 or the one before it;
2. V at the empty slots T .. half-1 of both rows;
3. V - V' at slots half .. row-2 of both rows: one size;
4. row 0 less row 1 at one size slot, behind slot half: the same size;
5. demand at tick 0 less row 1 at tick T-1: the chains end as one side does.

Of a minimum-fill order, 3 leaves slot half of row 1 out: its minimum is there, and may be anything.
Nothing else makes all of them zero, t being prime (docs/protocol/shape.md). The products are
computed as intents arrive. When the batch is final, a beacon weights every intent by a number
modulo t; weighted sums over all intents, each term at slots of its own, are zero in every slot of
an honest batch. One malformed intent is always seen; several may cancel with probability 1/(t-1)
in each of two sums.

Weights are cut into digits, so that products are scaled by small numbers and one plaintext product
both recombines the digits and zeroes every slot but the terms'. Depth: one product and one
plaintext product.
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def"
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from crypto import labels
from crypto.bfv.ciphertext import Ciphertext, level_basis
from crypto.bfv.seal import Evaluator
from crypto.circuits.curves import CurveLayout
from crypto.circuits.packing import LANES_LEVEL, rotate
from crypto.compiled import kernel
from crypto.errors import OutOfRange
from crypto.ring.params import RingParameters
from crypto.ring.ring import Words
from crypto.ring.sampling import derive_seed, uniform
from crypto.ring.slots import column_element, rotation_element
from crypto.threshold.revealing import CoveredCiphertext, selected_sum

Slots = npt.NDArray[np.int64]

COMBINATIONS: Final = 2
"""Weighted sums that are opened of a batch."""

TERMS_MAX: Final = 1 << 17
"""Most intents of one check: all of a venue."""

WORDS: Final = 5
"""Polynomials of an intent's `shape_words`."""

_PRODUCT: Final = 3
"""Polynomials of the product among them, which come first."""

_DIGIT_BITS: Final = 5
_DIGITS: Final = 6
_REDUCE_EVERY: Final = (1 << 13) - 1
"""Residues below 2^44 times digits below 2^5, this many, and a residue, stay below 2^64."""


def shape_words(evaluator: Evaluator, ciphertext: Ciphertext) -> Words:
    """What the check needs of an intent: V' (V - V'), three polynomials, and V, two.

    Shape (WORDS, level, degree), coefficient form.
    """
    handle = evaluator.load(ciphertext)
    shifted = evaluator.apply_galois(handle, rotation_element(evaluator.ring.degree, 1))
    product = evaluator.multiply_only(shifted, evaluator.subtract(handle, shifted))
    return np.concatenate([evaluator.product_words(product), ciphertext.words])


def sealed_in(ring: RingParameters, words: Words) -> Ciphertext:
    """The intent's ciphertext in its `shape_words`; a copy."""
    return Ciphertext(ring, np.array(words[WORDS - 2 :]))


def shape_weights(ring: RingParameters, beacon: bytes, count: int) -> Slots:
    """Weights of `count` intents, in batch order, shape (COMBINATIONS, count).

    Uniform in [1, t): one malformed intent by itself never passes.
    """
    most, label = ring.plain_modulus - 1, labels.SHAPE_WEIGHTS
    seeds = [derive_seed(label, beacon, combination) for combination in range(COMBINATIONS)]
    return np.stack([1 + uniform(seed, label, most, count) for seed in seeds])


@kernel
def _accumulate(words, rows, digits, totals):
    # intents in the inner loop: the totals of one polynomial stay in the cache meanwhile
    for component in range(words.shape[1]):
        for level in range(words.shape[2]):
            for k in range(rows.size):
                row = rows[k]
                for digit in range(digits.shape[1]):
                    factor = digits[k, digit]
                    for i in range(words.shape[3]):
                        totals[digit, component, level, i] += (
                            words[row, component, level, i] * factor
                        )


@kernel
def _reduce(totals, primes):
    for digit in range(totals.shape[0]):
        for component in range(totals.shape[1]):
            for level in range(totals.shape[2]):
                prime = primes[level]
                for i in range(totals.shape[3]):
                    totals[digit, component, level, i] %= prime


class ShapeSum:
    """One weighted sum of intents' terms."""

    def __init__(self, ring: RingParameters) -> None:
        self._ring = ring
        levels = len(ring.data_primes)
        self._basis = level_basis(ring, levels)
        self._totals = np.zeros((_DIGITS, WORDS, levels, ring.degree), dtype=np.uint64)
        self._minimum_fill = np.zeros((_DIGITS, 2, levels, ring.degree), dtype=np.uint64)
        self.terms = 0

    def add(
        self,
        words: Words,
        rows: Sequence[int],
        weights: Sequence[int],
        minimum_fill: Sequence[bool] | None = None,
    ) -> None:
        """Add intents, weighted by numbers in [1, t).

        Holds no lock while it computes.

        Args:
            words: intents' `shape_words`, shape (k, WORDS, level, degree).
            rows: which of them, as many as weights.
            minimum_fill: which of these are minimum-fill orders, as many as weights; none if not
                given.

        Raises:
            OutOfRange: other weights, or more intents than TERMS_MAX.
        """
        for weight in weights:
            if not 1 <= weight < self._ring.plain_modulus:
                raise OutOfRange("weight", f"1 .. {self._ring.plain_modulus - 1}", weight)
        if self.terms + len(weights) > TERMS_MAX:
            got = self.terms + len(weights)
            raise OutOfRange("intents of a shape check", f"at most {TERMS_MAX}", got)
        shifts = _DIGIT_BITS * np.arange(_DIGITS)
        digits = np.array(weights, dtype=np.int64)[:, None] >> shifts & (1 << _DIGIT_BITS) - 1
        for start in range(0, len(weights), _REDUCE_EVERY):
            part = slice(start, start + _REDUCE_EVERY)
            chosen, scaled = np.array(rows[part], dtype=np.int64), digits[part].astype(np.uint64)
            _accumulate(words, chosen, scaled, self._totals)
            _reduce(self._totals, self._basis.primes)
            free = np.array(minimum_fill[part] if minimum_fill else [], dtype=np.bool_)
            if free.any():
                _accumulate(words[:, _PRODUCT:], chosen[free], scaled[free], self._minimum_fill)
                _reduce(self._minimum_fill, self._basis.primes)
        self.terms += len(weights)

    def covered(self, evaluator: Evaluator, ticks: int) -> CoveredCiphertext:
        """The sum with every slot zeroed that no term is at, ready to be opened.

        Raises:
            OutOfRange: no intent was added.
        """
        if not self.terms:
            raise OutOfRange("intents of a shape check", "at least 1", 0)
        layout = CurveLayout(self._ring, ticks)
        chain = _chain_slots(layout)
        terms = [
            (
                evaluator.relinearised(np.ascontiguousarray(total[:_PRODUCT])),
                chain << (_DIGIT_BITS * d),
            )
            for d, total in enumerate(self._totals)
            if total.any()  # SEAL takes no ciphertext of zeros
        ]
        linear, mixed = self._linear(self._totals[:, _PRODUCT:]), bool(self._minimum_fill.any())
        terms += _linear_terms(evaluator, layout, linear, all_level=not mixed)
        if mixed:
            plain = linear.subtract(self._linear(self._minimum_fill))
            terms += _minimum_terms(evaluator, layout, plain)
        covered = selected_sum(evaluator, terms, LANES_LEVEL)
        # which slots may be other than zero must not depend on whose terms are in the sum
        everywhere = np.ones(self._ring.degree, dtype=np.bool_)
        return replace(covered, support=everywhere)

    def _linear(self, totals: Words) -> Ciphertext:
        """A weighted sum of ciphertexts themselves, by digit of the weights."""
        total = np.zeros(totals.shape[1:], dtype=np.uint64)
        primes = self._basis.primes[None, :, None]
        for digits in totals[::-1]:
            total = ((total << np.uint64(_DIGIT_BITS)) + digits) % primes
        return Ciphertext(self._ring, total)


def _chain_slots(layout: CurveLayout) -> Slots:
    """1 at the slots of the quadratic terms."""
    slots = np.zeros((2, layout.ring.row), dtype=np.int64)
    slots[:, : layout.ticks - 1] = 1
    slots[:, -1] = 1
    return slots.reshape(-1)


def _linear_terms(
    evaluator: Evaluator, layout: CurveLayout, total: Ciphertext, *, all_level: bool
) -> list[tuple[Ciphertext, Slots]]:
    """The linear terms, at slots that the chains leave free; the last two at slot T-1.

    Without `all_level` the slot of minima is left out.
    """
    row, half, last = layout.ring.row, layout.ring.row // 2, layout.ticks - 1
    shape = (2, row)
    handle: Any = evaluator.load(total)
    swapped = evaluator.apply_galois(handle, column_element(layout.ring.degree))
    empty, sizes, rows, ends = (np.zeros(shape, dtype=np.int64) for _ in range(4))
    empty.reshape(-1)[layout.empty] = 1
    sizes[:, half : row - 1] = 1
    sizes.reshape(-1)[layout.minimum] = int(all_level)
    rows[1, last] = 1
    ends[0, last] = 1
    across = rotate(evaluator, evaluator.subtract(handle, swapped), half + 1)
    shifted = rotate(evaluator, handle, 1)
    start = rotate(evaluator, handle, -last)
    terms = (
        (total, empty + sizes),
        (evaluator.store(shifted), -sizes),
        (evaluator.store(across), rows),
        (evaluator.store(start), ends),
        (evaluator.store(swapped), -ends),
    )
    return [(ciphertext, weights.reshape(-1)) for ciphertext, weights in terms]


def _minimum_terms(
    evaluator: Evaluator, layout: CurveLayout, plain: Ciphertext
) -> list[tuple[Ciphertext, Slots]]:
    """Identity 3 at the slot of minima, of plain orders alone; `plain` may have no terms."""
    if not plain.words.any():  # SEAL takes no ciphertext of zeros
        return []
    slot = np.zeros(layout.ring.degree, dtype=np.int64)
    slot[layout.minimum] = 1
    shifted = evaluator.store(rotate(evaluator, evaluator.load(plain), 1))
    return [(plain, slot), (shifted, -slot)]
