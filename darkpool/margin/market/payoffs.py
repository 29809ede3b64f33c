"""What contracts pay, in price units for a unit of the underlying: funding and final settlement."""

from __future__ import annotations

from darkpool.margin.market.instruments import Contract, Kind
from darkpool.units import PPM, PriceUnits


def final_value(contract: Contract, price: PriceUnits) -> PriceUnits:
    """What a unit of a dated contract pays at a final settlement price: an option its exercise."""
    if contract.strike is None:
        return price
    gain = price - contract.strike if contract.kind is Kind.CALL else contract.strike - price
    return PriceUnits(max(0, gain))


def funding_for_a_unit(
    mark: PriceUnits, index: PriceUnits, cap_ppm: int, intervals_per_day: int
) -> PriceUnits:
    """What a unit of underlying pays in a funding interval: the premium of a day, shared out.

    The premium is the mark less the index, bounded by a part of the index (of its absolute value,
    where it is below zero), rounded towards zero.
    """
    bound = abs(index) * cap_ppm // PPM
    premium = max(-bound, min(bound, mark - index))
    share = abs(premium) // intervals_per_day
    return PriceUnits(share if premium > 0 else -share)
