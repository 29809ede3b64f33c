"""A committee in one process: the interface that the auction uses, and its local implementation."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from crypto.bfv.lanes import DIGIT_VALUES, Lanes, LaneShape
from crypto.bfv.seal import Evaluator
from crypto.circuits.comparison import BITS_LEVEL, Comparator
from crypto.errors import MissingShare, OutOfRange
from crypto.ring.sampling import SEED_BYTES
from crypto.signing.messages import BatchRoot, Domain, SettlementRoot, verify_signature
from crypto.threshold.attestation import OpeningEntry, transcript_digest
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
from crypto.threshold.replicated import agree
from crypto.threshold.revealing import (
    Answer,
    CoveredCiphertext,
    OpeningRequest,
    Revealed,
    ask,
    reveal,
    selected,
)
from darkpool.errors import CheckFailed
from darkpool.keyper.keyper import Keyper, mask_context
from darkpool.keyper.store import MaskUsed
from darkpool.protocol.intents import ClosedBatch
from darkpool.units import AccountId, Interval, account_bytes

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


def _beacon_shares(keyper: Keyper, interval: Interval, root: bytes) -> dict[int, bytes]:
    shares = dict(keyper.beacon_share(interval, root))
    for share in shares.values():
        if not isinstance(share, bytes) or len(share) != SEED_BYTES:
            raise OutOfRange("share of the beacon", f"{SEED_BYTES} bytes", type(share).__name__)
    return shares


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
        self.entries: list[OpeningEntry] = []

    def open(self, purpose: str, covered: CoveredCiphertext) -> Lanes:
        """Open a covered ciphertext; slots in [0, t), shape (degree,)."""
        committee = self._material.committee
        request = OpeningRequest(self.context, committee.epoch, len(self.entries), purpose, covered)
        revealed = reveal(request, committee, self._keypers)
        self.entries.append(revealed.entry())
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

    def sign_transcript(self, session: Session, terms: bytes, beacon: Beacon) -> dict[int, bytes]:
        """Signatures on the beacon and all that was opened in an auction, by keyper.

        They are of a quorum at least. A keyper that missed an opening, or that knows another
        beacon, signs another transcript, which does not count.

        Raises:
            InvalidSignature: for that, too few signatures count.
        """
        shares = dict(enumerate(beacon.shares))

        def signature(keyper: Keyper) -> bytes:
            digest = transcript_digest(
                self._domain, session.context, terms, keyper.number, session.entries, shares
            )
            signed = keyper.sign_transcript(session.context, terms)
            verify_signature(digest, signed, account_bytes(keyper.address))
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
