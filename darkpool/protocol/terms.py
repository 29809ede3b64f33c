"""What parties agree on before an interval opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

from crypto.signing.eip712 import Domain
from crypto.threshold.certificate import VenueKeys
from crypto.threshold.keys import PublicMaterial
from darkpool.clock import Clock
from darkpool.errors import InvalidGrid, OutOfBounds
from darkpool.limits import (
    CAP_BUCKETS_LOTS,
    INTENTS_PER_AUCTION_MAX,
    OWNERS_MIN_DEFAULT,
    REFERENCE_AGE_MAX_MS,
)
from darkpool.protocol.references import SignedReference
from darkpool.protocol.refusals import InvalidOwners
from darkpool.units import (
    AccountId,
    InstrumentId,
    Interval,
    Lots,
    OwnerId,
    PriceGrid,
    account_bytes,
    account_of,
    require_bucket,
)

CAP_MIN_DEFAULT: Final = Lots(CAP_BUCKETS_LOTS[0])


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
            (`crypto.threshold.attestation.StatedTerms`): certificates are signed for it.
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

    def venue_keys(self) -> VenueKeys:
        """What the interval's certificates are verified against."""
        return VenueKeys(self.domain, self.addresses(), self.material.committee.quorum)


class Pricing(StrEnum):
    """How the price is found."""

    UNIFORM = "uniform"
    REFERENCE = "reference"
