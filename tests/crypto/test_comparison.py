from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import comparison
from crypto.comparison import (
    BITS_LEVEL,
    SIGN,
    Comparator,
    Thresholds,
    crossing_bits,
    reference_bits,
    thresholds,
)
from crypto.decryption import budget_bits_min
from crypto.encryption import encrypt_slots
from crypto.errors import OutOfRange
from crypto.keys import RingKeys
from crypto.lanes import LaneShape
from crypto.masks import DrawnMask
from crypto.params import STANDARD, TEST_INSECURE_SMALL
from crypto.seal import Evaluator
from tests.crypto.conftest import Epoch
from tests.crypto.test_masks import SHAPES, combined, draw_of, masks_without_excess, name, true_mask

Lanes = npt.NDArray[np.int64]
EvaluatorOf = Callable[[RingKeys], Evaluator]
RING = TEST_INSECURE_SMALL.order
T = RING.plain_modulus
STEP = 1 << 24


def in_clear(constants: Thresholds, r: Lanes) -> Lanes:
    """The bit that the circuit computes: [r < upper] - [r < lower] + wrap."""
    upper, lower = r < constants.upper, r < constants.lower
    return upper.astype(np.int64) - lower.astype(np.int64) + constants.wrap


@pytest.mark.parametrize(("t", "shift"), [(53, 4), (61, 4), (113, 5), (251, 6)])
def test_sign_lanes_are_exact_for_every_mask_and_value_of_a_small_prime(
    monkeypatch: pytest.MonkeyPatch, t: int, shift: int
) -> None:
    """The real modulus is just below four steps of its top digit; so are these."""
    monkeypatch.setattr(comparison, "_TOP_SHIFT", shift)
    ring = replace(RING, plain_modulus=t)
    quarter = (t - 1) // 4
    x, r = np.meshgrid(np.arange(-quarter, quarter + 1), np.arange(t), indexing="ij")
    constants = thresholds(ring, ((x + r) % t).reshape(-1), np.zeros(x.size, dtype=np.int64))
    assert np.array_equal(in_clear(constants, r.reshape(-1)), (x >= 0).reshape(-1))
    assert not (constants.lower % (1 << shift)).any()


@pytest.mark.parametrize("t", [2, 3, 17, 53, 97])
def test_interval_lanes_are_exact_for_every_mask_value_and_height_of_a_small_prime(t: int) -> None:
    ring = replace(RING, plain_modulus=t)
    axes = np.meshgrid(np.arange(t), np.arange(t), np.arange(1, t), indexing="ij")
    x, r, h = (axis.reshape(-1) for axis in axes)
    constants = thresholds(ring, (x + r) % t, h)
    assert not constants.one_digit
    assert np.array_equal(in_clear(constants, r), x < h)


def require_sign_exact(opened: Lanes) -> None:
    """[0, upper - lower) mod t has a quarter on either side: right for all |x| < t/4 at once."""
    constants = thresholds(RING, opened, np.zeros_like(opened))
    assert constants.one_digit
    height = constants.upper - constants.lower + T * constants.wrap
    assert (4 * height >= T).all()
    assert (4 * height <= 3 * T).all()
    assert not (constants.lower % STEP).any()
    assert constants.upper.max() <= T
    assert constants.lower.max() <= 3 * STEP
    assert set(np.unique(constants.wrap)) <= {0, 1}


