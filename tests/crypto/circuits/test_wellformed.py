from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.seal import Evaluator
from crypto.circuits.curves import BUY, SELL, CurveLayout, intent_vector, size_max
from crypto.circuits.packing import LANES_LEVEL
from crypto.circuits.wellformed import COMBINATIONS, ShapeSum, shape_weights, shape_words
from crypto.errors import OutOfRange
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.threshold.decryption import budget_bits_min
from crypto.threshold.keys import RingKeys
from tests.support.epochs import Epoch
from tests.support.shape_sums import RING, ROW, Slots, T, expected

EvaluatorOf = Callable[[RingKeys], Evaluator]
TICKS = [1, 2, 3, 16, TEST_INSECURE_SMALL.ticks_max]


class Checker:
    """Checks vectors in the clear by the encrypted check."""

    def __init__(self, epoch: Epoch, evaluator: Evaluator, ticks: int) -> None:
        self._epoch, self._evaluator, self._ticks = epoch, evaluator, ticks
        self._oracle = epoch.oracle(epoch.parameters.order_ring)
        self._seed = 0

    def encrypted(self, vector: Slots) -> Ciphertext:
        self._seed += 1
        seed = self._seed.to_bytes(32, "big")
        return encrypt_slots(self._epoch.material.order_keys.public, vector, seed)

    def opened(
        self,
        vectors: Sequence[Slots],
        weights: Sequence[int],
        minimum_fill: Sequence[bool] | None = None,
    ) -> Slots:
        total = ShapeSum(self._epoch.parameters.order_ring)
        words = [shape_words(self._evaluator, self.encrypted(vector)) for vector in vectors]
        total.add(np.stack(words), range(len(words)), weights, minimum_fill)
        covered = total.covered(self._evaluator, self._ticks)
        values = self._oracle.slots(covered.ciphertext)
        assert covered.support.all()
        return values


@pytest.fixture
def checker_of(small: Epoch, evaluator_of: EvaluatorOf) -> Callable[[int], Checker]:
    return lambda ticks: Checker(small, evaluator_of(small.material.order_keys), ticks)


@pytest.mark.parametrize("ticks", TICKS)
@pytest.mark.parametrize("minimum_fill", [(False,) * 3, (True, False, False), (True,) * 3], ids=str)
def test_the_opened_sum_is_that_of_the_weighted_terms(
    checker_of: Callable[[int], Checker], ticks: int, minimum_fill: tuple[bool, ...]
) -> None:
    random = np.random.default_rng(ticks)
    vectors = [random.integers(0, T, 2 * ROW) for _ in range(3)]
    weights = [1, T - 1, 12_345_678]
    opened = checker_of(ticks).opened(vectors, weights, minimum_fill)
    assert np.array_equal(opened, expected(vectors, weights, ticks, minimum_fill))
    assert opened.any()


@pytest.mark.parametrize("ticks", TICKS)
def test_minimum_fill_orders_pass_beside_plain_ones_and_plain_ones_with_a_minimum_do_not(
    checker_of: Callable[[int], Checker], ticks: int
) -> None:
    cases = [(0, 1), (1, 1), (9, 0), (9, 1), (9, 9), (size_max(RING), size_max(RING)), (5, 0)]
    vectors = [
        intent_vector(RING, ticks, k % 2, size, k % ticks, minimum)
        for k, (size, minimum) in enumerate(cases)
    ]
    minimum_fill = [minimum > 0 for _, minimum in cases]
    weights = shape_weights(RING, b"beacon", len(vectors))[0].tolist()
    assert not checker_of(ticks).opened(vectors, weights, minimum_fill).any()
    for k in (1, 4):
        lying = [free and number != k for number, free in enumerate(minimum_fill)]
        seen = np.flatnonzero(checker_of(ticks).opened(vectors, weights, lying))
        assert seen.tolist() == [CurveLayout(RING, ticks).minimum]


@pytest.mark.parametrize("minimum", [-1, 2, 6])
def test_no_honest_client_seals_a_minimum_that_is_none(minimum: int) -> None:
    size = 5 if minimum != 2 else 0
    with pytest.raises(OutOfRange):
        intent_vector(RING, 4, BUY, size, 2, minimum)


