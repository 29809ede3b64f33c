"""What the operator of a venue lays down before the orders come."""

from dataclasses import dataclass
from typing import Final

from darkpool.auction.listing import Listing
from darkpool.errors import WrongType
from darkpool.limits import CASH_DECIMALS, OWNERS_MIN_DEFAULT, REFERENCE_AGE_AT_CLOSE_MAX_MS
from darkpool.margin.market.feeds import FeedTerms
from darkpool.protocol.terms import CAP_MIN_DEFAULT, BondTerms, Pricing, PublicRules
from darkpool.units import AccountId, Cash, Lots, require_kind

KEYPERS: Final = 4
"""Size of the committee: with fewer than four, one that is corrupt and one that is away stop it."""
BOND: Final = Cash(1_000 * 10**CASH_DECIMALS)
"""A thousand units of the currency."""
BOND_CHARGE_PPM: Final = 100_000
"""A tenth of the bond."""
PRICE_REPORTERS: Final = 4
PRICE_STEP_MAX_PPM: Final = 100_000
"""How far a number may move at once without a dispute."""
PRICE_SETTLE_MS: Final = 60_000

_NO_ACCOUNT: Final = AccountId("0x" + "00" * 20)


@dataclass(frozen=True, slots=True)
class VenueTerms:
    """What the operator lays down before the orders come.

    Attributes:
        listing: what can be traded.
        owners_min: distinct owners without whom an instrument opens nothing.
        cap_min: the least public cap, a bucket.
        bond: what an account holds while it has intents, in cash units.
        bond_charge_ppm: the part of it that a malformed intent costs, in parts per million.

    Raises:
        WrongType: a field of another kind.
        OutOfBounds: another number of owners, or a bond that `BondTerms` does not have.
        NoBucket: a minimum cap that is no bucket.
    """

    listing: Listing
    pricing: Pricing
    owners_min: int = OWNERS_MIN_DEFAULT
    cap_min: Lots = CAP_MIN_DEFAULT
    bond: Cash = BOND
    bond_charge_ppm: int = BOND_CHARGE_PPM

    def __post_init__(self) -> None:
        if not callable(getattr(self.listing, "of", None)):
            raise WrongType("listing", "what can be traded, such as OutrightListing", self.listing)
        require_kind("pricing", Pricing, self.pricing)
        rules = self.rules(_NO_ACCOUNT)
        plain = {
            "owners_min": rules.owners_min,
            "cap_min": rules.cap_min,
            "bond": rules.bond.amount,
            "bond_charge_ppm": rules.bond.charge_ppm,
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)

    def rules(self, treasury: AccountId) -> PublicRules:
        """What is published of bond, owners and caps, with the account that charges go to."""
        bond = BondTerms(self.bond, self.bond_charge_ppm, treasury)
        return PublicRules(bond, owners_min=self.owners_min, cap_min=self.cap_min)


def feed_terms(reporters: tuple[AccountId, ...]) -> FeedTerms:
    """When a number of the market counts; it stays fresh for as long as an interval may last."""
    return FeedTerms(
        reporters,
        REFERENCE_AGE_AT_CLOSE_MAX_MS,
        PRICE_STEP_MAX_PPM,
        PRICE_SETTLE_MS,
    )
