"""Encrypted crossings of books with minimum-fill orders equal the plain twin, openings and all."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.circuits.curves import size_max
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL
from crypto.threshold.revealing import Revealed
from darkpool.units import Side
from tests.support.arena import Arena, Row, plain, require_twin, twin
from tests.support.house import built

BUY, SELL = Side.BUY, Side.SELL
MOST = size_max(TEST_INSECURE_SMALL.order_ring)
TICKS_MAX = TEST_INSECURE_SMALL.ticks_max

# Books on four ticks; the outcome of each is in the name.
NAMED: dict[str, Sequence[Row]] = {
    "minimum-fill orders alone": [(BUY, 5, 3, 1), (SELL, 5, 0, 1)],
    "plain orders on one side": [(BUY, 5, 3), (SELL, 5, 0, 1)],
    "cover of both kinds": [(BUY, 0, 3), (SELL, 0, 0, 1), (BUY, 0, 2, 1), (SELL, 0, 1)],
    "no surplus": [(BUY, 5, 3), (SELL, 5, 0), (SELL, 2, 0, 1), (BUY, 2, 3, 1)],
    "surplus used up exactly": [(BUY, 5, 3), (SELL, 3, 0), (SELL, 2, 0, 2)],
    "the minimum-fill order is cut": [(BUY, 5, 3), (SELL, 3, 0), (SELL, 9, 0, 2)],
    "the minimum-fill order refuses": [(BUY, 5, 3), (SELL, 3, 0), (SELL, 9, 0, 3)],
    "surplus left": [(BUY, 9, 3), (SELL, 3, 0), (SELL, 2, 0, 1)],
    "surplus left for two": [
        (BUY, 9, 3),
        (BUY, 4, 3),
        (SELL, 3, 0),
        (SELL, 2, 0, 1),
        (SELL, 2, 1, 2),
    ],
    "one that refuses blocks": [(BUY, 6, 3), (SELL, 3, 0), (SELL, 9, 0, 9), (SELL, 1, 0, 1)],
    "the second is cut": [(BUY, 9, 3), (SELL, 3, 0), (SELL, 4, 0, 4), (SELL, 4, 0, 2)],
    "the second refuses": [(BUY, 9, 3), (SELL, 3, 0), (SELL, 4, 0, 4), (SELL, 4, 0, 3)],
    "minimum-fill buyers": [
        (SELL, 9, 0),
        (SELL, 2, 1),
        (BUY, 3, 3),
        (BUY, 4, 3, 2),
        (BUY, 7, 2, 1),
    ],
    "not marketable": [(BUY, 9, 3), (SELL, 3, 0), (BUY, 4, 0, 1), (SELL, 4, 3, 1)],
    "on the long side": [(BUY, 9, 3), (SELL, 3, 0), (BUY, 4, 3, 1)],
    "largest": [(BUY, MOST // 2, 3), (SELL, 1, 0), (SELL, MOST // 2 - 1, 0, MOST // 2 - 1)],
    "plain alone": [(BUY, 5, 3), (BUY, 5, 3), (SELL, 7, 0)],
}


@pytest.mark.parametrize("name", NAMED)
def test_named_books(arena: Arena, name: str) -> None:
    require_twin(arena, [NAMED[name]], 4)


@pytest.mark.parametrize("tick", range(4))
def test_named_books_at_a_reference_price(arena: Arena, tick: int) -> None:
    """All of them at once."""
    require_twin(arena, list(NAMED.values()), 4, reference=tick)


def test_books_with_and_without_minimum_fill_orders_share_comparisons(arena: Arena) -> None:
    require_twin(arena, list(NAMED.values()), 4)


def test_priority_decides_who_is_offered_what(arena: Arena) -> None:
    rows = NAMED["the second is cut"]
    for seed in range(3):
        require_twin(arena, [rows], 4, [np.random.default_rng(seed).permutation(len(rows))])


def rows_on(ticks: int, most: int) -> st.SearchStrategy[list[Row]]:
    def with_minimum(row: tuple[Side, int, int]) -> st.SearchStrategy[Row]:
        return st.one_of(
            st.just((*row, 0)),
            st.integers(1, max(1, row[1])).map(lambda minimum: (*row, minimum)),
        )

    sizes = st.one_of(st.integers(0, 6), st.sampled_from([1, MOST // 12]))
    row = st.tuples(st.sampled_from(Side), sizes, st.integers(0, ticks - 1))
    return st.lists(row.flatmap(with_minimum), min_size=1, max_size=most)


def require_any_books(arena: Arena, data: st.DataObject) -> None:
    ticks = data.draw(st.one_of(st.integers(1, 6), st.integers(1, TICKS_MAX)))
    books = data.draw(st.lists(rows_on(ticks, 12), min_size=1, max_size=3))
    seed = data.draw(st.integers(0, 2**32))
    ranks = [np.random.default_rng(seed).permutation(len(rows)) for rows in books]
    reference = data.draw(st.one_of(st.none(), st.integers(0, ticks - 1)))
    require_twin(arena, books, ticks, ranks, reference)


@given(st.data())
@settings(max_examples=15)
def test_any_books(arena: Arena, data: st.DataObject) -> None:
    require_any_books(arena, data)


@pytest.mark.slow
@given(st.data())
@settings(max_examples=400)
def test_many_books(arena: Arena, data: st.DataObject) -> None:
    require_any_books(arena, data)


def largest_book(*, exhausted: bool) -> list[Row]:
    """As many intents as an auction takes, more bought than sold; a third has a minimum."""
    draw, most = np.random.default_rng(1), size_max(STANDARD.order_ring) // 2048
    rows: list[Row] = []
    for number in range(STANDARD.intents_max):
        limit, size = int(draw.integers(900, 1100)), int(draw.integers(1, most))
        if number % 3 == 0:
            rows.append((BUY, size, limit + 150))
        elif number % 3 == 1:
            rows.append((SELL, 1 + size // 4, limit - 150))
        elif exhausted:
            rows.append((SELL, size, limit - 150, 1))
        else:
            size = 1 + size % 100
            rows.append((SELL, size, limit - 150, int(draw.integers(1, size + 1))))
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("exhausted", [False, True])
def test_the_production_rings_have_room_for_flooding(tmp_path: Path, exhausted: bool) -> None:
    """Every opened ciphertext has the budget that the flooding argument asks for."""
    house = built(4, tmp_path, STANDARD)
    arena, rows = Arena(house, house.committee()), largest_book(exhausted=exhausted)
    ranks, opened = [np.random.default_rng(7).permutation(len(rows))], list[Revealed]()
    (found,) = arena.cross([rows], 2047, ranks, 1000, opened, arena.fresh)
    assert plain(found) == plain(twin(rows, 2047, ranks[0], 1000))
    assert found is not None
    assert found.exhausted == exhausted
    rings = (STANDARD.order_ring, STANDARD.comparison_ring)
    oracles = {ring: house.epoch.oracle(ring) for ring in rings}
    for revealed in opened:
        ciphertext = revealed.request.covered.ciphertext
        before = oracles[ciphertext.ring].budget(ciphertext)
        assert before >= revealed.budget_before_bits, revealed.request.purpose
