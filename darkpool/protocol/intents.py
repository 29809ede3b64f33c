"""The forms of an order on its way into an auction, and the terms that it is sealed under.

A client wants a `LimitOrder`; `crypto.signing.messages.Intent` is its committed form, which only
the client holds; a `SealedSubmission` is what leaves the client; a `ProvenIntent` has passed the
proof of knowledge; an `AdmittedIntent` has a certificate and takes part.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from crypto.bfv.ciphertext import Ciphertext
from crypto.signing.messages import Cancellation, Domain, SealedIntent, verify_signature
from crypto.threshold.certificate import IntentCertificate, SignedAnnouncement
from crypto.threshold.keys import PublicMaterial
from darkpool.clock import Clock
from darkpool.errors import InvalidGrid, InvalidOwners, OutOfBounds
from darkpool.limits import (
    CAP_BUCKETS_LOTS,
    INTENTS_PER_AUCTION_MAX,
    OWNERS_MIN_DEFAULT,
    REFERENCE_AGE_MAX_MS,
)
from darkpool.protocol.references import SignedReference
from darkpool.units import (
    AccountId,
    InstrumentId,
    Interval,
    Lots,
    OwnerId,
    PriceGrid,
    Side,
    Tick,
    account_bytes,
    account_of,
    require_bucket,
)

CAP_MIN_DEFAULT: Final = Lots(CAP_BUCKETS_LOTS[0])
_PLAIN: Final = Lots(0)


@dataclass(frozen=True, slots=True)
class AuctionTerms:
    """What client, operator and keypers agree on before an interval's auctions open.

    Attributes:
        domain: chain and contract of the settlement.
        material: public keys of the committee's epoch.
        interval: number of the auctions in their series.
        reporter: address that reference prices are signed with.
        references: a reference price of every instrument that is traded.
        closes_ms: Unix milliseconds from which on nothing is certified or cancelled.
        digest: 32 bytes over all that the auction runs under, these terms and the venue's
            (`crypto.threshold.attestation.venue_terms_digest`): certificates are signed for it.
        keypers: addresses that the keypers sign with, in keyper order.
        owners: whose an account is; one that is not named is its own owner. An owner has one intent
            for each instrument, whichever account it is of.
        owners_min: distinct owners without whom an instrument's auction opens nothing.
        cap_min: the least public cap, a bucket.
        grids: what the references say, and nobody else; all have the same ticks.

    Raises:
        WrongReference, WrongReporter: see `SignedReference.verify`.
        InvalidGrid: a reference that gives no grid, or grids of different lengths, which could not
            share a comparison.
        InvalidOwners: an account is named as an owner and has another owner itself.
        OutOfBounds: `owners_min` below 1 or more than an auction has intents; no bucket.
    """

    domain: Domain
    material: PublicMaterial
    interval: Interval
    reporter: AccountId
    references: Mapping[InstrumentId, SignedReference]
    closes_ms: int
    keypers: tuple[AccountId, ...]
    owners: Mapping[AccountId, OwnerId] = field(default_factory=dict)
    owners_min: int = OWNERS_MIN_DEFAULT
    cap_min: Lots = CAP_MIN_DEFAULT
    digest: bytes = bytes(32)
    grids: Mapping[InstrumentId, PriceGrid] = field(init=False)

    def __post_init__(self) -> None:
        for instrument, reference in self.references.items():
            reference.verify(self.domain, self.reporter, instrument, self.interval)
        grids = {instrument: signed.grid() for instrument, signed in self.references.items()}
        object.__setattr__(self, "grids", grids)
        lengths = sorted({grid.ticks for grid in grids.values()})
        if len(lengths) > 1:
            raise InvalidGrid(
                "ticks", "the same for every instrument", ", ".join(map(str, lengths))
            )
        for account, owner in self.owners.items():
            above = self.owners.get(AccountId(owner), owner)
            if above != owner:
                raise InvalidOwners(account, "an owner that nobody else owns", f"{owner}: {above}")
        if not 1 <= self.owners_min <= INTENTS_PER_AUCTION_MAX:
            raise OutOfBounds("owners_min", 1, INTENTS_PER_AUCTION_MAX, self.owners_min)
        require_bucket("cap_min", self.cap_min)

    def owner_of(self, account: bytes) -> OwnerId:
        """Who owns an account, given by its 20 bytes."""
        named = account_of(account)
        return self.owners.get(named, OwnerId(named))

    def require_fresh(self, clock: Clock) -> Self:
        """The terms of an interval that opens now: on fresh references, or not at all.

        Raises:
            StaleReference, ReferenceFromTheFuture: a reference that is not fresh.
        """
        for reference in self.references.values():
            reference.require_fresh(clock.unix_ms(), REFERENCE_AGE_MAX_MS)
        return self

    def addresses(self) -> tuple[bytes, ...]:
        """20 bytes of each keyper, in keyper order."""
        return tuple(map(account_bytes, self.keypers))


@dataclass(frozen=True, slots=True)
class LimitOrder:
    """What a client wants: up to `size` at `limit` or better. Size 0 is cover traffic.

    With a `minimum` it is an offset order: it takes from the surplus of plain orders alone, and
    fills with so many lots or not at all. It is from 1 to the size, 1 for cover traffic; 0 for a
    plain order.
    """

    side: Side
    size: Lots
    limit: Tick
    minimum: Lots = _PLAIN


@dataclass(frozen=True, slots=True)
class SealedSubmission:
    """What a client sends: nothing in it tells side, size or limit.

    Attributes:
        sealed: the public part, which the account signs.
        signature: 65 bytes over its EIP-712 digest.
        ciphertext: wire form.
        envelopes: share openings for each keyper, in keyper order.
    """

    sealed: SealedIntent
    signature: bytes
    ciphertext: bytes
    envelopes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SignedCancellation:
    """An intent taken back, with its account's signature, 65 bytes."""

    cancellation: Cancellation
    signature: bytes

    def verify(self, domain: Domain) -> None:
        """Check that the account signed it.

        Raises:
            InvalidSignature: it did not.
            InvalidMessageField: a field does not fit its type.
        """
        digest = self.cancellation.digest(domain)
        verify_signature(digest, self.signature, self.cancellation.account)

    def is_of(self, sealed: SealedIntent, domain: Domain) -> bool:
        """Whether it is about this intent."""
        return self.cancellation == Cancellation.of(sealed, domain)


