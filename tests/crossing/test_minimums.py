"""Orders with a minimum execution size, in the plain twin."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from darkpool.crossing.clearing import Book, Cross, NoCross, clear_reference, clear_uniform
from darkpool.crossing.errors import ImplausibleOpening, InvalidBook
from darkpool.crossing.minimum_fill import Taking, with_last
from darkpool.units import Side, Tick

Row = tuple[Side, int, int, int]
"""Side, size, limit, minimum."""
Case = tuple[list[Row], int, list[int]]
Clear = Callable[[list[Row], int, list[int]], Cross | NoCross]
BUY, SELL = Side.BUY, Side.SELL


def book_of(rows: list[Row], ticks: int) -> Book:
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return Book(columns[:, 0], columns[:, 1], columns[:, 2], ticks, columns[:, 3])


def uniform(rows: list[Row], ticks: int, ranks: list[int]) -> Cross | NoCross:
    return clear_uniform(book_of(rows, ticks), Tick(ticks // 2), np.array(ranks, dtype=np.int64))


def at_the_middle(rows: list[Row], ticks: int, ranks: list[int]) -> Cross | NoCross:
    return clear_reference(book_of(rows, ticks), Tick(ticks // 2), np.array(ranks, dtype=np.int64))


PRICINGS = pytest.mark.parametrize("clear", [uniform, at_the_middle])


def plain(result: Cross | NoCross) -> object:
    """A value that compares."""
    if isinstance(result, NoCross):
        return None
    at = (result.tick, result.volume, result.short_side, result.exhausted)
    return (*at, result.fills.tolist())


def fills_of(result: Cross | NoCross, orders: int) -> list[int]:
    return [0] * orders if isinstance(result, NoCross) else result.fills.tolist()


def without_minimum_fill_orders(rows: list[Row]) -> list[Row]:
    """The same places in the book, with cover traffic where a minimum-fill order was."""
    return [row if row[3] == 0 else (row[0], 0, row[2], 0) for row in rows]


@st.composite
def books(draw: st.DrawFn) -> Case:
    ticks = draw(st.integers(1, 6))
    rows = []
    for _ in range(draw(st.integers(0, 12))):
        side, limit = draw(st.sampled_from(Side)), draw(st.integers(0, ticks - 1))
        size = draw(st.integers(0, 9))
        minimum = draw(st.sampled_from([0, draw(st.integers(1, max(size, 1)))]))
        rows.append((side, size, limit, minimum))
    return rows, ticks, draw(st.permutations(range(len(rows))))


# The oracle: what the text says, order by order, in plain Python.


def marketable(row: Row, tick: int) -> bool:
    return row[2] >= tick if row[0] is BUY else row[2] <= tick


def oracle_fills(rows: list[Row], ranks: list[int], tick: int, short_side: Side) -> list[int]:
    queue = [
        k for k in sorted(range(len(rows)), key=ranks.__getitem__) if marketable(rows[k], tick)
    ]
    plain_lots = {
        side: sum(rows[k][1] for k in queue if rows[k][0] is side and rows[k][3] == 0)
        for side in Side
    }
    long_side = Side(1 - short_side)
    surplus = plain_lots[long_side] - plain_lots[short_side]
    assert surplus >= 0
    fills = [0] * len(rows)
    left = surplus
    for k in queue:
        side, size, _, minimum = rows[k]
        if side is short_side and minimum and left >= minimum:
            fills[k] = min(size, left)
        if side is short_side and minimum:
            left -= size
        if side is short_side and minimum == 0:
            fills[k] = size
    left = sum(fills)
    for k in queue:
        if rows[k][0] is long_side and rows[k][3] == 0:
            fills[k] = min(rows[k][1], left)
            left -= fills[k]
    assert left == 0
    return fills


def require_sound(rows: list[Row], ticks: int, ranks: list[int], clear: Clear) -> None:
    """All that must hold of one book."""
    result, bare = clear(rows, ticks, ranks), clear(without_minimum_fill_orders(rows), ticks, ranks)
    fills, bare_fills = fills_of(result, len(rows)), fills_of(bare, len(rows))
    assert all(
        fill == 0 or minimum <= fill for fill, (*_, minimum) in zip(fills, rows, strict=True)
    )
    assert all(fill <= size for fill, (_, size, _, _) in zip(fills, rows, strict=True))
    for fill, alone, (*_, minimum) in zip(fills, bare_fills, rows, strict=True):
        assert minimum or fill >= alone, "no plain order is worse off"
    if isinstance(result, NoCross):
        assert isinstance(bare, NoCross)
        return
    for side in Side:
        assert sum(f for f, row in zip(fills, rows, strict=True) if row[0] is side) == result.volume
    assert result.volume >= 1
    assert fills == oracle_fills(rows, ranks, result.tick, result.short_side)
    cut = [k for k, fill in enumerate(fills) if 0 < fill < rows[k][1]]
    assert len(cut) <= 1
    minimum_fill = [k for k, fill in enumerate(fills) if fill and rows[k][3]]
    assert all(rows[k][0] is result.short_side for k in minimum_fill)
    if result.exhausted:
        assert minimum_fill
        assert not [k for k in cut if rows[k][3] == 0]
    else:
        assert not [k for k in cut if rows[k][3]]
    if isinstance(bare, Cross):
        assert (result.tick, result.short_side) == (bare.tick, bare.short_side)


@PRICINGS
@given(case=books())
@example(case=([(BUY, 9, 0, 0), (SELL, 3, 0, 0), (SELL, 5, 0, 4)], 1, [0, 1, 2]))
@example(case=([(SELL, 9, 0, 0), (BUY, 9, 0, 9)], 1, [0, 1]))
def test_fills_are_sound(clear: Clear, case: Case) -> None:
    require_sound(*case, clear)


@PRICINGS
def test_fills_are_sound_on_every_small_book(clear: Clear) -> None:
    """All books of up to four orders of at most two lots, on one tick, in turn."""
    kinds = [
        (side, size, 0, minimum)
        for side, size in product(Side, (1, 2))
        for minimum in range(size + 1)
    ]
    minimum_fill_orders_that_filled = 0
    for count in range(5):
        for rows in product(kinds, repeat=count):
            require_sound(list(rows), 1, list(range(count)), clear)
            result = clear(list(rows), 1, list(range(count)))
            fills = fills_of(result, count)
            minimum_fill_orders_that_filled += sum(
                fill > 0 for fill, row in zip(fills, rows, strict=True) if row[3]
            )
    assert minimum_fill_orders_that_filled > 500


@PRICINGS
@given(case=books())
def test_without_minima_nothing_changes(clear: Clear, case: Case) -> None:
    rows, ticks, ranks = case
    rows = [(side, size, limit, 0) for side, size, limit, _ in rows]
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4)
    book = Book(columns[:, 0], columns[:, 1], columns[:, 2], ticks)
    priority: NDArray[np.int64] = np.array(ranks, dtype=np.int64)
    bare = (clear_uniform if clear is uniform else clear_reference)(
        book, Tick(ticks // 2), priority
    )
    assert plain(clear(rows, ticks, ranks)) == plain(bare)
    assert isinstance(bare, NoCross) or not bare.exhausted


@PRICINGS
@given(case=books(), data=st.data())
def test_the_place_in_the_book_and_cover_traffic_change_nothing(
    clear: Clear, case: Case, data: st.DataObject
) -> None:
    rows, ticks, ranks = case
    expected = plain(clear(rows, ticks, ranks))
    cover = [(side, 0, ticks - 1, minimum) for side, minimum in product(Side, (0, 1))]
    order = data.draw(st.permutations(range(len(rows) + len(cover))))
    longer = [*rows, *cover]
    behind = [*ranks, *range(len(rows), len(longer))]
    shuffled = clear([longer[k] for k in order], ticks, [behind[k] for k in order])
    if isinstance(shuffled, NoCross):
        assert expected is None
        return
    fills = dict(zip(order, shuffled.fills.tolist(), strict=True))
    at = (shuffled.tick, shuffled.volume, shuffled.short_side, shuffled.exhausted)
    assert (*at, [fills[k] for k in range(len(rows))]) == expected


@PRICINGS
@given(case=books(), data=st.data())
def test_a_minimum_decides_of_its_own_order_alone_and_never_wins_it_more(
    clear: Clear, case: Case, data: st.DataObject
) -> None:
    """So naming the true minimum is as good as naming any other."""
    rows, ticks, ranks = case
    minimum_fill = [k for k, row in enumerate(rows) if row[3]]
    if not minimum_fill:
        return
    k = data.draw(st.sampled_from(minimum_fill))
    side, size, limit, minimum = rows[k]
    other = list(rows)
    other[k] = (side, size, limit, data.draw(st.integers(1, max(size, 1))))
    before = fills_of(clear(rows, ticks, ranks), len(rows))
    after = fills_of(clear(other, ticks, ranks), len(rows))
    if before[k] and after[k]:
        assert after == before
    for j, row in enumerate(rows):
        assert j == k or not row[3] or after[j] == before[j]
    if other[k][3] >= minimum:
        assert after[k] in (0, before[k])


@pytest.mark.parametrize(
    ("rows", "tick", "volume", "short_side", "exhausted", "fills"),
    [
        # A surplus of 6 buys; the minimum-fill sell takes all of its size.
        ([(BUY, 9, 0, 0), (SELL, 3, 0, 0), (SELL, 5, 0, 4)], 0, 8, SELL, False, [8, 3, 5]),
        # It is cut to the surplus and accepts.
        ([(BUY, 9, 0, 0), (SELL, 3, 0, 0), (SELL, 8, 0, 6)], 0, 9, SELL, True, [9, 3, 6]),
        # One lot less than its minimum: it refuses, and so stays unfilled.
        ([(BUY, 9, 0, 0), (SELL, 3, 0, 0), (SELL, 8, 0, 7)], 0, 3, SELL, False, [3, 3, 0]),
        # A refusal is passed on to nobody.
        (
            [(BUY, 9, 0, 0), (SELL, 3, 0, 0), (SELL, 8, 0, 7), (SELL, 1, 0, 1)],
            *(0, 3, SELL, False, [3, 3, 0, 0]),
        ),
        # The sizes are just the surplus.
        ([(BUY, 9, 0, 0), (SELL, 3, 0, 0), (SELL, 6, 0, 6)], 0, 9, SELL, True, [9, 3, 6]),
        # On the long side a minimum-fill order gets nothing, whatever its priority.
        ([(BUY, 9, 0, 1), (BUY, 4, 0, 0), (SELL, 3, 0, 0)], 0, 3, SELL, False, [0, 3, 3]),
        # Two minimum-fill sells, the second cut.
        (
            [(SELL, 2, 0, 1), (SELL, 4, 0, 2), (BUY, 5, 0, 0), (SELL, 1, 0, 0)],
            *(0, 5, SELL, True, [2, 2, 5, 1]),
        ),
    ],
)
def test_named_books(
    rows: list[Row],
    tick: int,
    volume: int,
    short_side: Side,
    exhausted: bool,
    fills: list[int],
) -> None:
    for clear in (uniform, at_the_middle):
        found = plain(clear(rows, 1, list(range(len(rows)))))
        assert found == (tick, volume, short_side, exhausted, fills)


def test_a_huge_minimum_moves_no_price_and_no_plain_fill() -> None:
    """What an order that never means to trade can do to plain orders: nothing."""
    rows: list[Row] = [(BUY, 4, 5, 0), (SELL, 4, 3, 0), (BUY, 2, 2, 0), (SELL, 3, 4, 0)]
    ranks = list(range(5))
    for side, limit in ((BUY, 7), (SELL, 0)):
        for clear in (uniform, at_the_middle):
            phantom = clear([(side, 10**7, limit, 10**7), *rows], 8, ranks)
            nobody = clear([(side, 0, limit, 0), *rows], 8, ranks)
            assert plain(phantom) == plain(nobody) is not None


def test_a_probe_of_one_lot_learns_nothing_of_an_order_with_a_minimum() -> None:
    """The block is there or not: the prober sees one and the same result."""
    block: list[Row] = [(BUY, 1000, 6, 500)]
    cover: list[Row] = [(BUY, 0, 0, 1)]
    for probe in ([(SELL, 1, 0, 0)], [(SELL, 2, 0, 0), (BUY, 1, 7, 0)]):
        for clear in (uniform, at_the_middle):
            ranks = list(range(1 + len(probe)))
            assert plain(clear(block + probe, 8, ranks)) == plain(clear(cover + probe, 8, ranks))


def test_two_sides_meet_at_a_reference_price_without_a_plain_order_on_one() -> None:
    rows: list[Row] = [(SELL, 80, 3, 0), (BUY, 100, 5, 50)]
    assert plain(at_the_middle(rows, 8, [0, 1])) == (4, 80, BUY, True, [80, 80])
    assert plain(uniform(rows, 8, [0, 1])) is None, "a call auction has no price"
    minimum_fill_only: list[Row] = [(SELL, 80, 3, 40), (BUY, 100, 5, 50)]
    assert plain(at_the_middle(minimum_fill_only, 8, [0, 1])) is None


@pytest.mark.parametrize(("size", "minimum"), [(4, 5), (0, 2), (4, -1)])
def test_minima_that_no_fill_could_reach_are_refused(size: int, minimum: int) -> None:
    with pytest.raises(InvalidBook) as caught:
        book_of([(BUY, 3, 0, 0), (BUY, size, 0, minimum)], 1)
    assert caught.value.subject == "minimums"


def test_a_column_of_minima_of_another_length_is_refused() -> None:
    whole = np.array([1], dtype=np.int64)
    with pytest.raises(InvalidBook):
        Book(whole, whole, whole, 4, np.array([1, 1], dtype=np.int64))


def test_orders_that_use_the_surplus_up_leave_at_least_a_lot_to_the_last() -> None:
    taking = Taking(SELL, np.array([2, 0]), exhausted=True)
    lots = np.array([0, 7, 4])
    assert with_last(0, taking, lots, 12).tolist() == [1, 7, 4]
    for surplus in (11, 10):
        with pytest.raises(ImplausibleOpening, match="minimum-fill row 0"):
            with_last(0, taking, lots, surplus)
