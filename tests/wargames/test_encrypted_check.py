"""Every kind of malformed vector, against the encrypted check itself."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.seal import Evaluator
from crypto.circuits.curves import CurveLayout, size_max
from crypto.circuits.wellformed import ShapeSum, shape_weights, shape_words
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.threshold.keys import deal
from crypto.threshold.replicated import Committee
from darkpool.wargames.combined import CANCELLING, OVER_CAP
from darkpool.wargames.draft import TICKS_MIN, Vector, honest_shape
from darkpool.wargames.malformed import MALFORMED
from tests.support.epochs import Epoch

RING = TEST_INSECURE_SMALL.order_ring
TICKS = (TICKS_MIN, 16, TEST_INSECURE_SMALL.ticks_max)

Check = Callable[[Sequence[Vector], int], Vector]


@pytest.fixture(scope="session")
def small_sum() -> Check:
    """What the sum of some vectors shows, under weights of a beacon."""
    committee = Committee(4, 1)
    material, held = deal(TEST_INSECURE_SMALL, committee)
    oracle = Epoch(TEST_INSECURE_SMALL, committee, material, held).oracle(RING)
    evaluator = Evaluator(material.order_keys.evaluation_keys())

    def opened(vectors: Sequence[Vector], ticks: int) -> Vector:
        key = material.order_keys.public
        sealed = [encrypt_slots(key, v, k.to_bytes(32, "big")) for k, v in enumerate(vectors)]
        words = np.stack([shape_words(evaluator, ciphertext) for ciphertext in sealed])
        total = ShapeSum(RING)
        weights = shape_weights(RING, bytes(32), len(vectors))[0].tolist()
        total.add(words, range(len(vectors)), weights)
        return oracle.slots(total.covered(evaluator, ticks).ciphertext)

    return opened


@pytest.mark.parametrize("ticks", TICKS)
@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_vector_is_seen(small_sum: Check, kind: str, ticks: int) -> None:
    vector = MALFORMED[kind](RING, ticks, np.random.default_rng(ticks))
    assert small_sum([vector], ticks).any()


@pytest.mark.parametrize("ticks", TICKS)
@pytest.mark.parametrize("kind", CANCELLING)
def test_vectors_that_cancel_in_a_plain_sum_are_seen(
    small_sum: Check, kind: str, ticks: int
) -> None:
    pair = CANCELLING[kind](RING, ticks, np.random.default_rng(ticks))
    assert small_sum(pair, ticks).any()
    assert not small_sum([(pair[0] + pair[1]) % RING.plain_modulus], ticks).any()


@pytest.mark.parametrize("ticks", TICKS)
@pytest.mark.parametrize("kind", OVER_CAP)
def test_a_size_beyond_its_cap_is_a_matter_of_the_cap_check(
    small_sum: Check, kind: str, ticks: int
) -> None:
    vector = OVER_CAP[kind](RING, ticks, 10, np.random.default_rng(ticks))
    assert not small_sum([vector], ticks).any()


@pytest.mark.parametrize("ticks", TICKS)
def test_the_attackers_idea_of_an_order_is_the_client_s(ticks: int) -> None:
    for side in (0, 1):
        for size in (0, 1, size_max(RING)):
            for limit in range(ticks):
                own = honest_shape(RING, ticks, side, size, limit)
                assert np.array_equal(own, CurveLayout(RING, ticks).vector(side, size, limit))
