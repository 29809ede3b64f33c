"""What an auction opens is uniform, or zero, or follows from the public result alone.

`simulated` knows the public result, the layout and randomness, and nothing of the code under test
or of the orders. It must produce, slot by slot, what an encrypted auction opens.
"""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from crypto.bfv.lanes import LaneShape
from crypto.circuits.curves import size_max
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.threshold.revealing import Revealed
from darkpool.committee.masks import AttestedMask
from darkpool.units import Side
from tests.support.arena import Arena, Lanes, Row, in_turn, minimum_of, plain, twin
from tests.support.opening_simulator import (
    COMPARISON_ROW,
    ORDER_ROW,
    Opening,
    Public,
    cap_columns,
    lanes_opening,
    opening,
    simulated,
)
from tests.support.price_steps import opened_price
from tests.support.simulated_openings import distance, require_simulated, require_uniform

BUY, SELL = Side.BUY, Side.SELL
T = TEST_INSECURE_SMALL.order_ring.plain_modulus
MOST = size_max(TEST_INSECURE_SMALL.order_ring)


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
        books,
        public.ticks,
        public.ranks,
        public.reference,
        opened,
        mask,
        caps=caps,
        near=public.near,
    )
    expected = [
        twin(rows, public.ticks, ranks, public.reference, public.near)
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
        tick = int(draw.integers(0, ticks))
        reference, near = (tick, None) if pricing == "reference" else (None, tick)
        run(arena, books, Public(ticks, ranks, reference, near=near))


@pytest.mark.parametrize("pricing", ["uniform", "reference"])
def test_all_that_is_opened_of_minimum_fill_orders_follows_from_the_result(
    arena: Arena, pricing: str
) -> None:
    draw = np.random.default_rng(8)
    for ticks, instruments in ((1, 3), (2, 6), (3, 6), (4, 4), (16, 4), (32, 5), (127, 3)):
        books = [with_minima(draw, random_book(draw, ticks)) for _ in range(instruments)]
        ranks = [draw.permutation(len(rows)) for rows in books]
        tick = int(draw.integers(0, ticks))
        reference, near = (tick, None) if pricing == "reference" else (None, tick)
        minimum_fills = [[minimum_of(row) > 0 for row in rows] for rows in books]
        run(arena, books, Public(ticks, ranks, reference, minimum_fills, near))


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


def opened_from_orders(rows: Sequence[Row], ticks: int, ranks: Lanes, near: int) -> list[Opening]:
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
    price = opened_price(demand, supply, near)
    out.append(opening("price bits 0", dict(enumerate(price.steps))))
    if price.tie is not None:
        out.append(opening("tie lanes 0", {COMPARISON_ROW + price.count - 1: price.tie}))
    tick = price.tick
    at = [
        [q if s == BUY and m >= tick else 0, q if s == SELL and m <= tick else 0]
        for s, q, m, *_ in rows
    ]
    short, long = int(price.short_side), 1 - int(price.short_side)
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


@pytest.mark.parametrize("near", range(3))
def test_every_small_book_opens_what_its_result_implies_and_no_more(near: int) -> None:
    """All books of up to three orders on three ticks, in every order of priority."""
    kinds = list(itertools.product(Side, (1, 2), range(3)))
    results, transcripts = set(), set()
    for count in range(1, 4):
        for rows in itertools.product(kinds, repeat=count):
            for permutation in itertools.permutations(range(count)):
                ranks = np.array(permutation)
                result = twin(rows, 3, ranks, None, near)
                opened = opened_from_orders(rows, 3, ranks, near)
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


@pytest.mark.parametrize("name", SAME_RESULT)
def test_books_with_one_result_cannot_be_told_apart(arena: Arena, name: str) -> None:
    ticks, reference, *books = SAME_RESULT[name]
    public = Public(ticks, [in_turn(books[0])], reference)
    results = [twin(rows, ticks, public.ranks[0], reference) for rows in books]
    assert plain(results[0]) == plain(results[1])
    assert (results[0] is None) == ("no cross" in name)
    # Caps are public, so they are the same for both.
    caps = [[max(1, one[1], other[1]) for one, other in zip(*books, strict=True)]]
    mask = arena.distinct()
    samples = [
        np.stack([run(arena, [rows], public, mask, caps) for _ in range(RUNS)]) for rows in books
    ]
    for sample in samples:
        require_uniform(sample.reshape(-1))
    assert distance(*(sample.reshape(-1) for sample in samples)) < 2.4
    # The lanes of the instrument alone, where the two books differ.
    columns = np.arange(2 * public.window + len(books[0]))
    own = np.concatenate([columns, 64 + columns])
    assert distance(*(sample[:, own].reshape(-1) for sample in samples)) < 2.4
