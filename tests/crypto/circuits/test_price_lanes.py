from collections.abc import Callable
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.seal import Evaluator
from crypto.circuits.curves import BUY, SELL, CurveLayout, size_max
from crypto.circuits.price_lanes import (
    PriceLayout,
    SizedBook,
    price_groups,
    price_lanes,
    reference_tie_bits,
)
from crypto.errors import OutOfRange
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.threshold.keys import RingKeys
from tests.support.epochs import Epoch
from tests.support.lane_books import (
    Lanes,
    Order,
    aggregated,
    book_of,
    cap_columns,
    expected_price_lanes,
    packer_of,
    require_lanes,
    sealed,
    sized_book,
)

EvaluatorOf = Callable[[RingKeys], Evaluator]
PARAMETERS = TEST_INSECURE_SMALL
RING = PARAMETERS.order_ring
ROW, COLUMNS = RING.row, PARAMETERS.comparison_ring.row
MOST = size_max(RING)
TICKS = [1, 2, 3, 16, 17, PARAMETERS.ticks_max]


def adversarial(ticks: int) -> dict[str, list[Order]]:
    last = ticks - 1
    return {
        "one lot": [(BUY, 1, last)],
        "cover only": [(BUY, 0, 0), (SELL, 0, last)],
        "largest buy": [(BUY, MOST, last)],
        "largest sell": [(SELL, MOST, 0)],
        "largest against one": [(BUY, MOST - 1, 0), (SELL, 1, last)],
        "equal": [(BUY, 5, 0), (SELL, 5, 0)],
        "apart": [(BUY, 5, 0), (SELL, 5, last)],
    }


def caps_of(draw: np.random.Generator, orders: list[Order]) -> list[int]:
    """Some at the size, some above it, some below: the lanes are what they are."""
    choices = [[max(size, 1), MOST, int(draw.integers(1, MOST))] for _, size, _ in orders]
    return [int(draw.choice(limits)) for limits in choices]


def used_columns(layout: PriceLayout) -> Lanes:
    """1 at the columns that have lanes in either row."""
    columns = np.zeros(layout.shape.width, dtype=np.int64)
    columns[: 2 * layout.width * layout.instruments] = 1
    for start, count in zip(cap_columns(layout), layout.counts, strict=True):
        assert not columns[start : start + count].any()
        columns[start : start + count] = 1
    return columns


