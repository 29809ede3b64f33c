from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.aggregation import AggregateSum
from crypto.ciphertext import Ciphertext
from crypto.curves import BUY, SELL, intent_vector, size_max
from crypto.decryption import budget_bits_min
from crypto.encryption import encrypt_slots
from crypto.errors import OutOfRange
from crypto.keys import RingKeys
from crypto.packing import (
    GROUP,
    LANES_LEVEL,
    LaneCiphertext,
    Packer,
    PriceLayout,
    RationLayout,
    instruments_max,
    power_of_two,
    prefix_sums,
    price_lanes,
    priority_matrix,
    ration_lanes,
    rotate,
)
from crypto.params import STANDARD, TEST_INSECURE_SMALL
from crypto.products import product
from crypto.seal import Evaluator
from tests.crypto.conftest import Epoch, SealOracle

Lanes = npt.NDArray[np.int64]
Order = tuple[int, int, int]
EvaluatorOf = Callable[[RingKeys], Evaluator]
PARAMETERS = TEST_INSECURE_SMALL
RING = PARAMETERS.order
T, ROW = RING.plain_modulus, RING.row
MOST = size_max(RING)
TICKS = [1, 2, 3, 16, 17, PARAMETERS.ticks_max]


def sealed(epoch: Epoch, ticks: int, orders: list[Order]) -> list[Ciphertext]:
    ring, key = epoch.parameters.order, epoch.material.order.public
    return [
        encrypt_slots(key, intent_vector(ring, ticks, *order), k.to_bytes(32, "big"))
        for k, order in enumerate(orders)
    ]


def aggregated(ciphertexts: list[Ciphertext]) -> Ciphertext:
    total = AggregateSum(ciphertexts[0].ring)
    for ciphertext in ciphertexts:
        total.add(ciphertext)
    return total.ciphertext()


def curves(ticks: int, orders: list[Order]) -> tuple[Lanes, Lanes]:
    """Demand and supply, tick by tick, from their definition."""
    demand = [sum(q for s, q, m in orders if s == BUY and m >= p) for p in range(ticks)]
    supply = [sum(q for s, q, m in orders if s == SELL and m <= p) for p in range(ticks)]
    return np.array(demand), np.array(supply)


def expected_price_lanes(layout: PriceLayout, books: list[list[Order]]) -> Lanes:
    """Lane values, signed, from the table of the module's text."""
    ticks, width = layout.ticks, power_of_two(layout.ticks)
    lanes = np.zeros((2, layout.shape.width), dtype=np.int64)
    for number, orders in enumerate(books):
        start = 2 * width * number
        lanes[:, start : start + 2 * width] = -1
        demand, supply = curves(ticks, orders)
        lanes[0, start : start + ticks] = demand - supply
        lanes[1, start : start + ticks - 1] = supply[:-1] - demand[1:]
        lanes[0, start + width : start + width + ticks] = demand - 1
        lanes[1, start + width : start + width + ticks] = supply - 1
    return lanes.reshape(-1)


def require_lanes(
    oracle: SealOracle, layout: Any, lanes: tuple[LaneCiphertext, ...], expected: Lanes
) -> None:
    """Every slot of every ciphertext is what it must be, and zero outside the support."""
    slots = np.stack([oracle.slots(lane.ciphertext) for lane in lanes])
    assert np.array_equal(slots, layout.shape.to_order(expected) % T)
    for lane, values in zip(lanes, slots, strict=True):
        assert lane.ciphertext.level == LANES_LEVEL
        assert not values[~lane.support].any()


def book_of(draw: np.random.Generator, ticks: int, count: int, most: int = 9) -> list[Order]:
    return [
        (int(draw.integers(0, 2)), int(draw.integers(0, most)), int(draw.integers(0, ticks)))
        for _ in range(count)
    ]


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


@pytest.fixture(scope="session")
def order(small: Epoch, evaluator_of: EvaluatorOf) -> Evaluator:
    return evaluator_of(small.material.order)


@given(st.integers(-ROW, ROW))
@settings(max_examples=25)
def test_rotations_go_by_any_number_of_steps(small: Epoch, order: Evaluator, steps: int) -> None:
    values = np.arange(RING.degree)
    ciphertext = encrypt_slots(small.material.order.public, values, bytes(32))
    found = small.oracle(RING).slots(order.store(rotate(order, order.load(ciphertext), steps)))
    assert np.array_equal(found.reshape(2, -1), np.roll(values.reshape(2, -1), -steps, axis=1))


