"""A walk through the openings of a record: each must be the one that is expected next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crypto.bfv.lanes import Lanes, LaneShape
from crypto.circuits.comparison import BITS_LEVEL
from crypto.circuits.packing import LANES_LEVEL
from darkpool.record.core import RecordView
from darkpool.record.forms import MaskRecord
from darkpool.record.kinds import Ring
from darkpool.verification.errors import Unsound
from darkpool.verification.report import Findings
from darkpool.verification.steps import SideFills

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class MaskPart:
    """A mask by number, and which of its ciphertexts; both None for an opening without a mask."""

    number: int | None = None
    part: int | None = None


NO_MASK = MaskPart()


@dataclass(frozen=True, slots=True)
class LaneBits:
    """Bits of some lanes, in the order that they were asked in, and number of their opening."""

    opening: int
    bits: Lanes


class OpeningWalk:
    """Goes through the openings of a record in order.

    Args:
        values: decoded openings, shape (degree,) each, None where one cannot be read.
        masks: those of the record in order of use; None where they are not at hand.
    """

    def __init__(
        self,
        record: RecordView,
        values: Sequence[Lanes | None],
        masks: Sequence[MaskRecord] | None,
        findings: Findings,
    ) -> None:
        self._record = record
        self._masks = masks
        self._planned = record.summary.batch.masks
        self._values = values
        self._findings = findings
        self._next = 0
        self._masks_used: list[int] = []

    def step(self, purpose: str, ring: Ring, support: Flags, mask: MaskPart = NO_MASK) -> int:
        """Number of the next opening, which has to be this one.

        Raises:
            Unsound: there is none, or it has another purpose, ring or level.
        """
        index = self._next
        part = f"opening {index}"
        if index >= len(self._record.openings):
            raise Unsound(part, purpose, "none")
        entry = self._record.openings[index]
        if entry.purpose != purpose:
            raise Unsound(f"{part}, purpose", purpose, entry.purpose)
        level = LANES_LEVEL if ring == "order" else BITS_LEVEL
        summary = self._record.summary
        for what, expected, got in (
            ("context", summary.context, entry.context),
            ("epoch", summary.committee.epoch, entry.epoch),
            ("sequence", index, entry.sequence),
            ("ring", ring, entry.ring),
            ("level", level, entry.level),
            ("mask number", mask.number, entry.mask_number),
            ("mask part", mask.part, entry.mask_part),
        ):
            self._findings.equal(f"{part}, {what}", expected, got)
        if (ring, level) != (entry.ring, entry.level):
            raise Unsound(part, f"{ring} ring, level {level}", f"{entry.ring}, {entry.level}")
        stated = self._record.opening(index).support
        different = np.flatnonzero(stated != support)
        if different.size:
            slot = int(different[0])
            self._findings.add(f"{part}, support of slot {slot}", support[slot], stated[slot])
        self._next += 1
        return index

    def values(self, index: int) -> Lanes:
        """Values of an opening, shape (degree,).

        Raises:
            Unsound: it cannot be read.
        """
        values = self._values[index]
        if values is None:
            raise Unsound(f"opening {index}", "an opening that can be read", "none")
        return values

    def masked_lanes(self, name: str, shape: LaneShape) -> tuple[int, ...]:
        """Numbers of the next openings: masked lanes, all under one fresh mask of the shape.

        Raises:
            Unsound: there is none, or no such mask; see `step`.
        """
        part = f"opening {self._next}, mask number"
        if self._next >= len(self._record.openings):
            raise Unsound(f"opening {self._next}", f"{name}.0", "none")
        mask = self._record.openings[self._next].mask_number
        self._use(part, mask, shape)
        active = shape.to_order(np.ones(shape.lanes, dtype=np.int64)) == 1
        return tuple(
            self.step(f"{name}.{number}", "order", active[number], MaskPart(mask, number))
            for number in range(shape.order_ciphertexts)
        )

    def lane_bits(self, purpose: str, shape: LaneShape, lanes: Lanes) -> LaneBits:
        """The next opening: bits of some lanes.

        Raises:
            Unsound: a value that is no bit; see `step`.
        """
        flags = np.zeros(shape.lanes, dtype=np.int64)
        flags[lanes] = 1
        index = self.step(purpose, "comparison", shape.first_block(flags) == 1)
        bits = shape.from_first_block(self.values(index))[lanes]
        if bits.max(initial=0) > 1:
            raise Unsound(f"opening {index}, {purpose}", "bits", int(bits.max()))
        return LaneBits(index, bits)

    def fills(self, purpose: str, row: int, numbers: Lanes, count: int) -> SideFills:
        """The next opening: fills of some intents, by number, of the `count` of an instrument.

        Raises:
            Unsound: see `step`.
        """
        width = self._record.parameters.order_ring.row
        support = np.zeros((2, width), dtype=np.bool_)
        support[row, numbers] = True
        index = self.step(purpose, "order", support.reshape(-1))
        lots = self.values(index).reshape(2, width)[row]
        return SideFills(np.where(support[row], lots, 0)[:count], index)

    def _use(self, part: str, mask: int | None, shape: LaneShape) -> None:
        """Note a mask that is not the next one of its size; beyond the plan, one that is not new.

        Raises:
            Unsound: none, or a mask that is not at hand.
        """
        lanes = None if self._masks is None else {m.number: m.lanes for m in self._masks}
        if mask is None or (lanes is not None and mask not in lanes):
            raise Unsound(part, "a mask of the record", mask)
        if lanes is not None:
            self._findings.equal(f"{part}, lanes of its mask", shape.lanes, lanes[mask])
        left = [m.number for m in self._planned if m.lanes == shape.lanes]
        left = [number for number in left if number not in self._masks_used]
        if left:
            self._findings.equal(part, left[0], mask)
        elif mask in self._masks_used or any(mask == m.number for m in self._planned):
            self._findings.add(part, "a mask not used before, nor planned for others", mask)
        self._masks_used.append(mask)

    def end(self) -> None:
        """Note masks that are listed otherwise than they were used.

        Raises:
            Unsound: an opening is left.
        """
        if self._next != len(self._record.openings):
            got = self._record.openings[self._next].purpose
            raise Unsound(f"opening {self._next}", "no further opening", got)
        if self._masks is not None:
            listed = [mask.number for mask in self._masks]
            self._findings.equal("masks, in order of use", self._masks_used, listed)
