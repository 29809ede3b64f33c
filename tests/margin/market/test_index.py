"""The time-weighted index: exact, for the time that there was one."""

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpool.errors import OutOfBounds
from darkpool.margin.errors import TooLittleIndex
from darkpool.margin.market.index import TimeWeightedIndex
from darkpool.units import PriceUnits

STEPS = st.lists(
    st.tuples(st.integers(0, 20), st.one_of(st.none(), st.integers(1, 10**15))), max_size=12
)


def index_of(*steps: tuple[int, int | None]) -> TimeWeightedIndex:
    index = TimeWeightedIndex()
    for time_ms, number in steps:
        index.set(time_ms, None if number is None else PriceUnits(number))
    return index


@given(STEPS, st.integers(0, 60), st.integers(1, 60), st.integers(1, 10**6))
def test_it_is_the_mean_of_every_millisecond(
    steps: list[tuple[int, int | None]], begin: int, length: int, least_ppm: int
) -> None:
    index, now, told = TimeWeightedIndex(), 0, dict[int, int | None]()
    for wait, number in steps:
        now += wait
        index.set(now, None if number is None else PriceUnits(number))
        told[now] = number
    window = (begin, begin + length, least_ppm)
    if now < begin + length:
        with pytest.raises(OutOfBounds):
            index.mean(*window)
        index.set(begin + length, None)
    seen = []
    for moment in range(begin, begin + length):
        before = [time_ms for time_ms in told if time_ms <= moment]
        number = told[max(before)] if before else None
        seen += [] if number is None else [number]
    if len(seen) * 10**6 < length * least_ppm:
        with pytest.raises(TooLittleIndex) as caught:
            index.mean(*window)
        assert caught.value.got_ms == len(seen)
    else:
        expected = floor(Fraction(sum(seen), len(seen)) + Fraction(1, 2))
        assert index.mean(*window) == expected
        index.forget_before(begin)
        assert index.mean(*window) == expected


def test_a_halt_counts_for_nothing() -> None:
    index = index_of((0, 100), (40, None), (60, 200), (100, 200))
    assert index.mean(0, 100, 800_000) == 150
    assert index.mean(50, 100, 800_000) == 200
    with pytest.raises(TooLittleIndex, match="expected for 81 ms, got 80 ms"):
        index.mean(0, 100, 800_001)


def test_halves_are_rounded_up() -> None:
    index = index_of((0, 10), (5, 11), (11, None))
    assert index.mean(0, 10, 10**6) == 11
    assert index.mean(0, 11, 10**6) == 11
    assert index.mean(0, 9, 10**6) == 10


def test_time_runs_forwards() -> None:
    index = index_of((5, 10), (5, 12), (6, 12))
    assert index.mean(5, 6, 10**6) == 12
    with pytest.raises(OutOfBounds):
        index.set(4, PriceUnits(1))
    for begin, end, least in ((5, 5, 1), (6, 5, 1), (5, 6, 0), (5, 6, 10**6 + 1)):
        with pytest.raises(OutOfBounds):
            index.mean(begin, end, least)
    with pytest.raises(OutOfBounds):
        TimeWeightedIndex().mean(0, 1, 1)
    with pytest.raises(TooLittleIndex):
        index_of((1, 5)).mean(0, 1, 1)
