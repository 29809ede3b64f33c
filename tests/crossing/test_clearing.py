from collections.abc import Iterator
from itertools import combinations_with_replacement, product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from darkpool.crossing.clearing import (
    Book,
    Cross,
    NoCross,
    clear_reference,
    clear_uniform,
    crosses,
    curves,
)
from darkpool.crossing.errors import InvalidBook
from darkpool.limits import (
    CAPS_SUM_MAX_LOTS,
    INTENTS_PER_AUCTION_MAX,
    ORDER_SIZE_MAX_LOTS,
    TICKS_MAX,
)
from darkpool.units import Side, Tick
from tests.support.price_steps import opened_price

Row = tuple[Side, int, int]
BUY, SELL = Side.BUY, Side.SELL


def book_of(rows: list[Row], ticks: int) -> Book:
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return Book(columns[:, 0], columns[:, 1], columns[:, 2], ticks)


def in_turn(rows: list[Row]) -> NDArray[np.int64]:
    return np.arange(len(rows), dtype=np.int64)


# The oracle: what the text says, order by order and tick by tick, in plain Python.


def demand(rows: list[Row], tick: int) -> int:
    return sum(size for side, size, limit in rows if side is BUY and limit >= tick)


def supply(rows: list[Row], tick: int) -> int:
    return sum(size for side, size, limit in rows if side is SELL and limit <= tick)


def best_bid_meets_best_ask(rows: list[Row]) -> bool:
    bids = [limit for side, size, limit in rows if side is BUY and size]
    asks = [limit for side, size, limit in rows if side is SELL and size]
    return bool(bids and asks) and max(bids) >= min(asks)


def price_in_words(rows: list[Row], ticks: int, reference: int) -> tuple[int, Side]:
    """The largest volume; then nothing left over, nearest to the reference; then its surplus."""
    surplus = [demand(rows, tick) - supply(rows, tick) for tick in range(ticks)]
    volumes = [min(demand(rows, tick), supply(rows, tick)) for tick in range(ticks)]
    best = [tick for tick in range(ticks) if volumes[tick] == max(volumes)]
    balanced = [tick for tick in best if surplus[tick] == 0]
    if balanced:
        tick = min(balanced, key=lambda tick: abs(tick - reference))
        return tick, SELL if tick <= reference else BUY
    lower = max((tick for tick in best if surplus[tick] > 0), default=None)
    upper = min((tick for tick in best if surplus[tick] < 0), default=None)
    if upper is None or (lower is not None and surplus[reference] < 0):
        assert lower is not None
        return lower, SELL
    return upper, BUY


def ration(
    rows: list[Row], ranks: list[int], tick: int, short_side: Side, volume: int
) -> list[int]:
    fills = [0] * len(rows)
    left = {short_side: volume, Side(1 - short_side): volume}
    for intent in sorted(range(len(rows)), key=ranks.__getitem__):
        side, size, limit = rows[intent]
        if limit >= tick if side is BUY else limit <= tick:
            fills[intent] = min(size, left[side])
            left[side] -= fills[intent]
    assert left == {BUY: 0, SELL: 0}
    return fills


@st.composite
def books(draw: st.DrawFn) -> tuple[list[Row], int, list[int]]:
    ticks = draw(st.integers(1, 12))
    row = st.tuples(st.sampled_from(Side), st.integers(0, 6), st.integers(0, ticks - 1))
    rows = draw(st.lists(row, max_size=12))
    return rows, ticks, draw(st.permutations(range(len(rows))))


