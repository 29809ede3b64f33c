"""A committee in one process: the interface that the auction uses, and its local implementation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crypto.commitment import BatchRoot, SettlementRoot
from crypto.comparison import BITS_LEVEL, Comparator
from crypto.keys import PublicMaterial
from crypto.lanes import DIGIT_VALUES, Lanes, LaneShape
from crypto.masks import (
    Contribution,
    Draw,
    DrawnMask,
    MaskCombiner,
    digit_values,
    known_lanes,
    replace_lanes,
)
from crypto.replicated import agree
from crypto.revealing import CoveredCiphertext, OpeningRequest, Revealed, reveal, selected
from crypto.seal import Evaluator
from darkpool.committee.keyper import Keyper, mask_context
from darkpool.committee.store import MaskUsed
from darkpool.errors import CheckFailed
from darkpool.units import AccountId, Interval

_ATTEMPTS = 8


class MaskPreparationFailed(CheckFailed):
    """No usable mask after several numbers; with honest keypers one in a hundred fails."""

    def __init__(self, attempts: int) -> None:
        super().__init__(f"mask: expected one usable mask in {attempts} attempts, got none")
        self.attempts = attempts


@dataclass(frozen=True, slots=True)
class AttestedMask:
    """A mask ready for one auction, and the keypers' signatures on its digest, by keyper."""

    mask: DrawnMask
    attestations: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class Beacon:
    """Randomness that nobody knew before the batch was final.

    Attributes:
        shares: 32 bytes from each virtual party, in share order.
        value: SHA-256 of the shares.
    """

    shares: tuple[bytes, ...]
    value: bytes


class Session:
    """The openings of one context, numbered; keeps what was revealed, for the record."""

    def __init__(
        self,
        keypers: Sequence[Keyper],
        material: PublicMaterial,
        context: bytes,
        publish: Callable[[Revealed], None],
    ) -> None:
        self._keypers = keypers
        self._material = material
        self.context = context
        self._publish = publish
        self._sequence = 0

    def open(self, purpose: str, covered: CoveredCiphertext) -> Lanes:
        """Open a covered ciphertext; slots in [0, t), shape (degree,). See `crypto.revealing`."""
        committee = self._material.committee
        request = OpeningRequest(self.context, committee.epoch, self._sequence, purpose, covered)
        revealed = reveal(request, committee, self._keypers)
        self._sequence += 1
        self._publish(revealed)
        return revealed.values


