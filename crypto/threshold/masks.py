"""Jointly random masks, which no single keyper knows.

A mask is Enc(r) in the order ring and the encrypted digits of the same r in the comparison ring.

For mask number i, virtual party j expands 26 signs for each lane from the seed of share j and
encrypts them deterministically; all its holders compute the same bytes. The product of the signs is
the XOR of the bits. A lane with r >= t would be wrong and not uniform (one in a thousand): such
lanes are found by one comparison with t whose bits are opened; their r, useless from then on, is
opened too and taken out by public subtraction, and a second draw for just those lanes is added.

Source of the idea of bitwise-shared masks for comparison: I. Damgard et al., "Unconditionally
secure constant-rounds multi-party computation for equality, comparison, bits and exponentiation"
(TCC 2006).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crypto import labels
from crypto.bfv.ciphertext import Ciphertext, level_basis, zero
from crypto.bfv.encryption import PublicKey
from crypto.bfv.lanes import (
    DIGIT_BITS,
    DIGIT_VALUES,
    DIGITS,
    Lanes,
    LaneShape,
    digits_of,
    plain_modulus_bits,
)
from crypto.bfv.low_noise import encrypt_low_noise
from crypto.bfv.products import add_slots, coefficient_form, transformed
from crypto.bfv.seal import Evaluator
from crypto.errors import MalformedContribution, OutOfRange
from crypto.ring.params import RingParameters
from crypto.ring.ring import Words
from crypto.ring.sampling import absorb, derive_seed, signs
from crypto.threshold.keys import PublicMaterial

TABLE_LEVEL = 5
"""Level of the digit tables: what the comparison after them needs, and no more."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw of mask signs.

    Attributes:
        epoch: key epoch.
        number: mask number, used once.
        attempt: 0 for all lanes, 1 for the lanes that `active` names.
        active: 0/1 for each lane, shape (L,).
    """

    epoch: int
    number: int
    attempt: int
    shape: LaneShape
    active: Lanes

    def __post_init__(self) -> None:
        if self.attempt not in (0, 1) or self.active.shape != (self.shape.lanes,):
            raise OutOfRange("attempt of a mask draw", "0 or 1", self.attempt)

    def fields(self) -> tuple[bytes | int, ...]:
        """What seeds of this draw are bound to: everything that its plaintexts depend on."""
        active = hashlib.sha256(self.active.astype("<i8").tobytes()).digest()
        return (self.epoch, self.number, self.attempt, self.shape.lanes, active)


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one virtual party sends for a draw.

    Attributes:
        order_ciphertexts: for each bit, for each ciphertext of the lanes, the encrypted signs.
        comparison_ciphertexts: for each position, for each of the 4 bits of its digit, the
            encrypted signs.
    """

    order_ciphertexts: tuple[tuple[Ciphertext, ...], ...]
    comparison_ciphertexts: tuple[tuple[Ciphertext, ...], ...]

    def digest(self) -> bytes:
        """32 bytes over all ciphertexts and how they are grouped."""
        state = hashlib.sha256()
        for groups in (self.order_ciphertexts, self.comparison_ciphertexts):
            state.update(absorb(b"groups", *map(len, groups)))
            for group in groups:
                for ciphertext in group:
                    state.update(ciphertext.digest())
        return state.digest()


def require_contribution(draw: Draw, sent: Contribution) -> None:
    """Check that what one keyper sent has the form of a contribution to a draw.

    The mask of fewer groups than the plain modulus has bits would hide nothing, so their number is
    no keyper's to choose.

    Raises:
        MalformedContribution: another number of groups, size of a group, ring or level.
    """
    parameters, shape = draw.shape.parameters, draw.shape
    order_sizes = (shape.order_ciphertexts,) * plain_modulus_bits(parameters.order_ring)
    _require_groups("order ring", parameters.order_ring, order_sizes, sent.order_ciphertexts)
    comparison_sizes = (DIGIT_BITS,) * shape.positions
    comparison_ring, groups = parameters.comparison_ring, sent.comparison_ciphertexts
    _require_groups("comparison ring", comparison_ring, comparison_sizes, groups)


