"""A reporter for the tests, whose clock stands still."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from crypto.signing.eip712 import Domain
from crypto.threshold.keys import PublicMaterial
from darkpool.protocol.terms import AuctionTerms
from darkpool.simulation.clock import SimulatedClock
from darkpool.simulation.reporters import Reporter
from darkpool.units import AccountId, InstrumentId, Interval, PriceGrid

NOW_MS: Final = 1_900_000_000_000
CLOSES_MS: Final = NOW_MS + 3_600_000
REPORTER: Final = Reporter(b"\x77" * 32, SimulatedClock(NOW_MS))


def renewed(
    terms: AuctionTerms,
    *,
    interval: Interval | None = None,
    domain: Domain | None = None,
    grid: PriceGrid | None = None,
    instruments: Iterable[InstrumentId] | None = None,
) -> AuctionTerms:
    """The same terms for another interval, chain, contract, grid, or other instruments."""
    interval, domain = interval or terms.interval, domain or terms.domain
    grid = grid or next(iter(terms.grids.values()))
    names = terms.grids if instruments is None else instruments
    references = REPORTER.sign(grid, names, interval, domain)
    return replace(terms, domain=domain, interval=interval, references=references)


def terms_on(
    grid: PriceGrid,
    instruments: Iterable[InstrumentId],
    interval: Interval,
    domain: Domain,
    material: PublicMaterial,
    closes_ms: int = CLOSES_MS,
    keypers: tuple[AccountId, ...] = (),
) -> AuctionTerms:
    """Terms of an interval on references that are alike."""
    references = REPORTER.sign(grid, instruments, interval, domain)
    reporter = REPORTER.address
    return AuctionTerms(domain, material, interval, reporter, references, closes_ms, keypers)
