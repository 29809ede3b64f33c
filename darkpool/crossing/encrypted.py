"""Crossing encrypted: the steps of the plain twin on sealed curves, opening only what it must.

The twin is `darkpool.crossing.clearing`; results are equal on every book. What is opened, in order:

1. `price lanes`: D - S, the tie lanes, D - 1 and S - 1, every intent's size and its cap less its
   size, and of minimum-fill orders their minima, under a fresh mask (uniform);
2. `cap bits`: 1 where a size is neither negative nor above its cap, and a minimum not above its
   size; intents with a 0 are taken out, and the comparison is made again without them under a fresh
   mask;
3. `no-cross`: one bit an instrument, [best bid >= best ask]; where it is 0, nothing more, ever,
   unless there are minimum-fill orders at a reference price;
4. `price bits`: the signs of D - S, a step down at the price, which the public result implies;
5. `tie lanes`: which of the two ticks at the step trades more, one bit;
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

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from typing import Self

import numpy as np

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.lanes import Lanes
from crypto.bfv.seal import Evaluator
from crypto.circuits.comparison import crossing_bits, reference_bits
from crypto.circuits.minimum_fill_lanes import MinimumFillBook
from crypto.circuits.packing import power_of_two
from crypto.circuits.price_lanes import PriceLayout, price_groups, price_lanes
from crypto.circuits.rationing import (
    PriorityMatrix,
    RationLayout,
    prefix_sums,
    priority_matrix,
    ration_lanes,
)
from crypto.ring.params import ParameterSet
from darkpool.crossing.comparison import OpeningSession, TakeMask
from darkpool.crossing.errors import ImplausibleOpening
from darkpool.crossing.minimum_fill import MinimumFillCrossing, Taking, with_last
from darkpool.crossing.sealed_book import SealedBook
from darkpool.units import Lots, Side, Tick

Exclude = Callable[[dict[int, list[int]]], None]
"""Takes out intents that are above their caps, by book, and whoever takes no part without them."""


@dataclass(frozen=True, slots=True)
class EncryptedCross:
    """Price, volume and fills of an instrument that crossed.

    `bought` and `sold` are lots by intent, int64 of shape (n,). `exhausted` says that minimum-fill
    orders took the whole surplus.
    """

    tick: Tick
    volume: Lots
    short_side: Side
    exhausted: bool
    bought: Lanes
    sold: Lanes


@dataclass(frozen=True, slots=True)
class _Price:
    """A price; without a short side where plain orders do not cross at a reference price."""

    tick: Tick
    short_side: Side | None


@dataclass(slots=True)
class _Sides:
    """What the two sides of a book fill: lots by intent, shape (row slots,)."""

    number: int
    short_side: Side
    short: Lanes
    long: Lanes
    exhausted: bool = False

    @property
    def long_row(self) -> int:
        """The row of the packed long side."""
        return 1 - int(self.short_side)

    @property
    def volume(self) -> int:
        """Lots of the short side."""
        return int(self.short.sum())

    def outcome(self, tick: Tick, count: int) -> EncryptedCross:
        """The result, once both sides are known."""
        rows = (self.short[:count], self.long[:count])
        bought, sold = rows if self.short_side is Side.BUY else rows[::-1]
        volume = Lots(self.volume)
        return EncryptedCross(tick, volume, self.short_side, self.exhausted, bought, sold)


class _Matrices:
    """Priority matrices, lifted by a thread while the main one is in SEAL; one is held ahead."""

    def __init__(self, parameters: ParameterSet, priorities: Sequence[Lanes]) -> None:
        self._ring = parameters.order_ring
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


class EncryptedCrossing(MinimumFillCrossing):
    """One auction's crossing.

    Args:
        reference: tick of a reference-price cross, or None for a uniform-price call auction.
        exclude: is told of intents above their caps before anything of a price is opened.
    """

    def __init__(
        self,
        parameters: ParameterSet,
        order: Evaluator,
        comparison: Evaluator,
        session: OpeningSession,
        take_mask: TakeMask,
        ticks: int,
        reference: Tick | None,
        exclude: Exclude,
    ) -> None:
        super().__init__(parameters, order, comparison, session, take_mask)
        self._ticks = ticks
        self._reference = reference
        self._exclude = exclude
        self._comparisons = 0

    def cross(
        self, books: Sequence[SealedBook], priorities: Sequence[Lanes]
    ) -> tuple[EncryptedCross | None, ...]:
        """Cross all books that somebody takes part in; None where a book does not cross.

        Args:
            priorities: rank of each intent that arrived, for each book, int64 (n,).

        Raises:
            ImplausibleOpening: opened values contradict each other.
            CryptoError, DarkpoolError: an opening is refused.
        """
        with _Matrices(self._parameters, priorities) as matrices:
            return self._cross(books, priorities, matrices)

    def _cross(
        self, books: Sequence[SealedBook], priorities: Sequence[Lanes], matrices: _Matrices
    ) -> tuple[EncryptedCross | None, ...]:
        found: dict[int, _Price] = {}
        present = [k for k, book in enumerate(books) if book.intents.has_plain]
        counts = [books[k].count for k in present]
        minimum_fills = [books[k].intents.has_minimum_fills for k in present]
        for group in price_groups(self._parameters, self._ticks, counts, minimum_fills):
            found |= self._price_group([present[i] for i in group], books)
        packed = {k: books[k].intents.plain.pack(price.tick) for k, price in found.items()}
        prefixes, minimum_fill = self._minimum_fill_books(books, found, packed, matrices)
        takings = self._takings(minimum_fill, priorities)
        every = {
            k: self._short_side(k, price, takings.get(k), packed[k], books[k].count)
            for k, price in found.items()
        }
        short = {k: sides for k, sides in every.items() if sides is not None}
        for k, taking in takings.items():
            self._minimum_fill_fills(taking, short[k], packed[k], minimum_fill[k], books[k].count)
        rationed = [k for k, sides in short.items() if not sides.exhausted]
        counts = [book.count for book in books]
        for chunk, ration in enumerate(ration_groups(self._parameters, counts, rationed)):
            self._ration_chunk(chunk, ration, books, short, packed, prefixes, priorities, matrices)
        return tuple(
            short[k].outcome(found[k].tick, book.count) if k in short else None
            for k, book in enumerate(books)
        )

    def _minimum_fill_books(
        self,
        books: Sequence[SealedBook],
        found: Mapping[int, _Price],
        packed: Mapping[int, Ciphertext],
        matrices: _Matrices,
    ) -> tuple[dict[int, Ciphertext], dict[int, MinimumFillBook]]:
        """Prefix sums of plain orders, and what minimum-fill lanes are made from."""
        numbers = [k for k in found if books[k].intents.has_minimum_fills]
        prefixes, minimum_fill = {}, {}
        for k, following in zip_longest(numbers, numbers[1:]):
            matrix = matrices.take(k, following)
            own = books[k].intents.minimum_fill.pack(found[k].tick)
            prefixes[k] = prefix_sums(self._order, packed[k], matrix)
            before = prefix_sums(self._order, own, matrix)
            minimum_fill[k] = MinimumFillBook(
                packed[k], own, before, books[k].intents.minimum_fill.minimums()
            )
        return prefixes, minimum_fill

    def _minimum_fill_fills(
        self,
        taking: Taking,
        sides: _Sides,
        packed: Ciphertext,
        minimum_fill: MinimumFillBook,
        count: int,
    ) -> None:
        """Add fills of minimum-fill orders, and the long side's if they leave it nothing."""
        lots = self._minimum_fill_row(sides.number, taking, minimum_fill.minimum_fill)
        if taking.exhausted:
            purpose = f"long row {sides.number}"
            sides.exhausted = True
            sides.long = self._open_row(purpose, packed, sides.long_row, np.arange(count))
            surplus = int(sides.long.sum()) - sides.volume
            lots = with_last(sides.number, taking, lots, surplus)
        sides.short = sides.short + lots

    def _price_group(self, members: list[int], books: Sequence[SealedBook]) -> dict[int, _Price]:
        """Prices of the books that cross, found once all their intents are within their caps."""
        while members:
            number = self._comparisons
            self._comparisons += 1
            counts = tuple(books[k].count for k in members)
            minimum_fills = tuple(books[k].intents.has_minimum_fills for k in members)
            layout = PriceLayout(self._parameters, self._ticks, counts, minimum_fills)
            lanes = price_lanes(self._order, layout, [books[k].sized() for k in members])
            caps = [layout.cap_lanes(i) for i in range(len(members))]
            bounded = np.concatenate([lane.reshape(-1) for lane in caps])
            bits = self._compare(f"price lanes {number}", lanes, layout.shape, bounded)
            within = self._open_lanes(f"cap bits {number}", bits, layout.shape, bounded)
            above = {k: over for k, over in zip(members, _above(caps, within), strict=True) if over}
            if any(not books[k].intents.present.issuperset(over) for k, over in above.items()):
                raise ImplausibleOpening(f"cap bits {number}", "1 where nobody is left", "0")
            if not above:
                crossing = self._crossing(number, layout, bits)
                prices = self._prices(number, layout, bits, crossing) if crossing else {}
                if self._reference is not None:
                    open_ended = [i for i, minimum_fill in enumerate(minimum_fills) if minimum_fill]
                    prices = {i: _Price(self._reference, None) for i in open_ended} | prices
                return {members[i]: price for i, price in sorted(prices.items())}
            self._exclude(above)
            members = [k for k in members if books[k].intents.has_plain]
        return {}

    def _crossing(self, number: int, layout: PriceLayout, bits: Ciphertext) -> list[int]:
        """Positions in the chunk of the books that cross."""
        purpose, shape = f"no-cross {number}", layout.shape
        first = 0 if self._reference is None else self._reference
        columns = [layout.price_start(i) + layout.width + first for i in range(layout.instruments)]
        if self._reference is None:
            sums = crossing_bits(self._comparison, bits, layout.width)
        else:
            sums = reference_bits(self._comparison, bits)
        answers = self._open_lanes(purpose, sums, shape, np.array(columns))
        return [i for i, answer in enumerate(answers) if answer]

    def _prices(
        self, number: int, layout: PriceLayout, bits: Ciphertext, crossing: Sequence[int]
    ) -> dict[int, _Price]:
        purpose, shape = f"price bits {number}", layout.shape
        if self._reference is not None:
            lanes = np.array([layout.price_start(i) + self._reference for i in crossing])
            signs = self._open_lanes(purpose, bits, shape, lanes)
            return {
                i: _Price(self._reference, Side.SELL if sign else Side.BUY)
                for i, sign in zip(crossing, signs, strict=True)
            }
        starts = np.array([layout.price_start(i) for i in crossing])
        lanes = (starts[:, None] + np.arange(self._ticks)).reshape(-1)
        steps = self._open_lanes(purpose, bits, shape, lanes).reshape(len(crossing), -1)
        if (np.diff(steps, axis=1) > 0).any():
            raise ImplausibleOpening(purpose, "a step down", "a step up")
        counts = dict(zip(crossing, map(int, steps.sum(axis=1)), strict=True))
        ties = self._ties(number, layout, bits, counts)
        return {i: self._uniform_price(count, ties.get(i)) for i, count in counts.items()}

    def _ties(
        self, number: int, layout: PriceLayout, bits: Ciphertext, counts: dict[int, int]
    ) -> dict[int, int]:
        """[S(c - 1) >= D(c)] of the instruments where both ticks exist."""
        inner = [i for i, count in counts.items() if 0 < count < self._ticks]
        if not inner:
            return {}
        lanes = np.array([layout.lane(1, layout.price_start(i) + counts[i] - 1) for i in inner])
        opened = self._open_lanes(f"tie lanes {number}", bits, layout.shape, lanes)
        return dict(zip(inner, map(int, opened), strict=True))

    def _uniform_price(self, count: int, tie: int | None) -> _Price:
        if count == self._ticks or tie == 1:
            return _Price(Tick(count - 1), Side.SELL)
        return _Price(Tick(count), Side.BUY)

    def _short_side(
        self, number: int, price: _Price, taking: Taking | None, packed: Ciphertext, count: int
    ) -> _Sides | None:
        """The short side's plain fills; none are opened where plain orders do not cross.

        None where nothing fills.
        """
        none = np.zeros(self._parameters.order_ring.row, dtype=np.int64)
        side = price.short_side
        if side is None:
            return None if taking is None else _Sides(number, taking.side, none, none)
        if taking is not None and taking.side is not side:
            raise ImplausibleOpening(
                f"minimum-fill bits of {number}", "fills on the short side", "on the other"
            )
        short = self._open_row(f"short row {number}", packed, int(side), np.arange(count))
        return _Sides(number, side, short, none)

    def _ration_chunk(
        self,
        chunk: int,
        group: Sequence[int],
        books: Sequence[SealedBook],
        sides: Mapping[int, _Sides],
        packed: Mapping[int, Ciphertext],
        prefixes: Mapping[int, Ciphertext],
        priorities: Sequence[Lanes],
        matrices: _Matrices,
    ) -> None:
        rows = tuple(sides[k].long_row for k in group)
        layout = RationLayout(self._parameters, tuple(books[k].count for k in group), rows)
        missing = [k for k in group if k not in prefixes]
        sums = dict(prefixes) | {
            k: prefix_sums(self._order, packed[k], matrices.take(k, following))
            for k, following in zip_longest(missing, missing[1:])
        }
        volumes = [sides[k].volume for k in group]
        lanes = ration_lanes(self._order, layout, [sums[k] for k in group], volumes)
        none = np.array([], dtype=np.int64)
        bits = self._compare(f"ration lanes {chunk}", lanes, layout.shape, none)
        members = [layout.lanes(i) for i in range(len(group))]
        opened = self._open_lanes(
            f"ration bits {chunk}", bits, layout.shape, np.concatenate(members)
        )
        filled = np.split(opened, np.cumsum([m.size for m in members])[:-1])
        for i, k in enumerate(group):
            sides[k].long = self._long_row(
                k, rows[i], packed[k], filled[i], priorities[k], volumes[i]
            )

    def _long_row(
        self,
        number: int,
        row: int,
        packed: Ciphertext,
        filled: Lanes,
        ranks: Lanes,
        volume: int,
    ) -> Lanes:
        purpose = f"long row {number}"
        last_rank = int(filled.sum()) - 1
        if last_rank < 0 or not np.array_equal(filled == 1, ranks <= last_rank):
            raise ImplausibleOpening(purpose, "a step in priority order", "something else")
        before = np.flatnonzero(ranks < last_rank)
        lots = np.zeros(self._parameters.order_ring.row, dtype=np.int64)
        if before.size:
            lots = self._open_row(purpose, packed, row, before).copy()
        rest = volume - int(lots.sum())
        if rest <= 0:
            raise ImplausibleOpening(purpose, f"less than the volume {volume}", str(volume - rest))
        lots[np.flatnonzero(ranks == last_rank)] = rest
        return lots


def _above(caps: Sequence[Lanes], within: Lanes) -> list[list[int]]:
    """Numbers of the intents, for each book, of which a cap lane's bit is 0."""
    ends = np.cumsum([lanes.size for lanes in caps])[:-1]
    every = [
        bits.reshape(lanes.shape) for lanes, bits in zip(caps, np.split(within, ends), strict=True)
    ]
    return [np.flatnonzero((bits == 0).any(axis=0)).tolist() for bits in every]


def ration_groups(
    parameters: ParameterSet, counts: Sequence[int], crossing: Iterable[int]
) -> list[list[int]]:
    """Group instruments, given by number, whose rationing lanes fit into one comparison.

    `counts` are the intents of all instruments.
    """
    groups: list[list[int]] = []
    used = 0
    for k in crossing:
        width = power_of_two(counts[k])
        if not groups or used + width > parameters.order_ring.row:
            groups.append([])
            used = 0
        groups[-1].append(k)
        used += width
    return groups