@dataclass(frozen=True, slots=True)
class CertifiedIntent:
    """A sealed intent that takes part, with its account's signature and its certificate."""

    sealed: SealedIntent
    signature: bytes
    certificate: IntentCertificate


@dataclass(frozen=True, slots=True)
class ProvenIntent:
    """A sealed intent whose sender has been shown to know what is in it.

    Attributes:
        sealed: the public part.
        signature: the account's, 65 bytes.
        digest: EIP-712 digest of the public part.
        ciphertext: parsed and checked.
        announcements: what the keypers announced of their share openings.
    """

    sealed: SealedIntent
    signature: bytes
    digest: bytes
    ciphertext: Ciphertext
    announcements: tuple[SignedAnnouncement, ...]


@dataclass(frozen=True, slots=True)
class AdmittedIntent:
    """A sealed intent that takes part, unless it is cancelled.

    Attributes:
        sealed: the public part.
        signature: the account's, 65 bytes.
        digest: EIP-712 digest of the public part.
        ciphertext: parsed and checked.
        certificate: a quorum of keypers checked the proof of knowledge before the close.
    """

    sealed: SealedIntent
    signature: bytes
    digest: bytes
    ciphertext: Ciphertext
    certificate: IntentCertificate

    def certified(self) -> CertifiedIntent:
        """Without the ciphertext, as keypers know it."""
        return CertifiedIntent(self.sealed, self.signature, self.certificate)


@dataclass(frozen=True, slots=True)
class ClosedBatch:
    """What is handed to the keypers with a batch root.

    Attributes:
        intents: in batch order.
        cancellations: signed by their accounts; they say why certified intents are left out.
    """

    intents: tuple[CertifiedIntent, ...]
    cancellations: tuple[SignedCancellation, ...]
