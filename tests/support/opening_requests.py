"""What keypers are asked to open, for their tests."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.lanes import LaneShape
from crypto.circuits.packing import LANES_LEVEL
from crypto.threshold.masks import Draw, DrawnMask
from crypto.threshold.revealing import CoveredCiphertext, OpeningRequest, ShareRequest, selected
from darkpool.keyper.keyper import LocalKeyper
from tests.support.epochs import EPOCH
from tests.support.house import House, HouseCommittee


def covered_of(house: House, value: int = 5) -> CoveredCiphertext:
    ring = house.parameters.order_ring
    values = np.full(ring.degree, value, dtype=np.int64)
    ciphertext = encrypt_slots(house.material.order_keys.public, values, value.to_bytes(32, "big"))
    return selected(house.evaluators.order, ciphertext, np.arange(ring.degree) < 9, LANES_LEVEL)


def masked_of(house: House, number: int, part: int, value: int = 5) -> CoveredCiphertext:
    return replace(covered_of(house, value), mask_number=number, mask_part=part)


def finished_mask(house: House, number: int, word: int = 0) -> DrawnMask:
    """A mask of two parts that nobody drew."""
    shape = LaneShape(house.parameters, house.parameters.comparison_ring.degree)
    draw = Draw(EPOCH, number, 0, shape, np.ones(shape.lanes, dtype=np.int64))
    ring = house.parameters.order_ring
    order = Ciphertext(ring, np.full((2, 1, ring.degree), word, dtype=np.uint64))
    return DrawnMask(draw, (order, order), np.zeros((1, 16, 2, 1, 4), dtype=np.uint64))


def begun(house: House, committee: HouseCommittee) -> bytes:
    """Context of an auction that every keyper has begun."""
    interval = house.closed(committee)
    return committee.begin_auction(interval, lambda _revealed: None).context


def request_of(context: bytes, covered: CoveredCiphertext, **other: Any) -> OpeningRequest:
    return replace(OpeningRequest(context, EPOCH, 0, "bits", covered), **other)


def require_silence(keyper: LocalKeyper, request: OpeningRequest, error: type[Exception]) -> None:
    """Neither digests nor bytes."""
    with pytest.raises(error):
        keyper.announce(request)
    with pytest.raises(error):
        keyper.send(ShareRequest(request, 0))
