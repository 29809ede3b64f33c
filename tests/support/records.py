"""Records of real auctions on the small rings, and copies of them that a test may change."""

import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from darkpool.auction.listing import OutrightListing
from darkpool.auction.terms import VenueTerms
from darkpool.chain.client import Chain
from darkpool.protocol.terms import Pricing
from darkpool.record.files import MANIFEST_VERSION
from darkpool.simulation.order_file import Order
from darkpool.simulation.venue import Places
from darkpool.units import AccountLabel, InstrumentName, Lots, PriceGrid, Side, Tick, identifier
from darkpool.wargames.intruders import draw_intruders
from tests.support.one_process import run_here

TICKS = 16
INTENTS = 12
DIGESTS: dict[tuple[int, int], str] = {}
"""SHA-256 of files with several links, by inode and time of change."""
DIGESTED_BYTES_MAX = 1 << 30
"""A file that was stretched beyond has no digest of its own."""


@dataclass(frozen=True)
class Published:
    """A record of a real auction, and the chain that it was settled on."""

    directory: Path
    chain: Chain


class Copy:
    """A copy of a record that a test may change."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def read(self, name: str) -> bytes:
        return (self.directory / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Replace a file; the original is another link to the old one."""
        (self.directory / name).unlink(missing_ok=True)
        (self.directory / name).write_bytes(data)

    def flip(self, name: str, offset: int, mask: int = 1) -> None:
        data = bytearray(self.read(name))
        data[offset] ^= mask
        self.write(name, bytes(data))

    def json(self, name: str) -> Any:
        return json.loads(self.read(name))

    def write_json(self, name: str, tree: object) -> None:
        self.write(name, (json.dumps(tree, indent=1) + "\n").encode())

    def change(self, name: str, change: Callable[[Any], object]) -> None:
        """Change a JSON file in place."""
        tree = self.json(name)
        change(tree)
        self.write_json(name, tree)

    @staticmethod
    def _digest(path: Path) -> str:
        """SHA-256 of a file; of one that copies share, computed once."""
        status = path.stat()
        if status.st_size > DIGESTED_BYTES_MAX:
            return hashlib.sha256(path.name.encode()).hexdigest()
        if status.st_nlink == 1:
            return hashlib.sha256(path.read_bytes()).hexdigest()
        name = (status.st_ino, status.st_mtime_ns)
        if name not in DIGESTS:
            DIGESTS[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return DIGESTS[name]

    def reseal(self) -> None:
        """Make the manifest fit, as a forger would."""
        names = sorted(
            path.relative_to(self.directory).as_posix()
            for path in self.directory.rglob("*")
            if path.is_file() and not path.is_symlink() and path.name != "manifest.json"
        )
        files = {n: "0x" + self._digest(self.directory / n) for n in names}
        self.write_json("manifest.json", {"version": MANIFEST_VERSION, "files": files})


def orders_of(names: str, seed: int, *, crossing: bool = True) -> list[Order]:
    """Twelve orders for each instrument; those of instrument C never cross."""
    generator = random.Random(seed)
    orders: list[Order] = []
    for name in names:
        for k in range(INTENTS):
            side = Side.BUY if k % 2 else Side.SELL
            limit = generator.randrange(TICKS)
            if name == "C" or not crossing:
                limit = limit // 2 if side is Side.BUY else TICKS // 2 + limit // 2
            size = Lots(generator.randrange(1, 30))
            label, instrument = AccountLabel(f"client-{k}"), InstrumentName(name)
            orders.append(Order(len(orders), label, instrument, side, size, Tick(limit)))
    return orders


def publish(
    directory: Path,
    orders: list[Order],
    pricing: Pricing,
    attackers: int = 0,
) -> Published:
    chain = Chain.embedded()
    grid = PriceGrid(Decimal("0.25"), Decimal(100), TICKS)
    instruments = sorted({identifier(order.instrument) for order in orders})
    intruders = draw_intruders(attackers, instruments, TICKS)
    terms = VenueTerms(OutrightListing(grid, 100_003, 5), pricing)
    run_here(orders, terms, lambda: chain, Places(record=directory), strangers=intruders)
    return Published(directory, chain)
