"""One keyper: every share but its own number's, a signing key, and the checks before it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from crypto import labels
from crypto.bfv.ciphertext import Ciphertext
from crypto.errors import MissingShare
from crypto.ring.ring import Words
from crypto.ring.sampling import derive_seed
from crypto.signing.ecdsa import address_of, sign
from crypto.signing.eip712 import Domain
from crypto.signing.messages import BatchRoot, SealedIntent, SettlementRoot
from crypto.threshold.attestation import (
    OpeningTranscript,
    mask_attestation_digest,
    mask_context,
    opening_context,
)
from crypto.threshold.certificate import SignedAnnouncement
from crypto.threshold.keys import KeyperSecrets, PublicMaterial
from crypto.threshold.knowledge import ProofEnvelope
from crypto.threshold.masks import Contribution, Draw, DrawnMask
from crypto.threshold.replicated import share_digest
from crypto.threshold.revealing import OpeningRequest
from darkpool.clock import Clock
from darkpool.keyper.certifier import Certifier
from darkpool.keyper.share_work import ShareWork
from darkpool.keyper.store import KeyperStore
from darkpool.protocol.intents import CertifiedIntent, ClosedBatch, SignedCancellation
from darkpool.protocol.keyper import CheckedProof, KnownIntents
from darkpool.protocol.refusals import OpeningRefused
from darkpool.protocol.terms import AuctionTerms
from darkpool.units import AccountId, Interval, account_of

FinalRoot = Callable[[Interval], bytes | None]
"""Asks the chain: the final batch root of an interval, or None where there is none."""

RequireReferences = Callable[[Interval], None]
"""Raises `ReferenceRefused` unless this keyper accepted the reference prices of an interval."""


class Keyper:
    """A keyper of the local committee; it sees what a remote one would be sent.

    `addresses` are 20 bytes of each keyper, in keyper order; the clock is its own.
    Before it answers an opening it checks epoch, number and order of the opening, that the batch
    root is final on the chain and is the one it signed, and that a mask is bound to this very
    auction; then it writes the opening down; then it computes. That the ciphertext is what the
    batch leads to is checked by whoever derived it in the same process; a keyper of its own process
    has to derive it itself.
    """

    def __init__(
        self,
        secrets: KeyperSecrets,
        material: PublicMaterial,
        signing_key: bytes,
        store: KeyperStore,
        domain: Domain,
        addresses: Sequence[bytes],
        clock: Clock,
        final_root: FinalRoot,
        work: ShareWork,
        require_references: RequireReferences,
    ) -> None:
        self._secrets = secrets
        self._material = material
        self._signing_key = signing_key
        self._store = store
        self._domain = domain
        self._final_root = final_root
        self._work = work
        self._require_references = require_references
        self._auctions: dict[bytes, tuple[Interval, bytes]] = {}
        self._preparations: dict[bytes, int] = {}
        self._certifier = Certifier(
            secrets.keyper, material, addresses, signing_key, store.admissions, domain, clock
        )

    @property
    def number(self) -> int:
        """Number in the committee."""
        return self._secrets.keyper

    @property
    def address(self) -> AccountId:
        """Address that its signatures recover to."""
        return account_of(address_of(self._signing_key))

    def open_admission(self, terms: AuctionTerms) -> None:
        """Accept intents of an interval; see `certifying.Certifier.open`."""
        self._certifier.open(terms)

    def check_proof(
        self, sealed: SealedIntent, ciphertext: Ciphertext, envelope: bytes
    ) -> CheckedProof:
        """First step of the proof of knowledge; see `ProofEnvelope.announce`."""
        reencrypted = ProofEnvelope(sealed, self._domain, ciphertext, envelope).announce(
            self._secrets, self._material, self._work.encrypted_share
        )
        return self._certifier.announce(sealed, reencrypted)

    def certify(
        self,
        sealed: SealedIntent,
        signature: bytes,
        announcements: Sequence[SignedAnnouncement],
    ) -> bytes:
        """Second step, and the signature under it; see `certifying.Certifier.certify`."""
        return self._certifier.certify(sealed, signature, announcements)

    def show(self, intent: CertifiedIntent) -> None:
        """Be shown a certificate by anybody; see `certifying.Certifier.show`."""
        self._certifier.show(intent)

    def cancel(self, cancelled: SignedCancellation) -> bytes:
        """Sign the receipt of a cancellation; see `certifying.Certifier.cancel`."""
        return self._certifier.cancel(cancelled)

    def close_admission(self, interval: Interval) -> KnownIntents:
        """End certification, after the close; see `certifying.Certifier.close`."""
        return self._certifier.close(interval)

    def sign_batch_root(self, root: BatchRoot, batch: ClosedBatch) -> bytes:
        """Sign the one batch root of an interval, which this keyper derives itself.

        Raises:
            AdmissionNotOpen: its certification has not ended.
            BatchRefused, OmittedIntent, CancelledIntent: see `batch_check.check_batch`.
            Equivocation: another root was signed.
        """
        self._certifier.check(root, batch)
        self._store.sign_root_once(Interval(root.interval), root.root, root.count)
        return sign(root.digest(self._domain), self._signing_key)

    def begin_auction(self, interval: Interval) -> bytes:
        """Accept openings of an interval whose batch root is final; returns their context.

        Raises:
            OpeningRefused: the chain has no final root, or another than this keyper signed.
            ReferenceRefused: the interval's reference prices were not accepted, or are too old.
        """
        self._require_references(interval)
        final, signed = self._final_root(interval), self._store.signed_root(interval)
        if final is None or final != signed:
            expected = "no root" if signed is None else signed.hex()
            got = "none" if final is None else final.hex()
            raise OpeningRefused(f"auction {interval}", f"final batch root {expected}", got)
        context = opening_context(self._domain, interval, final)
        self._auctions[context] = (interval, final)
        return context

    def beacon_share(self, interval: Interval, root: bytes) -> dict[int, bytes]:
        """PRF of the shares held over (interval, final root), 32 bytes by share number.

        Raises:
            OpeningRefused: the root is not final.
        """
        if self._final_root(interval) != root:
            raise OpeningRefused(f"beacon {interval}", "a final batch root", root.hex())
        return self._beacon_share(interval, root)

    def _beacon_share(self, interval: Interval, root: bytes) -> dict[int, bytes]:
        return {
            j: derive_seed(labels.BEACON, seed, interval, root)
            for j, seed in self._secrets.seeds.items()
        }

    def issue_mask(self, number: int) -> None:
        """Set a mask number aside for preparation.

        Raises:
            MaskUsed: it was issued before.
        """
        self._store.issue_mask(self._secrets.committee.epoch, number)

    def next_mask(self) -> int:
        """The next mask number that was never issued."""
        return self._store.next_mask(self._secrets.committee.epoch)

    def accept_preparation(self, number: int) -> None:
        """Accept the openings that the preparation of an issued mask needs, until it is used."""
        self._preparations[mask_context(self._secrets.committee.epoch, number)] = number

    def consume_mask(self, number: int, context: bytes) -> None:
        """Bind a mask to an auction, once.

        Raises:
            MaskUsed: it is bound already or was never issued.
        """
        self._store.consume_mask(self._secrets.committee.epoch, number, context)

    def contribution(self, draw: Draw, share: int) -> Contribution:
        """What virtual party `share` sends for a mask draw."""
        self._secrets.require_epoch(draw.epoch)
        return self._work.contribution(self._material, draw, share, self._seed(share))

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
        return sign(mask_attestation_digest(self._domain, digest), self._signing_key)

    def sign_transcript(self, context: bytes, terms_digest: bytes) -> bytes:
        """Sign the beacon and all that was opened in an auction, and open nothing more in it.

        Of the beacon it signs the shares that it holds, computed again from its own seeds: no word
        of the operator's enters.

        Args:
            terms_digest: `crypto.threshold.attestation.StatedTerms.digest`.

        Raises:
            OpeningRefused: the auction never began, ended with another transcript, or its intents
                were certified for other terms.
        """
        if context not in self._auctions:
            raise OpeningRefused("transcript", "an auction that has begun", "another context")
        certified = self._certifier.terms(self._auctions[context][0])
        if certified != terms_digest:
            got = terms_digest.hex()
            raise OpeningRefused("terms of a transcript", "those of certificates", got)
        entries, beacon = self._store.entries(context), self._beacon_share(*self._auctions[context])
        transcript = OpeningTranscript(self._domain, context, terms_digest, entries, beacon)
        digest = transcript.digest(self.number)
        self._store.close_transcript(context, digest)
        del self._auctions[context]
        return sign(digest, self._signing_key)

    def sign_settlement(self, settlement: SettlementRoot) -> bytes:
        """Sign the one settlement of an interval.

        Raises:
            Equivocation: another one was signed.
        """
        digest = settlement.digest(self._domain)
        self._store.sign_settlement_once(Interval(settlement.interval), digest)
        return sign(digest, self._signing_key)

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

    def send(self, request: OpeningRequest, share: int) -> Words:
        """The decryption share behind an announced digest, shape (level, degree).

        Raises:
            WrongEpoch, OpeningRefused, MaskUsed: the opening is not answered, or not announced.
        """
        self._check(request)
        self._store.require_opening(request)
        return self._share(request, share)

    def _share(self, request: OpeningRequest, share: int) -> Words:
        ciphertext = request.covered.ciphertext
        return self._work.decryption_share(ciphertext, request.epoch, self._seed(share))

    def _check(self, request: OpeningRequest) -> None:
        self._secrets.require_epoch(request.epoch)
        preparing = self._preparations.get(request.context)
        if preparing is None and request.context not in self._auctions:
            raise OpeningRefused(request.purpose, "an auction that has begun", "another context")
        if preparing is not None:
            self._store.require_preparation(request.epoch, preparing)
        number, part = request.covered.mask_number, request.covered.mask_part
        if number is not None:
            self._store.require_mask(request.epoch, number, part, request.context)
        elif part is not None:
            raise OpeningRefused(request.purpose, "a part of a mask", f"part {part} of none")

    def _seed(self, share: int) -> bytes:
        seeds: Mapping[int, bytes] = self._secrets.seeds
        if share not in seeds:
            raise MissingShare(share, 1, 0)
        return seeds[share]
