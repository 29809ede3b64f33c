"""What contracts pay, in price units for a unit of the underlying: funding and final settlement."""

from __future__ import annotations

from darkpool.limits import FUNDING_PERIOD_MS, FUNDING_PREMIUM_MAX_PPM
from darkpool.margin.market.instruments import Contract, Kind
from darkpool.units import PPM, PriceUnits


def final_value(contract: Contract, price: PriceUnits) -> PriceUnits:
    """What a unit of a dated contract pays at a final settlement price: an option its exercise."""
    if contract.strike is None:
        return price
    gain = price - contract.strike if contract.kind is Kind.CALL else contract.strike - price
    return PriceUnits(max(0, gain))


def funding_for_a_unit(mark: PriceUnits, index: PriceUnits, elapsed_ms: int) -> PriceUnits:
    """What longs of a perpetual swap pay shorts for a unit of underlying, for some milliseconds.

    The premium is the mark less the index, bounded by `FUNDING_PREMIUM_MAX_PPM` of the index (of
    its absolute value, where it is below zero; rounded down). It is what a period of
    `FUNDING_PERIOD_MS` costs, and less time costs as much less, rounded towards zero. More time
    costs no more: one mark says nothing of longer than a period.
    """
    bound = abs(index) * FUNDING_PREMIUM_MAX_PPM // PPM
    premium = max(-bound, min(bound, mark - index))
    share = abs(premium) * min(elapsed_ms, FUNDING_PERIOD_MS) // FUNDING_PERIOD_MS
    return PriceUnits(share if premium > 0 else -share)
