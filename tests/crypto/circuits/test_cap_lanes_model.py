"""A size within its cap, asked by two sign lanes: exact for any residue, by exhaustion.

A sign lane answers [x < h] for a residue x, with a height h that the opened value decides. For
lanes of caps h is above every cap and at most t / 2. The proof is in docs/protocol/shape.md.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.ring.params import STANDARD
from tests.support.shape_model import BUY, SELL, Columns, Flags, ShapeModel

T = STANDARD.order_ring.plain_modulus
STEP = 1 << 24
CAP_MAX_THAT_FITS = T // 2 - STEP


def both_bits(t: int, q: Columns, cap: Columns, h1: Columns, h2: Columns) -> Flags:
    """The product of the two lanes' bits, [q < h1] and [cap - q < h2]."""
    return np.asarray((q % t < h1) & ((cap - q) % t < h2))


@pytest.mark.parametrize("t", [5, 7, 11, 13, 17, 19, 23, 29, 31])
def test_both_bits_are_one_exactly_for_sizes_within_the_cap(t: int) -> None:
    """All sizes, all caps below t / 4, all largest caps, all pairs of heights."""
    for cap_max in range((t - 1) // 4 + 1):
        q, cap, h1, h2 = np.meshgrid(
            np.arange(t),
            np.arange(cap_max + 1),
            np.arange(cap_max + 1, t // 2 + 1),
            np.arange(cap_max + 1, t // 2 + 1),
        )
        assert h1.size
        assert np.array_equal(both_bits(t, q, cap, h1, h2), q <= cap)


@pytest.mark.parametrize("t", [5, 13, 31])
def test_larger_and_smaller_heights_would_be_wrong(t: int) -> None:
    """A height above t / 2 lets something pass; one that is not above the cap refuses something."""
    cap = np.full(t, t // 4)
    q = np.arange(t)
    high = np.full(t, t // 2 + 1 + t // 4)
    assert (both_bits(t, q, cap, high, high) & (q > cap)).any()
    low = cap
    assert (~both_bits(t, q, cap, low, low) & (q <= cap)).any()


def test_one_lane_alone_is_not_enough() -> None:
    t, cap, h = 31, 3, 10
    q = np.arange(t)
    assert ((q < h) & (q > cap)).any()
    assert (((cap - q) % t < h) & (q > cap)).any()


def heights_on_a_step(opened: Columns, cap_max: int) -> Flags:
    """For each opened value, whether y + 1 - h is a multiple of 2^24 for an h that is allowed."""
    steps = np.arange(4, dtype=np.int64) * STEP
    distance = (opened[:, None] + 1 - steps) % T
    return np.asarray(((distance > cap_max) & (2 * distance <= T)).any(axis=1))


@given(seed=st.integers(0, 2**32 - 1))
def test_the_lower_constant_can_be_put_where_one_digit_decides(seed: int) -> None:
    y = np.random.default_rng(seed).integers(0, T, 20_000)
    assert heights_on_a_step(y, CAP_MAX_THAT_FITS).all()


def test_a_step_is_in_reach_around_every_boundary_and_no_larger_cap_fits() -> None:
    """Whether a step is in reach changes only where a distance enters or leaves the interval."""
    for cap_max, fits in ((CAP_MAX_THAT_FITS, True), (CAP_MAX_THAT_FITS + 1, False)):
        edges = [k * STEP + e for k in range(4) for e in (0, cap_max, T // 2)]
        y = np.concatenate([np.arange(edge - 3, edge + 4) for edge in edges]) % T
        assert heights_on_a_step(y, cap_max).all() == fits


# What shape and caps together are for: no number of the auction wraps around the modulus.


@given(
    t=st.sampled_from([13, 29, 101, 67043329]),
    ticks=st.integers(1, 6),
    data=st.data(),
)
def test_no_curve_difference_or_prefix_sum_wraps(t: int, ticks: int, data: st.DataObject) -> None:
    model = ShapeModel(t, 16, ticks)
    left, vectors, signed = (t - 1) // 4, [], []
    for _ in range(data.draw(st.integers(1, 8))):
        cap = data.draw(st.integers(0, left))
        left -= cap
        side, size = data.draw(st.sampled_from([BUY, SELL])), data.draw(st.integers(0, cap))
        limit = data.draw(st.integers(0, ticks - 1))
        vectors.append(model.order(side, size, limit).reshape(2, model.row))
        bids = [size * (side == BUY and tick <= limit) for tick in range(ticks)]
        asks = [size * (side == SELL and tick >= limit) for tick in range(ticks)]
        signed.append((bids, asks))
    residues, integers = np.array(vectors), np.array(signed)
    demand = residues[:, 0, :ticks]
    supply = residues[:, 1, model.half, None] - residues[:, 1, :ticks]
    both = np.stack([demand, supply], axis=1)

    def centred(values: Columns) -> Columns:
        around_zero: Columns = (values + t // 2) % t - t // 2
        return around_zero

    prefix = integers.cumsum(axis=0)
    assert np.array_equal(centred(both.cumsum(axis=0)), prefix)
    total, exact = both.sum(axis=0), integers.sum(axis=0)
    differences = exact[0][:, None] - exact[1][None, :]
    assert np.array_equal(centred(total[0][:, None] - total[1][None, :]), differences)
    assert (4 * abs(differences) < t).all()
    volume = exact.min(axis=0)
    assert np.array_equal(centred(volume % t - both.cumsum(axis=0)), volume - prefix)
    assert (4 * abs(volume - prefix) < t).all()