@pytest.mark.parametrize("ticks", TICKS)
def test_price_lanes_of_one_book(small: Epoch, order: Evaluator, ticks: int) -> None:
    oracle, layout = small.oracle(RING), PriceLayout(PARAMETERS, ticks, 1)
    books = {**adversarial(ticks), "random": book_of(np.random.default_rng(ticks), ticks, 20)}
    for orders in books.values():
        lanes = price_lanes(order, layout, [aggregated(sealed(small, ticks, orders))])
        require_lanes(oracle, layout, lanes, expected_price_lanes(layout, [orders]))
        columns = np.arange(layout.shape.width) < 2 * layout.width * layout.instruments
        used = layout.shape.to_order(np.tile(columns, 2).astype(np.int64)) == 1
        assert np.array_equal(np.stack([lane.support for lane in lanes]), used)


@pytest.mark.parametrize(
    ("ticks", "instruments"),
    [(127, 2), (64, 2), (64, 4), (33, 3), (32, 5), (16, 16), (1, 3), (1, 200), (2, 128)],
)
def test_price_lanes_of_books_side_by_side(
    small: Epoch, order: Evaluator, ticks: int, instruments: int
) -> None:
    """Also where the lanes need two ciphertexts of the order ring, and the last is half empty."""
    draw = np.random.default_rng(instruments)
    layout = PriceLayout(PARAMETERS, ticks, instruments)
    assert instruments <= instruments_max(PARAMETERS, ticks)
    books = [book_of(draw, ticks, 3) for _ in range(instruments)]
    aggregates = [aggregated(sealed(small, ticks, orders)) for orders in books]
    lanes = price_lanes(order, layout, aggregates)
    require_lanes(small.oracle(RING), layout, lanes, expected_price_lanes(layout, books))


