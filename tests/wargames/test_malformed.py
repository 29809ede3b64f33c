"""Every kind of bad vector is refused by the plain model of the shape check; no order is."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL, RingParameters
from darkpool.errors import OutOfBounds
from darkpool.wargames.combined import CANCELLING, OVER_CAP
from darkpool.wargames.draft import TICKS_MIN, Vector, honest_shape
from darkpool.wargames.malformed import MALFORMED
from tests.support.shape_model import BUY, IDENTITIES, SELL, ShapeModel

SMALL = TEST_INSECURE_SMALL.order_ring
T = SMALL.plain_modulus
CAP_MAX = (T - 1) // 4
TICKS = (TICKS_MIN, 4, 100, SMALL.row // 2 - 2, SMALL.row // 2 - 1)

ticks_of = st.integers(TICKS_MIN, SMALL.row // 2 - 1)
seeds = st.integers(0, 2**32 - 1)


def model(ring: RingParameters, ticks: int) -> ShapeModel:
    return ShapeModel(ring.plain_modulus, ring.row, ticks)


def accepted(vector: Vector, ticks: int, ring: RingParameters = SMALL) -> bool:
    return bool(model(ring, ticks).accepted(vector.reshape(-1, 1)).all())


def cases(ring: RingParameters = SMALL) -> Iterator[tuple[int, np.random.Generator]]:
    for ticks in TICKS:
        for seed in range(5):
            yield ticks, np.random.default_rng([seed, ticks, ring.degree])


@given(
    ticks=st.integers(1, SMALL.row // 2 - 1),
    side=st.sampled_from([BUY, SELL]),
    size=st.integers(0, T - 1),
    data=st.data(),
)
def test_the_honest_shape_is_that_of_the_model(
    ticks: int, side: int, size: int, data: st.DataObject
) -> None:
    limit = data.draw(st.integers(0, ticks - 1))
    vector = honest_shape(SMALL, ticks, side, size, limit)
    assert np.array_equal(vector, model(SMALL, ticks).order(side, size, limit)[:, 0])
    assert accepted(vector, ticks)


@pytest.mark.parametrize("kind", MALFORMED)
def test_every_kind_is_residues_and_refused(kind: str) -> None:
    for ticks, rng in cases():
        vector = MALFORMED[kind](SMALL, ticks, rng)
        assert vector.shape == (SMALL.degree,)
        assert vector.dtype == np.int64
        assert vector.min() >= 0
        assert vector.max() < T
        assert not accepted(vector, ticks)


@given(kind=st.sampled_from(sorted(MALFORMED)), ticks=ticks_of, seed=seeds)
def test_every_kind_is_refused_whatever_is_drawn(kind: str, ticks: int, seed: int) -> None:
    vector = MALFORMED[kind](SMALL, ticks, np.random.default_rng(seed))
    assert not accepted(vector, ticks)


@pytest.mark.parametrize("kind", MALFORMED)
def test_every_kind_exists_on_the_ring_of_production(kind: str) -> None:
    ring = STANDARD.order_ring
    for ticks in (TICKS_MIN, 1024, ring.row // 2 - 1):
        vector = MALFORMED[kind](ring, ticks, np.random.default_rng(ticks))
        assert not accepted(vector, ticks, ring)


def test_a_kind_can_be_repeated_and_says_what_it_is() -> None:
    assert len(MALFORMED) >= 24
    for kind in MALFORMED:
        one, other = (MALFORMED[kind](SMALL, 100, np.random.default_rng(5)) for _ in range(2))
        assert np.array_equal(one, other), kind
    for registry in (MALFORMED, CANCELLING, OVER_CAP):
        lines = [(build.__doc__ or "").strip() for build in registry.values()]
        assert all(lines)
        assert len(set(lines)) == len(lines)


def test_each_identity_is_what_some_kind_fails_alone() -> None:
    """A check that forgot one of the identities would let one of the kinds pass."""
    alone = set()
    for build in MALFORMED.values():
        vector = build(SMALL, 100, np.random.default_rng(1)).reshape(-1, 1)
        failed = {term.identity for term, v in model(SMALL, 100).terms(vector) if v.any()}
        if len(failed) == 1:
            alone |= failed
    assert alone == set(IDENTITIES)


@pytest.mark.parametrize("kind", CANCELLING)
def test_pairs_add_up_to_an_order_and_both_are_refused(kind: str) -> None:
    for ticks, rng in cases():
        pair = CANCELLING[kind](SMALL, ticks, rng)
        for vector in pair:
            assert vector.min() >= 0
            assert vector.max() < T
            assert not accepted(vector, ticks)
        total = (pair[0] + pair[1]) % T
        assert total.any()
        assert accepted(total, ticks)


@pytest.mark.parametrize("kind", OVER_CAP)
@pytest.mark.parametrize("cap", [1, 2, 500, 10_000_000, CAP_MAX])
def test_sizes_beyond_a_cap_have_an_honest_shape(kind: str, cap: int) -> None:
    for ticks, rng in cases():
        vector = OVER_CAP[kind](SMALL, ticks, cap, rng)
        assert accepted(vector, ticks)
        assert not 0 <= vector[SMALL.row // 2] <= cap


@pytest.mark.parametrize("ticks", [TICKS_MIN - 1, SMALL.row // 2])
def test_too_few_or_too_many_ticks_are_refused(ticks: int) -> None:
    for build in (*MALFORMED.values(), *CANCELLING.values()):
        with pytest.raises(OutOfBounds, match="ticks"):
            build(SMALL, ticks, np.random.default_rng(0))


@pytest.mark.parametrize("cap", [0, CAP_MAX + 1])
def test_a_cap_that_no_intent_may_have_is_refused(cap: int) -> None:
    with pytest.raises(OutOfBounds, match="cap"):
        OVER_CAP["one_above"](SMALL, 100, cap, np.random.default_rng(0))
