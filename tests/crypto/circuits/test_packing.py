from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.products import coefficient_form
from crypto.bfv.seal import Evaluator
from crypto.circuits.curves import BUY, CurveLayout, size_max
from crypto.circuits.packing import GROUP, PackedSizes, Packer, arranged, power_of_two, rotate
from crypto.errors import OutOfRange
from crypto.ring.params import TEST_INSECURE_SMALL
from tests.support.epochs import Epoch, SealOracle
from tests.support.lane_books import Lanes, Order, book_of, packed_values, packer_of, sealed

PARAMETERS = TEST_INSECURE_SMALL
RING = PARAMETERS.order_ring
ROW, HALF = RING.row, RING.row // 2
MOST = size_max(RING)
COUNTS = [1, 2, GROUP - 1, GROUP, GROUP + 1, PARAMETERS.intents_max]


@given(st.integers(-ROW, ROW))
@settings(max_examples=25)
def test_rotations_go_by_any_number_of_steps(small: Epoch, order: Evaluator, steps: int) -> None:
    values = np.arange(RING.degree)
    ciphertext = encrypt_slots(small.material.order_keys.public, values, bytes(32))
    found = small.oracle(RING).slots(order.store(rotate(order, order.load(ciphertext), steps)))
    assert np.array_equal(found.reshape(2, -1), np.roll(values.reshape(2, -1), -steps, axis=1))


@given(st.integers(0, 1 << 40))
def test_powers_of_two_are_the_next_ones(count: int) -> None:
    power = power_of_two(count)
    assert power & (power - 1) == 0
    assert power >= count
    assert power // 2 < max(count, 1)


@pytest.mark.parametrize("index", [0, 1, GROUP - 1, GROUP, GROUP + 5, PARAMETERS.intents_max - 1])
def test_an_arranged_intent_is_moved_to_its_place_in_its_group(
    small: Epoch, order: Evaluator, index: int
) -> None:
    values = np.arange(RING.degree)
    ciphertext = encrypt_slots(small.material.order_keys.public, values, bytes(32))
    words = arranged(order, ciphertext, index)
    assert words.shape == (2, len(RING.data_primes), RING.degree)
    found = small.oracle(RING).slots(coefficient_form(RING, words.copy())).reshape(2, -1)
    assert np.array_equal(found, np.roll(values.reshape(2, -1), index % GROUP, axis=1))
    assert np.array_equal(words, arranged(order, ciphertext, index % GROUP))


def require_packed(
    oracle: SealOracle, packer: Packer, orders: Sequence[Order], ticks: Sequence[int]
) -> None:
    """Fills at some ticks and all sizes are those of the orders, and nothing is anywhere else."""
    for tick in ticks:
        found = oracle.slots(packer.pack(tick)).reshape(2, -1)
        assert np.array_equal(found, packed_values(ROW, orders, tick))
    require_sizes(oracle, packer.sizes(), orders)


def require_sizes(oracle: SealOracle, sizes: PackedSizes, orders: Sequence[Order]) -> None:
    for row, ciphertext in enumerate(sizes.rows):
        expected: Lanes = np.zeros((2, ROW), dtype=np.int64)
        expected[row, HALF : HALF + len(orders)] = [size for _, size, _ in orders]
        assert np.array_equal(oracle.slots(ciphertext).reshape(2, -1), expected)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("ticks", [1, 2, PARAMETERS.ticks_max])
