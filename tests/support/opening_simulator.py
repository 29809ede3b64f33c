"""The openings of an auction from its public result alone.

`simulated` knows the public result, the layout and randomness, and nothing of the code under test
or of the orders.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from darkpool.crossing.crossing_book import EncryptedCross
from darkpool.units import Side
from tests.support.arena import Lanes

BUY, SELL = Side.BUY, Side.SELL
ORDER_ROW, COMPARISON_ROW = 256, 512

Results = Sequence[EncryptedCross | None]


@dataclass(frozen=True)
class Public:
    """What everybody knows of an auction besides its results."""

    ticks: int
    ranks: Sequence[Lanes]
    reference: int | None = None
    minimum_fills: Sequence[Sequence[bool]] | None = None
    near: int | None = None

    def minimum_fill(self, book: int) -> Lanes:
        """1 for the minimum-fill orders of a book."""
        count = self.ranks[book].size
        flags = [False] * count if self.minimum_fills is None else self.minimum_fills[book]
        return np.array(flags, dtype=np.int64)

    def intents(self, books: Sequence[int]) -> list[int]:
        """Intents of some books; of each there is a rank."""
        return [self.ranks[k].size for k in books]

    @property
    def window(self) -> int:
        """The power of two from the number of ticks on."""
        return next(1 << k for k in itertools.count() if 1 << k >= self.ticks)


@dataclass(frozen=True)
class Opening:
    """Values by slot, zero elsewhere; `columns` of both rows are uniform where it is not 0."""

    purpose: str
    values: tuple[tuple[int, int], ...]
    columns: int = 0


def opening(purpose: str, values: dict[int, int]) -> Opening:
    return Opening(purpose, tuple(sorted((slot, v) for slot, v in values.items() if v)))


def lanes_opening(name: str, columns: int) -> Iterator[Opening]:
    """Masked lanes: a shape has 64, 128, 256 or 512 columns, a ciphertext at most 256."""
    width = next(w for w in (64, 128, 256, 512) if w >= columns)
    for part in range(max(1, width // ORDER_ROW)):
        yield Opening(f"{name}.{part}", (), min(width, ORDER_ROW))


def price_step(result: EncryptedCross) -> int:
    """The number of steps that are 1."""
    return result.tick + 1 if result.short_side is SELL else int(result.tick)


def cap_columns(public: Public, books: Sequence[int]) -> Iterator[range]:
    """Columns of each book's intents, after the prices; no book's lie in two ciphertexts.

    Then as many for each book with minimum-fill orders.
    """
    column = 2 * public.window * len(books)
    minima = [k for k in books if public.minimum_fill(k).any()]
    for intents in public.intents([*books, *minima]):
        if column < ORDER_ROW < column + intents:
            column = ORDER_ROW
        yield range(column, column + intents)
        column += intents


def comparisons(public: Public) -> Iterator[list[int]]:
    """Books whose prices and caps fit into one comparison."""
    group: list[int] = []
    for k in range(len(public.ranks)):
        if public.minimum_fill(k).all():
            continue
        *_, last = cap_columns(public, [*group, k])
        if group and last.stop > COMPARISON_ROW:
            yield group
            group = []
        group.append(k)
    if group:
        yield group


def price_openings(
    books: Sequence[int], results: Results, public: Public, chunk: int
) -> Iterator[Opening]:
    ticks, window = public.ticks, public.window
    *_, last = caps = list(cap_columns(public, books))
    yield from lanes_opening(f"price lanes {chunk}", last.stop)
    within = [column for columns in caps for column in columns]
    pairs = {row * COMPARISON_ROW + column: 1 for row in (0, 1) for column in within}
    yield opening(f"cap bits {chunk}", pairs)
    at = window + (public.reference or 0)
    starts = {k: 2 * window * i for i, k in enumerate(books)}
    found = [
        (starts[k], r)
        for k in books
        if (r := results[k]) is not None and plain_fills(r, public.minimum_fill(k)).any()
    ]
    yield opening(f"no-cross {chunk}", {start + at: 1 for start, _ in found})
    if not found:
        return
    if public.reference is not None:
        short = {s + public.reference: int(r.short_side is SELL) for s, r in found}
        yield opening(f"price bits {chunk}", short)
        return
    steps = {start + p: 1 for start, r in found for p in range(price_step(r))}
    yield opening(f"price bits {chunk}", steps)
    inner = [(start, r) for start, r in found if 0 < price_step(r) < ticks]
    if inner:
        ties = {
            COMPARISON_ROW + start + price_step(r) - 1: int(r.short_side is SELL)
            for start, r in inner
        }
        yield opening(f"tie lanes {chunk}", ties)


def sides(result: EncryptedCross) -> tuple[tuple[int, Lanes], tuple[int, Lanes]]:
    """Row and fills of the short side, then of the long side."""
    buyers, sellers = (0, result.bought), (1, result.sold)
    return (buyers, sellers) if result.short_side is BUY else (sellers, buyers)


def plain_fills(result: EncryptedCross, minimum_fill: Lanes) -> Lanes:
    """Fills of plain orders on the short side: there are some if plain orders cross."""
    (_, fills), _ = sides(result)
    filled: Lanes = fills * (1 - minimum_fill)
    return filled


def taking(result: EncryptedCross, minimum_fill: Lanes, ranks: Lanes) -> list[int]:
    """Minimum-fill orders that fill, in priority."""
    (_, fills), _ = sides(result)
    numbers = np.flatnonzero((fills * minimum_fill) > 0)
    return sorted(numbers.tolist(), key=lambda number: int(ranks[number]))


def minimum_fill_openings(results: Results, public: Public) -> Iterator[Opening]:
    """Of books with minimum fills whose plain orders cross, or that have a reference price."""
    asked = [
        k
        for k, result in enumerate(results)
        if public.minimum_fill(k).any()
        and not public.minimum_fill(k).all()
        and (
            public.reference is not None
            or (result is not None and plain_fills(result, public.minimum_fill(k)).any())
        )
    ]
    groups: list[list[int]] = []
    for k in asked:
        if not groups or 4 * sum(public.intents([*groups[-1], k])) > COMPARISON_ROW:
            groups.append([])
        groups[-1].append(k)
    for chunk, group in enumerate(groups):
        columns = 4 * sum(public.intents(group))
        yield from lanes_opening(f"minimum-fill lanes {chunk}", columns)
        quarter = next(w for w in (64, 128, 256, 512) if w >= columns) // 4
        start = 0
        bits: dict[int, int] = {}
        last: dict[int, int] = {}
        for k in group:
            result = results[k]
            if result is not None and (
                numbers := taking(result, public.minimum_fill(k), public.ranks[k])
            ):
                (row, _), _ = sides(result)
                base = row * COMPARISON_ROW + start
                bits |= {base + number: 1 for number in numbers}
                last[base + 2 * quarter + numbers[-1]] = int(result.exhausted)
            start += public.ranks[k].size
        yield opening(f"minimum-fill bits {chunk}", bits)
        if last:
            yield opening(f"exhausted {chunk}", last)


def minimum_fill_rows(result: EncryptedCross, public: Public, k: int) -> Iterator[Opening]:
    """Fills of minimum-fill orders, and of the long side where nothing is left for anybody."""
    (row, fills), (long, other) = sides(result)
    numbers = taking(result, public.minimum_fill(k), public.ranks[k])
    shown = numbers[:-1] if result.exhausted else numbers
    if shown:
        values = {row * ORDER_ROW + number: int(fills[number]) for number in shown}
        yield opening(f"minimum-fill row {k}", values)
    if result.exhausted:
        values = {long * ORDER_ROW + i: int(lots) for i, lots in enumerate(other)}
        yield opening(f"long row {k}", values)


def last_rank(result: EncryptedCross, ranks: Lanes) -> int:
    _, (_, fills) = sides(result)
    return int(ranks[fills > 0].max())


def ration_openings(
    group: Sequence[int], results: dict[int, EncryptedCross], public: Public, chunk: int
) -> Iterator[Opening]:
    bits: dict[int, int] = {}
    rows: list[Opening] = []
    start = 0
    for k in group:
        (_, (row, fills)), ranks = sides(results[k]), public.ranks[k]
        last = last_rank(results[k], ranks)
        base = row * COMPARISON_ROW + start
        bits |= {base + i: int(rank <= last) for i, rank in enumerate(ranks)}
        if last:
            before = {row * ORDER_ROW + int(i): int(fills[i]) for i in np.flatnonzero(ranks < last)}
            rows.append(opening(f"long row {k}", before))
        start += next(1 << j for j in itertools.count() if 1 << j >= ranks.size)
    yield from lanes_opening(f"ration lanes {chunk}", start)
    yield opening(f"ration bits {chunk}", bits)
    yield from rows


def grouped(results: dict[int, EncryptedCross], public: Public) -> Iterator[list[int]]:
    """Instruments whose intents, each rounded up to a power of two, fit into a row."""
    group: list[int] = []
    used = 0
    for k in results:
        width = next(1 << j for j in itertools.count() if 1 << j >= public.ranks[k].size)
        if group and used + width > ORDER_ROW:
            yield group
            group, used = [], 0
        group.append(k)
        used += width
    if group:
        yield group


def simulated(results: Results, public: Public) -> list[Opening]:
    """The openings of an auction, from its public result alone."""
    openings: list[Opening] = []
    for chunk, books in enumerate(comparisons(public)):
        openings += price_openings(books, results, public, chunk)
    crossed = {k: result for k, result in enumerate(results) if result is not None}
    openings += minimum_fill_openings(results, public)
    for k, result in crossed.items():
        (row, _), _ = sides(result)
        fills = plain_fills(result, public.minimum_fill(k))
        values = {row * ORDER_ROW + i: int(lots) for i, lots in enumerate(fills)}
        if fills.any():
            openings.append(opening(f"short row {k}", values))
    for k, result in crossed.items():
        openings += minimum_fill_rows(result, public, k)
    rationed = {k: result for k, result in crossed.items() if not result.exhausted}
    for chunk, group in enumerate(grouped(rationed, public)):
        openings += ration_openings(group, rationed, public, chunk)
    return openings
