from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.lanes import LaneShape
from crypto.bfv.seal import Evaluator
from crypto.circuits import comparison
from crypto.circuits.comparison import (
    BITS_LEVEL,
    Comparator,
    Flags,
    Thresholds,
    crossing_bits,
    reference_bits,
    thresholds,
)
from crypto.circuits.curves import size_max
from crypto.errors import OutOfRange
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL
from crypto.threshold.decryption import budget_bits_min
from crypto.threshold.keys import RingKeys
from crypto.threshold.masks import DrawnMask
from tests.support.epochs import Epoch
from tests.support.true_masks import (
    SHAPES,
    combined,
    draw_of,
    masks_without_excess,
    name,
    true_mask,
)

Lanes = npt.NDArray[np.int64]
EvaluatorOf = Callable[[RingKeys], Evaluator]
RING = TEST_INSECURE_SMALL.order_ring
T = RING.plain_modulus
MOST = size_max(RING)
STEP = 1 << 24
SMALL_PRIMES = [(53, 4), (61, 4), (113, 5), (251, 6)]
"""The real modulus is just below four steps of its top digit; so are these."""


def in_clear(constants: Thresholds, r: Lanes) -> Lanes:
    """The bit that the circuit computes: [r < upper] - [r < lower] + wrap."""
    upper, lower = r < constants.upper, r < constants.lower
    return upper.astype(np.int64) - lower.astype(np.int64) + constants.wrap


def all_lanes(like: Lanes, *, bounded: bool) -> Flags:
    return np.full(like.shape, bounded)


def test_the_worked_example_of_the_module_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_TOP_SHIFT", 4)
    x, r = np.array([-5, 5]), np.array([20, 58])
    opened = (x + r) % 61
    constants = thresholds(replace(RING, plain_modulus=61), opened, all_lanes(x, bounded=False))
    assert opened.tolist() == [15, 2]
    assert constants.upper.tolist() == [16, 3]
    assert constants.lower.tolist() == [0, 32]
    assert constants.wrap.tolist() == [0, 1]
    assert in_clear(constants, r).tolist() == [0, 1]


@pytest.mark.parametrize(("t", "shift"), SMALL_PRIMES)
def test_sign_lanes_are_exact_for_every_mask_and_value_of_a_small_prime(
    monkeypatch: pytest.MonkeyPatch, t: int, shift: int
) -> None:
    monkeypatch.setattr(comparison, "_TOP_SHIFT", shift)
    ring = replace(RING, plain_modulus=t)
    quarter = (t - 1) // 4
    x, r = np.meshgrid(np.arange(-quarter, quarter + 1), np.arange(t), indexing="ij")
    opened = ((x + r) % t).reshape(-1)
    constants = thresholds(ring, opened, all_lanes(opened, bounded=False))
    assert np.array_equal(in_clear(constants, r.reshape(-1)), (x >= 0).reshape(-1))
    assert not (constants.lower % (1 << shift)).any()


@pytest.mark.parametrize(("t", "shift"), SMALL_PRIMES)
def test_bounded_lanes_are_exact_for_every_mask_size_and_cap_of_a_small_prime(
    monkeypatch: pytest.MonkeyPatch, t: int, shift: int
) -> None:
    """Both bits are 1 under all pairs of masks where 0 <= q <= c, and under no pair elsewhere."""
    most = t // 2 - (1 << shift)
    monkeypatch.setattr(comparison, "_TOP_SHIFT", shift)
    monkeypatch.setattr(comparison, "size_max", lambda _ring: most)
    ring = replace(RING, plain_modulus=t)
    x, r = np.meshgrid(np.arange(t), np.arange(t), indexing="ij")
    opened = ((x + r) % t).reshape(-1)
    constants = thresholds(ring, opened, all_lanes(opened, bounded=True))
    bits = in_clear(constants, r.reshape(-1)).reshape(t, t)
    assert set(np.unique(bits)) == {0, 1}
    always, ever = bits.min(axis=1) == 1, bits.max(axis=1) == 1
    q, c = np.meshgrid(np.arange(t), np.arange(most + 1), indexing="ij")
    rest = (c - q) % t
    assert (always[q] & always[rest])[q <= c].all()
    assert not (ever[q] & ever[rest])[q > c].any()
    assert not (constants.lower % (1 << shift)).any()