@pytest.mark.parametrize("ticks", TICKS)
def test_every_order_passes(checker_of: Callable[[int], Checker], ticks: int) -> None:
    vectors = [
        intent_vector(RING, ticks, side, size, limit)
        for side in (BUY, SELL)
        for size in (0, 1, size_max(RING))
        for limit in sorted({0, ticks // 2, ticks - 1})
    ]
    weights = shape_weights(RING, b"beacon", len(vectors))[0].tolist()
    assert not checker_of(ticks).opened(vectors, weights).any()


@settings(max_examples=40)
@given(st.data())
def test_an_order_with_one_slot_changed_is_seen(small: Epoch, data: st.DataObject) -> None:
    ticks = data.draw(st.sampled_from(TICKS))
    checker = Checker(small, Evaluator(small.material.order_keys.evaluation_keys()), ticks)
    side = data.draw(st.sampled_from((BUY, SELL)))
    size = data.draw(st.integers(0, size_max(RING)))
    vector = intent_vector(RING, ticks, side, size, data.draw(st.integers(0, ticks - 1)))
    slot = data.draw(st.integers(0, 2 * ROW - 1))
    changed = vector.copy()
    changed[slot] = data.draw(st.integers(0, T - 1))
    honest = any(
        np.array_equal(changed, intent_vector(RING, ticks, other, size, limit))
        for other in (BUY, SELL)
        for limit in range(ticks)
    )
    assert checker.opened([changed], [data.draw(st.integers(1, T - 1))]).any() != honest


def test_two_that_cancel_are_seen_under_weights_of_a_beacon(
    checker_of: Callable[[int], Checker],
) -> None:
    layout = CurveLayout(RING, 16)
    good = intent_vector(RING, 16, BUY, 5, 7)
    up, down = good.copy(), good.copy()
    up[layout.empty[0]] += 1
    down[layout.empty[0]] += T - 1
    checker = checker_of(16)
    assert not checker.opened([up, down], [1, 1]).any()
    for weights in shape_weights(RING, bytes(32), 2):
        assert checker.opened([up, down], weights.tolist()).any()


def test_weights_are_uniform_from_one_and_differ_by_combination() -> None:
    weights = shape_weights(RING, b"b", 20_000)
    assert weights.shape == (COMBINATIONS, 20_000)
    assert weights.min() >= 1
    assert weights.max() < T
    assert not (weights[0] == weights[1]).any()
    assert abs(weights.mean() / T - 0.5) < 0.01
    assert np.array_equal(weights[:, :7], shape_weights(RING, b"b", 7))
    assert not np.array_equal(weights, shape_weights(RING, b"c", 20_000))


def test_sums_are_reduced_in_time(small: Epoch, evaluator_of: EvaluatorOf) -> None:
    evaluator = evaluator_of(small.material.order_keys)
    checker = Checker(small, evaluator, 3)
    vector = np.arange(2 * ROW)
    words = shape_words(evaluator, checker.encrypted(vector))
    total = ShapeSum(RING)
    total.add(words[None], [0] * 9000, [T - 1] * 9000)
    total.add(words[None], [0], [7])
    opened = small.oracle(RING).slots(total.covered(evaluator, 3).ciphertext)
    assert np.array_equal(opened, expected([vector], [(7 - 9000) % T], 3))


def test_bad_weights_and_empty_sums_are_refused(small: Epoch, evaluator_of: EvaluatorOf) -> None:
    evaluator = evaluator_of(small.material.order_keys)
    total = ShapeSum(RING)
    with pytest.raises(OutOfRange, match="at least 1"):
        total.covered(evaluator, 3)
    words = shape_words(evaluator, Checker(small, evaluator, 3).encrypted(np.arange(2 * ROW)))
    for weight in (0, T, -1):
        with pytest.raises(OutOfRange, match="weight"):
            total.add(words[None], [0], [weight])
    assert total.terms == 0


def test_the_budget_of_a_full_batch_leaves_room_for_flooding(
    standard: Epoch, evaluator_of: EvaluatorOf
) -> None:
    evaluator, ring = evaluator_of(standard.material.order_keys), standard.parameters.order_ring
    checker = Checker(standard, evaluator, 2047)
    random = np.random.default_rng(1)
    vectors = random.integers(0, ring.plain_modulus, (16, ring.degree))
    words = np.stack([shape_words(evaluator, checker.encrypted(vector)) for vector in vectors])
    total = ShapeSum(ring)
    weights = shape_weights(ring, b"full", 2048)[0].reshape(-1, len(words))
    for part in weights.tolist():
        total.add(words, range(len(words)), part)
    covered = total.covered(evaluator, 2047)
    budget = standard.oracle(ring).budget(covered.ciphertext)
    assert budget >= budget_bits_min(ring, LANES_LEVEL)
