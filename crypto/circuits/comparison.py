"""Exact masked comparison: encrypted bits [x >= 0] of 16384 lanes from opened y = x + r mod t.

y is uniform, so it is public. x lies in [0, h) modulo t exactly when r lies in the cyclic interval
(y - h, y]: the difference of two tests "encrypted r below public constant". The upper one runs over
eight base-16 digits of r, whose indicators are prepared with the mask: with public constants, lt
and eq of a digit are plaintext products, and a tree of (lt, eq) merges follows. The lower constant
may lie anywhere in a gap, so it is put on a multiple of 2^24, where one digit decides; h follows
from y and is as public.

* A *sign lane* has t/4 <= h <= 3t/4, and so decides x >= 0 for -t/4 < x < t/4.
* A *bounded lane* has size_max < h <= t/2, a window of 2^24 numbers, so that a multiple of 2^24
  fits. Two of them, of q and of c - q, are both 1 exactly when 0 <= q <= c, for any c up to
  size_max and *any* q modulo t: the first says q < h, the second q <= c or q > t + c - h' >= h.
  So negative sizes fail.

Example, a sign lane with t = 61, three base-4 digits, and lower constants on multiples of 16:

* x = -5 under r = 20 opens y = 15. The constant above is y + 1 = 16. With the lower constant 0 the
  height h is 16, between 15.25 and 45.75. The bit is [20 < 16] - [20 < 0] = 0: x is negative.
* x = 5 under r = 58 opens y = 63 mod 61 = 2. The constant above is 3. Lower constants 0 and 16 give
  heights 3 and 3 - 16 = 48 mod 61, which do not fit; 32 gives 3 - 32 = 32 mod 61. The interval
  wraps around, so 1 is added: the bit is [58 < 3] - [58 < 32] + 1 = 1.
* [20 < 26] by digits, the highest first: 20 = (1, 1, 0) and 26 = (1, 2, 2) give the pairs (lt, eq)
  (0, 1), (1, 0) and (1, 0). Neighbours merge into (lt + eq lt', eq eq'): (1, 0), and again (1, 0).

Noise: three merges after one plaintext product. Levels fall as the budget does.
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def"
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import uint64

from crypto.bfv.ciphertext import Ciphertext, level_basis
from crypto.bfv.lanes import DIGIT_BITS, DIGIT_VALUES, DIGITS, Lanes, LaneShape, digits_of
from crypto.bfv.products import add_slots, coefficient_form
from crypto.bfv.seal import Evaluator
from crypto.circuits.curves import size_max
from crypto.compiled import kernel
from crypto.errors import OutOfRange
from crypto.ring.modular import high_word, reduce_wide
from crypto.ring.params import RingParameters
from crypto.ring.ring import Words
from crypto.ring.slots import column_element, lift, rotation_element
from crypto.threshold.masks import TABLE_LEVEL, DrawnMask

Flags = npt.NDArray[np.bool_]

BITS_LEVEL: Final = 3
"""Level of the bits that a comparison returns."""

_MERGE_LEVELS: Final = (5, 4, 4)
"""Level of each of the three merges."""

_TOP_DIGIT: Final = 1
_TOP_SHIFT: Final = DIGIT_BITS * (DIGITS - 1 - _TOP_DIGIT)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Public constants of one comparison, each of shape (L,).

    The bit of a lane is [r < upper] - [r < lower] + wrap.
    """

    upper: Lanes
    lower: Lanes
    wrap: Lanes


def thresholds(ring: RingParameters, opened: Lanes, bounded: Flags) -> Thresholds:
    """Constants for opened values y in [0, t); `bounded` marks bounded lanes; both of shape (L,).

    Raises:
        OutOfRange: an opened value outside 0 .. t - 1.
    """
    t = ring.plain_modulus
    if opened.size and (opened.min() < 0 or opened.max() >= t):
        extremes = [int(opened.min()), int(opened.max())]
        raise OutOfRange("opened value", f"0 .. {t - 1}", extremes)
    upper = opened + 1
    candidates = np.arange(4, dtype=np.int64) << _TOP_SHIFT
    heights = np.mod(upper[:, None] - candidates[None, :], t)
    fit_sign = (4 * heights >= t) & (4 * heights <= 3 * t)
    fit_bounded = (heights > size_max(ring)) & (2 * heights <= t)
    chosen = np.argmax(np.where(bounded[:, None], fit_bounded, fit_sign), axis=1)
    height = heights[np.arange(chosen.size), chosen]
    return Thresholds(upper, np.mod(upper - height, t), (upper < height).astype(np.int64))