def require_sign_exact(opened: Lanes) -> None:
    """[0, upper - lower) mod t has a quarter on either side: right for all |x| < t/4 at once."""
    constants = thresholds(RING, opened, all_lanes(opened, bounded=False))
    height = constants.upper - constants.lower + T * constants.wrap
    assert (4 * height >= T).all()
    assert (4 * height <= 3 * T).all()
    assert not (constants.lower % STEP).any()
    assert constants.upper.max() <= T
    assert constants.lower.max() <= 3 * STEP
    assert set(np.unique(constants.wrap)) <= {0, 1}


def require_bounded_exact(opened: Lanes) -> None:
    """[0, upper - lower) mod t has all sizes and caps, and less than half of all numbers."""
    constants = thresholds(RING, opened, all_lanes(opened, bounded=True))
    height = constants.upper - constants.lower + T * constants.wrap
    assert (height > MOST).all()
    assert (2 * height <= T).all()
    assert not (constants.lower % STEP).any()
    assert constants.upper.max() <= T
    assert constants.lower.max() <= 3 * STEP
    assert set(np.unique(constants.wrap)) <= {0, 1}


def values_near_edges() -> Lanes:
    near = np.arange(-2000, 2000)
    edges = [near % T, *((k * STEP + near) % T for k in range(5))]
    edges += [(k * T // 4 + j * STEP + near) % T for k in range(4) for j in range(4)]
    edges += [(MOST + j * STEP + near) % T for j in range(4)]
    return np.concatenate([*edges, np.arange(0, T, 61)])


def test_sign_lanes_leave_a_quarter_on_either_side_at_the_real_modulus() -> None:
    require_sign_exact(values_near_edges())


def test_bounded_lanes_find_a_constant_at_the_real_modulus() -> None:
    require_bounded_exact(values_near_edges())


@pytest.mark.slow
def test_sign_lanes_leave_a_quarter_on_either_side_at_every_opened_value() -> None:
    for start in range(0, T, 1 << 20):
        require_sign_exact(np.arange(start, min(T, start + (1 << 20))))


@pytest.mark.slow
def test_bounded_lanes_find_a_constant_at_every_opened_value() -> None:
    for start in range(0, T, 1 << 20):
        require_bounded_exact(np.arange(start, min(T, start + (1 << 20))))


signed = st.one_of(
    st.sampled_from([0, 1, -1, (T - 1) // 4, -((T - 1) // 4)]),
    st.integers(-((T - 1) // 4), (T - 1) // 4),
)
masks = st.one_of(
    st.sampled_from([0, 1, T - 1, T - 2, *(k * STEP + d for k in (1, 2, 3) for d in (-1, 0, 1))]),
    st.integers(0, T - 1),
)
edges = [0, 1, 2, T - 1, T - 2, T // 2, T // 2 + 1, T // 4, MOST - 1, MOST, MOST + 1, T - MOST]
residues = st.one_of(st.sampled_from(edges), st.integers(0, T - 1))
caps = st.one_of(st.sampled_from([0, 1, 2, MOST - 1, MOST]), st.integers(0, MOST))


@st.composite
def sizes_and_caps(draw: st.DrawFn) -> tuple[int, int]:
    """A size that a sender may have put in, often one at an end of what its cap allows."""
    cap = draw(caps)
    near = st.integers(-2, 2).map(lambda d: (cap + d) % T)
    return draw(st.one_of(residues, near, st.just(T - cap).map(lambda q: q % T))), cap


@given(st.lists(st.tuples(signed, masks), min_size=1))
def test_sign_lanes_at_the_real_modulus(lanes: list[tuple[int, int]]) -> None:
    x, r = np.array(lanes, dtype=np.int64).T
    constants = thresholds(RING, (x + r) % T, all_lanes(x, bounded=False))
    assert np.array_equal(in_clear(constants, r), x >= 0)


@given(st.lists(st.tuples(sizes_and_caps(), masks, masks), min_size=1))
def test_pairs_of_bounded_lanes_at_the_real_modulus(
    pairs: list[tuple[tuple[int, int], int, int]],
) -> None:
    """Whatever the size and both masks are: both bits are 1 exactly for 0 <= q <= c."""
    q, c = np.array([pair for pair, _, _ in pairs], dtype=np.int64).T
    masks_ = np.array([own for _, *own in pairs], dtype=np.int64).T
    both = np.ones(q.size, dtype=np.int64)
    for x, r in zip((q, (c - q) % T), masks_, strict=True):
        opened = (x + r) % T
        require_bounded_exact(opened)
        bits = in_clear(thresholds(RING, opened, all_lanes(x, bounded=True)), r)
        assert set(np.unique(bits)) <= {0, 1}
        both &= bits
    assert np.array_equal(both, q <= c)


@given(st.lists(st.tuples(signed, sizes_and_caps(), masks, st.booleans()), min_size=2))
def test_mixed_lanes_keep_their_meaning(
    lanes: list[tuple[int, tuple[int, int], int, bool]],
) -> None:
    small, r, bounded = (np.array([lane[k] for lane in lanes]) for k in (0, 2, 3))
    q, c = np.array([lane[1] for lane in lanes], dtype=np.int64).T
    x = np.where(bounded, q, small)
    first = in_clear(thresholds(RING, (x + r) % T, bounded), r)
    other = np.where(bounded, c - q, small)
    second = in_clear(thresholds(RING, (other + r) % T, bounded), r)
    assert np.array_equal(first & second, np.where(bounded, q <= c, small >= 0))


@pytest.mark.parametrize("opened", [T, -1, 2**40, -(2**40)])
@pytest.mark.parametrize("bounded", [False, True])
def test_values_outside_the_modulus_are_refused(opened: int, bounded: bool) -> None:
    with pytest.raises(OutOfRange, match="opened value"):
        thresholds(RING, np.array([3, opened]), np.array([not bounded, bounded]))


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
    return Comparator(evaluator_of(small.material.comparison_keys))


def sign_values(shape: LaneShape, seed: int) -> Lanes:
    quarter = (T - 1) // 4
    x = np.random.default_rng(seed).integers(-quarter, quarter + 1, shape.lanes)
    x[:8] = [0, 1, -1, 2, -2, quarter, -quarter, 0]
    x[8:40] = np.random.default_rng(seed).integers(-3, 4, 32)
    return x


def sizes_within_caps(shape: LaneShape, seed: int) -> tuple[Lanes, Flags]:
    """Values of any sender, also one who lies: sizes in row 0, caps less them in row 1.

    Returns them modulo t, and which columns have a size from 0 to its cap.
    """
    draw = np.random.default_rng(seed)
    q = draw.integers(0, T, shape.width)
    c = draw.choice([1, 2, 1000, MOST - 1, MOST, *draw.integers(1, MOST, 5)], shape.width)
    for number, offset in enumerate((0, 1, -1, 2)):
        q[number::16] = (c[number::16] + offset) % T
    for number, edge in enumerate(edges, 4):
        q[number::16] = edge
    q[16:24] = T - c[16:24]
    return np.concatenate([q, (c - q) % T]), q <= c


def require_bits(found: Lanes, x: Lanes, r: Lanes, bounded: Flags, within: Flags) -> None:
    """Signs of sign lanes, whether sizes of bounded pairs are within caps; and all as in clear."""
    expected = in_clear(thresholds(RING, (x + r) % T, bounded), r)
    assert np.array_equal(found, expected)
    pairs, kinds = found.reshape(2, -1), bounded.reshape(2, -1)
    assert np.array_equal(kinds[0], kinds[1])
    assert np.array_equal(pairs[:, kinds[0]].all(axis=0), within[kinds[0]])
    assert np.array_equal(pairs[~kinds], x.reshape(2, -1)[~kinds] >= 0)


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_encrypted_signs_are_exact_on_every_lane(
    small: Epoch, ready: Ready, comparator: Comparator, shape: LaneShape
) -> None:
    mask, r = ready(shape)
    x = sign_values(shape, shape.lanes)
    bits = comparator.compare(mask, (x + r) % T, all_lanes(x, bounded=False))
    assert bits.level == BITS_LEVEL
    found = shape.from_first_block(small.oracle(comparator.ring).slots(bits))
    assert np.array_equal(found, x >= 0)


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_encrypted_bounds_are_exact_whatever_the_sender_put_in(
    small: Epoch, ready: Ready, comparator: Comparator, shape: LaneShape
) -> None:
    mask, r = ready(shape)
    x, within = sizes_within_caps(shape, shape.lanes)
    assert set(within) == {False, True}
    bounded = all_lanes(x, bounded=True)
    bits = comparator.compare(mask, (x + r) % T, bounded)
    assert bits.level == BITS_LEVEL
    found = shape.from_first_block(small.oracle(comparator.ring).slots(bits))
    require_bits(found, x, r, bounded, within)


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_encrypted_mixes_are_exact(
    small: Epoch, ready: Ready, comparator: Comparator, shape: LaneShape
) -> None:
    mask, r = ready(shape)
    signs, (wide, within) = sign_values(shape, 1), sizes_within_caps(shape, 2)
    bounded = np.tile(np.random.default_rng(3).integers(0, 2, shape.width) == 1, 2)
    x = np.where(bounded, wide, signs)
    bits = comparator.compare(mask, (x + r) % T, bounded)
    found = shape.from_first_block(small.oracle(comparator.ring).slots(bits))
    require_bits(found, x, r, bounded, within)


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
    x, within = sizes_within_caps(shape, 4)
    bounded = all_lanes(x, bounded=True)
    comparator = Comparator(evaluator_of(small_three.material.comparison_keys))
    bits = comparator.compare(mask, (x + r) % T, bounded)
    found = shape.from_first_block(small_three.oracle(comparator.ring).slots(bits))
    require_bits(found, x, r, bounded, within)


def test_the_production_rings_compare_exactly_and_with_room_for_flooding(
    standard: Epoch, evaluator_of: EvaluatorOf
) -> None:
    shape = LaneShape(STANDARD, STANDARD.comparison_ring.degree >> 3)
    mask, r = next(masks_without_excess(standard, evaluator_of, shape))
    comparator = Comparator(evaluator_of(standard.material.comparison_keys))
    oracle = standard.oracle(comparator.ring)
    signs, (wide, within) = sign_values(shape, 5), sizes_within_caps(shape, 6)
    mixed = np.tile(np.arange(shape.width) % 2 == 1, 2)
    for bounded in (all_lanes(signs, bounded=False), all_lanes(signs, bounded=True), mixed):
        x = np.where(bounded, wide, signs)
        bits = comparator.compare(mask, (x + r) % T, bounded)
        found = shape.from_first_block(oracle.slots(bits))
        require_bits(found, x, r, bounded, within)
        # Selecting costs one plaintext product more, some 25 bits.
        assert oracle.budget(bits) >= budget_bits_min(comparator.ring, BITS_LEVEL) + 25


@given(st.integers(0, 4), st.integers(0, 2**32), st.booleans())
@settings(max_examples=20)
def test_the_crossing_bit_is_whether_the_last_bid_reaches_the_first_ask(
    small: Epoch, evaluator_of: EvaluatorOf, exponent: int, seed: int, late: bool
) -> None:
    """Several books side by side; the bit before a window is 0, or 1 where there is a bid."""
    ring, draw = TEST_INSECURE_SMALL.comparison_ring, np.random.default_rng(seed)
    evaluator, window = evaluator_of(small.material.comparison_keys), 1 << exponent
    slots = np.zeros((2, ring.row), dtype=np.int64)
    starts = np.arange(window, ring.row - window + 1, 2 * window)
    expected = []
    for start in starts:
        bids = int(draw.integers(0, window + 1))
        asks = int(draw.integers(0, window + 1)) if late else int(draw.choice([0, bids, window]))
        slots[0, start : start + bids] = 1
        slots[1, start + asks : start + window] = 1
        slots[1, start - 1] = int(bids and draw.integers(0, 2))
        expected.append(int(asks < min(bids, window)))
    sealed = encrypt_slots(small.material.comparison_keys.public, slots.reshape(-1), bytes(32))
    found = small.oracle(ring).slots(crossing_bits(evaluator, sealed, window)).reshape(2, -1)
    assert found[0, starts].tolist() == expected


def test_the_reference_bit_is_the_product_of_the_two_rows(
    small: Epoch, evaluator_of: EvaluatorOf
) -> None:
    ring = TEST_INSECURE_SMALL.comparison_ring
    slots = np.random.default_rng(9).integers(0, 2, (2, ring.row))
    sealed = encrypt_slots(small.material.comparison_keys.public, slots.reshape(-1), bytes(32))
    evaluator = evaluator_of(small.material.comparison_keys)
    found = small.oracle(ring).slots(reference_bits(evaluator, sealed)).reshape(2, -1)
    assert np.array_equal(found[0], slots[0] * slots[1])
