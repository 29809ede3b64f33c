"""What parties agree on before an interval opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Self

from crypto.signing.eip712 import Domain
from crypto.threshold.attestation import StatedRules, StatedTerms
from crypto.threshold.certificate import VenueKeys
from crypto.threshold.keys import PublicMaterial
from darkpool.clock import Clock
from darkpool.errors import InvalidGrid
from darkpool.limits import (
    BOND_CHARGE_ONE_PPM,
    CAP_BUCKETS_LOTS,
    CASH_MAX,
    INTENTS_PER_AUCTION_MAX,
    OWNERS_MIN_DEFAULT,
    REFERENCE_AGE_MAX_MS,
)
from darkpool.protocol.references import SignedReference
from darkpool.protocol.refusals import InvalidOwners
from darkpool.units import (
    INSTRUMENT_BYTES,
    NUMBER_MAX,
    AccountId,
    Cash,
    InstrumentId,
    Interval,
    Lots,
    OwnerId,
    PriceGrid,
    account_bytes,
    account_id,
    account_of,
    octets,
    require_bucket,
    require_kind,
    require_mapping,
    within,
)

CAP_MIN_DEFAULT: Final = Lots(CAP_BUCKETS_LOTS[0])

DIGEST_BYTES: Final = 32


class Pricing(StrEnum):
    """How the price is found."""

    UNIFORM = "uniform"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class BondTerms:
    """The bond of a venue.

    Attributes:
        amount: what every account holds while it has live intents, once for all of them.
        charge_ppm: the part of `amount` that is taken for an intent that fails the check of shape
            or cap, in parts per million.
        treasury: the account that charges go to.

    Raises:
        OutOfBounds, WrongType: an amount that is none, or more than the whole to be charged.
        InvalidAccount: no address of the treasury.
    """

    amount: Cash
    charge_ppm: int
    treasury: AccountId

    def __post_init__(self) -> None:
        charge_ppm = within("bond charge in ppm", 0, BOND_CHARGE_ONE_PPM, self.charge_ppm)
        object.__setattr__(self, "amount", within("bond in cash units", 0, CASH_MAX, self.amount))
        object.__setattr__(self, "charge_ppm", charge_ppm)
        object.__setattr__(self, "treasury", account_id(self.treasury))

    def charge(self) -> Cash:
        """Return the charge for one intent, rounded up to a whole unit: against the account."""
        return Cash(-(-self.amount * self.charge_ppm // BOND_CHARGE_ONE_PPM))


@dataclass(frozen=True, slots=True)
class PublicRules:
    """Who may take part, and what it costs to break the rules.

    Attributes:
        bond: of every account that has intents.
        owners: whose an account is; one that is not named is its own owner. An owner has one intent
            for each instrument, whichever account it is of.
        owners_min: distinct owners without whom an instrument's auction opens nothing.
        cap_min: the least public cap, a bucket.

    Raises:
        InvalidOwners: an account is named as an owner and has another owner itself, or stands in
            two spellings.
        OutOfBounds, NoBucket: `owners_min` below 1 or more than an auction has intents; no bucket.
        WrongType, InvalidAccount: a number that is no whole one, or text that is no address.
    """

    bond: BondTerms
    owners: Mapping[AccountId, OwnerId] = field(default_factory=dict)
    owners_min: int = OWNERS_MIN_DEFAULT
    cap_min: Lots = CAP_MIN_DEFAULT

    def __post_init__(self) -> None:
        require_kind("bond", BondTerms, self.bond)
        owners = require_mapping("owners", self.owners)
        spelt: dict[AccountId, OwnerId] = {}
        for one, owner in owners.items():
            account = account_id(one)
            if account in spelt:
                raise InvalidOwners(account, "one spelling of the account", "two of them")
            spelt[account] = OwnerId(account_id(owner))
        object.__setattr__(self, "owners", MappingProxyType(spelt))
        for account, owner in self.owners.items():
            above = self.owners.get(AccountId(owner), owner)
            if above != owner:
                raise InvalidOwners(account, "an owner that nobody else owns", f"{owner}: {above}")
        owners_min = within("owners", 1, INTENTS_PER_AUCTION_MAX, self.owners_min)
        object.__setattr__(self, "owners_min", owners_min)
        object.__setattr__(self, "cap_min", require_bucket("minimum cap", self.cap_min))

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        # a view of a mapping cannot be copied or sent: what is made again makes its own
        return type(self), (self.bond, dict(self.owners), self.owners_min, self.cap_min)

    def owner_of(self, account: bytes) -> OwnerId:
        """Who owns an account, given by its 20 bytes."""
        named = account_of(account)
        return self.owners.get(named, OwnerId(named))

    def stated(self) -> StatedRules:
        """The rules as certificates and transcripts are signed for them."""
        return StatedRules(
            {
                account_bytes(account): account_bytes(AccountId(owner))
                for account, owner in self.owners.items()
            },
            self.owners_min,
            self.cap_min,
            self.bond.amount,
            self.bond.charge_ppm,
            account_bytes(self.bond.treasury),
        )


@dataclass(frozen=True, slots=True)
class IntervalTerms:
    """What client, operator and keypers agree on before an interval's auctions open.

    Attributes:
        domain: chain and contract of the settlement.
        vault: the contract that holds collateral.
        material: public keys of the committee's epoch.
        keypers: addresses that the keypers sign with, in keyper order.
        interval: number of the auctions in their series.
        closes_ms: Unix milliseconds from which on nothing is certified or cancelled.
        pricing: how prices are found.
        reporter: address that reference prices are signed with.
        references: a reference price of every instrument that is traded.
        margin_digest: 32 bytes over contracts, prices and risk arrays that margin follows from.
        rules: who may take part, and what it costs to break the rules.
        grids: what the references say; all have the same ticks.
        digest: 32 bytes over all that the auctions run under
            (`crypto.threshold.attestation.StatedTerms`): certificates are signed for it.

    Raises:
        WrongType, OutOfBounds, InvalidAccount: a field of another kind, length or spelling; other
            than one address for each keyper of the committee, all different.
        WrongReference, WrongReporter: see `SignedReference.verify`.
        InvalidGrid: no reference, one that gives no grid, or grids of different lengths, which
            could not share a comparison.
    """

    domain: Domain
    vault: AccountId
    material: PublicMaterial
    keypers: tuple[AccountId, ...]
    interval: Interval
    closes_ms: int
    pricing: Pricing
    reporter: AccountId
    references: Mapping[InstrumentId, SignedReference]
    margin_digest: bytes
    rules: PublicRules
    grids: Mapping[InstrumentId, PriceGrid] = field(init=False)
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        for name, value in self._checked().items():
            object.__setattr__(self, name, value)
        for instrument, reference in self.references.items():
            reference.verify(self.domain, self.reporter, instrument, self.interval)
        grids = {instrument: signed.grid() for instrument, signed in self.references.items()}
        lengths = sorted({grid.ticks for grid in grids.values()})
        if len(lengths) != 1:
            got = ", ".join(map(str, lengths)) or "no grid"
            raise InvalidGrid("ticks", "the same for every instrument", got)
        object.__setattr__(self, "grids", MappingProxyType(grids))
        object.__setattr__(self, "digest", self._digest())

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        # as `PublicRules`; what is computed of the other fields is computed again
        given = {one.name: getattr(self, one.name) for one in fields(self) if one.init}
        return type(self), tuple((given | {"references": dict(self.references)}).values())

    def _checked(self) -> dict[str, object]:
        """Every field that is given, of its own kind and in one spelling."""
        references = require_mapping("references", self.references)
        for instrument, reference in references.items():
            octets("instrument", INSTRUMENT_BYTES, instrument)
            require_kind("reference", SignedReference, reference)
        return {
            "domain": require_kind("domain", Domain, self.domain),
            "vault": account_id(self.vault),
            "material": require_kind("material", PublicMaterial, self.material),
            "keypers": self._checked_keypers(),
            "interval": within("interval", 0, NUMBER_MAX, self.interval),
            "closes_ms": within("close in Unix ms", 0, NUMBER_MAX, self.closes_ms),
            "pricing": require_kind("pricing", Pricing, self.pricing),
            "reporter": account_id(self.reporter),
            "references": MappingProxyType(dict(references)),
            "margin_digest": octets("margin digest", DIGEST_BYTES, self.margin_digest),
            "rules": require_kind("rules", PublicRules, self.rules),
        }

    def _checked_keypers(self) -> tuple[AccountId, ...]:
        keypers = tuple(map(account_id, require_kind("keypers", tuple, self.keypers)))
        size = require_kind("material", PublicMaterial, self.material).committee.size
        within("keypers", size, size, len(keypers))
        within("different keypers", size, size, len(set(keypers)))
        return keypers

    def _digest(self) -> bytes:
        stated = StatedTerms(
            self.material.digest(),
            account_bytes(self.vault),
            account_bytes(self.reporter),
            [signed.message.digest(self.domain) for _, signed in sorted(self.references.items())],
            self.pricing.value,
            self.margin_digest,
            self.rules.stated(),
        )
        return stated.digest()

    @property
    def ticks(self) -> int:
        """Prices on the grid of every instrument."""
        return next(iter(self.grids.values())).ticks

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
