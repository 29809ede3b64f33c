"""The price of every instrument that crosses, once all its intents are within their caps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.lanes import Lanes
from crypto.circuits.comparison import crossing_bits, reference_bits
from crypto.circuits.price_lanes import PriceLayout, price_groups, price_lanes, reference_tie_bits
from darkpool.crossing.crossing_book import CrossingBook, Price
from darkpool.crossing.errors import ImplausibleOpening
from darkpool.crossing.lane_comparison import LaneComparison
from darkpool.units import Side, Tick

Exclude = Callable[[dict[int, list[int]]], None]
"""Takes out intents that are above their caps, by book, and those that may not take part then."""


@dataclass(frozen=True, slots=True)
class PriceRule:
    """How a price is found.

    Attributes:
        ticks: T, of every instrument.
        reference: tick of the reference price.
        fixed: whether books cross at the reference price; otherwise it is a call auction, and the
            reference price chooses as in `darkpool.crossing.clearing`.
    """

    ticks: int
    reference: Tick
    fixed: bool


class PriceStep:
    """Compares demand with supply, and opens the price.

    Args:
        exclude: is told of intents above their caps before anything of a price is opened.
    """

    def __init__(self, comparison: LaneComparison, rule: PriceRule, exclude: Exclude) -> None:
        self._comparison = comparison
        self._rule = rule
        self._exclude = exclude
        self._comparisons = 0

    def prices(self, books: Sequence[CrossingBook]) -> dict[int, Price]:
        """Prices, by number, of the books that cross, and of those that may at a reference price.

        Raises:
            ImplausibleOpening: opened values contradict each other.
        """
        plain = [book for book in books if book.sealed.intents.has_plain]
        counts = [book.count for book in plain]
        minimum_fills = [book.sealed.intents.has_minimum_fills for book in plain]
        groups = price_groups(self._comparison.parameters, self._rule.ticks, counts, minimum_fills)
        prices: dict[int, Price] = {}
        for group in groups:
            prices |= self._group_prices([plain[i] for i in group])
        return prices

    def _group_prices(self, members: list[CrossingBook]) -> dict[int, Price]:
        """Prices of books that share a comparison, which is repeated until all are within caps."""
        while members:
            number = self._comparisons
            self._comparisons += 1
            layout = self._layout(members)
            lanes = price_lanes(
                self._comparison.evaluators.order, layout, [b.sealed.sized() for b in members]
            )
            caps = [layout.cap_lanes(i) for i in range(len(members))]
            bounded = np.concatenate([lane.reshape(-1) for lane in caps])
            bits = self._comparison.compare(f"price lanes {number}", lanes, layout.shape, bounded)
            within = self._comparison.open_lanes(f"cap bits {number}", bits, layout.shape, bounded)
            above = _above(members, caps, within)
            for book in members:
                if not book.sealed.intents.present.issuperset(above.get(book.number, ())):
                    raise ImplausibleOpening(f"cap bits {number}", "1 where no intent is left", "0")
            if not above:
                return self._opened_prices(number, layout, bits, members)
            self._exclude(above)
            members = [book for book in members if book.sealed.intents.has_plain]
        return {}

    def _layout(self, members: Sequence[CrossingBook]) -> PriceLayout:
        counts = tuple(book.count for book in members)
        minimum_fills = tuple(book.sealed.intents.has_minimum_fills for book in members)
        parameters, rule = self._comparison.parameters, self._rule
        return PriceLayout(parameters, rule.ticks, rule.reference, counts, minimum_fills)

    def _opened_prices(
        self, number: int, layout: PriceLayout, bits: Ciphertext, members: Sequence[CrossingBook]
    ) -> dict[int, Price]:
        """Prices of a comparison's books, all of whose intents are within their caps."""
        crossing = self._crossing(number, layout, bits)
        prices = self._prices(number, layout, bits, crossing) if crossing else {}
        if self._rule.fixed:
            minimum_fills = [i for i, asked in enumerate(layout.minimum_fills) if asked]
            prices = {i: Price(self._rule.reference, None) for i in minimum_fills} | prices
        return {members[i].number: price for i, price in sorted(prices.items())}

    def _crossing(self, number: int, layout: PriceLayout, bits: Ciphertext) -> list[int]:
        """Positions in the comparison of the books that cross."""
        purpose, shape = f"no-cross {number}", layout.shape
        first = self._rule.reference if self._rule.fixed else 0
        columns = [layout.price_start(i) + layout.width + first for i in range(layout.instruments)]
        evaluator = self._comparison.evaluators.comparison
        if self._rule.fixed:
            sums = reference_bits(evaluator, bits)
        else:
            sums = crossing_bits(evaluator, bits, layout.width)
        answers = self._comparison.open_lanes(purpose, sums, shape, np.array(columns))
        return [i for i, answer in enumerate(answers) if answer]

    def _prices(
        self, number: int, layout: PriceLayout, bits: Ciphertext, crossing: Sequence[int]
    ) -> dict[int, Price]:
        purpose, shape = f"price bits {number}", layout.shape
        steps = np.stack([layout.step_lanes(i) for i in crossing])
        if self._rule.fixed:
            tick = self._rule.reference
            signs = self._comparison.open_lanes(purpose, bits, shape, steps[:, tick])
            return {
                i: Price(tick, Side.SELL if sign else Side.BUY)
                for i, sign in zip(crossing, signs, strict=True)
            }
        opened = self._comparison.open_lanes(purpose, bits, shape, steps.reshape(-1))
        curves = opened.reshape(len(crossing), -1)
        if (np.diff(curves, axis=1) > 0).any():
            raise ImplausibleOpening(purpose, "a step down", "a step up")
        counts = dict(zip(crossing, map(int, curves.sum(axis=1)), strict=True))
        ties = self._ties(number, layout, bits, counts)
        return {i: self._uniform_price(count, ties.get(i)) for i, count in counts.items()}

    def _ties(
        self, number: int, layout: PriceLayout, bits: Ciphertext, counts: Mapping[int, int]
    ) -> dict[int, int]:
        """Tie bits of the instruments where both ticks at the step exist."""
        inner = [i for i, count in counts.items() if 0 < count < self._rule.ticks]
        if not inner:
            return {}
        above = [i for i in inner if counts[i] == self._rule.reference + 1]
        others = [i for i in inner if counts[i] != self._rule.reference + 1]
        evaluator, parts = self._comparison.evaluators.comparison, [(bits, others)]
        if above:
            parts.append((reference_tie_bits(evaluator, layout, bits), above))
        opened = self._comparison.open_lanes_of(
            f"tie lanes {number}",
            [
                (answers, np.array([layout.tie_lane(i, counts[i]) for i in group], dtype=np.int64))
                for answers, group in parts
            ],
            layout.shape,
        )
        return dict(zip(others + above, map(int, opened), strict=True))

    def _uniform_price(self, count: int, tie: int | None) -> Price:
        if count == self._rule.ticks or tie == 1:
            return Price(Tick(count - 1), Side.SELL)
        return Price(Tick(count), Side.BUY)


def _above(
    members: Sequence[CrossingBook], caps: Sequence[Lanes], within: Lanes
) -> dict[int, list[int]]:
    """Intents of which a cap lane's bit is 0, by number of their book, where there are any."""
    ends = np.cumsum([lanes.size for lanes in caps])[:-1]
    above = {}
    for book, lanes, bits in zip(members, caps, np.split(within, ends), strict=True):
        over = np.flatnonzero((bits.reshape(lanes.shape) == 0).any(axis=0)).tolist()
        if over:
            above[book.number] = over
    return above
