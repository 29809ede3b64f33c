"""Records of intervals that follow each other: trades at moving prices, requests and payments."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from darkpool.chain.client import Chain
from darkpool.chain.reader import RecordedVenue
from darkpool.record.reader import Record
from darkpool.simulation.order_file import Order
from darkpool.units import AccountLabel, InstrumentName, Lots, Side, Tick
from tests.support.moving_listing import TICKS, MovingListing
from tests.support.moving_markets import DAY_MS, MARCH_MS
from tests.support.standing_venue import standing_venue

TRADED: Sequence[InstrumentName] = (InstrumentName("BTC-PERP"), InstrumentName("BTC-MAR"))
CLIENTS = 4
ONE = 10**6


@dataclass(frozen=True)
class Series:
    """Records in the order of their intervals, and the chain that they were settled on."""

    directories: tuple[Path, ...]
    chain: Chain

    def reader(self) -> RecordedVenue:
        """The chain, for an audit."""
        return RecordedVenue(self.chain, Record.load(self.directories[0]).summary.venue)


def orders_of(seed: int) -> list[Order]:
    """Every client trades every contract, half of them on either side."""
    generator = random.Random(seed)
    orders: list[Order] = []
    for number, name in enumerate(TRADED):
        for client in range(CLIENTS):
            side = Side((client + number) % 2)
            edge = generator.randrange(4)
            limit = TICKS // 2 + (edge if side is Side.BUY else -edge)
            label, size = AccountLabel(f"client-{client}"), Lots(generator.randrange(1, 9))
            orders.append(Order(len(orders), label, name, side, size, Tick(limit)))
    return orders


def publish_series(folder: Path) -> Series:
    """Three intervals.

    In the first one clients trade. Before the second one, which trades at other prices, some ask
    for cash, and `idle` for all that it has. In the third one, without intents, `idle` has been
    paid and has no leaf any more, and `late` has asked for its new deposit back.
    """
    chain, market = Chain.embedded(), MovingListing()
    with standing_venue(market, chain, folder, MARCH_MS - 4 * DAY_MS) as venue:
        deposits = {f"client-{client}": 400_000 * ONE for client in range(CLIENTS)}
        venue.deposit(**deposits, idle=5 * ONE)
        venue.trade(TRADED, orders_of(1))
        venue.request("client-0", 1_000 * ONE)
        venue.request("idle", 6 * ONE)
        market.share, market.premium = 101, 20
        venue.trade(TRADED, orders_of(2))
        venue.claim("client-0")
        venue.claim("idle")
        venue.deposit(late=7 * ONE)
        venue.chain.give_notice(venue.key("late"), venue.chain.standing().flows)
        market.share = 99
        venue.trade(TRADED)
        directories = tuple(venue.record(interval) for interval in (1, 2, 3))
    return Series(directories, chain)
