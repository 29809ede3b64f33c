"""Records of intervals that follow each other: trades at moving prices, requests and payments."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from darkpool.auction.listing import ContractListing, Listed
from darkpool.chain.client import Chain
from darkpool.margin.market.market import read_market_form
from darkpool.simulation.order_file import Order
from darkpool.units import AccountLabel, InstrumentName, Lots, Side, Tick
from tests.support.margin_houses import market_at, specification
from tests.support.standing_venue import standing_venue

TICKS = 16
TRADED = [InstrumentName("BTC-PERP"), InstrumentName("BTC-MAR")]
CLIENTS = 4
ONE = 10**6


@dataclass(frozen=True)
class At:
    """What is listed while prices are a share of what they were, in percent; the same always."""

    share: int

    def of(self, _names: Iterable[InstrumentName]) -> Listed:
        form = read_market_form("market.json", market_at(self.share).decode())
        return ContractListing(specification(), form, TICKS).of(TRADED)


@dataclass(frozen=True)
class Series:
    """Records in the order of their intervals, and the chain that they were settled on."""

    directories: tuple[Path, ...]
    chain: Chain


def orders_of(seed: int) -> list[Order]:
    """Every client trades every contract, half of them on either side; all may cross."""
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
    chain = Chain.embedded()
    with standing_venue(At(100), chain, folder) as venue:
        deposits = {f"client-{client}": 400_000 * ONE for client in range(CLIENTS)}
        venue.deposit(**deposits, idle=5 * ONE)
        venue.trade(At(100), orders_of(1))
        venue.request("client-0", 1_000 * ONE)
        venue.request("idle", 6 * ONE)
        venue.trade(At(101), orders_of(2))
        venue.claim("client-0")
        venue.claim("idle")
        venue.deposit(late=7 * ONE)
        venue.chain.give_notice(venue.key("late"), venue.chain.standing().flows)
        venue.trade(At(99))
        directories = tuple(venue.record(interval) for interval in (1, 2, 3))
    return Series(directories, chain)