@given(st.integers(1, PARAMETERS.ticks_max), st.integers(0, 2**32), st.data())
@settings(max_examples=15)
def test_price_lanes_of_any_book(
    small: Epoch, order: Evaluator, ticks: int, seed: int, data: st.DataObject
) -> None:
    instruments = data.draw(st.integers(1, min(4, instruments_max(PARAMETERS, ticks))))
    draw, layout = np.random.default_rng(seed), PriceLayout(PARAMETERS, ticks, instruments)
    books = [book_of(draw, ticks, 4, MOST // 4) for _ in range(instruments)]
    aggregates = [aggregated(sealed(small, ticks, orders)) for orders in books]
    lanes = price_lanes(order, layout, aggregates)
    require_lanes(small.oracle(RING), layout, lanes, expected_price_lanes(layout, books))


def test_instruments_that_do_not_fit_are_refused() -> None:
    for ticks in TICKS:
        most = instruments_max(PARAMETERS, ticks)
        assert PriceLayout(PARAMETERS, ticks, most).shape.lanes <= PARAMETERS.comparison.degree
        with pytest.raises(OutOfRange):
            _ = PriceLayout(PARAMETERS, ticks, most + 1).shape
    for ticks in (0, -1, PARAMETERS.ticks_max + 1):
        with pytest.raises(OutOfRange):
            PriceLayout(PARAMETERS, ticks, 1)


def packed_values(row: int, orders: list[Order], tick: int) -> Lanes:
    """Slot k of both rows from the definition; every other slot zero."""
    values = np.zeros((2, row), dtype=np.int64)
    for k, (side, size, limit) in enumerate(orders):
        if limit >= tick if side == BUY else limit <= tick:
            values[side, k] = size
    return values


def packer_of(order: Evaluator, ciphertexts: list[Ciphertext]) -> Packer:
    packer = Packer(order)
    for ciphertext in ciphertexts:
        packer.add(ciphertext)
    return packer


@pytest.mark.parametrize("count", [1, 2, GROUP - 1, GROUP, GROUP + 1, PARAMETERS.intents_max])
@pytest.mark.parametrize("ticks", [1, 2, PARAMETERS.ticks_max])
def test_packing_gathers_one_tick_of_every_intent_and_nothing_else(
    small: Epoch, order: Evaluator, count: int, ticks: int
) -> None:
    oracle = small.oracle(RING)
    orders = book_of(np.random.default_rng(count), ticks, count, MOST // count)
    packer = packer_of(order, sealed(small, ticks, orders))
    assert packer.count == count
    for tick in sorted({0, ticks // 2, ticks - 1}):
        found = oracle.slots(packer.pack(tick)).reshape(2, -1)
        assert np.array_equal(found, packed_values(ROW, orders, tick))


def test_a_packer_takes_as_many_intents_as_half_a_row(small: Epoch, order: Evaluator) -> None:
    packer, ciphertext = Packer(order), sealed(small, 1, [(BUY, 1, 0)])[0]
    for _ in range(PARAMETERS.intents_max):
        packer.add(ciphertext)
    with pytest.raises(OutOfRange):
        packer.add(ciphertext)
    assert packer.count == PARAMETERS.intents_max


def expected_prefixes(packed: Lanes, ranks: Lanes) -> Lanes:
    out = np.zeros_like(packed)
    for k, rank in enumerate(ranks):
        out[:, k] = packed[:, : ranks.size][:, ranks < rank].sum(axis=1)
    return out


@pytest.mark.parametrize("count", [2, 3, 4, 5, 31, 32, 33, 64, 100, PARAMETERS.intents_max])
def test_prefix_sums_follow_any_priority(small: Epoch, order: Evaluator, count: int) -> None:
    oracle, draw = small.oracle(RING), np.random.default_rng(count)
    values = np.zeros((2, ROW), dtype=np.int64)
    values[:, :count] = draw.integers(0, MOST // count + 1, (2, count))
    packed = encrypt_slots(small.material.order.public, values.reshape(-1), bytes(32))
    for ranks in (np.arange(count), np.arange(count)[::-1].copy(), draw.permutation(count)):
        sums = prefix_sums(order, packed, priority_matrix(RING, ranks))
        found = oracle.slots(sums).reshape(2, -1)
        assert np.array_equal(found, expected_prefixes(values, ranks))


@given(st.permutations(range(5)))
@settings(max_examples=120)
def test_prefix_sums_of_every_small_order(small: Epoch, order: Evaluator, ranks: list[int]) -> None:
    """Some of these orders have diagonals that are all zero."""
    values = np.zeros((2, ROW), dtype=np.int64)
    values[:, :5] = [[1, 2, 4, 8, 16], [1, 3, 9, 27, 81]]
    packed = encrypt_slots(small.material.order.public, values.reshape(-1), bytes(32))
    sums = prefix_sums(order, packed, priority_matrix(RING, np.array(ranks)))
    found = small.oracle(RING).slots(sums).reshape(2, -1)
    assert np.array_equal(found, expected_prefixes(values, np.array(ranks)))


def test_a_single_intent_is_not_rationed(small: Epoch, order: Evaluator) -> None:
    packed = sealed(small, 1, [(BUY, 1, 0)])[0]
    with pytest.raises(OutOfRange):
        prefix_sums(order, packed, priority_matrix(RING, np.array([0])))


def expected_ration_lanes(layout: RationLayout, prefixes: list[Lanes], volumes: list[int]) -> Lanes:
    lanes = np.zeros((2, layout.shape.width), dtype=np.int64)
    for number, (prefix, volume) in enumerate(zip(prefixes, volumes, strict=True)):
        start, count = layout.offset(number), layout.counts[number]
        lanes[:, start : start + count] = volume - 1 - prefix[:, :count]
    return lanes.reshape(-1)


@pytest.mark.parametrize(
    "counts", [(1,), (2,), (128,), (3, 5), (128, 1), (1, 128), (64, 65), (7,) * 16, (33, 64, 65, 2)]
)
def test_ration_lanes_are_volume_less_one_less_prefix(
    small: Epoch, order: Evaluator, counts: tuple[int, ...]
) -> None:
    oracle, draw = small.oracle(RING), np.random.default_rng(len(counts))
    rows = tuple(int(row) for row in draw.integers(0, 2, len(counts)))
    layout = RationLayout(PARAMETERS, counts, rows)
    volumes = [int(v) for v in draw.integers(1, MOST, len(counts))]
    values = np.zeros((len(counts), 2, ROW), dtype=np.int64)
    for book, count in zip(values, counts, strict=True):
        book[:, :count] = draw.integers(0, MOST // 128, (2, count))
    prefixes = [
        encrypt_slots(small.material.order.public, book.reshape(-1), bytes([k]) * 32)
        for k, book in enumerate(values)
    ]
    lanes = ration_lanes(order, layout, prefixes, volumes)
    require_lanes(oracle, layout, lanes, expected_ration_lanes(layout, list(values), volumes))


@given(st.lists(st.integers(1, PARAMETERS.intents_max), min_size=1, max_size=6), st.data())
def test_ration_lanes_of_instruments_never_meet_or_straddle(
    counts: list[int], data: st.DataObject
) -> None:
    rows = tuple(data.draw(st.integers(0, 1)) for _ in counts)
    layout = RationLayout(PARAMETERS, tuple(counts), rows)
    try:
        shape = layout.shape
    except OutOfRange:
        assert sum(map(power_of_two, counts)) > PARAMETERS.comparison.row // 2
        return
    columns: set[int] = set()
    for number, count in enumerate(counts):
        lanes = layout.lanes(number)
        assert np.array_equal(lanes // shape.width, np.full(count, rows[number]))
        own = set((lanes % shape.width).tolist())
        assert not columns & own
        columns |= own
        start = layout.offset(number)
        assert start // ROW == (start + power_of_two(count) - 1) // ROW


def production_book(count: int, ticks: int) -> list[Order]:
    draw = np.random.default_rng(count)
    return book_of(draw, ticks, count, size_max(STANDARD.order) // count)


def require_production(epoch: Epoch, evaluator: Evaluator, ticks: int, orders: list[Order]) -> None:
    """Every slot at every step, and a budget that the flooding of each opening needs."""
    ring, tick = STANDARD.order, ticks // 2
    oracle, need = epoch.oracle(ring), budget_bits_min(ring, LANES_LEVEL)
    total, packer = AggregateSum(ring), Packer(evaluator)
    for k, order_ in enumerate(orders):
        vector = intent_vector(ring, ticks, *order_)
        ciphertext = encrypt_slots(epoch.material.order.public, vector, k.to_bytes(32, "big"))
        total.add(ciphertext)
        packer.add(ciphertext)
    layout = PriceLayout(STANDARD, ticks, 1)
    lanes = price_lanes(evaluator, layout, [total.ciphertext()])
    require_lanes(oracle, layout, lanes, expected_price_lanes(layout, [orders]))
    assert min(oracle.budget(lane.ciphertext) for lane in lanes) > need
    packed = packer.pack(tick)
    values = packed_values(ring.row, orders, tick)
    assert np.array_equal(oracle.slots(packed).reshape(2, -1), values)
    row = product(packed, np.ones(ring.degree, dtype=np.int64))
    lowered = evaluator.store(evaluator.switch_to(evaluator.load(row), LANES_LEVEL))
    assert oracle.budget(lowered) > need
    ranks = np.random.default_rng(1).permutation(len(orders))
    sums = prefix_sums(evaluator, packed, priority_matrix(ring, ranks))
    assert np.array_equal(oracle.slots(sums).reshape(2, -1), expected_prefixes(values, ranks))
    ration = RationLayout(STANDARD, (len(orders),), (0,))
    out = ration_lanes(evaluator, ration, [sums], [5])
    expected = expected_ration_lanes(ration, [expected_prefixes(values, ranks)], [5])
    require_lanes(oracle, ration, out, expected)
    assert min(oracle.budget(lane.ciphertext) for lane in out) > need


@pytest.mark.parametrize(("count", "ticks"), [(2, 1), (40, STANDARD.ticks_max)])
def test_the_production_ring_packs_exactly_and_with_room_for_flooding(
    standard: Epoch, evaluator_of: EvaluatorOf, count: int, ticks: int
) -> None:
    evaluator = evaluator_of(standard.material.order)
    require_production(standard, evaluator, ticks, production_book(count, ticks))


@pytest.mark.slow
def test_the_production_ring_packs_as_many_intents_as_an_auction_takes(
    standard: Epoch, evaluator_of: EvaluatorOf
) -> None:
    evaluator, most = evaluator_of(standard.material.order), STANDARD.intents_max
    require_production(standard, evaluator, STANDARD.ticks_max, production_book(most, 2047))
