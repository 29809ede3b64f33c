"""What a lot of an instrument needs in collateral."""

from dataclasses import dataclass
from typing import Self

from darkpool.errors import OutOfBounds
from darkpool.limits import (
    CONTRACT_MULTIPLIER_MAX,
    MARGIN_RATE_ONE_PPM,
    ORDER_SIZE_MAX_LOTS,
    PRICE_MAX_UNITS,
)
from darkpool.units import Cash, Lots, PriceGrid, PriceUnits


@dataclass(frozen=True, slots=True)
class MarginTerms:
    """Initial margin of a cash-settled contract, at the worst price of its grid.

    `rate_ppm` is the share of the notional that is held, in parts per million; `multiplier` the
    units of the underlying in one contract. The worst price is the largest absolute price of the
    grid: the margin is the same for either side and any limit, so that holding it tells nothing
    of a sealed order but its public cap.

    Raises:
        OutOfBounds: a rate outside 0 to 1,000,000 ppm, a multiplier below 1 or above its limit, or
            a negative worst price or one above its limit.
    """

    rate_ppm: int
    multiplier: int
    worst_price: PriceUnits

    def __post_init__(self) -> None:
        _check("margin rate in ppm", 0, MARGIN_RATE_ONE_PPM, self.rate_ppm)
        _check("contract multiplier", 1, CONTRACT_MULTIPLIER_MAX, self.multiplier)
        _check("worst price", 0, PRICE_MAX_UNITS, self.worst_price)

    @classmethod
    def on_grid(cls, grid: PriceGrid, rate_ppm: int, multiplier: int) -> Self:
        """Take the worst price from a grid."""
        return cls(rate_ppm, multiplier, grid.worst_price_units)

    def initial_margin(self, size: Lots) -> Cash:
        """Return the margin for a size, rounded up to a whole cash unit.

        Raises:
            OutOfBounds: a negative size, or one above `ORDER_SIZE_MAX_LOTS`.
        """
        _check("size in lots", 0, ORDER_SIZE_MAX_LOTS, size)
        notional = self.worst_price * self.multiplier * size
        return Cash(-(-notional * self.rate_ppm // MARGIN_RATE_ONE_PPM))


def _check(quantity: str, lowest: int, highest: int, got: int) -> None:
    if not lowest <= got <= highest:
        raise OutOfBounds(quantity, lowest, highest, got)
