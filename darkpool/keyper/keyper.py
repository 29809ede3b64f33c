"""One keyper: every share but its own number's, a signing key, and the checks before it answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, Final, ParamSpec, TypeVar

from crypto import labels
from crypto.errors import MissingShare
from crypto.ring.ring import Words
from crypto.ring.sampling import derive_seed
from crypto.signing.ecdsa import address_of
from crypto.signing.settling import Rotation, committee_hash
from crypto.threshold.attestation import (
    OpeningTranscript,
    mask_attestation_digest,
    mask_context,
    opening_context,
)
from crypto.threshold.knowledge import ProofEnvelope
from crypto.threshold.masks import Contribution, DrawnMask
from crypto.threshold.replicated import share_digest
from crypto.threshold.revealing import OpeningRequest, ShareRequest
from darkpool.chain.evidence import SETTLEMENT_TIMEOUT_S, BatchEvidence, BlockPoint
from darkpool.keyper.certifier import Certifier
from darkpool.keyper.errors import SettlementRefused
from darkpool.keyper.identity import CommitteeView, KeyperIdentity, KeyperSenses
from darkpool.keyper.proposed import left_by, proposed_record, require_reporters, venue_of
from darkpool.keyper.share_work import ShareWork
from darkpool.keyper.store import KeyperStore
from darkpool.protocol.intents import CertifiedIntent, ClosedBatch, SignedCancellation
from darkpool.protocol.keyper import (
    BatchProposal,
    BeaconRequest,
    CertificateRequest,
    CheckedProof,
    ContributionRequest,
    KnownIntents,
    MaskUse,
    ProofRequest,
    SettlementProposal,
    TranscriptRequest,
)
from darkpool.protocol.refusals import OpeningRefused, WrongTerms
from darkpool.protocol.terms import IntervalTerms
from darkpool.record.forms import PlannedMask
from darkpool.units import AccountId, Interval, account_of
from darkpool.verification.proposal import check_proposal

BEGIN_LEFT_S_MIN: Final = SETTLEMENT_TIMEOUT_S // 2
"""Seconds that are left to settle a batch when its openings begin, or they do not."""

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


def _one_at_a_time(
    verb: Callable[Concatenate[LocalKeyper, Arguments], Answer],
) -> Callable[Concatenate[LocalKeyper, Arguments], Answer]:
    """A verb that waits for the keyper's others: each checks, writes down and answers as one."""

    @wraps(verb)
    def alone(
        keyper: LocalKeyper, /, *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Answer:
        with keyper._alone:
            return verb(keyper, *arguments, **named)

    return alone


@dataclass(frozen=True, slots=True)
class _Begun:
    """An auction that answers openings: its final root, and the block of its commitment."""

    interval: Interval
    root: bytes
    committed_in: BlockPoint


class LocalKeyper:
    """A keyper of this process; it sees what a remote one would be sent.

    Before it answers an opening it checks epoch, number and order of the opening, that the batch
    root is final on the chain and is the one it signed, and that a mask is bound to this very
    auction; then it writes the opening down; then it computes. Before each share leaves, it asks
    its node again whether the commitment still has its place. That the ciphertext is what the
    batch leads to is checked by the process that derived it; a keyper of its own process has to
    derive it itself.
    """

    def __init__(
        self,
        identity: KeyperIdentity,
        store: KeyperStore,
        view: CommitteeView,
        senses: KeyperSenses,
        work: ShareWork,
    ) -> None:
        self._alone = threading.RLock()
        self._identity = identity
        self._secrets = identity.secrets
        self._store = store
        self._material = view.material
        self._domain = view.domain
        self._senses = senses
        self._work = work
        self._auctions: dict[bytes, _Begun] = {}
        self._preparations: dict[bytes, int] = {}
        self._batches: dict[Interval, ClosedBatch] = {}
        self._faults_proven: set[Interval] = set()
        self._certifier = Certifier(identity, store.admissions, view, senses.clock)

    @property
    def number(self) -> int:
        """Number in the committee."""
        return self._secrets.keyper

    @property
    def address(self) -> AccountId:
        """Address that its signatures recover to."""
        return account_of(address_of(self._identity.signing_key))

    @_one_at_a_time
    def open_admission(self, terms: IntervalTerms) -> None:
        """Accept intents of an interval; see `Certifier.open`."""
        self._certifier.open(terms)

    @_one_at_a_time
    def check_proof(self, request: ProofRequest) -> CheckedProof:
        """First step of the proof of knowledge; see `ProofEnvelope.announce`."""
        proof = ProofEnvelope(
            request.sealed, self._domain, request.ciphertext, request.envelope
        ).announce(self._secrets, self._material, self._work.encrypted_share)
        return self._certifier.announce(request.sealed, proof)

    @_one_at_a_time
    def certify(self, request: CertificateRequest) -> bytes:
        """Second step, and the signature under it; see `Certifier.certify`."""
        return self._certifier.certify(request)

    @_one_at_a_time
    def show(self, intent: CertifiedIntent) -> None:
        """Take note of a certificate that a client or a keyper shows; see `Certifier.show`."""
        self._certifier.show(intent)

    @_one_at_a_time
    def cancel(self, cancelled: SignedCancellation) -> bytes:
        """Sign the receipt of a cancellation; see `Certifier.cancel`."""
        return self._certifier.cancel(cancelled)

    @_one_at_a_time
    def close_admission(self, interval: Interval) -> KnownIntents:
        """End certification, after the close; see `Certifier.close`."""
        return self._certifier.close(interval)

    @_one_at_a_time
    def sign_batch_root(self, proposal: BatchProposal) -> bytes:
        """Sign the one batch root of an interval, which this keyper derives itself.

        Signed before, it is signed again, whatever has become of its masks: a keyper that restarts
        in an auction has to be shown its batch again.

        Raises:
            AdmissionNotOpen: its certification has not ended.
            BatchRefused, OmittedIntent, CancelledIntent: see `batch_check.check_batch`.
            MaskUsed: a mask of the plan is not what this keyper finished, or is bound already.
            Equivocation: another root was signed.
        """
        self._certifier.check(proposal)
        root, interval = proposal.root, Interval(proposal.root.interval)
        if self._store.signed_batch(interval) != root.struct_hash():
            self._require_unused(proposal.masks)
        self._store.sign_batch_once(interval, root.struct_hash())
        self._batches[interval] = proposal.batch
        return self._identity.sign(root.digest(self._domain))

    def _require_unused(self, masks: Iterable[PlannedMask]) -> None:
        for mask in masks:
            self._store.require_finished(self._secrets.committee.epoch, mask.number, mask.digest)

    @_one_at_a_time
    def begin_auction(self, interval: Interval) -> bytes:
        """Accept openings of an interval whose batch is final; returns their context.

        Raises:
            OpeningRefused: the chain has no open batch, or another than this keyper signed.
                Or it has too little time left to be settled; once begun, that ends no auction.
            ReferenceRefused: the interval's reference prices were not accepted, or are too old.
        """
        self._senses.require_references(interval)
        batch = self._require_own_batch(interval)
        context = opening_context(batch.message.digest(self._domain), batch.block)
        if context not in self._auctions and batch.seconds_left < BEGIN_LEFT_S_MIN:
            expected = f"at least {BEGIN_LEFT_S_MIN} s left to settle it"
            raise OpeningRefused(f"auction {interval}", expected, f"{batch.seconds_left} s")
        self._auctions[context] = _Begun(interval, batch.message.root, batch.point)
        return context

    def _require_own_batch(self, interval: Interval) -> BatchEvidence:
        """The batch that is final and open on the chain, which is the one this keyper signed."""
        batch, signed = self._senses.open_batch(interval), self._store.signed_batch(interval)
        if batch is None or batch.message.struct_hash() != signed:
            expected = "a batch that this keyper signed" if signed is None else signed.hex()
            got = "no open batch" if batch is None else batch.message.struct_hash().hex()
            raise OpeningRefused(f"auction {interval}", expected, got)
        return batch

    @_one_at_a_time
    def beacon_shares(self, request: BeaconRequest) -> dict[int, bytes]:
        """PRF of the shares held over (interval, final root), 32 bytes by share number.

        Raises:
            OpeningRefused: the root is not final.
        """
        interval, root = request.interval, request.root
        batch = self._senses.open_batch(interval)
        if batch is None or batch.message.root != root:
            raise OpeningRefused(f"beacon {interval}", "a final batch root", root.hex())
        return self._beacon_shares(interval, root)

    def _beacon_shares(self, interval: Interval, root: bytes) -> dict[int, bytes]:
        return {
            j: derive_seed(labels.BEACON, seed, interval, root)
            for j, seed in self._secrets.seeds.items()
        }

    @_one_at_a_time
    def issue_mask(self, number: int) -> None:
        """Set a mask number aside for preparation.

        Raises:
            MaskUsed: it was issued before.
        """
        self._store.issue_mask(self._secrets.committee.epoch, number)

    @_one_at_a_time
    def next_mask(self) -> int:
        """The next mask number that was never issued."""
        return self._store.next_mask(self._secrets.committee.epoch)

    @_one_at_a_time
    def accept_preparation(self, number: int) -> None:
        """Accept the openings that the preparation of an issued mask needs, until it is used."""
        self._preparations[mask_context(self._secrets.committee.epoch, number)] = number

    @_one_at_a_time
    def consume_mask(self, use: MaskUse) -> None:
        """Bind a mask to an auction, once.

        Raises:
            MaskUsed: it is bound already or was never issued.
        """
        self._store.consume_mask(self._secrets.committee.epoch, use.number, use.context)

    @_one_at_a_time
    def contribution(self, request: ContributionRequest) -> Contribution:
        """What a virtual party sends for a mask draw."""
        draw, share = request.draw, request.share
        self._secrets.require_epoch(draw.epoch)
        return self._work.contribution(self._material, draw, share, self._seed(share))

    @_one_at_a_time
    def attest_mask(self, mask: DrawnMask) -> bytes:
        """Sign a mask that was combined from agreed contributions; its preparation is over.

        Raises:
            MaskUsed: the number has become another mask, or is used.
        """
        digest = mask.digest()
        draw = mask.draw
        self._secrets.require_epoch(draw.epoch)
        self._store.finish_mask(draw.epoch, draw.number, digest, len(mask.order_ciphertexts))
        self._preparations.pop(mask_context(draw.epoch, draw.number), None)
        self._work.forget_contributions()
        return self._identity.sign(mask_attestation_digest(self._domain, digest))

    @_one_at_a_time
    def sign_transcript(self, request: TranscriptRequest) -> bytes:
        """Sign the beacon and all that was opened in an auction, and open nothing more in it.

        Of the beacon it signs the shares that it holds, computed again from its own seeds: no word
        of the operator's enters.

        Raises:
            OpeningRefused: the auction never began, ended with another transcript, or its intents
                were certified for other terms.
        """
        context, terms_digest = request.context, request.terms_digest
        if context not in self._auctions:
            raise OpeningRefused("transcript", "the context of a begun auction", context.hex())
        certified = self._certifier.terms_digest(self._auctions[context].interval)
        if certified != terms_digest:
            raise OpeningRefused("terms of a transcript", certified.hex(), terms_digest.hex())
        entries, beacon = (
            self._store.entries(context),
            self._beacon_shares(self._auctions[context].interval, self._auctions[context].root),
        )
        transcript = OpeningTranscript(self._domain, context, terms_digest, entries, beacon)
        digest = transcript.digest(self.number)
        self._store.close_transcript(context, digest)
        del self._auctions[context]
        return self._identity.sign(digest)

    @_one_at_a_time
    def sign_settlement(self, proposal: SettlementProposal) -> bytes:
        """Sign the one settlement of an interval, as this keyper computes it.

        Its own batch, its own node and what a quorum signed of the openings decide; of the proposal
        nothing is believed.

        Raises:
            OpeningRefused: the chain has no open batch, or another than this keyper signed.
            SettlementRefused: the proposal differs from what follows.
            Equivocation: another one was signed.
        """
        interval = Interval(proposal.summary.interval)
        batch = self._batches.get(interval)
        if batch is None:
            raise SettlementRefused("batch", f"one signed for interval {interval}", "none")
        self._require_own_batch(interval)
        record = proposed_record(proposal, batch, self._material)
        chain = self._senses.recorded_chain(venue_of(self._domain, proposal.summary))
        require_reporters(proposal, self._senses)
        voids = [left_by(void, self._faults_proven) for void in proposal.voids]
        checked = check_proposal(record, chain, voids, proposal.prices_before)
        if checked.proves_faults:
            self._faults_proven.add(interval)
        for difference in checked.differences:
            subject = f"{difference.check}, {difference.subject}"
            raise SettlementRefused(subject, difference.expected, difference.got)
        digest = checked.message.digest(self._domain)
        self._store.sign_settlement_once(interval, digest, checked.leaves)
        return self._identity.sign(digest)

    @_one_at_a_time
    def sign_rotation(self, rotation: Rotation) -> bytes:
        """Sign the one rotation of an epoch.

        Raises:
            WrongTerms: it does not follow this keyper's committee.
            Equivocation: another one was signed.
        """
        own = committee_hash(self._certifier.addresses)
        if rotation.previous_committee != own:
            got = rotation.previous_committee.hex()
            raise WrongTerms("committee before the rotation", own.hex(), got)
        digest = rotation.digest(self._domain)
        self._store.sign_rotation_once(rotation.epoch, digest)
        return self._identity.sign(digest)

    @_one_at_a_time
    def announce(self, request: OpeningRequest) -> dict[int, bytes]:
        """Digests of the decryption shares that this keyper holds.

        Raises:
            WrongEpoch, OpeningRefused, MaskUsed: the opening is not answered.
        """
        self._check(request)
        self._store.log_opening(request)
        purpose = request.share_purpose()
        digests = {
            j: share_digest(j, purpose, self._share(request, j).astype("<u8", copy=False).tobytes())
            for j in self._secrets.seeds
        }
        self._store.note_shares(request, digests)
        return digests

    @_one_at_a_time
    def send(self, request: ShareRequest) -> Words:
        """The decryption share behind an announced digest, shape (level, degree).

        Raises:
            WrongEpoch, OpeningRefused, MaskUsed: the opening is not answered, or not announced.
            ChainError: the batch is not final any more, or the node does not say so.
        """
        self._check(request.opening)
        self._store.require_opening(request.opening)
        begun = self._auctions.get(request.opening.context)
        if begun is not None:
            self._senses.require_final(begun.committed_in)
        return self._share(request.opening, request.share)

    def _share(self, request: OpeningRequest, share: int) -> Words:
        ciphertext = request.covered.ciphertext
        return self._work.decryption_share(ciphertext, request.epoch, self._seed(share))

    def _check(self, request: OpeningRequest) -> None:
        self._secrets.require_epoch(request.epoch)
        preparing = self._preparations.get(request.context)
        if preparing is None and request.context not in self._auctions:
            expected = "the context of a begun auction"
            raise OpeningRefused(request.purpose, expected, request.context.hex())
        if preparing is not None:
            self._store.require_preparation(request.epoch, preparing)
        number, part = request.covered.mask_number, request.covered.mask_part
        if number is not None:
            self._store.require_mask(request.epoch, number, part, request.context)
        elif part is not None:
            got = f"part {part} without a mask"
            raise OpeningRefused(request.purpose, "a part of a mask", got)

    def _seed(self, share: int) -> bytes:
        seeds: Mapping[int, bytes] = self._secrets.seeds
        if share not in seeds:
            raise MissingShare(share, 1, 0)
        return seeds[share]