def _require_groups(
    subject: str,
    ring: RingParameters,
    sizes: tuple[int, ...],
    groups: tuple[tuple[Ciphertext, ...], ...],
) -> None:
    got = tuple(map(len, groups))
    if got != sizes:
        raise MalformedContribution(f"{subject}, sizes of groups", sizes, got)
    expected = (ring, (2, len(ring.data_primes), ring.degree))
    for ciphertext in (ciphertext for group in groups for ciphertext in group):
        if (ciphertext.ring, ciphertext.words.shape) != expected:
            got_shape = f"{ciphertext.ring.name}, shape {ciphertext.words.shape}"
            expected_shape = f"{ring.name}, shape {expected[1]}"
            raise MalformedContribution(f"{subject}, ciphertext", expected_shape, got_shape)


def contribute(material: PublicMaterial, draw: Draw, share: int, seed: bytes) -> Contribution:
    """The contribution of virtual party `share`, from the seed of its share.

    Share 0 encrypts its signs already weighted, which saves the noise of weighting later.
    """
    shape, order_ring = draw.shape, material.parameters.order_ring
    bits = plain_modulus_bits(order_ring)
    draw_seed = derive_seed(labels.MASK_SIGNS, seed, *draw.fields())
    drawn = signs(draw_seed, labels.MASK_SIGNS, bits * shape.lanes)
    drawn = drawn.reshape(bits, shape.lanes) * draw.active
    order_ciphertexts, comparison_ciphertexts = [], []
    for k in range(bits):
        weight = _order_weight(order_ring, k) if share == 0 else 1
        vectors = shape.to_order(weight * drawn[k])
        seeds = [_seed(seed, draw, 0, k, c) for c in range(len(vectors))]
        order_ciphertexts.append(_encrypted(material.order_keys.public, vectors, seeds))
    weight = _comparison_weight(material.parameters.comparison_ring) if share == 0 else 1
    for position in range(shape.positions):
        lanes = [weight * _digit_signs(draw, drawn, position, bit) for bit in range(DIGIT_BITS)]
        vectors = np.stack(list(map(shape.to_comparison, lanes)))
        seeds = [_seed(seed, draw, 1, position, bit) for bit in range(DIGIT_BITS)]
        comparison_ciphertexts.append(_encrypted(material.comparison_keys.public, vectors, seeds))
    return Contribution(tuple(order_ciphertexts), tuple(comparison_ciphertexts))


def _encrypted(key: PublicKey, vectors: Lanes, seeds: Sequence[bytes]) -> tuple[Ciphertext, ...]:
    pairs = zip(vectors, seeds, strict=True)
    return tuple(encrypt_low_noise(key, vector, seed) for vector, seed in pairs)


def _seed(seed: bytes, draw: Draw, ring: int, first: int, second: int) -> bytes:
    return derive_seed(labels.MASK_ENCRYPTION, seed, *draw.fields(), ring, first, second)


def _order_weight(ring: RingParameters, bit: int) -> int:
    """-2^(bit - 1) mod t: r = sum over bits of 2^(bit-1) (1 - sign)."""
    t = ring.plain_modulus
    return -pow(2, bit, t) * pow(2, -1, t) % t


def _comparison_weight(ring: RingParameters) -> int:
    """-1/2 mod t: bit = (1 - sign) / 2."""
    return -pow(2, -1, ring.plain_modulus) % ring.plain_modulus


def _digit_signs(draw: Draw, drawn: Lanes, position: int, bit: int) -> Lanes:
    """Signs of one bit of the digits at a position, (blocks, L); bits above the mask are 0."""
    rows = []
    for block in range(draw.shape.blocks):
        digit = draw.shape.digit(block, position)
        index = DIGIT_BITS * (DIGITS - 1 - digit) + bit
        rows.append(drawn[index] if index < drawn.shape[0] else draw.active)
    return np.stack(rows)


