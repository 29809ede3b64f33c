"""What the operator of a venue lays down before the orders come."""

from dataclasses import dataclass
from typing import Final

from darkpool.admission.intent import CAP_MIN_DEFAULT
from darkpool.errors import OutOfBounds
from darkpool.limits import CASH_DECIMALS, INTENTS_PER_AUCTION_MAX, OWNERS_MIN_DEFAULT
from darkpool.margin.bond import BondTerms
from darkpool.margin.terms import MarginTerms
from darkpool.outcome import Pricing
from darkpool.units import AccountId, Cash, Lots, PriceGrid, require_bucket

KEYPERS_MIN: Final = 3
KEYPERS_MAX: Final = 4
BOND: Final = Cash(1_000 * 10**CASH_DECIMALS)
"""A thousand units of the currency."""
BOND_CHARGE_PPM: Final = 100_000
"""A tenth of the bond."""

_NOBODY: Final = AccountId("0x" + "00" * 20)


@dataclass(frozen=True, slots=True)
class VenueTerms:
    """What the operator lays down before the orders come.

    Attributes:
        grid: prices of every instrument.
        keypers: size of the committee, 3 or 4.
        margin_rate_ppm: initial margin in parts per million of the notional.
        multiplier: units of the underlying in one contract.
        owners_min: distinct owners without whom an instrument opens nothing.
        cap_min: the least public cap, a bucket.
        bond: what an account holds while it has intents, in cash units.
        bond_charge_ppm: the part of it that a malformed intent costs, in parts per million.

    Raises:
        OutOfBounds: another number of keypers or owners, a minimum cap that is no bucket, or margin
            or a bond that `MarginTerms` and `BondTerms` do not have.
    """

    grid: PriceGrid
    pricing: Pricing
    keypers: int
    margin_rate_ppm: int
    multiplier: int
    owners_min: int = OWNERS_MIN_DEFAULT
    cap_min: Lots = CAP_MIN_DEFAULT
    bond: Cash = BOND
    bond_charge_ppm: int = BOND_CHARGE_PPM

    def __post_init__(self) -> None:
        if not KEYPERS_MIN <= self.keypers <= KEYPERS_MAX:
            raise OutOfBounds("keypers", KEYPERS_MIN, KEYPERS_MAX, self.keypers)
        if not 1 <= self.owners_min <= INTENTS_PER_AUCTION_MAX:
            raise OutOfBounds("owners", 1, INTENTS_PER_AUCTION_MAX, self.owners_min)
        require_bucket("minimum cap", self.cap_min)
        self.margin()
        self.bond_terms(_NOBODY)

    def margin(self) -> MarginTerms:
        """Margin of every instrument."""
        return MarginTerms.on_grid(self.grid, self.margin_rate_ppm, self.multiplier)

    def bond_terms(self, treasury: AccountId) -> BondTerms:
        """Bond of every account, with the account that charges go to."""
        return BondTerms(self.bond, self.bond_charge_ppm, treasury)
