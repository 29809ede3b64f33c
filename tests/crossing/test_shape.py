"""The search for intents that are no orders: who is named, and what is opened on the way."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log2

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.bfv.encryption import encrypt_slots
from crypto.circuits.curves import BUY, SELL, CurveLayout, intent_vector, size_max
from crypto.circuits.wellformed import shape_weights, shape_words
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.threshold.revealing import Revealed
from darkpool.crossing.shape import ShapeCheck, ShapeRows
from tests.support.arena import Arena
from tests.support.shape_sums import expected

Slots = npt.NDArray[np.int64]
RING = TEST_INSECURE_SMALL.order_ring
T, HALF, TICKS = RING.plain_modulus, RING.row // 2, 16
LAYOUT = CurveLayout(RING, TICKS)


@dataclass
class Check:
    """A check of sealed vectors by a real committee, and all that was opened."""

    vectors: Sequence[Slots]
    beacon: bytes
    members: list[int]
    found: list[int]
    opened: list[Revealed]

    @property
    def purposes(self) -> list[str]:
        return [revealed.request.purpose for revealed in self.opened]


def checked(
    arena: Arena,
    vectors: Sequence[Slots],
    beacon: bytes = b"\x05" * 32,
    members: Sequence[int] | None = None,
) -> Check:
    key, evaluator = arena.house.material.order_keys.public, arena.house.evaluators.order
    sealed = [encrypt_slots(key, v, k.to_bytes(32, "big")) for k, v in enumerate(vectors)]
    # rows of results are not places in the batch
    words = np.stack([shape_words(evaluator, ciphertext) for ciphertext in reversed(sealed)])
    rows = range(len(vectors))[::-1]
    opened: list[Revealed] = []
    session = arena.committee.begin_auction(arena.house.closed(arena.committee), opened.append)
    batch = ShapeRows(words, rows, [False] * len(rows))
    check = ShapeCheck(evaluator, session, TICKS, batch, beacon)
    chosen = list(range(len(vectors)) if members is None else members)
    return Check(vectors, beacon, chosen, check.malformed(chosen), opened)


def require_named(check: Check, guilty: Sequence[int]) -> None:
    """Exactly these are named, and everything opened follows from their vectors alone."""
    assert check.found == sorted(guilty)
    weights = shape_weights(RING, check.beacon, len(check.vectors))
    known: list[int] = []
    searched: list[int] = []
    for revealed in check.opened:
        purpose = re.fullmatch(
            "shape ([01])(?: from ([0-9]+) to ([0-9]+))?", revealed.request.purpose
        )
        assert purpose is not None
        combination = int(purpose[1])
        if purpose[2] is None:  # of everybody who was not named before
            known = list(searched)
        first, last = (
            (0, len(check.vectors) - 1) if purpose[2] is None else map(int, purpose.group(2, 3))
        )
        own = [k for k in guilty if first <= k <= last and k not in known]
        if combination == 0:
            searched = list(guilty)
        values = expected(
            [check.vectors[k] for k in own], weights[combination, own].tolist(), TICKS
        )
        assert np.array_equal(revealed.values, values), revealed.request.purpose
        assert revealed.request.covered.mask_number is None


def honest(count: int, seed: int = 1) -> list[Slots]:
    draw = np.random.default_rng(seed)
    return [
        intent_vector(
            RING,
            TICKS,
            int(draw.integers(0, 2)),
            int(draw.choice([0, 1, 5, size_max(RING)])),
            int(draw.integers(0, TICKS)),
        )
        for _ in range(count)
    ]


def changed(slot: int, by: int) -> Slots:
    vector = intent_vector(RING, TICKS, BUY, 5, 7)
    vector[slot] = (vector[slot] + by) % T
    return vector


def two_steps() -> Slots:
    vector = intent_vector(RING, TICKS, BUY, 5, 7)
    vector[LAYOUT.demand][4:8] = 3
    return vector


def both_sides() -> Slots:
    """Buys and sells at once: the ends of the chains do not agree."""
    vector = intent_vector(RING, TICKS, BUY, 5, 7)
    sell = intent_vector(RING, TICKS, SELL, 5, 7)
    vector[RING.row :] = sell[RING.row :]
    return vector


MALFORMED: dict[str, Callable[[], Slots]] = {
    "a slot that must be empty": lambda: changed(int(LAYOUT.empty[3]), 1),
    "a tick": lambda: changed(2, T - 1),
    "a size": lambda: changed(HALF + 9, 1),
    "the last size": lambda: changed(RING.row - 1, 1),
    "two steps": two_steps,
    "both sides": both_sides,
    "noise": lambda: np.random.default_rng(3).integers(0, T, RING.degree),
}


@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_of_orders_two_sums_are_opened_and_both_are_zero(arena: Arena, count: int) -> None:
    check = checked(arena, honest(count))
    assert check.found == []
    assert check.purposes == ["shape 0", "shape 1"]
    for revealed in check.opened:
        assert not revealed.values.any()
        support = revealed.request.covered.support.reshape(2, -1)
        assert support.sum() == support.size
    require_named(check, [])


def test_sizes_modulo_t_are_no_matter_of_the_shape(arena: Arena) -> None:
    """What exceeds a cap, or is negative, is found by the caps' own check."""
    one = intent_vector(RING, TICKS, SELL, 1, 3)
    vectors = [*honest(3), one * (T - 1), one * (size_max(RING) + 1) % T]
    require_named(checked(arena, vectors), [])


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize(("count", "place"), [(1, 0), (2, 1), (9, 4)])
def test_one_malformed_is_named_by_a_binary_search(
    arena: Arena, name: str, count: int, place: int
) -> None:
    vectors = honest(count)
    vectors[place] = MALFORMED[name]()
    check = checked(arena, vectors)
    require_named(check, [place])
    others = 1 if count > 1 else 0
    assert floor(log2(count)) + 1 + others <= len(check.opened)
    assert len(check.opened) <= ceil(log2(count)) + 1 + others
    assert check.purposes[0] == "shape 0"
    assert not others or check.purposes[-1] == "shape 1"


