"""Masks that are set aside for an interval are given out in one order, that of the plan."""

from collections.abc import Iterable

import numpy as np
import pytest

from crypto.bfv.lanes import LaneShape
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.threshold.attestation import plan_digest
from crypto.threshold.masks import Draw, DrawnMask
from darkpool.committee.masks import AttestedMask, PlannedMasks
from darkpool.record.forms import PlannedMask

WIDE = LaneShape(TEST_INSECURE_SMALL, 1024)
NARROW = LaneShape(TEST_INSECURE_SMALL, 128)
BEYOND = 100


def attested(shape: LaneShape, number: int) -> AttestedMask:
    """A mask without parts, which nobody signed."""
    draw = Draw(7, number, 0, shape, np.ones(shape.lanes, dtype=np.int64))
    return AttestedMask(DrawnMask(draw, (), np.zeros((1, 16, 2, 1, 4), dtype=np.uint64)), {})


class Source:
    """Where masks beyond the plan come from."""

    def __init__(self) -> None:
        self.asked: list[LaneShape] = []

    def require(self, shapes: Iterable[LaneShape]) -> None:
        pytest.fail(f"expected nobody to wait, got {list(shapes)}")

    def take(self, shape: LaneShape) -> AttestedMask:
        self.asked.append(shape)
        return attested(shape, BEYOND + len(self.asked))


def numbers(masks: PlannedMasks, shapes: Iterable[LaneShape]) -> list[int]:
    return [masks.take(shape).mask.draw.number for shape in shapes]


def test_the_masks_of_a_shape_are_given_out_in_the_order_of_the_plan() -> None:
    source = Source()
    plan = [attested(s, n) for s, n in ((WIDE, 9), (NARROW, 4), (WIDE, 2), (NARROW, 7), (WIDE, 5))]
    masks = PlannedMasks(plan, source)
    assert numbers(masks, [NARROW, WIDE, WIDE, NARROW, WIDE]) == [4, 9, 2, 7, 5]
    assert not source.asked


def test_beyond_the_plan_masks_come_from_the_source() -> None:
    source = Source()
    masks = PlannedMasks([attested(WIDE, 9), attested(NARROW, 4)], source)
    assert numbers(masks, [NARROW, NARROW, WIDE, NARROW, WIDE]) == [4, 101, 9, 102, 103]
    assert source.asked == [NARROW, NARROW, WIDE]
    assert numbers(PlannedMasks([], Source()), [WIDE]) == [101]


def test_a_plan_names_each_mask_and_has_their_digest() -> None:
    plan = [attested(WIDE, 9), attested(NARROW, 4)]
    masks = PlannedMasks(iter(plan), Source())
    assert masks.planned == tuple(
        PlannedMask(one.mask.draw.number, one.mask.draw.shape.lanes, one.mask.digest())
        for one in plan
    )
    assert masks.digest == plan_digest([(m.number, m.lanes, m.digest) for m in masks.planned])
    numbers(masks, [WIDE, WIDE])
    assert len(masks.planned) == 2, "what is given out stays planned"