def test_packing_gathers_one_tick_of_every_intent_and_nothing_else(
    small: Epoch, order: Evaluator, count: int, ticks: int
) -> None:
    orders = book_of(np.random.default_rng(count), ticks, count, MOST // count)
    packer = packer_of(order, sealed(small, ticks, orders))
    assert packer.count == count
    require_packed(small.oracle(RING), packer, orders, sorted({0, ticks // 2, ticks - 1}))


@pytest.mark.parametrize("size", [-1, MOST + 1, RING.plain_modulus // 2, -MOST])
def test_sizes_modulo_t_are_packed_as_they_are(small: Epoch, order: Evaluator, size: int) -> None:
    """What the cap check looks at is what the sender put there, also if it is no order's."""
    t = RING.plain_modulus
    vectors = [
        CurveLayout(RING, 4).vector(BUY, 1, 2) * size % t,
        CurveLayout(RING, 4).vector(BUY, 7, 1),
    ]
    key = small.material.order_keys.public
    packer = packer_of(order, [encrypt_slots(key, vector, bytes(32)) for vector in vectors])
    sizes, orders = packer.sizes(), [(BUY, size % t, 2), (BUY, 7, 1)]
    require_sizes(small.oracle(RING), sizes, orders)
    found = small.oracle(RING).slots(packer.pack(2)).reshape(2, -1)
    assert np.array_equal(found, packed_values(ROW, orders, 2))


@pytest.mark.parametrize("count", COUNTS)
def test_minimums_are_packed_apart_from_sizes(small: Epoch, order: Evaluator, count: int) -> None:
    draw = np.random.default_rng(count)
    orders = [
        (side, size + 1, limit) for side, size, limit in book_of(draw, 3, count, MOST // count - 1)
    ]
    minimums = [1 + int(draw.integers(0, size)) for _, size, _ in orders]
    key = small.material.order_keys.public
    packer = packer_of(
        order,
        [
            encrypt_slots(key, CurveLayout(RING, 3).vector(*one, minimum), k.to_bytes(32, "big"))
            for k, (one, minimum) in enumerate(zip(orders, minimums, strict=True))
        ],
    )
    require_packed(small.oracle(RING), packer, orders, [0, 1, 2])
    expected: Lanes = np.zeros((2, ROW), dtype=np.int64)
    expected[1, HALF : HALF + count] = [minimum - 1 for minimum in minimums]
    assert np.array_equal(small.oracle(RING).slots(packer.minimums()).reshape(2, -1), expected)


def test_a_packer_takes_as_many_intents_as_half_a_row(small: Epoch, order: Evaluator) -> None:
    packer, ciphertext = Packer(order), sealed(small, 1, [(BUY, 1, 0)])[0]
    words = arranged(order, ciphertext, 0)
    for _ in range(PARAMETERS.intents_max):
        packer.add(words)
    with pytest.raises(OutOfRange):
        packer.add(words)
    assert packer.count == PARAMETERS.intents_max


def digests(packer: Packer, tick: int) -> list[bytes]:
    return [c.digest() for c in (packer.pack(tick), *packer.sizes().rows)]


@pytest.mark.parametrize("count", [GROUP, GROUP + 5])
def test_sizes_of_full_groups_are_packed_once_and_for_all(
    small: Epoch, order: Evaluator, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Asking again, and asking after close, packs no group a second time."""
    orders = book_of(np.random.default_rng(count), 3, count, MOST // count)
    packed: dict[tuple[int, int], list[int]] = {}
    original = Packer._pack_pick

    def counted(packer: Packer, pick: tuple[int, int], group: int) -> object:
        packed.setdefault(pick, []).append(group)
        return original(packer, pick, group)

    monkeypatch.setattr(Packer, "_pack_pick", counted)
    packer = packer_of(order, sealed(small, 3, orders))
    assert list(packed.values()) == [[0]] * 2
    for _ in range(2):
        require_packed(small.oracle(RING), packer, orders, [1])
    assert list(packed.values()) == [list(range(1 + (count > GROUP)))] * 2


@pytest.mark.parametrize("asked", [1, GROUP - 1, GROUP, GROUP + 1])
def test_intents_that_come_after_the_sizes_were_asked_for_count(
    small: Epoch, order: Evaluator, asked: int
) -> None:
    orders = book_of(np.random.default_rng(asked), 3, GROUP + 3, 1000)
    ciphertexts = sealed(small, 3, orders)
    packer = packer_of(order, ciphertexts[:asked])
    require_packed(small.oracle(RING), packer, orders[:asked], [2])
    for index, ciphertext in enumerate(ciphertexts[asked:], asked):
        packer.add(arranged(order, ciphertext, index))
    require_packed(small.oracle(RING), packer, orders, [2])
    assert digests(packer, 1) == digests(packer_of(order, ciphertexts), 1)


def without(orders: Sequence[Order], dropped: Sequence[int]) -> list[Order]:
    return [(s, 0 if k in dropped else q, m) for k, (s, q, m) in enumerate(orders)]


def dropped_at_once(
    order: Evaluator, ciphertexts: Sequence[Ciphertext], dropped: Sequence[int]
) -> Packer:
    """A packer that never had the dropped intents for longer than until the next."""
    packer = Packer(order)
    for index, ciphertext in enumerate(ciphertexts):
        packer.add(arranged(order, ciphertext, index))
        if index in dropped:
            packer.drop(index)
    return packer


DROPPED = {
    "the first": [0],
    "the last": [GROUP + 9],
    "both sides of a border": [GROUP - 1, GROUP],
    "the whole first group": list(range(GROUP)),
    "the whole last group": list(range(GROUP, GROUP + 10)),
    "all but one": [k for k in range(GROUP + 10) if k != 3],
    "all but one of the last group": list(range(GROUP + 9)),
}


@pytest.mark.parametrize("name", DROPPED)
def test_a_dropped_intent_leaves_its_number_and_nothing_else(
    small: Epoch, order: Evaluator, name: str
) -> None:
    """Equal to the byte, whenever it was dropped; and the others are all there."""
    dropped = DROPPED[name]
    orders = book_of(np.random.default_rng(len(dropped)), 3, GROUP + 10, 1000)
    ciphertexts = sealed(small, 3, orders)
    late = packer_of(order, ciphertexts)
    require_packed(small.oracle(RING), late, orders, [1])
    for number in dropped:
        late.drop(number)
    rest = without(orders, dropped)
    require_packed(small.oracle(RING), late, rest, [0, 1, 2])
    early = dropped_at_once(order, ciphertexts, dropped)
    assert digests(late, 1) == digests(early, 1)
    assert late.count == early.count == len(orders)


def test_an_intent_takes_the_next_number_after_a_dropped_one(
    small: Epoch, order: Evaluator
) -> None:
    orders = book_of(np.random.default_rng(3), 3, 5, 1000)
    ciphertexts = sealed(small, 3, orders)
    packer = packer_of(order, ciphertexts[:4])
    packer.drop(3)
    packer.add(arranged(order, ciphertexts[4], 4))
    require_packed(small.oracle(RING), packer, without(orders, [3]), [1])


@pytest.mark.parametrize("count", [0, 1, GROUP + 1])
def test_nothing_is_packed_of_nothing(small: Epoch, order: Evaluator, count: int) -> None:
    orders = book_of(np.random.default_rng(3), 3, count)
    packer = packer_of(order, sealed(small, 3, orders))
    for number in range(count):
        packer.drop(number)
    for asked in (packer.sizes, lambda: packer.pack(0)):
        with pytest.raises(OutOfRange, match="at least 1"):
            asked()
