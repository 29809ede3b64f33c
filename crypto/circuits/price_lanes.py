"""Price and cap lanes: what is compared with zero to find out whether and where books cross.

Columns of price lanes, for an instrument that starts at column s, with W the power of two above its
T ticks, m the tick of the reference price, D and S demand and supply, [x] one if x holds and else
zero, and dead lanes -1 so that their bits are 0:

| columns | row 0 | row 1 |
| --- | --- | --- |
| s + p, p < T - 1 | D(p) - S(p) - [p > m] | S(p) - D(p + 1) - [p >= m] |
| s + T - 1 | D(p) - S(p) - [p > m] | D(m) - S(m) - 1 |
| s + W + p | D(p) - 1 | S(p) - 1 |

The bits of row 0 are the steps Z(p) of `darkpool.crossing.clearing`, those of row 1 its g(p + 1),
and the last of them says whether buyers exceed sellers at the reference price.

Columns of cap lanes follow, one for each intent: its size in row 0, its cap less its size in row 1.
Then, of instruments that have minimum-fill orders, one more for each intent: with h the minimum
less one, its size less h in row 0 and h in row 1. Of a plain intent, h is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.lanes import LaneCiphertext, Lanes, LaneShape, smallest_shape
from crypto.bfv.products import add_slots, sum_of_products
from crypto.bfv.seal import Evaluator
from crypto.circuits.lane_sum import LaneSum
from crypto.circuits.packing import PackedSizes, power_of_two, rotate, unbroken
from crypto.errors import OutOfRange
from crypto.ring.params import ParameterSet
from crypto.ring.slots import column_element, rotation_element


@dataclass(frozen=True, slots=True)
class PriceLayout:
    """Where the price and cap lanes of the instruments of one comparison lie.

    Attributes:
        ticks: T, of every instrument.
        reference: m, the tick of the reference price of every instrument.
        counts: intents of each instrument; as many cap lanes in either row.
        minimum_fills: which instruments have minimum-fill orders, and so as many lanes of minima;
            none if it is empty.
    """

    parameters: ParameterSet
    ticks: int
    reference: int
    counts: tuple[int, ...]
    minimum_fills: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        if self.minimum_fills and len(self.minimum_fills) != len(self.counts):
            raise OutOfRange(
                "instruments with minimum-fill orders", len(self.counts), len(self.minimum_fills)
            )
        if not 1 <= self.ticks <= self.parameters.ticks_max:
            raise OutOfRange("ticks of a grid", f"1 .. {self.parameters.ticks_max}", self.ticks)
        if not 0 <= self.reference < self.ticks:
            raise OutOfRange("reference tick", f"0 .. {self.ticks - 1}", self.reference)

    @property
    def instruments(self) -> int:
        """How many instruments share the comparison."""
        return len(self.counts)

    @property
    def width(self) -> int:
        """W: columns of one block of an instrument."""
        return power_of_two(self.ticks)

    @property
    def columns(self) -> int:
        """Columns up to the last cap lane."""
        return self._block_start(len(self._blocks))

    @property
    def shape(self) -> LaneShape:
        """The smallest shape that holds all instruments."""
        return smallest_shape(self.parameters, self.columns)

    def price_start(self, instrument: int) -> int:
        """First column of an instrument's price lanes."""
        return 2 * self.width * instrument

    def step_lanes(self, instrument: int) -> Lanes:
        """Lane numbers of an instrument's steps, shape (T,)."""
        return self.price_start(instrument) + np.arange(self.ticks)

    def tie_lane(self, instrument: int, tick: int) -> int:
        """Lane number of the comparison of a tick with the one below it; `tick` is from 1 on."""
        return self.lane(1, self.price_start(instrument) + tick - 1)

    @property
    def _blocks(self) -> tuple[int, ...]:
        """Columns of every block of cap lanes, in order."""
        flags = self.minimum_fills or (False,) * self.instruments
        pairs = zip(self.counts, flags, strict=True)
        return self.counts + tuple(count if flag else 0 for count, flag in pairs)

    def _block_start(self, block: int) -> int:
        """First column of a block of cap lanes, or the first after all of them."""
        row, column = self.parameters.order_ring.row, self.price_start(self.instruments)
        for count in self._blocks[:block]:
            column = unbroken(column, count, row) + count
        count = self._blocks[block] if block < len(self._blocks) else 0
        return unbroken(column, count, row)

    def cap_start(self, instrument: int) -> int:
        """First column of an instrument's cap lanes."""
        return self._block_start(instrument)

    def minimum_start(self, instrument: int) -> int:
        """First column of an instrument's lanes of minima."""
        return self._block_start(self.instruments + instrument)

    def lane(self, row: int, column: int) -> int:
        """Number of a lane."""
        return row * self.shape.width + column

    def cap_lanes(self, instrument: int) -> Lanes:
        """Lane numbers of an instrument's intents, shape (2, count): size, then cap less size.

        With minimum-fill orders, shape (4, count): also the size less h, and h.
        """
        starts = [self.cap_start(instrument)]
        if self.minimum_fills and self.minimum_fills[instrument]:
            starts.append(self.minimum_start(instrument))
        columns = np.add.outer(starts, np.arange(self.counts[instrument]))
        both_rows = np.stack([columns, self.shape.width + columns], axis=1)
        return both_rows.reshape(2 * len(starts), -1)


