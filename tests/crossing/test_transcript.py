"""What an auction opens is uniform, or zero, or follows from the public result alone.

`simulated` knows the public result, the layout and randomness, and nothing of the code under test
or of the orders. It must produce, slot by slot, what an encrypted auction opens.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from crypto.curves import size_max
from crypto.lanes import LaneShape
from crypto.params import TEST_INSECURE_SMALL
from crypto.revealing import Revealed
from darkpool.committee.local import AttestedMask
from darkpool.crossing.encrypted import EncryptedCross
from darkpool.units import Side
from tests.crossing.conftest import Arena, Lanes, Row, in_turn, minimum_of, plain, twin
from tests.crypto.conftest import chi_square_excess

BUY, SELL = Side.BUY, Side.SELL
ORDER_ROW, COMPARISON_ROW = 256, 512
T = TEST_INSECURE_SMALL.order.plain_modulus
MOST = size_max(TEST_INSECURE_SMALL.order)

Results = Sequence[EncryptedCross | None]


@dataclass(frozen=True)
class Public:
    """What everybody knows of an auction besides its results."""

    ticks: int
    ranks: Sequence[Lanes]
    reference: int | None = None
    offsets: Sequence[Sequence[bool]] | None = None

    def offset(self, book: int) -> Lanes:
        """1 for the offset orders of a book."""
        count = self.ranks[book].size
        flags = [False] * count if self.offsets is None else self.offsets[book]
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
    """c, the number of ticks with demand at or above supply."""
    return result.tick + 1 if result.short_side is SELL else int(result.tick)


def cap_columns(public: Public, books: Sequence[int]) -> Iterator[range]:
    """Columns of each book's intents, after the prices; no book's lie in two ciphertexts.

    Then as many for each book with offset orders.
    """
    column = 2 * public.window * len(books)
    minima = [k for k in books if public.offset(k).any()]
    for intents in public.intents([*books, *minima]):
        if column < ORDER_ROW < column + intents:
            column = ORDER_ROW
        yield range(column, column + intents)
        column += intents


def comparisons(public: Public) -> Iterator[list[int]]:
    """Books whose prices and caps fit into one comparison."""
    group: list[int] = []
    for k in range(len(public.ranks)):
        if public.offset(k).all():
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
        if (r := results[k]) is not None and plain_fills(r, public.offset(k)).any()
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


def plain_fills(result: EncryptedCross, offset: Lanes) -> Lanes:
    """Fills of plain orders on the short side: there are some if plain orders cross."""
    (_, fills), _ = sides(result)
    filled: Lanes = fills * (1 - offset)
    return filled


def taking(result: EncryptedCross, offset: Lanes, ranks: Lanes) -> list[int]:
    """Offset orders that fill, in priority."""
    (_, fills), _ = sides(result)
    numbers = np.flatnonzero((fills * offset) > 0)
    return sorted(numbers.tolist(), key=lambda number: int(ranks[number]))


def offset_openings(results: Results, public: Public) -> Iterator[Opening]:
    """Of books with offset orders whose plain orders cross, or that have a reference price."""
    asked = [
        k
        for k, result in enumerate(results)
        if public.offset(k).any()
        and not public.offset(k).all()
        and (
            public.reference is not None
            or (result is not None and plain_fills(result, public.offset(k)).any())
        )
    ]
    groups: list[list[int]] = []
    for k in asked:
        if not groups or 4 * sum(public.intents([*groups[-1], k])) > COMPARISON_ROW:
            groups.append([])
        groups[-1].append(k)
    for chunk, group in enumerate(groups):
        columns = 4 * sum(public.intents(group))
        yield from lanes_opening(f"offset lanes {chunk}", columns)
        quarter = next(w for w in (64, 128, 256, 512) if w >= columns) // 4
        start = 0
        bits: dict[int, int] = {}
        last: dict[int, int] = {}
        for k in group:
            result = results[k]
            if result is not None and (
                numbers := taking(result, public.offset(k), public.ranks[k])
            ):
                (row, _), _ = sides(result)
                base = row * COMPARISON_ROW + start
                bits |= {base + number: 1 for number in numbers}
                last[base + 2 * quarter + numbers[-1]] = int(result.exhausted)
            start += public.ranks[k].size
        yield opening(f"offset bits {chunk}", bits)
        if last:
            yield opening(f"exhausted {chunk}", last)


def offset_rows(result: EncryptedCross, public: Public, k: int) -> Iterator[Opening]:
    """Fills of offset orders, and of the long side where nothing is left for anybody."""
    (row, fills), (long, other) = sides(result)
    numbers = taking(result, public.offset(k), public.ranks[k])
    shown = numbers[:-1] if result.exhausted else numbers
    if shown:
        values = {row * ORDER_ROW + number: int(fills[number]) for number in shown}
        yield opening(f"offset row {k}", values)
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
    openings += offset_openings(results, public)
    for k, result in crossed.items():
        (row, _), _ = sides(result)
        fills = plain_fills(result, public.offset(k))
        values = {row * ORDER_ROW + i: int(lots) for i, lots in enumerate(fills)}
        if fills.any():
            openings.append(opening(f"short row {k}", values))
    for k, result in crossed.items():
        openings += offset_rows(result, public, k)
    rationed = {k: result for k, result in crossed.items() if not result.exhausted}
    for chunk, group in enumerate(grouped(rationed, public)):
        openings += ration_openings(group, rationed, public, chunk)
    return openings


def require_simulated(opened: Sequence[Revealed], results: Results, public: Public) -> Lanes:
    """Check every slot of every opening; returns the values of all uniform slots."""
    expected = simulated(results, public)
    assert [r.request.purpose for r in opened] == [o.purpose for o in expected]
    assert [r.request.sequence for r in opened] == list(range(len(opened)))
    uniform, masks = [], []
    for revealed, simulation in zip(opened, expected, strict=True):
        covered = revealed.request.covered
        values = revealed.values.reshape(2, -1)
        if simulation.columns:
            masks.append((covered.mask_number, covered.mask_part))
            assert not values[:, simulation.columns :].any()
            uniform.append(values[:, : simulation.columns].reshape(-1))
            continue
        assert (covered.mask_number, covered.mask_part) == (None, None)
        implied = np.zeros_like(revealed.values)
        for slot, value in simulation.values:
            implied[slot] = value
        assert np.array_equal(revealed.values, implied), revealed.request.purpose
        assert covered.support[revealed.values != 0].all()
    assert None not in {number for number, _ in masks}
    assert len(set(masks)) == len(masks)
    return np.concatenate(uniform)


def run(
    arena: Arena,
    books: Sequence[Sequence[Row]],
    public: Public,
    mask: Callable[[LaneShape], AttestedMask] | None = None,
    caps: Sequence[Sequence[int]] | None = None,
) -> Lanes:
    """Cross, compare with the twin and with the simulator; returns the uniform values."""
    opened: list[Revealed] = []
    found = arena.cross(
        books, public.ticks, public.ranks, public.reference, opened, mask, caps=caps
    )
    expected = [
        twin(rows, public.ticks, ranks, public.reference)
        for rows, ranks in zip(books, public.ranks, strict=True)
    ]
    assert [plain(x) for x in found] == [plain(x) for x in expected]
    return require_simulated(opened, expected, public)


def with_minima(draw: np.random.Generator, rows: list[Row]) -> list[Row]:
    """About half of them with a minimum."""
    return [
        (*row[:3], int(draw.integers(1, max(row[1], 1) + 1)) * int(draw.integers(0, 2)))
        for row in rows
    ]


def random_book(draw: np.random.Generator, ticks: int) -> list[Row]:
    return [
        (int(draw.integers(0, 2)), int(draw.integers(0, 6)), int(draw.integers(0, ticks)))
        for _ in range(int(draw.integers(1, 12)))
    ]


@pytest.mark.parametrize("pricing", ["uniform", "reference"])
@pytest.mark.parametrize("size", [3, 4])
def test_all_that_is_opened_follows_from_the_result(
    arena_of: Callable[[int], Arena], size: int, pricing: str
) -> None:
    draw, arena = np.random.default_rng(size), arena_of(size)
    for ticks, instruments in ((1, 3), (2, 1), (3, 1), (4, 2), (5, 1), (16, 4), (32, 8), (127, 3)):
        books = [random_book(draw, ticks) for _ in range(instruments)]
        ranks = [draw.permutation(len(rows)) for rows in books]
        reference = int(draw.integers(0, ticks)) if pricing == "reference" else None
        run(arena, books, Public(ticks, ranks, reference))


@pytest.mark.parametrize("pricing", ["uniform", "reference"])
def test_all_that_is_opened_of_offset_orders_follows_from_the_result(
    arena: Arena, pricing: str
) -> None:
    draw = np.random.default_rng(8)
    for ticks, instruments in ((1, 3), (2, 6), (3, 6), (4, 4), (16, 4), (32, 5), (127, 3)):
        books = [with_minima(draw, random_book(draw, ticks)) for _ in range(instruments)]
        ranks = [draw.permutation(len(rows)) for rows in books]
        reference = int(draw.integers(0, ticks)) if pricing == "reference" else None
        offsets = [[minimum_of(row) > 0 for row in rows] for rows in books]
        run(arena, books, Public(ticks, ranks, reference, offsets))


@pytest.mark.parametrize("caps", ["own", "wide"])
def test_cap_lanes_behind_a_border_follow_from_the_number_of_intents(
    arena: Arena, caps: str
) -> None:
    """Whatever the caps are: what is opened of them is two ones for each intent."""
    books = [[(BUY, 2, 3)] * 50, [(SELL, 0, 0)] * 30, [(BUY, 2, 9), (SELL, 1, 31)] * 20]
    limits = [[MOST] * len(rows) for rows in books] if caps == "wide" else None
    public = Public(32, [in_turn(rows) for rows in books])
    assert [c.start for c in cap_columns(public, range(3))] == [192, 256, 286]
    run(arena, books, public, caps=limits)


def test_rationing_in_several_comparisons_follows_from_the_result(arena: Arena) -> None:
    books = [[(BUY, 2, 3)] * 100 + [(SELL, 7, 0)], [(SELL, 1, 0)] * 70 + [(BUY, 9, 3)]] * 2
    run(arena, books, Public(4, [np.random.default_rng(1).permutation(len(b)) for b in books]))


# The plain computation of what is opened, from the orders, for one instrument.


def opened_from_orders(rows: Sequence[Row], ticks: int, ranks: Lanes) -> list[Opening]:
    demand = [sum(q for s, q, m, *_ in rows if s == BUY and m >= p) for p in range(ticks)]
    supply = [sum(q for s, q, m, *_ in rows if s == SELL and m <= p) for p in range(ticks)]
    public = Public(ticks, [ranks])
    columns = range(2 * public.window, 2 * public.window + len(rows))
    out = list(lanes_opening("price lanes 0", 2 * public.window + len(rows)))
    caps = [max(1, q) for _, q, _, *_ in rows]
    inside = [[int(q >= 0), int(cap >= q)] for (_, q, *_), cap in zip(rows, caps, strict=True)]
    pairs = [
        (r * COMPARISON_ROW + c, v[r]) for c, v in zip(columns, inside, strict=True) for r in (0, 1)
    ]
    out.append(opening("cap bits 0", dict(pairs)))
    crosses = any(d and s for d, s in zip(demand, supply, strict=True))
    out.append(opening("no-cross 0", {public.window: int(crosses)}))
    if not crosses:
        return out
    bits = {p: int(demand[p] >= supply[p]) for p in range(ticks)}
    out.append(opening("price bits 0", bits))
    c = sum(bits.values())
    tie = c == ticks
    if 0 < c < ticks:
        tie = supply[c - 1] >= demand[c]
        out.append(opening("tie lanes 0", {COMPARISON_ROW + c - 1: int(tie)}))
    tick = c - 1 if tie else c
    at = [
        [q if s == BUY and m >= tick else 0, q if s == SELL and m <= tick else 0]
        for s, q, m, *_ in rows
    ]
    short, long = (1, 0) if tie else (0, 1)
    out.append(opening("short row 0", {short * ORDER_ROW + k: v[short] for k, v in enumerate(at)}))
    volume = sum(v[short] for v in at)
    prefix = [sum(v[long] for v, r in zip(at, ranks, strict=True) if r < rank) for rank in ranks]
    out += lanes_opening("ration lanes 0", len(rows))
    filled = [int(p < volume) for p in prefix]
    out.append(
        opening("ration bits 0", {long * COMPARISON_ROW + k: b for k, b in enumerate(filled)})
    )
    last = sum(filled) - 1
    if last:
        before = {long * ORDER_ROW + k: at[k][long] for k, rank in enumerate(ranks) if rank < last}
        out.append(opening("long row 0", before))
    return out


def test_every_small_book_opens_what_its_result_implies_and_no_more() -> None:
    """All books of up to three orders on three ticks, in every order of priority."""
    kinds = list(itertools.product(Side, (1, 2), range(3)))
    results, transcripts = set(), set()
    for count in range(1, 4):
        for rows in itertools.product(kinds, repeat=count):
            for permutation in itertools.permutations(range(count)):
                ranks = np.array(permutation)
                result = twin(rows, 3, ranks, None)
                opened = opened_from_orders(rows, 3, ranks)
                assert opened == simulated([result], Public(3, [ranks]))
                results.add((permutation, repr(plain(result))))
                transcripts.add((permutation, tuple(opened)))
    assert len(results) > 100
    assert len(transcripts) == len(results), "results and transcripts determine each other"


SAME_RESULT: dict[str, tuple[int, int | None, list[Row], list[Row]]] = {
    "no cross": (
        8,
        None,
        [(BUY, 5, 0), (SELL, 7, 3), (BUY, 2, 1)],
        [(SELL, 900, 5), (SELL, 1, 7), (BUY, 40000, 4)],
    ),
    "cross": (
        8,
        None,
        [(SELL, 4, 2), (BUY, 9, 5), (BUY, 3, 1), (SELL, 8, 6)],
        [(SELL, 4, 0), (BUY, 700000, 5), (SELL, 50, 7), (BUY, 1, 0)],
    ),
    "reference, no cross": (
        8,
        4,
        [(BUY, 5, 3), (SELL, 7, 3), (BUY, 2, 1)],
        [(SELL, 900, 5), (SELL, 1, 7), (BUY, 40000, 7)],
    ),
    "reference, cross": (
        8,
        4,
        [(BUY, 6, 7), (SELL, 60, 4), (BUY, 2, 1), (SELL, 5, 5)],
        [(BUY, 6, 4), (SELL, 7, 0), (SELL, 2, 6), (BUY, 9999, 0)],
    ),
}
RUNS = 6


def distance(one: Lanes, other: Lanes) -> float:
    """Kolmogorov and Smirnov's statistic of two samples, scaled: above 2.4 once in 10^5."""
    grid = np.sort(np.concatenate([one, other]))
    gap = [np.searchsorted(np.sort(s), grid, side="right") / s.size for s in (one, other)]
    return float(np.abs(gap[0] - gap[1]).max() * np.sqrt(one.size * other.size / grid.size))