@given(books(), st.integers(0, 11))
@example(([], 4, []), 0)
@example(([(BUY, 5, 3)], 4, [0]), 1)
@example(([(SELL, 5, 0)], 4, [0]), 2)
@example(([(BUY, 5, 1), (SELL, 5, 2)], 4, [0, 1]), 2)
@example(([(BUY, 0, 3), (SELL, 5, 0)], 4, [0, 1]), 2)
@example(([(BUY, 9, 3), (SELL, 1, 0)], 4, [0, 1]), 2)
@example(([(BUY, 1, 3), (SELL, 9, 0)], 4, [0, 1]), 2)
def test_the_uniform_price_maximises_volume_over_all_ticks(
    case: tuple[list[Row], int, list[int]], near: int
) -> None:
    rows, ticks, ranks = case
    reference = Tick(near % ticks)
    cross = clear_uniform(book_of(rows, ticks), reference, np.array(ranks, dtype=np.int64))
    if not best_bid_meets_best_ask(rows):
        assert cross == NoCross()
        return
    assert isinstance(cross, Cross)
    volumes = [min(demand(rows, tick), supply(rows, tick)) for tick in range(ticks)]
    assert cross.volume == volumes[cross.tick] == max(volumes) >= 1
    assert (cross.tick, cross.short_side) == price_in_words(rows, ticks, reference)
    expected = ration(rows, ranks, cross.tick, cross.short_side, cross.volume)
    assert cross.fills.tolist() == expected


@given(books(), st.data())
def test_the_reference_cross_trades_what_both_sides_allow_there(
    case: tuple[list[Row], int, list[int]], data: st.DataObject
) -> None:
    rows, ticks, ranks = case
    tick = Tick(data.draw(st.integers(0, ticks - 1)))
    cross = clear_reference(book_of(rows, ticks), tick, np.array(ranks, dtype=np.int64))
    wanted, offered = demand(rows, tick), supply(rows, tick)
    if not (wanted and offered):
        assert cross == NoCross()
        return
    assert isinstance(cross, Cross)
    assert (cross.tick, cross.volume) == (tick, min(wanted, offered))
    assert cross.short_side is (SELL if wanted >= offered else BUY)
    expected = ration(rows, ranks, tick, cross.short_side, cross.volume)
    assert cross.fills.tolist() == expected


def small_books(ticks: int, orders_max: int) -> Iterator[list[Row]]:
    """All books of up to so many orders of up to two lots, each a set of its orders."""
    kinds = list(product(Side, range(1, 3), range(ticks)))
    for count in range(orders_max + 1):
        yield from map(list, combinations_with_replacement(kinds, count))


@pytest.mark.parametrize(("ticks", "orders_max"), [(3, 4), (4, 3), (6, 2)])
def test_the_price_on_every_small_book_and_reference(ticks: int, orders_max: int) -> None:
    """In words, as steps and a tie bit, and with buyers and sellers exchanged."""
    for rows in small_books(ticks, orders_max):
        book, priority = book_of(rows, ticks), in_turn(rows)
        at = curves(book)
        mirrored = [(Side(1 - side), size, ticks - 1 - limit) for side, size, limit in rows]
        for reference in map(Tick, range(ticks)):
            cross = clear_uniform(book, reference, priority)
            other = clear_uniform(book_of(mirrored, ticks), Tick(ticks - 1 - reference), priority)
            if isinstance(cross, NoCross):
                assert not best_bid_meets_best_ask(rows)
                assert other == cross
                continue
            steps = opened_price(at.demand.tolist(), at.supply.tolist(), reference)
            found = (cross.tick, cross.short_side)
            assert found == price_in_words(rows, ticks, reference)
            assert found == (steps.tick, steps.short_side)
            assert isinstance(other, Cross)
            assert other.tick == ticks - 1 - cross.tick
            assert other.fills.tolist() == cross.fills.tolist()


def test_the_price_of_a_balanced_book_is_fair_to_both_sides() -> None:
    """Five lots at 7 against five at 1: the reference where it lies between, else the nearer."""
    rows = [(BUY, 5, 7), (SELL, 5, 1)]
    for reference, tick in ((0, 1), (1, 1), (4, 4), (6, 6), (7, 7), (9, 7)):
        cross = clear_uniform(book_of(rows, 10), Tick(reference), in_turn(rows))
        assert isinstance(cross, Cross)
        assert (cross.tick, cross.volume, cross.fills.tolist()) == (tick, 5, [5, 5])