def price_groups(
    parameters: ParameterSet, ticks: int, counts: Sequence[int], minimum_fills: Sequence[bool] = ()
) -> list[range]:
    """Instruments, as ranges of their numbers, whose price and cap lanes share a comparison.

    `counts` are the intents of each instrument, `minimum_fills` whether it has minimum-fill orders.
    """
    groups: list[range] = []
    start = 0
    for number in range(1, len(counts) + 1):
        part = slice(start, number)
        grown = PriceLayout(parameters, ticks, 0, tuple(counts[part]), tuple(minimum_fills[part]))
        if number - start > 1 and grown.columns > parameters.comparison_ring.row:
            groups.append(range(start, number - 1))
            start = number - 1
    if counts:
        groups.append(range(start, len(counts)))
    return groups


@dataclass(frozen=True, slots=True)
class SizedBook:
    """What one instrument's lanes are made from.

    Attributes:
        aggregate: sum of its plain intents' ciphertexts.
        sizes: from `Packer.sizes`, of all its intents.
        caps: public caps in lots by intent, shape (n,).
        minimums: from `Packer.minimums`, of its minimum-fill orders, if there are any.
    """

    aggregate: Ciphertext
    sizes: PackedSizes
    caps: Lanes
    minimums: Ciphertext | None = None


def price_lanes(
    evaluator: Evaluator, layout: PriceLayout, books: Sequence[SizedBook]
) -> tuple[LaneCiphertext, ...]:
    """Lane ciphertexts of the instruments' aggregated curves and caps, at LANES_LEVEL.

    Depth: one plaintext product and rotations.
    """
    total, row = LaneSum(evaluator, layout.shape), layout.parameters.order_ring.row
    for instrument, book in enumerate(books):
        start = layout.price_start(instrument)
        prices = _price_block(evaluator, layout, start % row, book.aggregate)
        total.add(start, prices, _price_constants(layout))
        none = np.zeros_like(book.caps)
        if layout.counts[instrument]:
            start = layout.cap_start(instrument)
            sizes = _sizes(evaluator, book.sizes)
            caps = evaluator.store(rotate(evaluator, sizes, row // 2 - start % row))
            total.add(start, caps, np.stack([none, book.caps]))
        if book.minimums is not None:
            start = layout.minimum_start(instrument)
            lanes = _minimums(evaluator, book.sizes, book.minimums)
            minimums = evaluator.store(rotate(evaluator, lanes, row // 2 - start % row))
            total.add(start, minimums, np.stack([none, none]))
    return total.lanes()


def _sizes(evaluator: Evaluator, sizes: PackedSizes) -> Any:
    """Handle of the sizes from slot half on: as they are in row 0, negated in row 1."""
    return evaluator.subtract(evaluator.load(sizes.rows[0]), evaluator.load(sizes.rows[1]))


def _minimums(evaluator: Evaluator, sizes: PackedSizes, minimums: Ciphertext) -> Any:
    """Handle from slot half on, where `minimums` has h: sizes less h in row 0, h in row 1."""
    handle = evaluator.load(minimums)
    across = evaluator.apply_galois(handle, column_element(evaluator.ring.degree))
    less = evaluator.subtract(evaluator.load(sizes.rows[0]), across)
    return evaluator.add(less, handle)


def reference_tie_bits(evaluator: Evaluator, layout: PriceLayout, bits: Ciphertext) -> Ciphertext:
    """The tie bits of the tick above the reference, at the tie lanes of that tick.

    They are 1 - e (1 - g) of the bits in row 1 of the comparison ring, with e the last one of an
    instrument and g the one of that tick. Every slot holds something: select before opening.
    """
    g = e = evaluator.load(bits)
    distance = layout.ticks - 1 - layout.reference
    for power in range(distance.bit_length()):
        if distance >> power & 1:
            element = rotation_element(evaluator.ring.degree, 1 << power)
            e = evaluator.apply_galois(e, element)
    product = evaluator.store(evaluator.subtract(evaluator.multiply(e, g), e))
    return add_slots(product, np.ones(evaluator.ring.degree, dtype=np.int64))


def _price_constants(layout: PriceLayout) -> Lanes:
    """What is added to an instrument's price lanes, shape (2, 2 W).

    It is -1, but 0 at differences that may be 0 for a bit of 1.
    """
    constants = np.full((2, 2 * layout.width), -1, dtype=np.int64)
    constants[0, : layout.reference + 1] = 0
    constants[1, : layout.reference] = 0
    return constants


def _price_block(
    evaluator: Evaluator, layout: PriceLayout, start: int, aggregate: Ciphertext
) -> Ciphertext:
    """An instrument's price lanes without their constants, from slot `start` on.

    Row 0 of the aggregate is the demand, row 1 what is not supplied, and slot half of it the size.
    """
    width, ticks, row = layout.width, layout.ticks, layout.parameters.order_ring.row
    swap = column_element(evaluator.ring.degree)
    curves = rotate(evaluator, evaluator.load(aggregate), -start)
    supply = evaluator.subtract(rotate(evaluator, curves, row // 2), curves)
    next_demand = evaluator.apply_galois(rotate(evaluator, curves, 1), swap)
    excess = evaluator.subtract(curves, evaluator.apply_galois(supply, swap))
    at_reference = rotate(evaluator, excess, layout.reference - (ticks - 1))
    step, tie, last, bid, ask = (np.zeros((2, row), dtype=np.int64) for _ in range(5))
    step[0, start : start + ticks] = 1
    tie[1, start : start + ticks - 1] = 1
    last[1, start + ticks - 1] = 1
    bid[0, start + width : start + width + ticks] = 1
    ask[1, start + width : start + width + ticks] = 1
    terms = (
        (excess, step),
        (evaluator.apply_galois(at_reference, swap), last),
        (supply, tie),
        (next_demand, -tie),
        (rotate(evaluator, curves, -width), bid),
        (rotate(evaluator, supply, -width), ask),
    )
    return sum_of_products(
        [(evaluator.store(handle), weights.reshape(-1)) for handle, weights in terms]
    )
