"""Crossing encrypted: the steps of the plain twin on sealed curves, opening only what it must.

The twin is `darkpool.crossing.clearing`; results are equal on every book. What is opened, in order:

1. `price lanes`: D - S, the tie lanes, D - 1 and S - 1, every intent's size and its cap less its
   size, under a fresh mask (uniform);
2. `cap bits`: two for each intent, 1 where its size is neither negative nor above its cap; intents
   with a 0 are taken out, and the comparison is made again without them under a fresh mask;
3. `no-cross`: one bit an instrument, [best bid >= best ask]; where it is 0, nothing more, ever;
4. `price bits`: the signs of D - S, a step down at the price, which the public result implies;
5. `tie lanes`: which of the two ticks at the step trades more, one bit;
6. `short row`: the fills of the short side, whose sum is the volume;
7. `ration lanes`: volume - 1 - prefix sums in priority order, under a fresh mask (uniform);
8. `ration bits`: a step in priority order that names the last intent filled;
9. `long row`: the fills before it; its own is the rest, so that its size stays unknown.

Instruments share the comparisons of steps 1 to 5 and 7 to 8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol, Self

import numpy as np

from crypto.ciphertext import Ciphertext
from crypto.comparison import BITS_LEVEL, Comparator, crossing_bits, reference_bits
from crypto.lanes import Lanes, LaneShape
from crypto.masks import DrawnMask
from crypto.packing import LANES_LEVEL, LaneCiphertext, power_of_two
from crypto.params import ParameterSet
from crypto.price_lanes import PriceLayout, price_groups, price_lanes
from crypto.rationing import (
    PriorityMatrix,
    RationLayout,
    prefix_sums,
    priority_matrix,
    ration_lanes,
)
from crypto.revealing import CoveredCiphertext, masked, selected
from crypto.seal import Evaluator
from darkpool.crossing.book import SealedBook
from darkpool.errors import CheckFailed
from darkpool.units import Lots, Side, Tick


class ImplausibleOpening(CheckFailed):
    """Opened values that no well-formed batch leads to."""

    def __init__(self, purpose: str, expected: str, got: str) -> None:
        super().__init__(f"opening {purpose!r}: expected {expected}, got {got}")
        self.purpose, self.expected, self.got = purpose, expected, got


class OpeningSession(Protocol):
    """What crossing needs of the committee."""

    def open(self, purpose: str, covered: CoveredCiphertext) -> Lanes:
        """Open a covered ciphertext; slots in [0, t), shape (degree,)."""


TakeMask = Callable[[LaneShape], DrawnMask]
"""Gives a mask of a shape, bound durably to this auction and never given before."""


Exclude = Callable[[dict[int, list[int]]], None]
"""Takes out intents that are above their caps, by book, and whoever takes no part without them."""


@dataclass(frozen=True, slots=True)
class EncryptedCross:
    """Price, volume and fills of an instrument that crossed.

    `bought` and `sold` are lots by intent, int64 of shape (n,).
    """

    tick: Tick
    volume: Lots
    short_side: Side
    bought: Lanes
    sold: Lanes


@dataclass(frozen=True, slots=True)
class _Price:
    tick: Tick
    short_side: Side


class _Matrices:
    """Priority matrices, lifted by a thread while the main one is in SEAL; one is held ahead."""

    def __init__(self, parameters: ParameterSet, priorities: Sequence[Lanes]) -> None:
        self._ring = parameters.order
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


class EncryptedCrossing:
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
        self._parameters = parameters
        self._order = order
        self._comparison = comparison
        self._comparator = Comparator(comparison)
        self._session = session
        self._take_mask = take_mask
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
        prices: dict[int, _Price] = {}
        present = [k for k, book in enumerate(books) if book.present]
        counts = [books[k].count for k in present]
        for group in price_groups(self._parameters, self._ticks, counts):
            prices |= self._price_group([present[i] for i in group], books)
        packed = {k: books[k].packer.pack(price.tick) for k, price in prices.items()}
        short = {k: self._short_row(k, price, books[k], packed[k]) for k, price in prices.items()}
        long: dict[int, Lanes] = {}
        for chunk, ration in enumerate(
            ration_groups(self._parameters, [book.count for book in books], prices)
        ):
            long |= self._ration_chunk(
                chunk, ration, books, prices, packed, short, priorities, matrices
            )
        return tuple(
            _outcome(prices[k], short[k], long[k], book.count) if k in prices else None
            for k, book in enumerate(books)
        )

    def _compare(
        self, name: str, lanes: Sequence[LaneCiphertext], shape: LaneShape, bounded: Lanes
    ) -> Ciphertext:
        """Encrypted bits of all lanes; `bounded` has the numbers of those that are bounded."""
        mask = self._take_mask(shape)
        opened = np.stack(
            [
                self._session.open(f"{name}.{part}", masked(self._order, lane, mask, part))
                for part, lane in enumerate(lanes)
            ]
        )
        flags = np.zeros(shape.lanes, dtype=np.bool_)
        flags[bounded] = True
        return self._comparator.compare(mask, shape.from_order(opened), flags)

    def _open_lanes(self, purpose: str, bits: Ciphertext, shape: LaneShape, lanes: Lanes) -> Lanes:
        """Open the bits of some lanes, given by number; returns them in that order."""
        flags = np.zeros(shape.lanes, dtype=np.int64)
        flags[lanes] = 1
        keep = shape.first_block(flags) == 1
        values = self._session.open(purpose, selected(self._comparison, bits, keep, BITS_LEVEL))
        opened = shape.from_first_block(values)[lanes]
        if opened.size and opened.max() > 1:
            raise ImplausibleOpening(purpose, "bits", str(int(opened.max())))
        return opened

    def _price_group(self, members: list[int], books: Sequence[SealedBook]) -> dict[int, _Price]:
        """Prices of the books that cross, found once all their intents are within their caps."""
        while members:
            number = self._comparisons
            self._comparisons += 1
            counts = tuple(books[k].count for k in members)
            layout = PriceLayout(self._parameters, self._ticks, counts)
            lanes = price_lanes(self._order, layout, [books[k].sized() for k in members])
            caps = [layout.cap_lanes(i) for i in range(len(members))]
            bounded = np.concatenate([lane.reshape(-1) for lane in caps])
            bits = self._compare(f"price lanes {number}", lanes, layout.shape, bounded)
            within = self._open_lanes(f"cap bits {number}", bits, layout.shape, bounded)
            above = {k: over for k, over in zip(members, _above(caps, within), strict=True) if over}
            if any(not books[k].present.issuperset(over) for k, over in above.items()):
                raise ImplausibleOpening(f"cap bits {number}", "1 where nobody is left", "0")
            if not above:
                crossing = self._crossing(number, layout, bits)
                prices = self._prices(number, layout, bits, crossing) if crossing else {}
                return {members[i]: price for i, price in prices.items()}
            self._exclude(above)
            members = [k for k in members if books[k].present]
        return {}

    def _crossing(self, number: int, layout: PriceLayout, bits: Ciphertext) -> list[int]:
        """Positions in the chunk of the books that cross."""
        purpose, shape = f"no-cross {number}", layout.shape
        first = 0 if self._reference is None else self._reference
        columns = [layout.offset(i) + layout.width + first for i in range(layout.instruments)]
        flags = np.zeros(shape.lanes, dtype=np.int64)
        flags[columns] = 1
        keep = shape.first_block(flags) == 1
        if self._reference is None:
            sums = crossing_bits(self._comparison, bits, layout.width)
        else:
            sums = reference_bits(self._comparison, bits)
        values = self._session.open(purpose, selected(self._comparison, sums, keep, BITS_LEVEL))
        answers = shape.from_first_block(values)[columns]
        if answers.max() > 1:
            raise ImplausibleOpening(purpose, "bits", str(int(answers.max())))
        return [i for i, answer in enumerate(answers) if answer]

    def _prices(
        self, number: int, layout: PriceLayout, bits: Ciphertext, crossing: Sequence[int]
    ) -> dict[int, _Price]:
        purpose, shape = f"price bits {number}", layout.shape
        if self._reference is not None:
            lanes = np.array([layout.offset(i) + self._reference for i in crossing])
            signs = self._open_lanes(purpose, bits, shape, lanes)
            return {
                i: _Price(self._reference, Side.SELL if sign else Side.BUY)
                for i, sign in zip(crossing, signs, strict=True)
            }
        starts = np.array([layout.offset(i) for i in crossing])
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
        lanes = np.array([layout.lane(1, layout.offset(i) + counts[i] - 1) for i in inner])
        opened = self._open_lanes(f"tie lanes {number}", bits, layout.shape, lanes)
        return dict(zip(inner, map(int, opened), strict=True))

    def _uniform_price(self, count: int, tie: int | None) -> _Price:
        if count == self._ticks or tie == 1:
            return _Price(Tick(count - 1), Side.SELL)
        return _Price(Tick(count), Side.BUY)

    def _short_row(self, number: int, price: _Price, book: SealedBook, packed: Ciphertext) -> Lanes:
        row = 0 if price.short_side is Side.BUY else 1
        return self._open_row(f"short row {number}", packed, row, np.arange(book.count))

    def _open_row(self, purpose: str, packed: Ciphertext, row: int, slots: Lanes) -> Lanes:
        """Open some slots of one row; other intents show 0. Shape (row slots,)."""
        ring = self._parameters.order
        keep = np.zeros((2, ring.row), dtype=np.bool_)
        keep[row, slots] = True
        covered = selected(self._order, packed, keep.reshape(-1), LANES_LEVEL)
        rows = self._session.open(purpose, covered).reshape(2, ring.row)
        values: Lanes = rows[row]
        return values

    def _ration_chunk(
        self,
        chunk: int,
        group: Sequence[int],
        books: Sequence[SealedBook],
        prices: dict[int, _Price],
        packed: dict[int, Ciphertext],
        short: dict[int, Lanes],
        priorities: Sequence[Lanes],
        matrices: _Matrices,
    ) -> dict[int, Lanes]:
        rows = tuple(1 if prices[k].short_side is Side.BUY else 0 for k in group)
        layout = RationLayout(self._parameters, tuple(books[k].count for k in group), rows)
        volumes = [int(short[k].sum()) for k in group]
        prefixes = [
            prefix_sums(self._order, packed[k], matrices.take(k, following))
            for k, following in zip_longest(group, group[1:])
        ]
        lanes = ration_lanes(self._order, layout, prefixes, volumes)
        none = np.array([], dtype=np.int64)
        bits = self._compare(f"ration lanes {chunk}", lanes, layout.shape, none)
        members = [layout.lanes(i) for i in range(len(group))]
        opened = self._open_lanes(
            f"ration bits {chunk}", bits, layout.shape, np.concatenate(members)
        )
        filled = np.split(opened, np.cumsum([m.size for m in members])[:-1])
        return {
            k: self._long_row(k, rows[i], packed[k], filled[i], priorities[k], volumes[i])
            for i, k in enumerate(group)
        }

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
        lots = np.zeros(self._parameters.order.row, dtype=np.int64)
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
    pairs = [bits.reshape(2, -1) for bits in np.split(within, ends)]
    return [np.flatnonzero((pair == 0).any(axis=0)).tolist() for pair in pairs]


def _outcome(price: _Price, short: Lanes, long: Lanes, count: int) -> EncryptedCross:
    bought, sold = (short, long) if price.short_side is Side.BUY else (long, short)
    volume = Lots(int(short.sum()))
    return EncryptedCross(price.tick, volume, price.short_side, bought[:count], sold[:count])


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
        if not groups or used + width > parameters.order.row:
            groups.append([])
            used = 0
        groups[-1].append(k)
        used += width
    return groups