def require_books(
    epoch: Epoch, evaluator: Evaluator, ticks: int, books: list[list[Order]], seed: int
) -> PriceLayout:
    """Every lane of the books, side by side, and zero elsewhere; support is where lanes are."""
    draw = np.random.default_rng(seed)
    reference = int(draw.choice([0, ticks // 2, ticks - 1]))
    caps = [caps_of(draw, orders) for orders in books]
    layout = PriceLayout(PARAMETERS, ticks, reference, tuple(map(len, books)))
    sized = [
        sized_book(evaluator, sealed(epoch, ticks, orders), limits)
        for orders, limits in zip(books, caps, strict=True)
    ]
    lanes = price_lanes(evaluator, layout, sized)
    require_lanes(epoch.oracle(RING), layout, lanes, expected_price_lanes(layout, books, caps))
    used = layout.shape.to_order(np.tile(used_columns(layout), 2)) == 1
    assert np.array_equal(np.stack([lane.support for lane in lanes]), used)
    for index, start in enumerate(cap_columns(layout)):
        columns = start + np.arange(layout.counts[index])
        assert np.array_equal(layout.cap_lanes(index), [columns, layout.shape.width + columns])
    return layout


@pytest.mark.parametrize("ticks", TICKS)
def test_price_lanes_of_one_book(small: Epoch, order: Evaluator, ticks: int) -> None:
    books = {**adversarial(ticks), "random": book_of(np.random.default_rng(ticks), ticks, 20)}
    for seed, orders in enumerate(books.values()):
        require_books(small, order, ticks, [orders], seed)


@pytest.mark.parametrize(
    ("ticks", "counts"),
    [
        (127, (3,)),
        (127, (PARAMETERS.intents_max,)),
        (64, (3, 3)),
        (64, (50, 77, 1)),
        (33, (3, 3, 3)),
        (32, (3,) * 6),
        (32, (50, 30, 40)),
        (16, (3,) * 14),
        (1, (3,) * 100),
        (1, (3, 1, 2)),
        (2, (1,) * 100),
        (1, (125, 1, 126)),
        (1, (100, 100, 100, 100)),
    ],
)
def test_price_lanes_of_books_side_by_side(
    small: Epoch, order: Evaluator, ticks: int, counts: tuple[int, ...]
) -> None:
    """Also where the lanes need two ciphertexts of the order ring, and the last is half empty."""
    draw = np.random.default_rng(len(counts))
    assert price_groups(PARAMETERS, ticks, counts) == [range(len(counts))]
    books = [book_of(draw, ticks, count) for count in counts]
    require_books(small, order, ticks, books, ticks)


def test_cap_lanes_move_on_rather_than_straddle_two_ciphertexts(
    small: Epoch, order: Evaluator
) -> None:
    draw = np.random.default_rng(1)
    books = [book_of(draw, 32, count) for count in (50, 30, 40)]
    layout = require_books(small, order, 32, books, 1)
    assert [layout.cap_start(k) for k in range(4)] == [192, ROW, ROW + 30, ROW + 70]
    layout = require_books(small, order, 32, [books[0], books[1][:14], books[2]], 1)
    assert [layout.cap_start(k) for k in range(4)] == [192, 242, ROW, ROW + 40]


def test_cap_lanes_may_have_a_ciphertext_to_themselves(small: Epoch, order: Evaluator) -> None:
    layout = require_books(small, order, 127, [book_of(np.random.default_rng(1), 127, 5)], 1)
    assert layout.cap_start(0) == ROW
    assert layout.shape.order_ciphertexts == 2


@given(st.integers(1, PARAMETERS.ticks_max), st.integers(0, 2**32), st.data())
@settings(max_examples=15)
def test_price_lanes_of_any_book(
    small: Epoch, order: Evaluator, ticks: int, seed: int, data: st.DataObject
) -> None:
    counts = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    group = price_groups(PARAMETERS, ticks, counts)[0]
    draw = np.random.default_rng(seed)
    books = [book_of(draw, ticks, counts[k], MOST // 6) for k in group]
    require_books(small, order, ticks, books, seed)


@pytest.mark.parametrize("size", [-1, -MOST, MOST + 1, RING.plain_modulus // 2])
def test_cap_lanes_of_any_size_are_what_the_sender_put_there(
    small: Epoch, order: Evaluator, size: int
) -> None:
    key, t = small.material.order_keys.public, RING.plain_modulus
    vectors = [
        CurveLayout(RING, 4).vector(SELL, 1, 2) * size % t,
        CurveLayout(RING, 4).vector(BUY, 7, 1),
    ]
    ciphertexts = [encrypt_slots(key, vector, bytes([k]) * 32) for k, vector in enumerate(vectors)]
    layout, orders = PriceLayout(PARAMETERS, 4, 2, (2,)), [(SELL, size, 2), (BUY, 7, 1)]
    lanes = price_lanes(order, layout, [sized_book(order, ciphertexts, [9, MOST])])
    expected = expected_price_lanes(layout, [orders], [[9, MOST]])
    require_lanes(small.oracle(RING), layout, lanes, expected)


def test_lanes_of_intents_that_were_taken_out_are_those_of_size_zero(
    small: Epoch, order: Evaluator
) -> None:
    orders = book_of(np.random.default_rng(5), 8, 6, 1000)
    ciphertexts, dropped = sealed(small, 8, orders), (1, 4)
    packer = packer_of(order, ciphertexts)
    for number in dropped:
        packer.drop(number)
    caps = [1000] * 6
    total = aggregated([c for k, c in enumerate(ciphertexts) if k not in dropped])
    book = SizedBook(total, packer.sizes(), np.array(caps))
    layout = PriceLayout(PARAMETERS, 8, 0, (6,))
    rest = [(s, 0 if k in dropped else q, m) for k, (s, q, m) in enumerate(orders)]
    expected = expected_price_lanes(layout, [rest], [caps])
    require_lanes(small.oracle(RING), layout, price_lanes(order, layout, [book]), expected)


@given(
    st.integers(1, PARAMETERS.ticks_max),
    st.lists(st.integers(1, PARAMETERS.intents_max), max_size=30),
)
def test_groups_fit_and_take_as_many_instruments_as_fit(ticks: int, counts: list[int]) -> None:
    groups = price_groups(PARAMETERS, ticks, counts)
    assert [k for group in groups for k in group] == list(range(len(counts)))

    def layout(start: int, stop: int) -> PriceLayout:
        return PriceLayout(PARAMETERS, ticks, 0, tuple(counts[start:stop]))

    for group in groups:
        fits = layout(group.start, group.stop)
        assert fits.shape.lanes <= PARAMETERS.comparison_ring.degree
        assert fits.columns <= fits.shape.width
        assert cap_columns(fits) == [fits.cap_start(k) for k in range(fits.instruments)]
    for group, after in pairwise(groups):
        with pytest.raises(OutOfRange):
            _ = layout(group.start, after.start + 1).shape


def test_many_instruments_of_few_intents_share_one_comparison() -> None:
    for ticks in TICKS:
        width = PriceLayout(PARAMETERS, ticks, 0, (1,)).width
        most = COLUMNS // (2 * width + 1)
        assert price_groups(PARAMETERS, ticks, (1,) * most) == [range(most)]
        with pytest.raises(OutOfRange):
            _ = PriceLayout(PARAMETERS, ticks, 0, (1,) * (most + 1)).shape


def test_grids_that_the_parameters_do_not_hold_are_refused() -> None:
    for ticks in (0, -1, PARAMETERS.ticks_max + 1):
        with pytest.raises(OutOfRange):
            PriceLayout(PARAMETERS, ticks, 0, (1,))


@pytest.mark.parametrize("reference", [-1, 4])
def test_a_reference_outside_the_grid_is_refused(reference: int) -> None:
    with pytest.raises(OutOfRange):
        PriceLayout(PARAMETERS, 4, reference, (1,))


@pytest.mark.parametrize("ticks", [2, 3, 4, 17, 64, PARAMETERS.ticks_max])
def test_tie_bits_above_the_reference(small: Epoch, evaluator_of: EvaluatorOf, ticks: int) -> None:
    """1 - e (1 - g) at the one lane, whatever stands elsewhere."""
    ring, draw = PARAMETERS.comparison_ring, np.random.default_rng(ticks)
    comparison = evaluator_of(small.material.comparison_keys)
    for reference in {0, ticks // 2, ticks - 2}:
        layout = PriceLayout(PARAMETERS, ticks, reference, (1,) * (4 if ticks < 32 else 1))
        bits = draw.integers(0, 2, (2, ring.row))
        for i, (e, g) in zip(range(layout.instruments), product((0, 1), repeat=2), strict=False):
            start = layout.price_start(i)
            bits[1, start + reference], bits[1, start + ticks - 1] = g, e
        key = small.material.comparison_keys.public
        answers = reference_tie_bits(
            comparison, layout, encrypt_slots(key, bits.reshape(-1), bytes(32))
        )
        found = small.oracle(ring).slots(answers).reshape(2, -1)
        for i in range(layout.instruments):
            row, column = divmod(layout.tie_lane(i, reference + 1), layout.shape.width)
            start = layout.price_start(i)
            assert (row, column) == (1, start + reference)
            e, g = bits[1, start + ticks - 1], bits[1, start + reference]
            assert found[1, column] == 1 - e * (1 - g)
