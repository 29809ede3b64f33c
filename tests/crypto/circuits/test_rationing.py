from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.products import product
from crypto.bfv.seal import Evaluator
from crypto.circuits.curves import BUY, size_max
from crypto.circuits.packing import LANES_LEVEL, power_of_two
from crypto.circuits.price_lanes import PriceLayout, SizedBook, price_lanes
from crypto.circuits.rationing import RationLayout, prefix_sums, priority_matrix, ration_lanes
from crypto.errors import OutOfRange
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL
from crypto.threshold.decryption import budget_bits_min
from crypto.threshold.keys import RingKeys
from tests.support.epochs import Epoch
from tests.support.lane_books import (
    Lanes,
    Order,
    aggregated,
    book_of,
    expected_price_lanes,
    packed_values,
    packer_of,
    require_lanes,
    sealed,
)

EvaluatorOf = Callable[[RingKeys], Evaluator]
PARAMETERS = TEST_INSECURE_SMALL
RING = PARAMETERS.order_ring
ROW = RING.row
MOST = size_max(RING)


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
    packed = encrypt_slots(small.material.order_keys.public, values.reshape(-1), bytes(32))
    for ranks in (np.arange(count), np.arange(count)[::-1].copy(), draw.permutation(count)):
        sums = prefix_sums(order, packed, priority_matrix(RING, ranks))
        found = oracle.slots(sums).reshape(2, -1)
        assert np.array_equal(found, expected_prefixes(values, ranks))


def test_the_worked_example_of_the_module_text(small: Epoch, order: Evaluator) -> None:
    oracle, ranks, layout = (
        small.oracle(RING),
        np.array([2, 0, 3, 1]),
        RationLayout(PARAMETERS, (4,), (1,)),
    )
    values = np.zeros((2, ROW), dtype=np.int64)
    values[1, :4] = [5, 7, 2, 4]
    packed = encrypt_slots(small.material.order_keys.public, values.reshape(-1), bytes(32))
    prefixes = prefix_sums(order, packed, priority_matrix(RING, ranks))
    assert oracle.slots(prefixes).reshape(2, -1)[1, :4].tolist() == [11, 0, 16, 7]
    lanes = ration_lanes(order, layout, [prefixes], [12])[0]
    signed = (oracle.slots(lanes.ciphertext) + MOST) % RING.plain_modulus - MOST
    assert signed.reshape(2, -1)[1, :4].tolist() == [0, 11, -5, 4]


@given(st.permutations(range(5)))
@settings(max_examples=120)
def test_prefix_sums_of_every_small_order(small: Epoch, order: Evaluator, ranks: list[int]) -> None:
    """Some of these orders have diagonals that are all zero."""
    values = np.zeros((2, ROW), dtype=np.int64)
    values[:, :5] = [[1, 2, 4, 8, 16], [1, 3, 9, 27, 81]]
    packed = encrypt_slots(small.material.order_keys.public, values.reshape(-1), bytes(32))
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
        start, count = layout.start(number), layout.counts[number]
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
        encrypt_slots(small.material.order_keys.public, book.reshape(-1), bytes([k]) * 32)
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
        assert sum(map(power_of_two, counts)) > PARAMETERS.comparison_ring.row // 2
        return
    columns: set[int] = set()
    for number, count in enumerate(counts):
        lanes = layout.lanes(number)
        assert np.array_equal(lanes // shape.width, np.full(count, rows[number]))
        own = set((lanes % shape.width).tolist())
        assert not columns & own
        columns |= own
        start = layout.start(number)
        assert start // ROW == (start + power_of_two(count) - 1) // ROW


def production_book(count: int, ticks: int) -> list[Order]:
    draw = np.random.default_rng(count)
    return book_of(draw, ticks, count, size_max(STANDARD.order_ring) // count)


def require_production(epoch: Epoch, evaluator: Evaluator, ticks: int, orders: list[Order]) -> None:
    """Every slot at every step, and a budget that the flooding of each opening needs."""
    ring, tick = STANDARD.order_ring, ticks // 2
    oracle, need = epoch.oracle(ring), budget_bits_min(ring, LANES_LEVEL)
    ciphertexts, caps = sealed(epoch, ticks, orders), [size_max(ring)] * len(orders)
    packer = packer_of(evaluator, ciphertexts)
    book = SizedBook(aggregated(ciphertexts), packer.sizes(), np.array(caps))
    layout = PriceLayout(STANDARD, ticks, ticks // 2, (len(orders),))
    lanes = price_lanes(evaluator, layout, [book])
    require_lanes(oracle, layout, lanes, expected_price_lanes(layout, [orders], [caps]))
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
    evaluator = evaluator_of(standard.material.order_keys)
    require_production(standard, evaluator, ticks, production_book(count, ticks))


@pytest.mark.slow
def test_the_production_ring_packs_as_many_intents_as_an_auction_takes(
    standard: Epoch, evaluator_of: EvaluatorOf
) -> None:
    evaluator, most = evaluator_of(standard.material.order_keys), STANDARD.intents_max
    require_production(standard, evaluator, STANDARD.ticks_max, production_book(most, 2047))