@dataclass(frozen=True, slots=True)
class DrawnMask:
    """A combined draw: the encrypted mask and its digit tables.

    Attributes:
        order_ciphertexts: Enc(r) for each ciphertext of the lanes, zero at inactive lanes.
        tables: encrypted [digit = v], transform form, shape (positions, 16, 2, level, degree); zero
            at inactive lanes.
    """

    draw: Draw
    order_ciphertexts: tuple[Ciphertext, ...]
    tables: Words

    def digest(self) -> bytes:
        """32 bytes over number, shape and all words: what keypers attest."""
        state = hashlib.sha256(absorb(b"mask", *self.draw.fields()))
        for ciphertext in self.order_ciphertexts:
            state.update(ciphertext.digest())
        state.update(np.ascontiguousarray(self.tables).tobytes())
        return state.digest()


class MaskCombiner:
    """Multiplies contributions into masks; deterministic, without any secret."""

    def __init__(
        self,
        material: PublicMaterial,
        order_evaluator: Evaluator,
        comparison_evaluator: Evaluator,
    ) -> None:
        self._material = material
        self._order_evaluator = order_evaluator
        self._comparison_evaluator = comparison_evaluator

    def combine(self, draw: Draw, contributions: Sequence[Contribution]) -> DrawnMask:
        """Combine the contributions of all virtual parties, in share order."""
        order_ciphertexts = tuple(
            self._combine_order(draw, contributions, c) for c in range(draw.shape.order_ciphertexts)
        )
        tables = np.stack(
            [
                self._digit_table(draw, [c.comparison_ciphertexts[p] for c in contributions])
                for p in range(draw.shape.positions)
            ]
        )
        return DrawnMask(draw, order_ciphertexts, tables)

    def _combine_order(
        self, draw: Draw, contributions: Sequence[Contribution], number: int
    ) -> Ciphertext:
        """Enc(r) for one ciphertext of the lanes: the weighted products of signs, added up."""
        evaluator = self._order_evaluator
        total: Any = None
        ring = self._material.parameters.order_ring
        bits = plain_modulus_bits(ring)
        for k in range(bits):
            signs_of_bit = [c.order_ciphertexts[k][number] for c in contributions]
            term = evaluator.multiply_only(*_halves(evaluator, signs_of_bit))
            total = term if total is None else evaluator.add(total, term)
        mask = evaluator.store(evaluator.relinearise(total))
        constant = -sum(_order_weight(ring, k) for k in range(bits)) % ring.plain_modulus
        return add_slots(mask, constant * draw.shape.to_order(draw.active)[number])

    def _digit_table(self, draw: Draw, signs_by_party: Sequence[Sequence[Ciphertext]]) -> Words:
        """[digit = v] for 16 v, transform form, shape (16, 2, TABLE_LEVEL, degree)."""
        evaluator = self._comparison_evaluator
        active = draw.shape.to_comparison(np.stack([draw.active] * draw.shape.blocks))
        half = pow(2, -1, self._material.parameters.comparison_ring.plain_modulus)
        bits = []
        for bit in range(DIGIT_BITS):
            signs_of_bit = [party[bit] for party in signs_by_party]
            product = evaluator.multiply(*_halves(evaluator, signs_of_bit))
            bits.append(add_slots(evaluator.store(product), half * active))
        low = self._one_hot(bits[0], bits[1], active)
        high = self._one_hot(bits[2], bits[3], active)
        return self._outer(high, low)

    def _one_hot(self, low: Ciphertext, high: Ciphertext, active: Lanes) -> list[Ciphertext]:
        """[2 high + low = v] for v = 0 .. 3."""
        evaluator = self._comparison_evaluator
        both = evaluator.store(evaluator.multiply(evaluator.load(low), evaluator.load(high)))
        one = low.subtract(both)
        two = high.subtract(both)
        rest = both.subtract(low).subtract(high)
        return [add_slots(rest, active), one, two, both]

    def _outer(self, high: Sequence[Ciphertext], low: Sequence[Ciphertext]) -> Words:
        """high_i * low_j at 4 i + j: nine products, the rest by differences.

        The bits of either are 1 at exactly one i and one j, so the products of a row or column of
        the table add up to high_i or low_j.
        """
        evaluator = self._comparison_evaluator

        def lowered(ciphertext: Ciphertext) -> Any:
            return evaluator.switch_to(evaluator.load(ciphertext), TABLE_LEVEL + 1)

        def at_table_level(handle: Any) -> Ciphertext:
            return evaluator.store(evaluator.switch_to(handle, TABLE_LEVEL))

        highs, lows = list(map(lowered, high)), list(map(lowered, low))
        table: dict[tuple[int, int], Ciphertext] = {}
        for i in range(1, 4):
            for j in range(1, 4):
                table[i, j] = at_table_level(evaluator.multiply(highs[i], lows[j]))
            row = at_table_level(highs[i])
            table[i, 0] = row.subtract(table[i, 1]).subtract(table[i, 2]).subtract(table[i, 3])
        for j in range(4):
            column = at_table_level(lows[j])
            table[0, j] = column.subtract(table[1, j]).subtract(table[2, j]).subtract(table[3, j])
        return np.stack([transformed(table[i, j]) for i in range(4) for j in range(4)])