def test_sign_lanes_leave_a_quarter_on_either_side_at_the_real_modulus() -> None:
    near = np.arange(-2000, 2000)
    edges = [near % T, *((k * STEP + near) % T for k in range(5))]
    edges += [(k * T // 4 + j * STEP + near) % T for k in range(4) for j in range(4)]
    opened = np.concatenate([*edges, np.arange(0, T, 61)])
    require_sign_exact(opened)


@pytest.mark.slow
def test_sign_lanes_leave_a_quarter_on_either_side_at_every_opened_value() -> None:
    for start in range(0, T, 1 << 20):
        require_sign_exact(np.arange(start, min(T, start + (1 << 20))))


signed = st.one_of(
    st.sampled_from([0, 1, -1, (T - 1) // 4, -((T - 1) // 4)]),
    st.integers(-((T - 1) // 4), (T - 1) // 4),
)
masks = st.one_of(
    st.sampled_from([0, 1, T - 1, T - 2, *(k * STEP + d for k in (1, 2, 3) for d in (-1, 0, 1))]),
    st.integers(0, T - 1),
)
residues = st.one_of(st.sampled_from([0, 1, T - 1, T // 2]), st.integers(0, T - 1))
heights = st.one_of(st.sampled_from([1, 2, T // 4, T // 2, T - 1]), st.integers(1, T - 1))


@given(st.lists(st.tuples(signed, masks), min_size=1))
def test_sign_lanes_at_the_real_modulus(lanes: list[tuple[int, int]]) -> None:
    x, r = np.array(lanes, dtype=np.int64).T
    constants = thresholds(RING, (x + r) % T, np.zeros_like(x))
    assert np.array_equal(in_clear(constants, r), x >= 0)


@given(st.lists(st.tuples(residues, masks, heights), min_size=1))
def test_interval_lanes_at_the_real_modulus(lanes: list[tuple[int, int, int]]) -> None:
    x, r, h = np.array(lanes, dtype=np.int64).T
    assert np.array_equal(in_clear(thresholds(RING, (x + r) % T, h), r), x < h)


@given(masks, heights, st.sampled_from([-1, 0, 1]))
def test_interval_lanes_turn_exactly_at_their_ends(r: int, h: int, past: int) -> None:
    for end in (0, h):
        x = np.array([(end + past) % T])
        constants = thresholds(RING, (x + r) % T, np.array([h]))
        assert in_clear(constants, np.array([r]))[0] == int(x[0] < h)


@given(st.lists(st.tuples(signed, residues, masks, st.booleans(), heights), min_size=2))
def test_mixed_lanes_keep_their_meaning(
    lanes: list[tuple[int, int, int, bool, int]],
) -> None:
    small, wide, r, interval, h = (
        np.array(column, dtype=np.int64) for column in zip(*lanes, strict=True)
    )
    x = np.where(interval, wide, small)
    constants = thresholds(RING, (x + r) % T, np.where(interval, h, SIGN))
    assert constants.one_digit == (not interval.any())
    assert np.array_equal(in_clear(constants, r), np.where(interval, x < h, x >= 0))


@pytest.mark.parametrize(
    ("opened", "height"), [(T, 0), (-1, 0), (0, -1), (0, T), (2**40, 1), (5, 2**40)]
)
def test_values_and_heights_outside_the_modulus_are_refused(opened: int, height: int) -> None:
    with pytest.raises(OutOfRange):
        thresholds(RING, np.array([3, opened]), np.array([1, height]))


@pytest.fixture(scope="session")
def ready(
    small: Epoch, evaluator_of: EvaluatorOf
) -> Callable[[LaneShape], tuple[DrawnMask, Lanes]]:
    """One mask of each shape with its r; a circuit may be run on it often, an auction may not."""
    made: dict[int, tuple[DrawnMask, Lanes]] = {}

    def mask(shape: LaneShape) -> tuple[DrawnMask, Lanes]:
        if shape.lanes not in made:
            made[shape.lanes] = next(masks_without_excess(small, evaluator_of, shape))
        return made[shape.lanes]

    return mask


Ready = Callable[[LaneShape], tuple[DrawnMask, Lanes]]


@pytest.fixture(scope="session")
def comparator(small: Epoch, evaluator_of: EvaluatorOf) -> Comparator:
    return Comparator(evaluator_of(small.material.comparison))


def sign_values(shape: LaneShape, seed: int) -> Lanes:
    quarter = (T - 1) // 4
    x = np.random.default_rng(seed).integers(-quarter, quarter + 1, shape.lanes)
    x[:8] = [0, 1, -1, 2, -2, quarter, -quarter, 0]
    x[8:40] = np.random.default_rng(seed).integers(-3, 4, 32)
    return x


def interval_values(shape: LaneShape, seed: int) -> tuple[Lanes, Lanes]:
    """Values of any sender, also one who lies, and their heights."""
    draw = np.random.default_rng(seed)
    x, h = draw.integers(0, T, shape.lanes), draw.integers(1, T, shape.lanes)
    h[:16:2], h[1:16:2] = 1, T - 1
    x[:8] = [0, 0, 1, 1, T - 1, T - 1, T - 2, T - 2]
    x[16:24], x[24:32], x[32:40] = h[16:24], h[24:32] - 1, T - h[32:40]
    return x, h


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_encrypted_signs_are_exact_on_every_lane(
    small: Epoch, ready: Ready, comparator: Comparator, shape: LaneShape
) -> None:
    mask, r = ready(shape)
    x = sign_values(shape, shape.lanes)
    bits = comparator.compare(mask, (x + r) % T, np.zeros(shape.lanes, dtype=np.int64))
    assert bits.level == BITS_LEVEL
    found = shape.from_first_block(small.oracle(comparator.ring).slots(bits))
    assert np.array_equal(found, x >= 0)


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_encrypted_intervals_are_exact_whatever_the_sender_put_in(
    small: Epoch, ready: Ready, comparator: Comparator, shape: LaneShape
) -> None:
    mask, r = ready(shape)
    x, h = interval_values(shape, shape.lanes)
    bits = comparator.compare(mask, (x + r) % T, h)
    found = shape.from_first_block(small.oracle(comparator.ring).slots(bits))
    assert np.array_equal(found, x < h)


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_encrypted_mixes_are_exact(
    small: Epoch, ready: Ready, comparator: Comparator, shape: LaneShape
) -> None:
    mask, r = ready(shape)
    signs, (wide, h) = sign_values(shape, 1), interval_values(shape, 2)
    interval = np.random.default_rng(3).integers(0, 2, shape.lanes) == 1
    x, h = np.where(interval, wide, signs), np.where(interval, h, SIGN)
    bits = comparator.compare(mask, (x + r) % T, h)
    found = shape.from_first_block(small.oracle(comparator.ring).slots(bits))
    assert np.array_equal(found, np.where(interval, x < h, x >= 0))


@pytest.mark.parametrize("shape", SHAPES, ids=name)
@pytest.mark.parametrize("constant", [T, 1, 16, STEP, STEP + 1, 3 * STEP])
def test_masks_are_compared_with_a_constant(
    small: Epoch, ready: Ready, comparator: Comparator, shape: LaneShape, constant: int
) -> None:
    """Constants with digits that are 0 in every lane, in any place, are nothing special."""
    mask, r = ready(shape)
    found = small.oracle(comparator.ring).slots(comparator.below_constant(mask, constant))
    assert np.array_equal(shape.from_first_block(found), r < constant)


def test_nothing_is_below_zero(ready: Ready, comparator: Comparator) -> None:
    mask, _ = ready(SHAPES[-1])
    with pytest.raises(OutOfRange):
        comparator.below_constant(mask, 0)


def test_excess_lanes_are_found(
    small: Epoch, evaluator_of: EvaluatorOf, comparator: Comparator
) -> None:
    shape = SHAPES[0]
    number = next(n for n in range(1, 100) if true_mask(small, draw_of(shape, n)).max() >= T)
    draw = draw_of(shape, number)
    r = true_mask(small, draw)
    found = comparator.below_constant(combined(small, evaluator_of, draw), T)
    slots = small.oracle(comparator.ring).slots(found)
    assert np.array_equal(shape.from_first_block(slots), r < T)
    assert (r >= T).any()


def test_three_keypers_compare_too(small_three: Epoch, evaluator_of: EvaluatorOf) -> None:
    shape = SHAPES[1]
    mask, r = next(masks_without_excess(small_three, evaluator_of, shape))
    x, h = interval_values(shape, 4)
    comparator = Comparator(evaluator_of(small_three.material.comparison))
    found = small_three.oracle(comparator.ring).slots(comparator.compare(mask, (x + r) % T, h))
    assert np.array_equal(shape.from_first_block(found), x < h)


def test_the_production_rings_compare_exactly_and_with_room_for_flooding(
    standard: Epoch, evaluator_of: EvaluatorOf
) -> None:
    shape = LaneShape(STANDARD, STANDARD.comparison.degree >> 3)
    mask, r = next(masks_without_excess(standard, evaluator_of, shape))
    comparator = Comparator(evaluator_of(standard.material.comparison))
    oracle = standard.oracle(comparator.ring)
    signs, (wide, heights_) = sign_values(shape, 5), interval_values(shape, 6)
    interval = np.arange(shape.lanes) % 2 == 1
    x, h = np.where(interval, wide, signs), np.where(interval, heights_, SIGN)
    for values, asked in ((signs, np.zeros_like(h)), (x, h)):
        bits = comparator.compare(mask, (values + r) % T, asked)
        expected = np.where(asked == SIGN, values >= 0, values < asked)
        assert np.array_equal(shape.from_first_block(oracle.slots(bits)), expected)
        # Selecting costs one plaintext product more, some 25 bits.
        assert oracle.budget(bits) >= budget_bits_min(comparator.ring, BITS_LEVEL) + 25


@given(st.integers(0, 4), st.integers(0, 2**32), st.booleans())
@settings(max_examples=20)
def test_the_crossing_bit_is_whether_the_last_bid_reaches_the_first_ask(
    small: Epoch, evaluator_of: EvaluatorOf, exponent: int, seed: int, late: bool
) -> None:
    """Several books side by side; each has dead columns of 0 before its window."""
    ring, draw = TEST_INSECURE_SMALL.comparison, np.random.default_rng(seed)
    evaluator, window = evaluator_of(small.material.comparison), 1 << exponent
    slots = np.zeros((2, ring.row), dtype=np.int64)
    starts = np.arange(window, ring.row - window + 1, 2 * window)
    expected = []
    for start in starts:
        bids = int(draw.integers(0, window + 1))
        asks = int(draw.integers(0, window + 1)) if late else int(draw.choice([0, bids, window]))
        slots[0, start : start + bids] = 1
        slots[1, start + asks : start + window] = 1
        expected.append(int(asks < min(bids, window)))
    sealed = encrypt_slots(small.material.comparison.public, slots.reshape(-1), bytes(32))
    found = small.oracle(ring).slots(crossing_bits(evaluator, sealed, window)).reshape(2, -1)
    assert found[0, starts].tolist() == expected


def test_the_reference_bit_is_the_product_of_the_two_rows(
    small: Epoch, evaluator_of: EvaluatorOf
) -> None:
    ring = TEST_INSECURE_SMALL.comparison
    slots = np.random.default_rng(9).integers(0, 2, (2, ring.row))
    sealed = encrypt_slots(small.material.comparison.public, slots.reshape(-1), bytes(32))
    evaluator = evaluator_of(small.material.comparison)
    found = small.oracle(ring).slots(reference_bits(evaluator, sealed)).reshape(2, -1)
    assert np.array_equal(found[0], slots[0] * slots[1])