@pytest.mark.parametrize("count", [2, 7, 16, 20])
def test_openings_grow_with_the_logarithm_wherever_the_malformed_one_is(
    arena: Arena, count: int
) -> None:
    for place in (0, count // 2, count - 1):
        vectors = honest(count)
        vectors[place] = MALFORMED["a tick"]()
        check = checked(arena, vectors)
        require_named(check, [place])
        assert floor(log2(count)) + 2 <= len(check.opened) <= ceil(log2(count)) + 2


@given(st.data())
@settings(max_examples=12)
def test_any_malformed_are_named_and_nothing_follows_from_the_others(
    arena: Arena, data: st.DataObject
) -> None:
    count = data.draw(st.integers(2, 20))
    guilty = sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=5)))
    vectors = honest(count, data.draw(st.integers(0, 2**32)))
    for place in guilty:
        vectors[place] = MALFORMED[data.draw(st.sampled_from(sorted(MALFORMED)))]()
    check = checked(arena, vectors, data.draw(st.binary(min_size=32, max_size=32)))
    require_named(check, guilty)
    assert len(check.opened) <= 2 + len(guilty) * ceil(log2(count))


@pytest.mark.parametrize(("count", "pair"), [(2, (0, 1)), (8, (0, 1)), (8, (2, 6)), (13, (5, 12))])
def test_two_that_cancel_without_weights_are_both_named(
    arena: Arena, count: int, pair: tuple[int, int]
) -> None:
    slot, vectors = int(LAYOUT.empty[0]), honest(count)
    vectors[pair[0]], vectors[pair[1]] = changed(slot, 1), changed(slot, T - 1)
    assert not expected([vectors[k] for k in pair], [1, 1], TICKS).any()
    require_named(checked(arena, vectors), pair)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_all_malformed_are_named_and_then_there_is_nothing_left_to_open(
    arena: Arena, count: int
) -> None:
    check = checked(arena, [MALFORMED["two steps"]() for _ in range(count)])
    require_named(check, list(range(count)))
    assert "shape 1" not in check.purposes


def test_two_that_cancel_in_the_first_sum_are_named_by_the_second(arena: Arena) -> None:
    """The weights are known once the beacon is; one chance in t to have guessed their ratio."""
    beacon, count, pair = b"\x09" * 32, 6, (1, 4)
    weights = shape_weights(RING, beacon, count)
    ratio = int(weights[0, 1]) * pow(int(weights[0, 4]), -1, T) % T
    slot, vectors = int(LAYOUT.empty[0]), honest(count)
    vectors[1], vectors[4] = changed(slot, 1), changed(slot, T - ratio)
    check = checked(arena, vectors, beacon)
    assert check.found == [1, 4]
    assert check.purposes[:2] == ["shape 0", "shape 1"]
    assert not check.opened[0].values.any()
    first = expected([vectors[k] for k in pair], weights[1, list(pair)].tolist(), TICKS)
    assert np.array_equal(check.opened[1].values, first)


def test_only_members_are_checked(arena: Arena) -> None:
    """Who was taken out before has no part in any sum; the others keep their weights."""
    vectors = honest(7)
    vectors[2], vectors[5] = MALFORMED["noise"](), MALFORMED["a tick"]()
    check = checked(arena, vectors, members=[0, 1, 3, 4, 5, 6])
    require_named(check, [5])
    assert checked(arena, vectors, members=[0, 1, 3, 4, 6]).purposes == ["shape 0", "shape 1"]


def test_without_members_nothing_is_opened(arena: Arena) -> None:
    check = checked(arena, honest(1), members=[])
    assert check.found == []
    assert check.opened == []