def _halves(evaluator: Evaluator, signs_by_party: Sequence[Ciphertext]) -> tuple[Any, Any]:
    """Handles of two factors of the product over three or four parties."""
    handles = list(map(evaluator.load, signs_by_party))
    right = handles[2] if len(handles) == 3 else evaluator.multiply(handles[2], handles[3])
    return evaluator.multiply(handles[0], handles[1]), right


def replace_lanes(mask: DrawnMask, known: Lanes, second: DrawnMask) -> DrawnMask:
    """Take out the lanes that `second` is active at, whose old r is `known`, and put `second` in.

    Args:
        known: the old r of those lanes, anything elsewhere; shape (L,).
    """
    shape, replaced = mask.draw.shape, second.draw.active
    removed = shape.to_order(-known * replaced)
    pairs = zip(mask.order_ciphertexts, second.order_ciphertexts, removed, strict=True)
    order_ciphertexts = tuple(add_slots(old.add(new), vector) for old, new, vector in pairs)
    ring = shape.parameters.comparison_ring
    digits = digits_of(known)
    tables = np.empty_like(mask.tables)
    for position in range(shape.positions):
        public = np.stack([digits[shape.digit(b, position)] for b in range(shape.blocks)])
        for value in range(DIGIT_VALUES):
            vector = -shape.to_comparison((public == value).astype(np.int64) * replaced)
            tables[position, value] = _add_to_transformed(
                ring, mask.tables[position, value], second.tables[position, value], vector
            )
    return DrawnMask(mask.draw, order_ciphertexts, tables)


def _add_to_transformed(ring: RingParameters, a: Words, b: Words, values: Lanes) -> Words:
    public = transformed(add_slots(zero(ring, a.shape[1]), values))
    basis = level_basis(ring, a.shape[1])
    total: Words = basis.add(basis.add(a, b), public)
    return total


def digit_values(mask: DrawnMask, position: int) -> Ciphertext:
    """Encrypted digits of one position, in all blocks, at TABLE_LEVEL."""
    ring = mask.draw.shape.parameters.comparison_ring
    basis = level_basis(ring, TABLE_LEVEL)
    weights = np.zeros((DIGIT_VALUES, TABLE_LEVEL, ring.degree), dtype=np.uint64)
    weights[:] = np.arange(DIGIT_VALUES, dtype=np.uint64)[:, None, None]
    return coefficient_form(ring, basis.weighted_sum(weights, mask.tables[position]))


def known_lanes(shape: LaneShape, digits: Sequence[Lanes]) -> Lanes:
    """Lane values (L,) of opened digits, one slot vector (degree,) for each position."""
    total = np.zeros(shape.lanes, dtype=np.int64)
    for position, vector in enumerate(digits):
        rows = vector.reshape(2, shape.blocks, shape.width)
        for block in range(shape.blocks):
            shift = DIGIT_BITS * (DIGITS - 1 - shape.digit(block, position))
            total += rows[:, block].reshape(shape.lanes) << shift
    return total