def test_the_reference_does_not_choose_where_one_side_is_left_over_at_every_price() -> None:
    """All prices from 1 to 7 trade five: the highest if buyers are left over, else the lowest."""
    for left, rows in ((BUY, [(BUY, 9, 7), (SELL, 5, 1)]), (SELL, [(BUY, 5, 7), (SELL, 9, 1)])):
        for reference in range(10):
            cross = clear_uniform(book_of(rows, 10), Tick(reference), in_turn(rows))
            assert isinstance(cross, Cross)
            assert (cross.tick, cross.volume) == (7 if left is BUY else 1, 5)


@given(books())
def test_the_curves_are_sums_of_steps_and_the_bit_g_their_crossing(
    case: tuple[list[Row], int, list[int]],
) -> None:
    rows, ticks, _ = case
    at = curves(book_of(rows, ticks))
    assert at.demand.tolist() == [demand(rows, tick) for tick in range(ticks)]
    assert at.supply.tolist() == [supply(rows, tick) for tick in range(ticks)]
    assert crosses(at) == best_bid_meets_best_ask(rows)


@pytest.mark.parametrize(
    ("rows", "ticks", "tick", "volume", "short_side", "fills"),
    [
        # Buyers would pay any price of the grid.
        ([(BUY, 9, 3), (SELL, 4, 0)], 4, 3, 4, SELL, [4, 4]),
        # Sellers would take any.
        ([(BUY, 4, 3), (SELL, 9, 0)], 4, 0, 4, BUY, [4, 4]),
        # Balanced between limits below the reference, on it, and above: the nearest to it.
        ([(BUY, 5, 1), (SELL, 5, 0)], 4, 1, 5, SELL, [5, 5]),
        ([(BUY, 5, 3), (SELL, 5, 0)], 4, 2, 5, SELL, [5, 5]),
        ([(BUY, 5, 3), (SELL, 5, 3)], 4, 3, 5, BUY, [5, 5]),
        # Both neighbours trade 2: the lower one, as sellers exceed at the reference.
        ([(BUY, 2, 2), (BUY, 2, 1), (SELL, 2, 1), (SELL, 2, 2)], 4, 1, 2, SELL, [2, 0, 2, 0]),
        # Both trade 2, and buyers exceed at the reference: the higher one.
        ([(BUY, 2, 3), (BUY, 2, 2), (SELL, 2, 2), (SELL, 2, 3)], 4, 3, 2, BUY, [2, 0, 2, 0]),
        # The upper one trades more.
        ([(BUY, 5, 2), (SELL, 1, 1), (SELL, 9, 2)], 4, 2, 5, BUY, [5, 1, 4]),
        # Touching by one tick, and one lot against many.
        ([(BUY, 1, 0), (SELL, 7, 0), (SELL, 7, 0)], 1, 0, 1, BUY, [1, 1, 0]),
        # Cover traffic counts for nothing.
        ([(SELL, 0, 0), (BUY, 3, 1), (SELL, 3, 1)], 2, 1, 3, SELL, [0, 3, 3]),
    ],
)
def test_named_books(
    rows: list[Row], ticks: int, tick: int, volume: int, short_side: Side, fills: list[int]
) -> None:
    cross = clear_uniform(book_of(rows, ticks), Tick(ticks // 2), in_turn(rows))
    assert isinstance(cross, Cross)
    found = (cross.tick, cross.volume, cross.short_side, cross.fills.tolist())
    assert found == (tick, volume, short_side, fills)


def test_priority_decides_who_fills_and_not_the_place_in_the_book() -> None:
    rows = [(BUY, 5, 0), (BUY, 5, 0), (BUY, 5, 0), (SELL, 7, 0)]
    for ranks, fills in (([0, 1, 2, 3], [5, 2, 0, 7]), ([3, 0, 1, 2], [0, 5, 2, 7])):
        cross = clear_uniform(book_of(rows, 1), Tick(0), np.array(ranks))
        assert isinstance(cross, Cross)
        assert cross.fills.tolist() == fills


def test_the_largest_book_is_exact() -> None:
    """2,048 orders, 2,047 ticks, and all the volume that the bound on caps allows."""
    per_side = CAPS_SUM_MAX_LOTS // 2 // (INTENTS_PER_AUCTION_MAX // 2)
    rows = [(BUY, per_side, TICKS_MAX - 1), (SELL, per_side, 0)] * (INTENTS_PER_AUCTION_MAX // 2)
    rows[0] = (BUY, per_side - 1, TICKS_MAX - 1)
    cross = clear_uniform(book_of(rows, TICKS_MAX), Tick(TICKS_MAX // 2), in_turn(rows))
    assert isinstance(cross, Cross)
    expected_volume = per_side * (INTENTS_PER_AUCTION_MAX // 2) - 1
    assert (cross.tick, cross.volume, cross.short_side) == (0, expected_volume, BUY)
    assert cross.fills[0] == per_side - 1
    assert cross.fills[-1] == per_side - 1
    assert set(cross.fills[1:-1].tolist()) == {per_side}


def test_one_order_of_the_largest_size_against_a_thousand_of_one_lot() -> None:
    rows = [(SELL, 1, 0)] * 1000 + [(BUY, ORDER_SIZE_MAX_LOTS, 9)]
    cross = clear_uniform(book_of(rows, 10), Tick(5), in_turn(rows)[::-1].copy())
    assert isinstance(cross, Cross)
    assert (cross.tick, cross.volume, cross.short_side) == (9, 1000, SELL)
    assert cross.fills.tolist() == [1] * 1000 + [1000]


@pytest.mark.parametrize(
    ("sides", "sizes", "limits", "ticks", "column"),
    [
        ([2], [1], [0], 4, "sides"),
        ([-1], [1], [0], 4, "sides"),
        ([0], [-1], [0], 4, "sizes"),
        ([0, 0], [2**62, 1], [0, 0], 4, "sizes"),
        ([0], [1], [4], 4, "limits"),
        ([0], [1], [-1], 4, "limits"),
        ([0], [1, 1], [0], 4, "sizes"),
        ([0], [1], [0], 0, "ticks"),
        ([0], [1], [0], TICKS_MAX + 1, "ticks"),
    ],
)
def test_columns_that_are_no_book_are_refused(
    sides: list[int], sizes: list[int], limits: list[int], ticks: int, column: str
) -> None:
    columns = [np.array(values, dtype=np.int64) for values in (sides, sizes, limits)]
    with pytest.raises(InvalidBook) as caught:
        Book(columns[0], columns[1], columns[2], ticks)
    assert caught.value.subject == column


def test_a_column_of_floats_is_refused() -> None:
    whole = np.array([0], dtype=np.int64)
    with pytest.raises(InvalidBook):
        Book(whole, np.array([1.0]), whole, 4)


@pytest.mark.parametrize("ranks", [[0, 0], [0, 2], [-1, 0], [0], [0, 1, 2]])
@pytest.mark.parametrize("ask", [0, 1])
def test_ranks_that_are_no_permutation_are_refused(ranks: list[int], ask: int) -> None:
    book = book_of([(BUY, 1, 0), (SELL, 1, ask)], 4)
    with pytest.raises(InvalidBook):
        clear_uniform(book, Tick(2), np.array(ranks, dtype=np.int64))
    with pytest.raises(InvalidBook):
        clear_reference(book, Tick(0), np.array(ranks, dtype=np.int64))


@pytest.mark.parametrize("tick", [-1, 4])
def test_a_reference_outside_the_grid_is_refused(tick: int) -> None:
    for clear in (clear_uniform, clear_reference):
        with pytest.raises(InvalidBook):
            clear(book_of([], 4), Tick(tick), np.array([], dtype=np.int64))
