"""Price and cap lanes: what is compared with zero to find out whether and where books cross.

Columns of price lanes, for an instrument at offset o with W = the power of two above its T ticks,
D and S demand and supply, dead lanes -1 so that their bits are 0:

| columns | row 0 | row 1 |
| --- | --- | --- |
| o .. o + W - 1 | D(p) - S(p) | S(p) - D(p + 1), and -1 at p = T - 1 |
| o + W .. o + 2 W - 1 | D(p) - 1 | S(p) - 1 |

Columns of cap lanes follow, one for each intent: its size in row 0, its cap less its size in row 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from crypto.ciphertext import Ciphertext
from crypto.errors import OutOfRange
from crypto.lanes import Lanes, LaneShape, smallest_shape
from crypto.packing import LaneCiphertext, PackedSizes, lane_level, power_of_two, rotate
from crypto.params import ParameterSet
from crypto.products import add_slots, sum_of_products
from crypto.seal import Evaluator
from crypto.slots import column_element


@dataclass(frozen=True, slots=True)
class PriceLayout:
    """Where the price and cap lanes of the instruments of one comparison lie.

    Attributes:
        ticks: T, of every instrument.
        counts: intents of each instrument; as many cap lanes in either row.
    """

    parameters: ParameterSet
    ticks: int
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.ticks <= self.parameters.ticks_max:
            raise OutOfRange("ticks of a grid", f"1 .. {self.parameters.ticks_max}", self.ticks)

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
        return self.cap_offset(self.instruments)

    @property
    def shape(self) -> LaneShape:
        """The smallest shape that holds all instruments."""
        return smallest_shape(self.parameters, self.columns)

    def offset(self, instrument: int) -> int:
        """First column of an instrument's price lanes."""
        return 2 * self.width * instrument

    def cap_offset(self, instrument: int) -> int:
        """First column of an instrument's cap lanes; none straddles two ciphertexts."""
        row, column = self.parameters.order.row, self.offset(self.instruments)
        for index, count in enumerate(self.counts[: instrument + 1]):
            if column % row + count > row:
                column = (column // row + 1) * row
            if index < instrument:
                column += count
        return column

    def lane(self, row: int, column: int) -> int:
        """Number of a lane."""
        return row * self.shape.width + column

    def cap_lanes(self, instrument: int) -> Lanes:
        """Lane numbers of an instrument's intents, shape (2, count): size, then cap less size."""
        start = self.cap_offset(instrument)
        columns = np.arange(start, start + self.counts[instrument])
        return np.stack([columns, self.shape.width + columns])


def price_groups(parameters: ParameterSet, ticks: int, counts: Sequence[int]) -> list[range]:
    """Instruments, as ranges of their numbers, whose price and cap lanes share a comparison.

    `counts` are the intents of each instrument.
    """
    groups: list[range] = []
    start = 0
    for number in range(1, len(counts) + 1):
        grown = PriceLayout(parameters, ticks, tuple(counts[start:number]))
        if number - start > 1 and grown.columns > parameters.comparison.row:
            groups.append(range(start, number - 1))
            start = number - 1
    if counts:
        groups.append(range(start, len(counts)))
    return groups


@dataclass(frozen=True, slots=True)
class SizedBook:
    """What one instrument's lanes are made from.

    Attributes:
        aggregate: sum of its intents' ciphertexts.
        sizes: from `Packer.sizes`.
        caps: public caps in lots by intent, shape (n,).
    """

    aggregate: Ciphertext
    sizes: PackedSizes
    caps: Lanes


def price_lanes(
    evaluator: Evaluator, layout: PriceLayout, books: Sequence[SizedBook]
) -> tuple[LaneCiphertext, ...]:
    """Lane ciphertexts of the instruments' aggregated curves and caps, at LANES_LEVEL.

    Depth: one plaintext product and rotations.
    """
    row = layout.parameters.order.row
    out = []
    for number in range(layout.shape.order_ciphertexts):
        terms: list[tuple[Ciphertext, Lanes]] = []
        constant = np.zeros((2, row), dtype=np.int64)
        caps: list[Ciphertext] = []
        support = np.zeros((2, row), dtype=np.bool_)
        for instrument, book in enumerate(books):
            if layout.offset(instrument) // row == number:
                _instrument_terms(evaluator, layout, instrument, book.aggregate, terms, constant)
            if layout.counts[instrument] and layout.cap_offset(instrument) // row == number:
                start = layout.cap_offset(instrument) % row
                columns = slice(start, start + layout.counts[instrument])
                caps.append(_cap_lanes(evaluator, book.sizes, start))
                constant[1, columns] = book.caps
                support[:, columns] = True
        if not terms and not caps:
            raise OutOfRange("instruments of a comparison", "one for each ciphertext", number)
        for _, weights in terms:
            support |= weights.reshape(2, row) != 0
        parts = ([sum_of_products(terms)] if terms else []) + caps
        lanes = add_slots(reduce(Ciphertext.add, parts), constant.reshape(-1))
        support |= constant != 0
        out.append(LaneCiphertext(lane_level(evaluator, lanes), support.reshape(-1)))
    return tuple(out)


def _cap_lanes(evaluator: Evaluator, sizes: PackedSizes, start: int) -> Ciphertext:
    """The sizes from column `start` on: as they are in row 0, negated in row 1."""
    signed = evaluator.subtract(evaluator.load(sizes.rows[0]), evaluator.load(sizes.rows[1]))
    return evaluator.store(rotate(evaluator, signed, evaluator.ring.row // 2 - start))


def _instrument_terms(
    evaluator: Evaluator,
    layout: PriceLayout,
    instrument: int,
    aggregate: Ciphertext,
    terms: list[tuple[Ciphertext, Lanes]],
    constant: Lanes,
) -> None:
    width, ticks, row = layout.width, layout.ticks, layout.parameters.order.row
    start, degree = layout.offset(instrument) % row, evaluator.ring.degree
    curves = rotate(evaluator, evaluator.load(aggregate), -start)
    supply = evaluator.subtract(rotate(evaluator, curves, row // 2), curves)
    swap = column_element(degree)
    later = evaluator.apply_galois(rotate(evaluator, curves, 1), swap)
    excess, tie = np.zeros((2, row), dtype=np.int64), np.zeros((2, row), dtype=np.int64)
    bid, ask = np.zeros((2, row), dtype=np.int64), np.zeros((2, row), dtype=np.int64)
    excess[0, start : start + ticks] = 1
    tie[1, start : start + ticks - 1] = 1
    bid[0, start + width : start + width + ticks] = 1
    ask[1, start + width : start + width + ticks] = 1
    for handle, weights in (
        (curves, excess),
        (evaluator.apply_galois(supply, swap), -excess),
        (supply, tie),
        (later, -tie),
        (rotate(evaluator, curves, -width), bid),
        (rotate(evaluator, supply, -width), ask),
    ):
        terms.append((evaluator.store(handle), weights.reshape(-1)))
    constant[:, start : start + 2 * width] = (excess + tie)[:, start : start + 2 * width] - 1