@kernel
def _select(table, weights, eq, lt, primes, ratios):
    """Eq = sum of weights[v] table[v]; lt = sum of table[u] * (sum over v > u of weights[v]).

    A digit u of r is below the public digit v where u < v, and `weights[v]` is 1 at the lanes whose
    public digit is v: running down from the highest v, `above` holds those of all larger digits.
    """
    for k in range(primes.size):
        prime = primes[k]
        for c in range(2):
            for i in range(table.shape[3]):
                eq_high = uint64(0)
                eq_low = uint64(0)
                lt_high = uint64(0)
                lt_low = uint64(0)
                above = uint64(0)
                for v in range(table.shape[0] - 1, -1, -1):
                    x = table[v, c, k, i]
                    w = weights[v, k, i]
                    part = x * w
                    eq_low += part
                    eq_high += high_word(x, w)
                    if eq_low < part:
                        eq_high += uint64(1)
                    part = x * above
                    lt_low += part
                    lt_high += high_word(x, above)
                    if lt_low < part:
                        lt_high += uint64(1)
                    above += w
                eq[c, k, i] = reduce_wide(eq_high, eq_low, prime, ratios[k, 0], ratios[k, 1])
                lt[c, k, i] = reduce_wide(lt_high, lt_low, prime, ratios[k, 0], ratios[k, 1])


@dataclass(frozen=True, slots=True)
class _DigitBits:
    """Handles of the encrypted bits [r < c] and [r = c] of some digits of r and a constant c.

    `lt` is None where every lane's public digits are 0: nothing is below, and SEAL multiplies no
    ciphertext of zeros. `eq` is None after the last merge, where it is not needed.
    """

    lt: Any
    eq: Any


