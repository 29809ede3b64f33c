import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.bfv.lanes import (
    DIGIT_BITS,
    DIGITS,
    LaneShape,
    digits_of,
    plain_modulus_bits,
    smallest_shape,
)
from crypto.errors import OutOfRange
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL, ParameterSet

SETS = [STANDARD, TEST_INSECURE_SMALL]
SHAPES = [LaneShape(p, p.comparison_ring.degree >> k) for p in SETS for k in range(4)]


def name(shape: LaneShape) -> str:
    return f"{shape.parameters.name}-{shape.lanes}"


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_every_lane_has_one_slot_of_the_order_ring_and_the_others_are_zero(
    shape: LaneShape,
) -> None:
    lanes = np.arange(1, shape.lanes + 1)
    slots = shape.to_order(lanes)
    assert slots.shape == (shape.order_ciphertexts, shape.parameters.order_ring.degree)
    assert sorted(slots[slots != 0].tolist()) == lanes.tolist()
    assert np.array_equal(shape.from_order(slots), lanes)
    row = shape.parameters.order_ring.row
    for lane in (0, shape.width - 1, shape.width, shape.lanes - 1):
        line, column = divmod(lane, shape.width)
        assert slots[column // row, line * row + column % row] == lane + 1


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_every_digit_of_every_lane_has_one_slot_of_the_comparison_ring(shape: LaneShape) -> None:
    ring = shape.parameters.comparison_ring
    assert shape.blocks * shape.lanes == ring.degree
    assert shape.blocks * shape.positions == DIGITS
    places = {shape.digit(b, p) for b in range(shape.blocks) for p in range(shape.positions)}
    assert places == set(range(DIGITS))
    values = np.arange(ring.degree).reshape(shape.blocks, shape.lanes)
    slots = shape.to_comparison(values)
    assert np.array_equal(np.sort(slots), np.arange(ring.degree))
    for block in range(shape.blocks):
        # A rotation by whole blocks brings block number `block` where block 0 was.
        rotated = np.roll(slots.reshape(2, -1), -block * shape.width, axis=1).reshape(-1)
        assert np.array_equal(shape.from_first_block(rotated), values[block])


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_the_first_block_holds_the_lanes_and_nothing_else(shape: LaneShape) -> None:
    lanes = np.arange(1, shape.lanes + 1)
    slots = shape.first_block(lanes)
    assert np.array_equal(shape.from_first_block(slots), lanes)
    assert slots.sum() == lanes.sum()


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1))
def test_digits_are_those_of_base_sixteen(values: list[int]) -> None:
    digits = digits_of(np.array(values, dtype=np.int64))
    assert digits.shape == (DIGITS, len(values))
    for column, value in zip(digits.T, values, strict=True):
        assert "".join(f"{d:x}" for d in column) == f"{value:08x}"


def test_digits_keep_the_other_dimensions() -> None:
    values = np.arange(24).reshape(2, 3, 4)
    assert np.array_equal(digits_of(values)[-1], values % 16)


@pytest.mark.parametrize("parameters", SETS, ids=lambda p: p.name)
def test_a_mask_has_the_bits_of_the_plain_modulus_and_fits_its_digits(
    parameters: ParameterSet,
) -> None:
    t, bits = parameters.order_ring.plain_modulus, plain_modulus_bits(parameters.order_ring)
    assert 2 ** (bits - 1) < t <= 2**bits
    # The first digit of every mask and constant is 0, the second below 4.
    assert 2**bits <= 4 << (DIGIT_BITS * (DIGITS - 2))


@pytest.mark.parametrize("parameters", SETS, ids=lambda p: p.name)
def test_the_smallest_shape_is_the_smallest_that_fits(parameters: ParameterSet) -> None:
    degree = parameters.comparison_ring.degree
    for columns in range(1, degree // 2 + 1, 7):
        shape = smallest_shape(parameters, columns)
        assert shape.width >= columns
        assert shape.lanes == degree >> 3 or shape.width // 2 < columns
    with pytest.raises(OutOfRange):
        smallest_shape(parameters, degree // 2 + 1)


@pytest.mark.parametrize("lanes", [0, 1, 64, 100, 1000, 2048])
def test_other_numbers_of_lanes_are_refused(lanes: int) -> None:
    with pytest.raises(OutOfRange):
        LaneShape(TEST_INSECURE_SMALL, lanes)
