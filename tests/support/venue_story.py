"""A venue's life in ten intervals, from first deposits to a last one that its operator deserts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from darkpool.auction.outcome import IntervalOutcome
from darkpool.chain.client import Chain
from darkpool.simulation.clients import Stranger
from darkpool.simulation.order_file import Order
from darkpool.units import AccountLabel, InstrumentName, Lots, Side, Tick
from tests.support.moving_listing import TICKS, MovingListing
from tests.support.moving_markets import DAY_MS, MARCH_MS
from tests.support.standing_venue import StandingVenue, standing_venue

ONE = 10**6
NAMES = ("BTC-PERP", "BTC-MAR", "BTC-MAR-60000-C", "ETH-PERP")
DAY_S = 86_400

Travel = Callable[[int], None]
"""Lets seconds pass on a chain."""


@dataclass
class Story:
    """A standing venue whose market and chain's clock a test moves."""

    standing: StandingVenue
    market: MovingListing
    travel: Travel

    @property
    def chain(self) -> Chain:
        return self.standing.chain

    def interval(
        self,
        *pairs: tuple[str, str, str, int],
        names: Sequence[str] = NAMES,
        strangers: Sequence[Stranger] = (),
    ) -> IntervalOutcome:
        """An interval in which each pair of a buyer and a seller trades lots of an instrument."""
        orders = []
        for instrument, buyer, seller, size in pairs:
            for name, side, tick in (
                (buyer, Side.BUY, TICKS - 1),
                (seller, Side.SELL, 0),
            ):
                row = len(orders) + 1
                label = AccountLabel(name), InstrumentName(instrument)
                orders.append(Order(row, *label, side, Lots(size), Tick(tick)))
        return self.standing.trade(names, orders, strangers)


@contextmanager
def story(chain: Chain, folder: Path, travel: Travel) -> Iterator[Story]:
    """A venue that begins four days before contracts of March expire."""
    market = MovingListing()
    with standing_venue(market, chain, folder, MARCH_MS - 4 * DAY_MS) as standing:
        yield Story(standing, market, travel)