class Comparator:
    """Runs comparisons in the comparison ring; deterministic, without any secret."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self.ring = evaluator.ring

    def compare(self, mask: DrawnMask, opened: Lanes, bounded: Flags) -> Ciphertext:
        """Encrypted bits of all lanes, in block 0 of the shape; other blocks hold garbage.

        Args:
            opened: y = x + r mod t, shape (L,).
            bounded: which lanes are bounded ones, shape (L,).

        Raises:
            OutOfRange: as `thresholds`.
        """
        shape = mask.draw.shape
        constants = thresholds(shape.parameters.order_ring, opened, bounded)
        upper = self._below(mask, constants.upper)
        lower = self._below_top_digit(mask, constants.lower)
        bits = self._evaluator.store(self._evaluator.subtract(upper, lower))
        return add_slots(bits, shape.first_block(constants.wrap))

    def below_constant(self, mask: DrawnMask, constant: int) -> Ciphertext:
        """Encrypted bits [r < constant] of all lanes, in block 0.

        Raises:
            OutOfRange: the constant is 0, so that no r is below it.
        """
        lanes = np.full(mask.draw.shape.lanes, constant, dtype=np.int64)
        return self._evaluator.store(self._below(mask, lanes))

    def _below(self, mask: DrawnMask, constants: Lanes) -> Any:
        """Handle of the bits [r < constant] of all lanes, shape (L,), in block 0."""
        shape, digits = mask.draw.shape, digits_of(constants)
        pairs = []
        for position in range(shape.positions):
            public = np.stack([digits[shape.digit(b, position)] for b in range(shape.blocks)])
            pairs.append(self._compare_digit(shape, mask.tables[position], public))
        merges = 0
        while len(pairs) > 1:
            pairs = [self._merge(pairs[i], pairs[i + 1], merges) for i in range(0, len(pairs), 2)]
            merges += 1
        lt = self._merge_blocks(shape, pairs[0], merges).lt
        if lt is None:
            raise OutOfRange("constants of a comparison", "one above 0", 0)
        return self._evaluator.switch_to(lt, BITS_LEVEL)

    def _merge_blocks(self, shape: LaneShape, digits: _DigitBits, merges: int) -> _DigitBits:
        """Merge neighbouring blocks, until block 0 has all digits; `merges` were made before."""
        evaluator, distance = self._evaluator, 1
        while distance < shape.blocks:
            element = rotation_element(self.ring.degree, distance * shape.width)
            digits = self._lowered(digits, _MERGE_LEVELS[merges])
            lt = None if digits.lt is None else evaluator.apply_galois(digits.lt, element)
            next_block = _DigitBits(lt, evaluator.apply_galois(digits.eq, element))
            digits = self._merge(digits, next_block, merges)
            distance *= 2
            merges += 1
        return digits

    def _below_top_digit(self, mask: DrawnMask, constants: Lanes) -> Any:
        """Handle of the bits [r < constant], for multiples of 2^24: their top digit decides."""
        shape = mask.draw.shape
        block, position = divmod(_TOP_DIGIT, shape.positions)
        public = np.zeros((shape.blocks, shape.lanes), dtype=np.int64)
        public[block] = digits_of(constants)[_TOP_DIGIT]
        lt = self._compare_digit(shape, mask.tables[position], public).lt
        if block:
            element = rotation_element(self.ring.degree, block * shape.width)
            lt = self._evaluator.apply_galois(lt, element)
        return self._evaluator.switch_to(lt, BITS_LEVEL)

    def _compare_digit(self, shape: LaneShape, table: Words, public: Lanes) -> _DigitBits:
        """Compare the digits of one position with public digits, shape (blocks, L)."""
        basis = level_basis(self.ring, TABLE_LEVEL)
        vector = shape.to_comparison(public)
        one_hot = vector[None] == np.arange(DIGIT_VALUES)[:, None]
        weights = lift(self.ring, one_hot.astype(np.int64), TABLE_LEVEL)
        eq, lt = np.empty_like(table[0]), np.empty_like(table[0])
        _select(table, weights, eq, lt, basis.primes, basis.ratios)
        below = self._evaluator.load(coefficient_form(self.ring, lt)) if public.any() else None
        return _DigitBits(below, self._evaluator.load(coefficient_form(self.ring, eq)))

    def _merge(self, high: _DigitBits, low: _DigitBits, merges: int) -> _DigitBits:
        """(lt + eq lt', eq eq') of two neighbours, after `merges` merges."""
        evaluator, level = self._evaluator, _MERGE_LEVELS[merges]
        high, low = self._lowered(high, level), self._lowered(low, level)
        lt = high.lt
        if low.lt is not None:
            below_in_low = evaluator.multiply(high.eq, low.lt)
            lt = below_in_low if lt is None else evaluator.add(lt, below_in_low)
        last = merges == len(_MERGE_LEVELS) - 1
        return _DigitBits(lt, None if last else evaluator.multiply(high.eq, low.eq))

    def _lowered(self, digits: _DigitBits, level: int) -> _DigitBits:
        lt = None if digits.lt is None else self._evaluator.switch_to(digits.lt, level)
        return _DigitBits(lt, self._evaluator.switch_to(digits.eq, level))


def crossing_bits(evaluator: Evaluator, bits: Ciphertext, window: int) -> Ciphertext:
    """Whether the last u of the next `window` columns reaches the first w, at each column of row 0.

    u is in row 0 and w in row 1 of the comparison ring, a step down and a step up; `window` is a
    power of two. The answer is right where the column before the window has a 0 in row 1, or has a
    1 and the first u is 1: it is the sum of u(p) * (w(p) - w(p - 1)) over the window, and of the
    bit before it, which that sum subtracts. Every slot holds something: select before opening.
    """
    degree = evaluator.ring.degree
    u = evaluator.load(bits)
    w = evaluator.apply_galois(u, column_element(degree))
    before = evaluator.apply_galois(w, rotation_element(degree, -1))
    total = evaluator.multiply(u, evaluator.subtract(w, before))
    distance = 1
    while distance < window:
        shifted = evaluator.apply_galois(total, rotation_element(degree, distance))
        total = evaluator.add(total, shifted)
        distance *= 2
    return evaluator.store(evaluator.add(total, before))


def reference_bits(evaluator: Evaluator, bits: Ciphertext) -> Ciphertext:
    """Multiply u in row 0 by w in row 1 of the comparison ring, at each column of row 0."""
    u = evaluator.load(bits)
    w = evaluator.apply_galois(u, column_element(evaluator.ring.degree))
    return evaluator.store(evaluator.multiply(u, w))
