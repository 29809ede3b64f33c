import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.circuits.curves import BUY, SELL, CurveLayout, size_max
from crypto.errors import OutOfRange
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL, RingParameters

SMALL = TEST_INSECURE_SMALL.order_ring
T_PLAIN = SMALL.plain_modulus


def test_a_buy_in_the_standard_ring_is_the_documented_table() -> None:
    vector = CurveLayout(STANDARD.order_ring, 1024).vector(BUY, 7, 500)
    demand, unsupplied = vector.reshape(2, 4096)
    assert (demand[:501] == 7).all()
    assert not demand[501:2048].any()
    assert (demand[2048:] == 7).all()
    assert (unsupplied[:1024] == 7).all()
    assert not unsupplied[1024:2048].any()
    assert (unsupplied[2048:] == 7).all()


def test_a_sell_in_the_standard_ring_is_the_documented_table() -> None:
    vector = CurveLayout(STANDARD.order_ring, 2047).vector(SELL, 7, 500)
    demand, unsupplied = vector.reshape(2, 4096)
    assert not demand[:2048].any()
    assert (demand[2048:] == 7).all()
    assert (unsupplied[:500] == 7).all()
    assert not unsupplied[500:2048].any()
    assert (unsupplied[2048:] == 7).all()


@given(ticks=st.integers(1, SMALL.row // 2 - 1))
def test_the_regions_cover_every_slot_once(ticks: int) -> None:
    layout = CurveLayout(SMALL, ticks)
    count = np.zeros(SMALL.degree, dtype=np.int64)
    for region in (layout.demand, layout.unsupplied, *layout.sizes, layout.empty):
        count[region] += 1
    assert (count == 1).all()
    assert (np.diff(layout.empty) > 0).all()


@pytest.mark.parametrize("ring", [SMALL, STANDARD.order_ring], ids=lambda ring: str(ring.name))
def test_the_largest_size_leaves_a_window_of_constants_below_half_the_modulus(
    ring: RingParameters,
) -> None:
    """And lies below a quarter, so that differences of curves keep their signs."""
    most = size_max(ring)
    assert ring.plain_modulus // 2 - most == 1 << 24
    assert 4 * most < ring.plain_modulus
    assert most > 16_000_000


def shape_terms(vector: npt.NDArray[np.int64], ticks: int) -> npt.NDArray[np.int64]:
    """Everything that the shape check requires to be zero modulo t."""
    row, half = SMALL.row, SMALL.row // 2
    rows = vector.reshape(2, row)
    after = np.roll(rows, -1, axis=1)
    chain = after * (rows - after)
    return (
        np.concatenate(
            [
                chain[:, : ticks - 1].reshape(-1),
                chain[:, row - 1],
                vector[CurveLayout(SMALL, ticks).empty],
                (rows - after)[:, half : row - 1].reshape(-1),
                [rows[0, half] - rows[1, half]],
                [rows[0, 0] - rows[1, ticks - 1]],
            ]
        )
        % T_PLAIN
    )


@given(
    ticks=st.integers(1, SMALL.row // 2 - 1),
    side=st.sampled_from([BUY, SELL]),
    size=st.one_of(st.integers(0, 10_000), st.just(size_max(SMALL))),
    data=st.data(),
)
def test_every_order_satisfies_the_shape_equations(
    ticks: int, side: int, size: int, data: st.DataObject
) -> None:
    limit = data.draw(st.integers(0, ticks - 1))
    vector = CurveLayout(SMALL, ticks).vector(side, size, limit)
    rows = vector.reshape(2, -1)
    assert ((rows == 0) | (rows == size)).all()
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
        CurveLayout(SMALL, ticks).vector(side, size, limit)
