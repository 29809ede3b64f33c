"""Futures, perpetual swaps and options at a market that moves with the clock and with a test."""

from dataclasses import dataclass
from datetime import datetime

from darkpool.auction.listing import ContractListing
from darkpool.margin.market.instruments import unix_ms
from tests.support.margin_houses import specification
from tests.support.moving_markets import form_at, phase_of

TICKS = 16


@dataclass
class MovingListing:
    """Prices in percent of those of the houses; swaps cost a premium in basis points."""

    share: int = 100
    premium: int = 0

    def __call__(self, now: datetime) -> ContractListing:
        form = form_at(self.share, self.premium, phase_of(unix_ms(now)))
        return ContractListing(specification(), form.model_copy(update={"time": now}), TICKS)
