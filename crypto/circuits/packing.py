"""Packing: one slot of every intent gathered into one ciphertext, and the rotations it takes.

All in the order ring, on public positions, so every function is deterministic: each holder of the
ciphertexts can repeat it to the byte.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any, Final

import numpy as np

from crypto.bfv.ciphertext import Ciphertext, level_basis
from crypto.bfv.products import coefficient_form, transformed
from crypto.bfv.seal import Evaluator
from crypto.errors import OutOfRange
from crypto.ring.params import PACKING_RADIX, RingParameters
from crypto.ring.ring import Words
from crypto.ring.slots import lift, rotation_element

GROUP: Final = PACKING_RADIX**2
"""Intents that one packed group holds in neighbouring slots."""

_BEHIND_MINIMUM: Final = 1
"""Slots from that of minima to the first that has the size in row 1 of every intent."""

_Pick = tuple[int, int]
"""A slot of every intent: its row, and how far behind slot half it is."""

_SIZE_IN_ROW_0: Final[_Pick] = (0, 0)
_SIZE_IN_ROW_1: Final[_Pick] = (1, _BEHIND_MINIMUM)
_MINIMUM: Final[_Pick] = (1, 0)

LANES_LEVEL: Final = 3
"""Level of lane ciphertexts in the order ring when they are masked."""


def rotate(evaluator: Evaluator, handle: Any, steps: int) -> Any:
    """Rotate both rows left by any number of steps, as few power-of-two rotations as possible."""
    row = evaluator.ring.row
    remaining = steps % row
    sign = 1
    if remaining > row // 2:
        remaining, sign = row - remaining, -1
    while remaining:
        # signed binary digits, none beside another: 7 = 8 - 1 takes two rotations, not three
        power = remaining & -remaining
        digit = -power if remaining & (power << 1) else power
        element = rotation_element(evaluator.ring.degree, sign * digit)
        handle = evaluator.apply_galois(handle, element)
        remaining -= digit
    return handle


def power_of_two(count: int) -> int:
    """The smallest power of two that is at least `count`."""
    return 1 << max(0, count - 1).bit_length()


def unbroken(column: int, width: int, row: int) -> int:
    """The first column from `column` on where `width` of them lie in one ciphertext."""
    return column if column % row + width <= row else (column // row + 1) * row


def lane_level(evaluator: Evaluator, ciphertext: Ciphertext) -> Ciphertext:
    """A ciphertext of the order ring at LANES_LEVEL."""
    return evaluator.store(evaluator.switch_to(evaluator.load(ciphertext), LANES_LEVEL))


@dataclass(frozen=True, slots=True)
class PackedSizes:
    """Sizes of all intents of an instrument: slot half + k of row i of `rows[i]` is intent k's.

    Every other slot is zero.
    """

    rows: tuple[Ciphertext, Ciphertext]

    def add(self, other: PackedSizes) -> PackedSizes:
        """Sizes of two packers that have no number in common."""
        first, second = (a.add(b) for a, b in zip(self.rows, other.rows, strict=True))
        return PackedSizes((first, second))


def arranged(evaluator: Evaluator, ciphertext: Ciphertext, index: int) -> Words:
    """What a packer keeps of intent number `index`, transform form, shape (2, level, degree).

    The ciphertext is rotated right by index mod GROUP, so that neighbours can be added up: by the
    two digits of that number, for each of which there is a Galois key.
    """
    handle = evaluator.load(ciphertext)
    high, low = divmod(index % GROUP, PACKING_RADIX)
    for step in (high * PACKING_RADIX, low):
        if step:
            handle = evaluator.apply_galois(handle, rotation_element(evaluator.ring.degree, -step))
    return transformed(evaluator.store(handle))


class Packer:
    """Gathers intents on arrival so that one slot of each can be packed fast after close.

    Sizes, and minima if asked for, are packed while intents arrive, group by group. Memory: one
    ciphertext an intent.
    """

    def __init__(self, evaluator: Evaluator, *, with_minimums: bool = False) -> None:
        self._evaluator = evaluator
        self._words: list[Words | None] = []
        self._picks = (_SIZE_IN_ROW_0, _SIZE_IN_ROW_1, _MINIMUM)[: 3 if with_minimums else 2]
        self._packed: dict[int, dict[_Pick, Any]] = defaultdict(dict)

    @property
    def count(self) -> int:
        """Intents that were added, dropped ones too."""
        return len(self._words)

    def add(self, words: Words) -> None:
        """Add the next intent, number `count`, as `arranged` made it; holds it, and no copy.

        Raises:
            OutOfRange: more intents than half a row holds.
        """
        ring = self._evaluator.ring
        if self.count >= ring.row // 2:
            raise OutOfRange("intents of an auction", f"at most {ring.row // 2}", self.count + 1)
        self._words.append(None)
        self.put(self.count - 1, words)
        self._pack_full_group()

    def _pack_full_group(self) -> None:
        full = self.count % GROUP == 0
        if full and any(words is not None for words in self._words[-GROUP:]):
            for pick in self._picks:
                self._pick_of_group(pick, self.count // GROUP - 1)

    def skip(self) -> None:
        """Leave the next number, `count`, to another packer."""
        self._words.append(None)
        self._pack_full_group()

    def put(self, number: int, words: Words) -> None:
        """Give a number that was dropped to an intent, as `arranged` made it for that number."""
        self._words[number] = words
        self._packed.pop(number // GROUP, None)

    def drop(self, number: int) -> None:
        """Take an intent out; all others keep their numbers."""
        self._words[number] = None
        self._packed.pop(number // GROUP, None)

    def close_gap(self, number: int, words: Words | None) -> None:
        """Move the last intent to a number that was dropped, as `arranged` made it for that number.

        Where `number` is the last, `words` is None.
        """
        self.drop(self.count - 1)
        self._words.pop()
        if words is not None:
            self.put(number, words)

    def _live_groups(self) -> list[int]:
        """Groups that any intent is left in: SEAL takes no ciphertext of zeros.

        Raises:
            OutOfRange: all intents were dropped.
        """
        live = sorted({n // GROUP for n, words in enumerate(self._words) if words is not None})
        if not live:
            raise OutOfRange("intents to pack", "at least 1", 0)
        return live

    def pack(self, tick: int) -> Ciphertext:
        """Slot k of row 0 = demand of intent k at `tick`, of row 1 = its supply; others zero.

        Depth: one plaintext product and rotations.

        Raises:
            OutOfRange: all intents were dropped.
        """
        evaluator, ring = self._evaluator, self._evaluator.ring
        one_hot = np.zeros((GROUP, 2, ring.row), dtype=np.int64)
        for index in range(GROUP):
            # row 1 holds what is not supplied: supply is the size, added below, less that
            one_hot[index, :, tick + index] = 1, -1
        weights = lift(ring, one_hot.reshape(GROUP, -1), len(ring.data_primes))
        live = self._live_groups()
        total: Any = None
        for group in reversed(range(live[-1] + 1)):
            if total is not None:
                total = rotate(evaluator, total, -GROUP)
            if group in live:
                members = self._packed_group(weights, group)
                total = members if total is None else evaluator.add(total, members)
        sizes = evaluator.load(self.sizes().rows[1])
        total = evaluator.add(
            rotate(evaluator, total, tick), rotate(evaluator, sizes, ring.row // 2)
        )
        return evaluator.store(total)

    def sizes(self) -> PackedSizes:
        """Sizes of all intents.

        Depth: one plaintext product and rotations.

        Raises:
            OutOfRange: all intents were dropped.
        """
        evaluator = self._evaluator
        first = self._pick_of_all(_SIZE_IN_ROW_0)
        second = rotate(evaluator, self._pick_of_all(_SIZE_IN_ROW_1), _BEHIND_MINIMUM)
        return PackedSizes((evaluator.store(first), evaluator.store(second)))

    def minimums(self) -> Ciphertext:
        """Slot half + k of row 1 = the minimum of order k less one; every other slot is zero.

        Depth: one plaintext product and rotations.

        Raises:
            OutOfRange: all intents were dropped.
        """
        return self._evaluator.store(self._pick_of_all(_MINIMUM))

    def _pick_of_all(self, pick: _Pick) -> Any:
        """Handle of one slot of every intent, in its row from slot half and the pick's on."""
        groups = (self._pick_of_group(pick, group) for group in self._live_groups())
        return reduce(self._evaluator.add, groups)

    def _pick_of_group(self, pick: _Pick, group: int) -> Any:
        """Handle of one slot of every intent of a group; kept until the group changes."""
        packed = self._packed[group]
        if pick not in packed:
            packed[pick] = self._pack_pick(pick, group)
        return packed[pick]

    def _pack_pick(self, pick: _Pick, group: int) -> Any:
        handle = self._packed_group(_slot_weights(self._evaluator.ring, *pick), group)
        return rotate(self._evaluator, handle, -GROUP * group)

    def _packed_group(self, weights: Words, group: int) -> Any:
        """Handle of the sum of a group's intents, each times its weights."""
        ring = self._evaluator.ring
        levels = len(ring.data_primes)
        totals = np.zeros((2, levels, ring.degree), dtype=np.uint64)
        members = self._words[GROUP * group : GROUP * (group + 1)]
        for index, words in enumerate(members):
            if words is not None:
                level_basis(ring, levels).multiply_add(totals, weights[index], words)
        return self._evaluator.load(coefficient_form(ring, totals))


@lru_cache(maxsize=6)
def _slot_weights(ring: RingParameters, row: int, behind: int) -> Words:
    """Operands that pick slot half + `behind` of one row of each intent of a group.

    The size fills half a row, so that a shift by less than GROUP still leaves it there.
    """
    one_hot = np.zeros((GROUP, 2, ring.row), dtype=np.int64)
    for index in range(GROUP):
        one_hot[index, row, ring.row // 2 + behind + index] = 1
    return lift(ring, one_hot.reshape(GROUP, -1), len(ring.data_primes))
