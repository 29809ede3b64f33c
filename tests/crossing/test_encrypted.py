from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.circuits.curves import size_max
from crypto.circuits.price_lanes import PriceLayout, price_groups
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL
from crypto.threshold.revealing import Revealed
from darkpool.crossing.clearing import curves
from darkpool.crossing.rationing import ration_groups
from darkpool.units import Side
from tests.support.arena import Arena, Row, book_of_rows, in_turn, plain, require_twin, twin
from tests.support.house import built
from tests.support.price_steps import opened_price

BUY, SELL = Side.BUY, Side.SELL
MOST = size_max(TEST_INSECURE_SMALL.order_ring)
TICKS_MAX = TEST_INSECURE_SMALL.ticks_max


# Books on four ticks; the outcome of each is in the name.
NAMED: dict[str, Sequence[Row]] = {
    "nothing but cover": [(BUY, 0, 3), (SELL, 0, 0)],
    "no buyer": [(SELL, 5, 0), (SELL, 2, 3)],
    "no seller": [(BUY, 5, 3), (BUY, 2, 0)],
    "one order": [(BUY, 1, 2)],
    "a buyer and cover of sellers": [(BUY, 3, 3), (SELL, 0, 0)],
    "a seller and cover of buyers": [(SELL, 3, 0), (BUY, 0, 3)],
    "missing by a tick": [(BUY, 5, 1), (SELL, 5, 2)],
    "as far apart as can be": [(BUY, MOST - 1, 0), (SELL, 1, 3)],
    "touching": [(BUY, 5, 1), (SELL, 5, 1)],
    "touching at the first tick": [(BUY, 1, 0), (SELL, 1, 0)],
    "touching at the last tick": [(BUY, 1, 3), (SELL, 1, 3)],
    "all equal": [(BUY, 2, 1), (SELL, 2, 1)] * 4,
    "all that there is": [(BUY, MOST // 2, 3), (SELL, MOST // 2, 0)],
    "one lot against all others": [(BUY, MOST - 1, 3), (SELL, 1, 0)],
    "all others against one lot": [(BUY, 1, 3), (SELL, MOST - 1, 0)],
    "buyers exceed at every tick": [(BUY, 9, 3), (SELL, 4, 0)],
    "sellers exceed at every tick": [(BUY, 4, 3), (SELL, 9, 0)],
    "balanced between the limits": [(BUY, 5, 2), (SELL, 5, 1)],
    "balanced at every tick": [(BUY, 5, 3), (SELL, 5, 0)],
    "balanced at the last tick": [(BUY, 5, 3), (SELL, 5, 3)],
    "balanced at the first tick": [(BUY, 5, 0), (SELL, 5, 0)],
    "equal volumes at both neighbours": [(BUY, 2, 2), (BUY, 2, 1), (SELL, 2, 1), (SELL, 2, 2)],
    "the upper neighbour trades more": [(BUY, 5, 2), (SELL, 1, 1), (SELL, 9, 2)],
    "the lower neighbour trades more": [(BUY, 1, 2), (BUY, 9, 1), (SELL, 5, 1)],
    "cover in between": [(BUY, 0, 2), (BUY, 7, 3), (SELL, 0, 1), (SELL, 3, 0), (BUY, 0, 0)],
    "the last is filled in part": [(BUY, 5, 3), (BUY, 5, 3), (BUY, 5, 3), (SELL, 7, 0)],
    "the last is filled in full": [(BUY, 5, 3), (BUY, 5, 3), (BUY, 5, 3), (SELL, 10, 0)],
    "the first is filled in part": [(SELL, 9, 0), (BUY, 1, 3), (SELL, 9, 0)],
    "one against many": [(SELL, 1, 0)] * 40 + [(BUY, 1000, 3)],
    "many against one": [(BUY, 3, 3)] * 40 + [(SELL, 70, 0)],
    "limits beyond the price do not fill": [(BUY, 5, 3), (BUY, 9, 0), (SELL, 4, 1), (SELL, 8, 3)],
}


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("size", [3, 4])
def test_named_books(arena_of: Callable[[int], Arena], name: str, size: int) -> None:
    require_twin(arena_of(size), [NAMED[name]], 4)


@pytest.mark.parametrize("near", range(4))
def test_named_books_side_by_side(arena: Arena, near: int) -> None:
    """All of them at once, on every reference price."""
    require_twin(arena, list(NAMED.values()), 4, near=near)


@pytest.mark.parametrize("tick", range(4))
def test_named_books_at_a_reference_price(arena: Arena, tick: int) -> None:
    """All of them at once: more instruments than fit into the smallest comparison."""
    require_twin(arena, list(NAMED.values()), 4, reference=tick)


@pytest.mark.parametrize("name", ["one against many", "all equal", "the last is filled in part"])
def test_priority_decides_and_not_the_place_in_the_book(arena: Arena, name: str) -> None:
    rows = NAMED[name]
    for seed in range(3):
        require_twin(arena, [rows], 4, [np.random.default_rng(seed).permutation(len(rows))])


@pytest.mark.parametrize("ticks", [1, 2, 3, TICKS_MAX - 1, TICKS_MAX])
def test_limits_at_the_ends_of_the_grid(arena: Arena, ticks: int) -> None:
    last = ticks - 1
    for rows in (
        [(BUY, 3, 0), (SELL, 2, 0)],
        [(BUY, 2, last), (SELL, 3, last)],
        [(BUY, 3, last), (SELL, 2, 0)],
        [(BUY, 2, last), (SELL, 3, 0)],
        [(BUY, 2, 0), (SELL, 3, last)],
        [(BUY, 2, last), (BUY, 5, last // 2), (SELL, 3, last // 2), (SELL, 4, 0)],
    ):
        for near in {0, ticks // 2, last}:
            require_twin(arena, [rows], ticks, near=near)


@pytest.mark.parametrize("near", range(3))
def test_every_way_to_choose_between_two_prices(arena: Arena, near: int) -> None:
    """Books on three ticks, a few for each of the steps, tie bits and references there are."""
    draw = np.random.default_rng(near)
    books: dict[object, list[list[Row]]] = {}
    for _ in range(400):
        rows: list[Row] = [
            (int(draw.integers(0, 2)), int(draw.integers(1, 4)), int(draw.integers(0, 3)))
            for _ in range(int(draw.integers(2, 5)))
        ]
        at = curves(book_of_rows(rows, 3))
        steps = opened_price(at.demand.tolist(), at.supply.tolist(), near)
        balanced = tuple(int(x) for x in np.sign(at.demand - at.supply))
        books.setdefault((steps.steps, steps.tie, balanced), []).append(rows)
    chosen = [rows for alike in books.values() for rows in alike[:4]]
    assert len(books) >= 10
    require_twin(arena, chosen, 3, near=near)


def sizes() -> st.SearchStrategy[int]:
    """Mostly small, so that curves tie; some as large as a dozen orders may all be."""
    return st.one_of(st.integers(0, 4), st.integers(0, 4), st.sampled_from([1, MOST // 12]))


def rows_on(ticks: int, most: int = 12) -> st.SearchStrategy[list[Row]]:
    row = st.tuples(st.sampled_from(Side), sizes(), st.integers(0, ticks - 1))
    return st.lists(row, min_size=1, max_size=most)


def require_any_book(arena: Arena, data: st.DataObject) -> None:
    ticks = data.draw(st.one_of(st.integers(1, 6), st.integers(1, TICKS_MAX)))
    rows = data.draw(rows_on(ticks))
    ranks = np.array(data.draw(st.permutations(range(len(rows)))), dtype=np.int64)
    tick, fixed = data.draw(st.integers(0, ticks - 1)), data.draw(st.booleans())
    reference, near = (tick, None) if fixed else (None, tick)
    require_twin(arena, [rows], ticks, [ranks], reference, near)


@given(st.data())
@settings(max_examples=25)
def test_any_book(arena: Arena, data: st.DataObject) -> None:
    require_any_book(arena, data)


@pytest.mark.slow
@given(st.data())
@settings(max_examples=500)
def test_many_books(arena: Arena, data: st.DataObject) -> None:
    require_any_book(arena, data)


def require_any_books_side_by_side(arena: Arena, data: st.DataObject) -> None:
    """Also more than one comparison takes: ticks above 64 leave room for one."""
    ticks = data.draw(st.sampled_from([1, 3, 17, 64, TICKS_MAX]))
    books = data.draw(st.lists(rows_on(ticks, 6), min_size=2, max_size=5))
    seed = data.draw(st.integers(0, 2**32))
    ranks = [np.random.default_rng(seed).permutation(len(rows)) for rows in books]
    tick, fixed = data.draw(st.integers(0, ticks - 1)), data.draw(st.booleans())
    reference, near = (tick, None) if fixed else (None, tick)
    require_twin(arena, books, ticks, ranks, reference, near)


@given(st.data())
@settings(max_examples=8)
def test_any_books_side_by_side(arena: Arena, data: st.DataObject) -> None:
    require_any_books_side_by_side(arena, data)


@pytest.mark.slow
@given(st.data())
@settings(max_examples=150)
def test_many_books_side_by_side(arena: Arena, data: st.DataObject) -> None:
    require_any_books_side_by_side(arena, data)


def test_instruments_with_different_outcomes_share_a_comparison(arena: Arena) -> None:
    books = list(NAMED.values())
    counts = [len(rows) for rows in books]
    assert price_groups(TEST_INSECURE_SMALL, 4, counts) == [range(len(books))]
    outcomes = {twin(rows, 4, in_turn(rows), None) is None for rows in books}
    assert outcomes == {False, True}
    require_twin(arena, books, 4)


def test_more_instruments_than_one_comparison_takes(arena: Arena) -> None:
    books = [
        [(BUY, 3, 126), (SELL, 2, 0)],
        [(BUY, 3, 5), (SELL, 2, 6)],
        [(SELL, 3, 5), (BUY, 4, 6)],
        [(SELL, 3, 5)],
        [(SELL, 1, 126), (BUY, 4, 126)],
    ]
    assert len(price_groups(TEST_INSECURE_SMALL, TICKS_MAX, [len(b) for b in books])) == 5
    require_twin(arena, books, TICKS_MAX)
    require_twin(arena, books, TICKS_MAX, reference=6)


def test_comparisons_none_of_whose_books_crosses(arena: Arena) -> None:
    """The first three books share a comparison that ends with its bits; the next one goes on."""
    books = [[(BUY, 1, 0)], [(SELL, 1, 3)], [(BUY, 2, 0)], [(BUY, 1, 3), (SELL, 1, 3)]]
    assert price_groups(TEST_INSECURE_SMALL, 64, [1, 1, 1, 2]) == [range(3), range(3, 4)]
    require_twin(arena, books, 64)


def test_as_many_intents_as_an_auction_takes_on_several_instruments(arena: Arena) -> None:
    """Their rationing lanes need more than one comparison."""
    draw, most = np.random.default_rng(1), TEST_INSECURE_SMALL.intents_max
    books = [
        [
            (int(draw.integers(0, 2)), int(draw.integers(0, 50)), int(draw.integers(0, 9)))
            for _ in range(count)
        ]
        for count in (most, 70, most - 1)
    ]
    assert len(ration_groups(TEST_INSECURE_SMALL, [len(b) for b in books], range(3))) == 2
    ranks = [draw.permutation(len(rows)) for rows in books]
    require_twin(arena, books, 9, ranks)
    require_twin(arena, books, 9, ranks, reference=4)


def test_nothing_to_cross(arena: Arena) -> None:
    opened: list[Revealed] = []
    assert arena.cross([], 4, [], opened=opened) == ()
    assert not opened


def test_results_do_not_depend_on_how_intents_were_sealed_or_masked(arena: Arena) -> None:
    rows = NAMED["one against many"]
    first, second = (arena.cross([rows], 4, [in_turn(rows)], mask=arena.fresh) for _ in range(2))
    assert plain(first[0]) == plain(second[0])


def test_a_full_width_comparison(arena: Arena) -> None:
    books = [[(BUY, 2, 40), (SELL, 1, 30)], *([(SELL, 2, 3), (BUY, 1, k)] for k in (2, 3))]
    assert PriceLayout(TEST_INSECURE_SMALL, 64, 32, (2, 2, 2)).shape.blocks == 1
    require_twin(arena, books, 64)


@pytest.mark.slow
@pytest.mark.parametrize(("reference", "at_the_step"), [(None, False), (None, True), (1000, False)])
def test_the_production_rings_cross_with_room_for_flooding(
    tmp_path: Path, reference: int | None, at_the_step: bool
) -> None:
    """Every opened ciphertext has the budget that the flooding argument asks for.

    Also where the step is above the reference price, and what is opened there is a product.
    """
    house = built(4, tmp_path, STANDARD)
    arena, draw = Arena(house, house.committee()), np.random.default_rng(7)
    rows = [
        (side, int(draw.integers(0, MOST // 300)), int(draw.integers(900, 1100)))
        for side in draw.integers(0, 2, 300).tolist()
    ]
    at, near = curves(book_of_rows(rows, 2047)), None
    if at_the_step:
        near = int(np.flatnonzero(at.demand >= at.supply)[-1])
        assert opened_price(at.demand.tolist(), at.supply.tolist(), near).count == near + 1
    ranks, opened = [draw.permutation(len(rows))], list[Revealed]()
    (found,) = arena.cross([rows], 2047, ranks, reference, opened, arena.fresh, near=near)
    assert plain(found) == plain(twin(rows, 2047, ranks[0], reference, near))
    assert len(opened) == (9 if reference is not None else 10)
    rings = (STANDARD.order_ring, STANDARD.comparison_ring)
    oracles = {ring: house.epoch.oracle(ring) for ring in rings}
    for revealed in opened:
        ciphertext = revealed.request.covered.ciphertext
        before = oracles[ciphertext.ring].budget(ciphertext)
        assert before >= revealed.budget_before_bits, revealed.request.purpose
