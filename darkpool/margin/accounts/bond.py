"""The bond that an account holds while it has live intents, and what is charged of it."""

from dataclasses import dataclass

from darkpool.errors import OutOfBounds
from darkpool.limits import BOND_CHARGE_ONE_PPM, CASH_MAX
from darkpool.units import AccountId, Cash


@dataclass(frozen=True, slots=True)
class BondTerms:
    """The bond of a venue.

    Attributes:
        amount: what every account holds while it has live intents, once for all of them.
        charge_ppm: the part of `amount` that an intent costs which fails the check of shape or cap,
            in parts per million.
        treasury: the account that charges go to.

    Raises:
        OutOfBounds: a negative or too large amount, or a part above the whole.
    """

    amount: Cash
    charge_ppm: int
    treasury: AccountId

    def __post_init__(self) -> None:
        if not 0 <= self.amount <= CASH_MAX:
            raise OutOfBounds("bond", 0, CASH_MAX, self.amount)
        if not 0 <= self.charge_ppm <= BOND_CHARGE_ONE_PPM:
            raise OutOfBounds("bond charge in ppm", 0, BOND_CHARGE_ONE_PPM, self.charge_ppm)

    def charge(self) -> Cash:
        """Return the charge for one intent, rounded up to a whole unit: against the account."""
        return Cash(-(-self.amount * self.charge_ppm // BOND_CHARGE_ONE_PPM))
