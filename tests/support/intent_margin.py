"""Margin of what a listing has, at prices that reporters of the tests sign."""

from collections.abc import Iterable
from typing import Final

from crypto.signing.eip712 import Domain
from darkpool.auction.listing import Listing
from darkpool.margin.model.intent_margin import IntentMargin
from darkpool.simulation.clock import SimulatedClock
from darkpool.simulation.reporters import PriceReporters
from darkpool.units import InstrumentName, identifier
from tests.support.reference_prices import NOW_MS

DOMAIN: Final = Domain(1, bytes(20))


def intent_margin(listing: Listing, names: Iterable[str], domain: Domain = DOMAIN) -> IntentMargin:
    """What intents for some instruments need."""
    listed = listing.of(InstrumentName(name) for name in names)
    market, halted = PriceReporters().report(listed, domain, SimulatedClock(NOW_MS))
    grids = {identifier(name): grid for name, grid in listed.grids.items()}
    return IntentMargin(listed.specification, market, grids, halted)
