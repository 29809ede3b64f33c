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

Noise: three merges after one plaintext product. Levels fall as the budget does.
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def"
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

from crypto.bfv.ciphertext import Ciphertext, level_basis
from crypto.bfv.lanes import DIGIT_BITS, DIGIT_VALUES, DIGITS, Lanes, LaneShape, digits_of
from crypto.bfv.products import add_slots, coefficient_form
from crypto.bfv.seal import Evaluator
from crypto.circuits.curves import size_max
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
        found = [int(opened.min()), int(opened.max())]
        raise OutOfRange("opened value", f"0 .. {t - 1}", found)
    upper = opened + 1
    steps = np.arange(4, dtype=np.int64) << _TOP_SHIFT
    distance = np.mod(upper[:, None] - steps[None, :], t)
    signed = (4 * distance >= t) & (4 * distance <= 3 * t)
    narrow = (distance > size_max(ring)) & (2 * distance <= t)
    chosen = np.argmax(np.where(bounded[:, None], narrow, signed), axis=1)
    height = distance[np.arange(chosen.size), chosen]
    return Thresholds(upper, np.mod(upper - height, t), (upper < height).astype(np.int64))


@njit(cache=True, nogil=True)
def _select(table, weights, eq, lt, primes, ratios):
    """Eq = sum of weights[v] table[v]; lt = sum of table[u] * (sum over v > u of weights[v])."""
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
class _Order:
    """Encrypted result of comparing some digits: handles of [r < c] and [r = c] there.

    `lt` is None where every lane's public digits are 0: nothing is below, and SEAL multiplies no
    ciphertext of zeros.
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
        evaluator, shape = self._evaluator, mask.draw.shape
        digits = digits_of(constants)
        orders = []
        for position in range(shape.positions):
            at = np.stack([digits[shape.digit(b, position)] for b in range(shape.blocks)])
            orders.append(self._digit(shape, mask.tables[position], at))
        merged = 0
        while len(orders) > 1:
            orders = [
                self._merge(orders[i], orders[i + 1], merged) for i in range(0, len(orders), 2)
            ]
            merged += 1
        order, step = orders[0], 1
        while step < shape.blocks:
            element = rotation_element(self.ring.degree, step * shape.width)
            order = self._lowered(order, _MERGE_LEVELS[merged])
            below = None if order.lt is None else evaluator.apply_galois(order.lt, element)
            low = _Order(below, evaluator.apply_galois(order.eq, element))
            step *= 2
            order = self._merge(order, low, merged)
            merged += 1
        if order.lt is None:
            raise OutOfRange("constants of a comparison", "one above 0", 0)
        return evaluator.switch_to(order.lt, BITS_LEVEL)

    def _below_top_digit(self, mask: DrawnMask, constants: Lanes) -> Any:
        shape = mask.draw.shape
        block, position = divmod(_TOP_DIGIT, shape.positions)
        at = np.zeros((shape.blocks, shape.lanes), dtype=np.int64)
        at[block] = digits_of(constants)[_TOP_DIGIT]
        below = self._digit(shape, mask.tables[position], at).lt
        if block:
            element = rotation_element(self.ring.degree, block * shape.width)
            below = self._evaluator.apply_galois(below, element)
        return self._evaluator.switch_to(below, BITS_LEVEL)

    def _digit(self, shape: LaneShape, table: Words, at: Lanes) -> _Order:
        """Compare the digits of one position with public digits `at`, shape (blocks, L)."""
        basis = level_basis(self.ring, TABLE_LEVEL)
        vector = shape.to_comparison(at)
        one_hot = vector[None] == np.arange(DIGIT_VALUES)[:, None]
        weights = lift(self.ring, one_hot.astype(np.int64), TABLE_LEVEL)
        eq, lt = np.empty_like(table[0]), np.empty_like(table[0])
        _select(table, weights, eq, lt, basis.primes, basis.ratios)
        below = self._evaluator.load(coefficient_form(self.ring, lt)) if at.any() else None
        return _Order(below, self._evaluator.load(coefficient_form(self.ring, eq)))

    def _merge(self, high: _Order, low: _Order, merged: int) -> _Order:
        evaluator, level = self._evaluator, _MERGE_LEVELS[merged]
        last = merged == len(_MERGE_LEVELS) - 1
        high, low = (self._lowered(order, level) for order in (high, low))
        lt = high.lt
        if low.lt is not None:
            deeper = evaluator.multiply(high.eq, low.lt)
            lt = deeper if lt is None else evaluator.add(lt, deeper)
        return _Order(lt, None if last else evaluator.multiply(high.eq, low.eq))

    def _lowered(self, order: _Order, level: int) -> _Order:
        lt = None if order.lt is None else self._evaluator.switch_to(order.lt, level)
        return _Order(lt, self._evaluator.switch_to(order.eq, level))


def crossing_bits(evaluator: Evaluator, bits: Ciphertext, window: int) -> Ciphertext:
    """Sum u(p) * (w(p) - w(p - 1)) over the next `window` columns, at each column of row 0.

    u is in row 0 and w in row 1 of the comparison ring; `window` is a power of two. Where u is a
    step down and w a step up that are 0 outside, the sum is 1 when the last u reaches the first w,
    else 0. Every slot holds something: select before opening.
    """
    degree = evaluator.ring.degree
    u = evaluator.load(bits)
    w = evaluator.apply_galois(u, column_element(degree))
    step = evaluator.subtract(w, evaluator.apply_galois(w, rotation_element(degree, -1)))
    total = evaluator.multiply(u, step)
    shift = 1
    while shift < window:
        total = evaluator.add(total, evaluator.apply_galois(total, rotation_element(degree, shift)))
        shift *= 2
    return evaluator.store(total)


def reference_bits(evaluator: Evaluator, bits: Ciphertext) -> Ciphertext:
    """Multiply u in row 0 by w in row 1 of the comparison ring, at each column of row 0."""
    u = evaluator.load(bits)
    w = evaluator.apply_galois(u, column_element(evaluator.ring.degree))
    return evaluator.store(evaluator.multiply(u, w))