def require_uniform(values: Lanes) -> None:
    counts, _ = np.histogram(values, np.arange(33) * T / 32)
    assert abs(chi_square_excess(counts, np.full(32, values.size / 32))) < 6


@pytest.mark.parametrize("name", SAME_RESULT)
def test_books_with_one_result_cannot_be_told_apart(arena: Arena, name: str) -> None:
    ticks, reference, *books = SAME_RESULT[name]
    public = Public(ticks, [in_turn(books[0])], reference)
    results = [twin(rows, ticks, public.ranks[0], reference) for rows in books]
    assert plain(results[0]) == plain(results[1])
    assert (results[0] is None) == ("no cross" in name)
    # Caps are public, so they are the same for both.
    caps = [[max(1, one[1], other[1]) for one, other in zip(*books, strict=True)]]
    samples = [
        np.stack([run(arena, [rows], public, arena.fresh, caps) for _ in range(RUNS)])
        for rows in books
    ]
    for sample in samples:
        require_uniform(sample.reshape(-1))
    assert distance(*(sample.reshape(-1) for sample in samples)) < 2.4
    # The lanes of the instrument alone, where the two books differ.
    columns = np.arange(2 * public.window + len(books[0]))
    own = np.concatenate([columns, 64 + columns])
    assert distance(*(sample[:, own].reshape(-1) for sample in samples)) < 2.4