class LocalCommittee:
    """n keypers of one process, and what they do together."""

    def __init__(
        self,
        keypers: Sequence[Keyper],
        material: PublicMaterial,
        order: Evaluator,
        comparison: Evaluator,
    ) -> None:
        self.keypers = tuple(keypers)
        self.material = material
        self._comparison = comparison
        self._combiner = MaskCombiner(material, order, comparison)
        self._comparator = Comparator(comparison)

    @property
    def addresses(self) -> tuple[AccountId, ...]:
        """Addresses that the keypers sign with, in keyper order."""
        return tuple(keyper.address for keyper in self.keypers)

    def sign_batch_root(self, batch: BatchRoot) -> dict[int, bytes]:
        """Signatures of all keypers on a batch root, by keyper."""
        return {keyper.number: keyper.sign_batch_root(batch) for keyper in self.keypers}

    def sign_settlement(self, settlement: SettlementRoot) -> dict[int, bytes]:
        """Signatures of all keypers on a settlement, by keyper."""
        return {keyper.number: keyper.sign_settlement(settlement) for keyper in self.keypers}

    def begin_auction(self, interval: Interval, publish: Callable[[Revealed], None]) -> Session:
        """Start the openings of an interval whose batch root is final."""
        contexts = {keyper.begin_auction(interval) for keyper in self.keypers}
        (context,) = contexts
        return Session(self.keypers, self.material, context, publish)

    def beacon(self, interval: Interval, root: bytes) -> Beacon:
        """The beacon of a final batch root, from all virtual parties.

        Raises:
            MissingShare, HoldersDisagree: as `crypto.replicated.agree`.
        """
        answers = {keyper.number: keyper.beacon_share(interval, root) for keyper in self.keypers}
        shares = []
        for share in self.material.committee.members:
            announced = {i: known[share] for i, known in answers.items() if share in known}
            shares.append(agree(self.material.committee, share, announced).digest)
        return Beacon(tuple(shares), hashlib.sha256(b"".join(shares)).digest())

    def prepare_mask(self, shape: LaneShape) -> AttestedMask:
        """Draw, check and attest a mask under a number never used before.

        Raises:
            MaskPreparationFailed: several numbers in a row were unusable.
        """
        for _ in range(_ATTEMPTS):
            number = max(keyper.next_mask() for keyper in self.keypers)
            try:
                for keyper in self.keypers:
                    keyper.issue_mask(number)
            except MaskUsed:
                continue
            mask = self._draw(number, shape)
            if mask is not None:
                digest = mask.digest()
                return AttestedMask(mask, {k.number: k.attest_mask(digest) for k in self.keypers})
        raise MaskPreparationFailed(_ATTEMPTS)

    def consume_mask(self, mask: AttestedMask, context: bytes) -> DrawnMask:
        """Bind a mask to an auction, durably, before its first use.

        Raises:
            MaskUsed: it was used before.
        """
        for keyper in self.keypers:
            keyper.consume_mask(mask.mask.draw.number, context)
        return mask.mask

    def _draw(self, number: int, shape: LaneShape) -> DrawnMask | None:
        epoch = self.material.committee.epoch
        for keyper in self.keypers:
            keyper.accept_preparation(number)
        session = Session(
            self.keypers, self.material, mask_context(epoch, number), lambda _revealed: None
        )
        first = self._combine(Draw(epoch, number, 0, shape, np.ones(shape.lanes, dtype=np.int64)))
        excess = self._excess_lanes(session, first, "mask lanes")
        if not excess.any():
            return first
        known = self._discarded(session, first, excess)
        second = self._combine(Draw(epoch, number, 1, shape, excess))
        mask = replace_lanes(first, known, second)
        return None if self._excess_lanes(session, mask, "replaced lanes").any() else mask

    def _combine(self, draw: Draw) -> DrawnMask:
        return self._combiner.combine(
            draw, [self._agreed(draw, share) for share in self.material.committee.members]
        )

    def _agreed(self, draw: Draw, share: int) -> Contribution:
        committee = self.material.committee
        holders = committee.holders(share)
        sent = {i: self.keypers[i].contribution(draw, share) for i in holders}
        agreement = agree(committee, share, {i: c.digest() for i, c in sent.items()})
        return next(c for i, c in sent.items() if i not in agreement.liars)

    def _excess_lanes(self, session: Session, mask: DrawnMask, purpose: str) -> Lanes:
        """1 at lanes with r >= t, shape (L,)."""
        shape = mask.draw.shape
        t = shape.parameters.order.plain_modulus
        bits = self._comparator.below_constant(mask, t)
        keep = shape.first_block(np.ones(shape.lanes, dtype=np.int64)) == 1
        values = session.open(purpose, selected(self._comparison, bits, keep, BITS_LEVEL))
        return 1 - shape.from_first_block(values)

    def _discarded(self, session: Session, mask: DrawnMask, excess: Lanes) -> Lanes:
        """r of the lanes that are given up, shape (L,)."""
        shape = mask.draw.shape
        keep = shape.to_comparison(np.stack([excess] * shape.blocks)) == 1
        opened = []
        for position in range(shape.positions):
            digits = digit_values(mask, position)
            covered = selected(self._comparison, digits, keep, BITS_LEVEL)
            values = session.open(f"discarded digits {position}", covered)
            if values.max() >= DIGIT_VALUES:
                raise MaskPreparationFailed(1)
            opened.append(values)
        return known_lanes(shape, opened)
