"""Masks as only a test may see them: what is in them, from the seeds of all shares."""

from collections.abc import Callable, Iterator
from itertools import count

import numpy as np
import numpy.typing as npt

from crypto import labels
from crypto.bfv.lanes import DIGIT_BITS, DIGITS, LaneShape, plain_modulus_bits
from crypto.bfv.products import coefficient_form
from crypto.bfv.seal import Evaluator
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.ring.sampling import derive_seed, signs
from crypto.threshold.keys import RingKeys
from crypto.threshold.masks import Draw, DrawnMask, MaskCombiner, contribute
from tests.support.epochs import EPOCH, Epoch, SealOracle

Lanes = npt.NDArray[np.int64]


EvaluatorOf = Callable[[RingKeys], Evaluator]


SHAPES = [LaneShape(TEST_INSECURE_SMALL, 1024 >> k) for k in range(4)]


T = TEST_INSECURE_SMALL.order_ring.plain_modulus


def name(shape: LaneShape) -> str:
    return f"{shape.lanes}-lanes"


def draw_of(shape: LaneShape, number: int, active: Lanes | None = None) -> Draw:
    """First draw for all lanes, second draw for some."""
    if active is None:
        return Draw(EPOCH, number, 0, shape, np.ones(shape.lanes, dtype=np.int64))
    return Draw(EPOCH, number, 1, shape, active)


def true_mask(epoch: Epoch, draw: Draw) -> Lanes:
    """r of a draw from the seeds of all shares: bit k is the XOR of the parties' bits."""
    bits = plain_modulus_bits(draw.shape.parameters.order_ring)
    total = np.zeros((bits, draw.shape.lanes), dtype=np.int64)
    for seed in epoch.seeds.values():
        own = signs(
            derive_seed(labels.MASK_SIGNS, seed, *draw.fields()), labels.MASK_SIGNS, total.size
        )
        total ^= (own.reshape(total.shape) < 0).astype(np.int64)
    r: Lanes = (total << np.arange(bits)[:, None]).sum(axis=0) * draw.active
    return r


def combined(epoch: Epoch, evaluator_of: EvaluatorOf, draw: Draw) -> DrawnMask:
    material = epoch.material
    combiner = MaskCombiner(
        material, evaluator_of(material.order_keys), evaluator_of(material.comparison_keys)
    )
    parties = [contribute(material, draw, j, epoch.seeds[j]) for j in epoch.committee.members]
    return combiner.combine(draw, parties)


def masks_without_excess(
    epoch: Epoch, evaluator_of: EvaluatorOf, shape: LaneShape
) -> Iterator[tuple[DrawnMask, Lanes]]:
    """Masks none of whose lanes is at or above t, with their r."""
    for number in count(1):
        draw = draw_of(shape, number)
        r = true_mask(epoch, draw)
        if r.max() < T:
            yield combined(epoch, evaluator_of, draw), r


def order_slots(oracle: SealOracle, mask: DrawnMask) -> Lanes:
    return np.stack([oracle.slots(ciphertext) for ciphertext in mask.order_ciphertexts])


def digits_in_tables(oracle: SealOracle, mask: DrawnMask) -> Lanes:
    """Digits (DIGITS, L) that the tables show; fails where a column is not one-hot or zero."""
    shape, ring = mask.draw.shape, oracle.ring
    digits = np.full((DIGITS, shape.lanes), -1, dtype=np.int64)
    for position in range(shape.positions):
        table = np.stack(
            [oracle.slots(coefficient_form(ring, words.copy())) for words in mask.tables[position]]
        )
        assert set(np.unique(table)) <= {0, 1}
        assert set(np.unique(table.sum(axis=0))) <= {0, 1}
        value = np.where(table.any(axis=0), table.argmax(axis=0), -1)
        rows = value.reshape(2, shape.blocks, shape.width).transpose(1, 0, 2)
        for block in range(shape.blocks):
            digits[shape.digit(block, position)] = rows[block].reshape(-1)
    return digits


def number_of(digits: Lanes) -> Lanes:
    weights = 1 << (DIGIT_BITS * np.arange(DIGITS - 1, -1, -1, dtype=np.int64))
    total: Lanes = (digits * weights[:, None]).sum(axis=0)
    return total
