import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.curves import BUY, SELL, CurveLayout, intent_vector, size_max
from crypto.errors import OutOfRange
from crypto.params import STANDARD, TEST_INSECURE_SMALL

SMALL = TEST_INSECURE_SMALL.order
T_PLAIN = SMALL.plain_modulus


def test_a_buy_in_the_standard_ring_is_the_documented_table() -> None:
    vector = intent_vector(STANDARD.order, 1024, BUY, 7, 500)
    demand, supply = vector.reshape(2, 4096)
    assert (demand[:501] == 7).all()
    assert not demand[501:2048].any()
    assert (demand[2048:] == 7).all()
    assert not supply[:2047].any()
    assert (supply[2047:4095] == STANDARD.order.plain_modulus - 7).all()
    assert supply[4095] == 0


def test_a_sell_in_the_standard_ring_is_the_documented_table() -> None:
    vector = intent_vector(STANDARD.order, 2047, SELL, 7, 500)
    demand, supply = vector.reshape(2, 4096)
    assert not demand[:2048].any()
    assert (demand[2048:] == 7).all()
    assert not supply[:500].any()
    assert (supply[500:2047] == 7).all()
    assert (supply[2047:4095] == STANDARD.order.plain_modulus - 7).all()
    assert supply[4095] == 0


@given(ticks=st.integers(1, SMALL.row // 2 - 1))
def test_the_regions_cover_every_slot_once(ticks: int) -> None:
    layout = CurveLayout(SMALL, ticks)
    count = np.zeros(SMALL.degree, dtype=np.int64)
    for region in (layout.demand, layout.supply, layout.size, layout.negated_size, layout.empty):
        count[region] += 1
    assert (count == 1).all()


def shape_terms(vector: npt.NDArray[np.int64], ticks: int) -> npt.NDArray[np.int64]:
    """Everything that the homomorphic shape check requires to be zero modulo t."""
    row, half = SMALL.row, SMALL.row // 2
    rows = vector.reshape(2, row)
    d = rows - np.roll(rows, -1, axis=1)
    quadratic = d * (d - np.roll(rows, -half, axis=1))
    return (
        np.concatenate(
            [
                quadratic[0, :ticks],
                quadratic[1, : ticks - 1],
                quadratic[1, row - 1 :],
                vector[CurveLayout(SMALL, ticks).empty],
                d[0, half : row - 1],
                d[1, half - 1 : row - 2],
                [rows[0, half] + rows[1, half]],
                [rows[0, 0] + rows[1, ticks - 1] - rows[0, half]],
            ]
        )
        % T_PLAIN
    )


@given(
    ticks=st.integers(1, SMALL.row // 2 - 1),
    side=st.sampled_from([BUY, SELL]),
    size=st.integers(0, 10_000),
    data=st.data(),
)
def test_every_order_satisfies_the_shape_equations(
    ticks: int, side: int, size: int, data: st.DataObject
) -> None:
    limit = data.draw(st.integers(0, ticks - 1))
    vector = intent_vector(SMALL, ticks, side, size, limit)
    assert not shape_terms(vector, ticks).any()
    if size > 1:  # a step of one lot more or fewer is another order's
        slot = data.draw(st.integers(0, SMALL.degree - 1))
        vector[slot] = (vector[slot] + 1) % T_PLAIN
        assert shape_terms(vector, ticks).any()


@pytest.mark.parametrize(
    ("ticks", "side", "size", "limit"),
    [
        (0, BUY, 1, 0),
        (SMALL.row // 2, BUY, 1, 0),
        (10, 2, 1, 0),
        (10, BUY, -1, 0),
        (10, BUY, size_max(SMALL) + 1, 0),
        (10, SELL, 1, -1),
        (10, SELL, 1, 10),
    ],
)
def test_numbers_outside_their_interval_are_refused(
    ticks: int, side: int, size: int, limit: int
) -> None:
    with pytest.raises(OutOfRange):
        intent_vector(SMALL, ticks, side, size, limit)
