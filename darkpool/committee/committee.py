"""A committee in one process: the interface that the auction uses, and its local implementation."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from crypto.bfv.lanes import DIGIT_VALUES, Lanes, LaneShape
from crypto.bfv.seal import Evaluator
from crypto.circuits.comparison import BITS_LEVEL, Comparator
from crypto.errors import MissingShare
from crypto.signing.ecdsa import verify_signature
from crypto.signing.eip712 import Domain
from crypto.signing.messages import BatchRoot, SettlementRoot
from crypto.threshold.attestation import OpeningTranscript, mask_context
from crypto.threshold.keys import PublicMaterial
from crypto.threshold.masks import (
    Contribution,
    Draw,
    DrawnMask,
    MaskCombiner,
    digit_values,
    known_lanes,
    replace_lanes,
)
from crypto.threshold.quorum import Answer, ask
from crypto.threshold.replicated import agree
from crypto.threshold.revealing import Revealed, selected
from darkpool.committee.beacon import Beacon, _beacon_shares
from darkpool.committee.errors import MaskPreparationFailed
from darkpool.committee.masks import AttestedMask
from darkpool.committee.session import Session
from darkpool.keyper.keyper import Keyper
from darkpool.protocol.intents import ClosedBatch
from darkpool.protocol.refusals import MaskUsed
from darkpool.units import AccountId, Interval, account_bytes

_ATTEMPTS = 8


class LocalCommittee:
    """n keypers of one process, and what they do together."""

    def __init__(
        self,
        keypers: Sequence[Keyper],
        material: PublicMaterial,
        order: Evaluator,
        comparison: Evaluator,
        domain: Domain,
    ) -> None:
        self.keypers = tuple(keypers)
        self.material = material
        self._domain = domain
        self._comparison = comparison
        self._combiner = MaskCombiner(material, order, comparison)
        self._comparator = Comparator(comparison)

    @property
    def addresses(self) -> tuple[AccountId, ...]:
        """Addresses that the keypers sign with, in keyper order."""
        return tuple(keyper.address for keyper in self.keypers)

    def _ask(self, question: Callable[[Keyper], Answer]) -> dict[int, Answer]:
        """Answers by keyper, of a quorum at least; one keyper that fails stops nothing.

        Raises:
            Exception: of the first keyper that failed, where fewer than a quorum answered.
            MissingShare: fewer than a quorum, and none of the others failed.
        """
        answers, failures = ask(self.keypers, question)
        quorum = self.material.committee.quorum
        if len(answers) < quorum:
            missing = MissingShare(len(answers), quorum, len(answers))
            raise next(iter(failures.values()), missing)
        return answers

    def sign_batch_root(self, root: BatchRoot, batch: ClosedBatch) -> dict[int, bytes]:
        """Signatures on a batch root, by keyper; of a quorum at least.

        Raises:
            OmittedIntent, CancelledIntent, BatchRefused: for that, too few keypers signed.
        """
        return self._ask(lambda keyper: keyper.sign_batch_root(root, batch))

    def sign_settlement(self, settlement: SettlementRoot) -> dict[int, bytes]:
        """Signatures on a settlement, by keyper; of a quorum at least."""
        return self._ask(lambda keyper: keyper.sign_settlement(settlement))

    def sign_transcript(
        self, session: Session, terms_digest: bytes, beacon: Beacon
    ) -> dict[int, bytes]:
        """Signatures on the beacon and all that was opened in an auction, by keyper.

        They are of a quorum at least. A keyper that missed an opening, or that knows another
        beacon, signs another transcript, which does not count.

        Raises:
            InvalidSignature: for that, too few signatures count.
        """
        shares = dict(enumerate(beacon.shares))
        transcript = OpeningTranscript(
            self._domain, session.context, terms_digest, session.entries, shares
        )

        def signature(keyper: Keyper) -> bytes:
            signed = keyper.sign_transcript(session.context, terms_digest)
            address = account_bytes(keyper.address)
            verify_signature(transcript.digest(keyper.number), signed, address)
            return signed

        return self._ask(signature)

    def begin_auction(self, interval: Interval, publish: Callable[[Revealed], None]) -> Session:
        """Start the openings of an interval whose batch root is final."""
        answers = self._ask(lambda keyper: keyper.begin_auction(interval))
        context, _ = Counter(answers.values()).most_common(1)[0]
        return Session(self.keypers, self.material, context, publish)

    def beacon(self, interval: Interval, root: bytes) -> Beacon:
        """The beacon of a final batch root, from all virtual parties.

        Raises:
            MissingShare, HoldersDisagree: as `crypto.threshold.replicated.agree`.
        """
        answers = self._ask(lambda keyper: _beacon_shares(keyper, interval, root))
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
            # the second highest: one keyper alone can neither skip numbers nor hold them back
            number = sorted(self._ask(lambda keyper: int(keyper.next_mask())).values())[-2]
            mask = self._draw(number, shape) if self._issued(number) else None
            if mask is not None:
                return AttestedMask(mask, self._ask(partial(Keyper.attest_mask, mask=mask)))
        raise MaskPreparationFailed(_ATTEMPTS)

    def consume_mask(self, mask: AttestedMask, context: bytes) -> DrawnMask:
        """Bind a mask to an auction, durably, before its first use.

        Raises:
            MaskUsed: it was used before.
        """
        number = mask.mask.draw.number
        self._ask(lambda keyper: keyper.consume_mask(number, context))
        return mask.mask

    def _issued(self, number: int) -> bool:
        try:
            self._ask(lambda keyper: keyper.issue_mask(number))
        except MaskUsed:
            return False
        return True

    def _draw(self, number: int, shape: LaneShape) -> DrawnMask | None:
        epoch = self.material.committee.epoch
        self._ask(lambda keyper: keyper.accept_preparation(number))
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
        asked = [self.keypers[i] for i in holders]

        def contribution(keyper: Keyper) -> tuple[bytes, Contribution]:
            sent = keyper.contribution(draw, share)
            return sent.digest(), sent

        sent, failures = ask(asked, contribution)
        try:
            agreement = agree(committee, share, {i: digest for i, (digest, _) in sent.items()})
        except MissingShare as error:
            raise next(iter(failures.values()), error) from None
        return next(c for digest, c in sent.values() if digest == agreement.digest)

    def _excess_lanes(self, session: Session, mask: DrawnMask, purpose: str) -> Lanes:
        """1 at lanes with r >= t, shape (L,)."""
        shape = mask.draw.shape
        t = shape.parameters.order_ring.plain_modulus
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
