"""What the operator asks of all keypers together: signatures, sessions, beacon and masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from crypto.bfv.lanes import LaneShape
from crypto.signing.eip712 import Domain
from crypto.signing.settling import Rotation, Settlement
from crypto.threshold.attestation import OpeningTranscript
from crypto.threshold.evaluators import Evaluators
from crypto.threshold.keys import PublicMaterial
from crypto.threshold.masks import DrawnMask
from crypto.threshold.revealing import Revealed
from darkpool.committee.beacon import Beacon, ask_beacon
from darkpool.committee.errors import InvalidCommittee
from darkpool.committee.masks import AttestedMask, MaskPreparation
from darkpool.committee.quorum import KeyperPanel
from darkpool.committee.session import Session
from darkpool.committee.signatures import SignatureQuorum
from darkpool.protocol.keyper import (
    BatchProposal,
    BeaconRequest,
    Keyper,
    MaskUse,
    SettlementProposal,
    TranscriptRequest,
)
from darkpool.protocol.refusals import OpeningRefused
from darkpool.units import AccountId, Interval

_CONTEXT_BYTES: Final = 32


class KeyperCommittee:
    """n keypers, in this process or in others, and what they do together.

    Raises:
        InvalidCommittee: the keypers do not have the numbers 0 to n - 1, in order.
        InvalidAccount: the address of one is none.
        Exception: of the first keyper that did not tell its number or address.
    """

    def __init__(
        self,
        keypers: Sequence[Keyper],
        material: PublicMaterial,
        domain: Domain,
        evaluators: Evaluators,
    ) -> None:
        self.panel = KeyperPanel(keypers)
        members = tuple(material.committee.members)
        if self.panel.numbers != members:
            raise InvalidCommittee(members, self.panel.numbers)
        self.material = material
        self._domain = domain
        self._quorum = material.committee.quorum
        self._signatures = SignatureQuorum(self.panel, self._quorum)
        self._masks = MaskPreparation(self._signatures, material, domain, evaluators)

    @property
    def keypers(self) -> tuple[Keyper, ...]:
        """The keypers, in keyper order."""
        return self.panel.keypers

    @property
    def addresses(self) -> tuple[AccountId, ...]:
        """Addresses that the keypers sign with, in keyper order."""
        return self._signatures.addresses

    def sign_batch_root(self, proposal: BatchProposal) -> Mapping[int, bytes]:
        """Signatures on a batch root, by keyper; of a quorum at least.

        Raises:
            OmittedIntent, CancelledIntent, BatchRefused: for that, too few keypers signed.
        """
        digest = proposal.root.digest(self._domain)
        return self._signatures.ask(
            lambda keyper: keyper.sign_batch_root(proposal), lambda _number: digest
        )

    def sign_settlement(
        self, proposal: SettlementProposal, settlement: Settlement
    ) -> Mapping[int, bytes]:
        """Signatures on a settlement, by keyper; of a quorum at least.

        A keyper that computes another settlement from the proposal signs none, or another one,
        which does not count.

        Raises:
            SettlementRefused, InvalidSignature: for that, too few keypers signed.
        """
        digest = settlement.digest(self._domain)
        return self._signatures.ask(
            lambda keyper: keyper.sign_settlement(proposal), lambda _number: digest
        )

    def sign_rotation(self, rotation: Rotation) -> Mapping[int, bytes]:
        """Signatures on the committee that follows, by keyper; of a quorum at least."""
        digest = rotation.digest(self._domain)
        return self._signatures.ask(
            lambda keyper: keyper.sign_rotation(rotation), lambda _number: digest
        )

    def sign_transcript(
        self, session: Session, terms_digest: bytes, beacon: Beacon
    ) -> Mapping[int, bytes]:
        """Signatures on the beacon and all that was opened in an auction, by keyper.

        They are of a quorum at least. A keyper that missed an opening, or that knows another
        beacon, signs another transcript, which does not count.

        Raises:
            InvalidSignature: for that, too few signatures count.
        """
        shares = dict(enumerate(beacon.shares))
        request = TranscriptRequest(session.context, terms_digest)
        transcript = OpeningTranscript(
            self._domain, session.context, terms_digest, session.entries, shares
        )
        return self._signatures.ask(
            lambda keyper: keyper.sign_transcript(request), transcript.digest
        )

    def begin_auction(self, interval: Interval, publish: Callable[[Revealed], None]) -> Session:
        """Start the openings of an interval whose batch root is final."""

        def context_of(keyper: Keyper) -> bytes:
            context = keyper.begin_auction(interval)
            if len(context) != _CONTEXT_BYTES:
                expected = f"{_CONTEXT_BYTES} bytes"
                raise OpeningRefused("context", expected, f"{len(context)} bytes")
            return context

        contexts = self.panel.ask_quorum(context_of, self._quorum)
        context, _ = Counter(contexts.values()).most_common(1)[0]
        return Session(self.panel, self.material.committee, context, publish)

    def beacon(self, interval: Interval, root: bytes) -> Beacon:
        """The beacon of a final batch root; see `ask_beacon`."""
        return ask_beacon(self.panel, self.material.committee, BeaconRequest(interval, root))

    def prepare_mask(self, shape: LaneShape) -> AttestedMask:
        """Draw, check and attest a mask; see `MaskPreparation.prepare`."""
        return self._masks.prepare(shape)

    def consume_mask(self, mask: AttestedMask, context: bytes) -> DrawnMask:
        """Bind a mask to an auction, durably, before its first use.

        Raises:
            MaskUsed: it was used before.
        """
        use = MaskUse(mask.mask.draw.number, context)
        self.panel.ask_quorum(lambda keyper: keyper.consume_mask(use), self._quorum)
        return mask.mask
