"""Crossing encrypted: the steps of the plain twin on sealed curves, opening only what it must.

The twin is `darkpool.crossing.clearing`; results are equal on every book. What is opened, in order:

1. `price lanes`: D - S, the tie lanes, D - 1 and S - 1, every intent's size and its cap less its
   size, and of minimum-fill orders their minima, under a fresh mask (uniform);
2. `cap bits`: 1 where a size is neither negative nor above its cap, and a minimum not above its
   size; intents with a 0 are taken out, and the comparison is made again without them under a fresh
   mask;
3. `no-cross`: one bit an instrument, [best bid >= best ask]; where it is 0, nothing more, ever,
   unless there are minimum-fill orders at a reference price;
4. `price bits`: the signs of D - S, above the reference price those of D - S - 1: a step down at
   the price, which the public result implies;
5. `tie lanes`: which of the two ticks at the step is the price, one bit;
6. `minimum-fill lanes`, `minimum-fill bits`, `exhausted`: who of the minimum-fill orders fills, and
   whether they use the surplus up (`darkpool.crossing.minimum_fill`);
7. `short row`: the fills of the short side, whose sum is the volume of plain orders alone;
8. `minimum-fill row`: the fills of minimum-fill orders; the last's is the rest if the surplus is
   used up, and then the long side fills in full, and its row is opened instead of the next two;
9. `ration lanes`: volume - 1 - prefix sums in priority order, under a fresh mask (uniform);
10. `ration bits`: a step in priority order that names the last intent filled;
11. `long row`: the fills before it; its own is the rest, so that its size stays unknown.

Instruments share the comparisons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from typing import Self

import numpy as np

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.lanes import Lanes
from crypto.circuits.minimum_fill_lanes import MinimumFillBook
from crypto.circuits.rationing import PriorityMatrix, prefix_sums, priority_matrix
from crypto.ring.params import RingParameters
from darkpool.crossing.crossing_book import CrossingBook, EncryptedCross, PricedBook, Sides
from darkpool.crossing.errors import ImplausibleOpening
from darkpool.crossing.lane_comparison import LaneComparison
from darkpool.crossing.minimum_fill import MinimumFillOrders, MinimumFillStep, Taking
from darkpool.crossing.prices import Exclude, PriceRule, PriceStep
from darkpool.crossing.rationing import RationedBook, RationStep, ration_groups
from darkpool.crossing.sealed_book import SealedBook


class _Matrices:
    """Priority matrices, lifted by a thread while the main one is in SEAL; one is held ahead."""

    def __init__(self, ring: RingParameters, priorities: Sequence[Lanes]) -> None:
        self._ring = ring
        self._priorities = priorities
        self._executor = ThreadPoolExecutor(1)
        self._ahead = {0: self._lift(0)} if priorities else {}

    def take(self, number: int, following: int | None) -> PriorityMatrix:
        """The matrix of a book; starts on that of the following one."""
        future = self._ahead.get(number) or self._lift(number)
        self._ahead = {} if following is None else {following: self._lift(following)}
        return future.result()

    def _lift(self, number: int) -> Future[PriorityMatrix]:
        return self._executor.submit(priority_matrix, self._ring, self._priorities[number])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._executor.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class EncryptedCrossing:
    """One auction's crossing, made of its steps."""

    comparison: LaneComparison
    prices: PriceStep
    minimum_fills: MinimumFillStep
    rations: RationStep

    @classmethod
    def of(cls, comparison: LaneComparison, rule: PriceRule, exclude: Exclude) -> EncryptedCrossing:
        """A crossing with the steps of the protocol; arguments as for `PriceStep`."""
        return cls(
            comparison,
            PriceStep(comparison, rule, exclude),
            MinimumFillStep(comparison),
            RationStep(comparison),
        )

    def cross(
        self, books: Sequence[SealedBook], priorities: Sequence[Lanes]
    ) -> tuple[EncryptedCross | None, ...]:
        """Cross all books that have participants; None where a book does not cross.

        Args:
            priorities: rank of each intent that arrived, for each book, int64 (n,).

        Raises:
            ImplausibleOpening: opened values contradict each other.
            CryptoError, DarkpoolError: an opening is refused.
        """
        numbered = [
            CrossingBook(number, sealed, ranks)
            for number, (sealed, ranks) in enumerate(zip(books, priorities, strict=True))
        ]
        with _Matrices(self.comparison.parameters.order_ring, priorities) as matrices:
            return self._cross(numbered, matrices)

    def _cross(
        self, books: Sequence[CrossingBook], matrices: _Matrices
    ) -> tuple[EncryptedCross | None, ...]:
        priced = {
            k: PricedBook(books[k], price, books[k].sealed.intents.plain.pack(price.tick))
            for k, price in self.prices.prices(books).items()
        }
        prefixes, orders = self._minimum_fill_orders(priced, matrices)
        takings = self.minimum_fills.takings(list(orders.values()))
        every = {k: self._short_side(one, takings.get(k)) for k, one in priced.items()}
        sides = {k: both for k, both in every.items() if both is not None}
        for k, taking in takings.items():
            self.minimum_fills.fill(orders[k], taking, sides[k])
        counts = [book.count for book in books]
        rationed = [k for k, both in sides.items() if not both.exhausted]
        groups = ration_groups(self.comparison.parameters, counts, rationed)
        for chunk, group in enumerate(groups):
            sums = dict(prefixes) | self._prefix_sums(
                [priced[k] for k in group if k not in prefixes], matrices
            )
            self.rations.ration(chunk, [RationedBook(priced[k], sides[k], sums[k]) for k in group])
        return tuple(
            sides[k].outcome(priced[k].price.tick, book.count) if k in sides else None
            for k, book in enumerate(books)
        )

    def _prefix_sums(
        self, priced: Sequence[PricedBook], matrices: _Matrices
    ) -> dict[int, Ciphertext]:
        """Sums of plain sizes in priority order, by number."""
        evaluator = self.comparison.evaluators.order
        return {
            one.number: prefix_sums(
                evaluator,
                one.packed,
                matrices.take(one.number, None if following is None else following.number),
            )
            for one, following in zip_longest(priced, priced[1:])
        }

    def _minimum_fill_orders(
        self, priced: Mapping[int, PricedBook], matrices: _Matrices
    ) -> tuple[dict[int, Ciphertext], dict[int, MinimumFillOrders]]:
        """Prefix sums of plain orders, and minimum-fill orders, where there are any."""
        evaluator = self.comparison.evaluators.order
        asked = [one for one in priced.values() if one.book.sealed.intents.has_minimum_fills]
        prefixes, orders = {}, {}
        for one, following in zip_longest(asked, asked[1:]):
            matrix = matrices.take(one.number, None if following is None else following.number)
            intents = one.book.sealed.intents.minimum_fill
            packed = intents.pack(one.price.tick)
            prefixes[one.number] = prefix_sums(evaluator, one.packed, matrix)
            before = prefix_sums(evaluator, packed, matrix)
            lanes = MinimumFillBook(one.packed, packed, before, intents.minimums())
            orders[one.number] = MinimumFillOrders(one, lanes)
        return prefixes, orders

    def _short_side(self, priced: PricedBook, taking: Taking | None) -> Sides | None:
        """The short side's plain fills; none are opened where plain orders do not cross.

        None where nothing fills.
        """
        none = np.zeros(self.comparison.parameters.order_ring.row, dtype=np.int64)
        number, side = priced.number, priced.price.short_side
        if side is None:
            return None if taking is None else Sides(taking.side, none, none)
        if taking is not None and taking.side is not side:
            expected, got = (f"fills of the {one.label} side" for one in (side, taking.side))
            raise ImplausibleOpening(f"minimum-fill bits of {number}", expected, got)
        short = self.comparison.open_row(
            f"short row {number}", priced.packed, int(side), np.arange(priced.book.count)
        )
        return Sides(side, short, none)
