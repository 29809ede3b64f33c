"""Masks: drawn, checked and attested by keypers, before an auction needs them."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from crypto.bfv.lanes import DIGIT_VALUES, Lanes, LaneShape
from crypto.circuits.comparison import BITS_LEVEL, Comparator
from crypto.errors import MissingShare
from crypto.signing.eip712 import Domain
from crypto.threshold.attestation import mask_attestation_digest, mask_context, plan_digest
from crypto.threshold.evaluators import Evaluators
from crypto.threshold.keys import PublicMaterial
from crypto.threshold.masks import (
    Contribution,
    Draw,
    DrawnMask,
    MaskCombiner,
    digit_values,
    known_lanes,
    replace_lanes,
    require_contribution,
)
from crypto.threshold.rebuilding import rebuilt
from crypto.threshold.replicated import agree
from crypto.threshold.revealing import selected
from darkpool.committee.errors import MaskPreparationFailed
from darkpool.committee.session import Session
from darkpool.committee.signatures import SignatureQuorum
from darkpool.protocol.keyper import ContributionRequest, Keyper
from darkpool.protocol.refusals import MaskUsed
from darkpool.record.forms import PlannedMask

_ATTEMPTS: Final = 8


@dataclass(frozen=True, slots=True)
class AttestedMask:
    """A mask ready for one auction, and the keypers' signatures on its digest, by keyper."""

    mask: DrawnMask
    attestations: Mapping[int, bytes]


class MaskSource(Protocol):
    """Where an auction gets its masks from."""

    def require(self, shapes: Iterable[LaneShape]) -> None:
        """Wait until there is a mask for each of some shapes."""

    def take(self, shape: LaneShape) -> AttestedMask:
        """Give out a mask of a shape, each once."""


class PlannedMasks:
    """Masks that are set aside for one interval, in the order in which they are given out.

    The comparisons of a shape take its masks one after the other, so which mask covers which
    comparison is fixed before the batch is. Where a comparison is repeated without intents that
    were taken out, it may need one more, or one of a smaller shape: that comes from the source.

    Attributes:
        planned: all of them, in the order of the plan.
        digest: 32 bytes over them, which the batch root names.
    """

    def __init__(self, masks: Iterable[AttestedMask], source: MaskSource) -> None:
        masks = tuple(masks)
        drawn = [attested.mask for attested in masks]
        self.planned = tuple(
            PlannedMask(mask.draw.number, mask.draw.shape.lanes, mask.digest()) for mask in drawn
        )
        self.digest = plan_digest([(m.number, m.lanes, m.digest) for m in self.planned])
        self._source = source
        self._left: dict[int, deque[AttestedMask]] = defaultdict(deque)
        for mask in masks:
            self._left[mask.mask.draw.shape.lanes].append(mask)

    def take(self, shape: LaneShape) -> AttestedMask:
        """The next mask of a shape."""
        planned = self._left[shape.lanes]
        return planned.popleft() if planned else self._source.take(shape)


class MaskPreparation:
    """Draws masks with the keypers of a committee."""

    def __init__(
        self,
        signatures: SignatureQuorum,
        material: PublicMaterial,
        domain: Domain,
        evaluators: Evaluators,
    ) -> None:
        self._panel = signatures.panel
        self._signatures = signatures
        self._domain = domain
        self._committee = material.committee
        self._evaluator = evaluators.comparison
        self._combiner = MaskCombiner(material, evaluators.order, evaluators.comparison)
        self._comparator = Comparator(evaluators.comparison)

    def prepare(self, shape: LaneShape) -> AttestedMask:
        """Draw, check and attest a mask under a number never used before.

        Raises:
            MaskPreparationFailed: several numbers in a row were unusable.
        """
        quorum = self._committee.quorum
        for _ in range(_ATTEMPTS):
            numbers = self._panel.ask_quorum(lambda keyper: keyper.next_mask(), quorum)
            # the second highest: one keyper alone can neither skip numbers nor hold them back
            number = sorted(numbers.values())[-2]
            mask = self._draw(number, shape) if self._issued(number) else None
            if mask is not None:
                # immutable from here on, so that no keyper needs a copy of hundreds of megabytes
                mask = rebuilt(DrawnMask, mask)
                return AttestedMask(mask, self._attestations(mask))
        raise MaskPreparationFailed(_ATTEMPTS)

    def _attestations(self, mask: DrawnMask) -> Mapping[int, bytes]:
        digest = mask_attestation_digest(self._domain, mask.digest())
        return self._signatures.ask(lambda keyper: keyper.attest_mask(mask), lambda _number: digest)

    def _issued(self, number: int) -> bool:
        """Whether a quorum set the number aside; one that a keyper knows as used is given up."""
        answers = self._panel.ask(lambda keyper: keyper.issue_mask(number))
        if len(answers.given) >= self._committee.quorum:
            return True
        if any(isinstance(failure, MaskUsed) for failure in answers.failures.values()):
            return False
        raise next(iter(answers.failures.values()))

    def _draw(self, number: int, shape: LaneShape) -> DrawnMask | None:
        epoch, quorum = self._committee.epoch, self._committee.quorum
        self._panel.ask_quorum(lambda keyper: keyper.accept_preparation(number), quorum)
        context = mask_context(epoch, number)
        session = Session(self._panel, self._committee, context, lambda _revealed: None)
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
            draw, [self._agreed(draw, share) for share in self._committee.members]
        )

    def _agreed(self, draw: Draw, share: int) -> Contribution:
        def contribution(keyper: Keyper) -> tuple[bytes, Contribution]:
            sent = keyper.contribution(ContributionRequest(draw, share))
            require_contribution(draw, sent)
            return sent.digest(), sent

        sent = self._panel.ask(contribution, of=self._committee.holders(share))
        digests = {i: digest for i, (digest, _) in sent.given.items()}
        try:
            agreement = agree(self._committee, share, digests)
        except MissingShare as error:
            raise next(iter(sent.failures.values()), error) from None
        return next(c for digest, c in sent.given.values() if digest == agreement.digest)

    def _excess_lanes(self, session: Session, mask: DrawnMask, purpose: str) -> Lanes:
        """1 at lanes with r >= t, shape (L,)."""
        shape = mask.draw.shape
        t = shape.parameters.order_ring.plain_modulus
        bits = self._comparator.below_constant(mask, t)
        keep = shape.first_block(np.ones(shape.lanes, dtype=np.int64)) == 1
        covered = selected(self._evaluator, bits, keep, BITS_LEVEL)
        return 1 - shape.from_first_block(session.open(purpose, covered))

    def _discarded(self, session: Session, mask: DrawnMask, excess: Lanes) -> Lanes:
        """r of the lanes that are given up, shape (L,)."""
        shape = mask.draw.shape
        keep = shape.to_comparison(np.stack([excess] * shape.blocks)) == 1
        opened = []
        for position in range(shape.positions):
            digits = digit_values(mask, position)
            covered = selected(self._evaluator, digits, keep, BITS_LEVEL)
            values = session.open(f"discarded digits {position}", covered)
            if values.max() >= DIGIT_VALUES:
                raise MaskPreparationFailed(1)
            opened.append(values)
        return known_lanes(shape, opened)
