"""A reporter for the tests, whose clock stands still."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from crypto.signing.eip712 import Domain
from crypto.threshold.keys import PublicMaterial
from crypto.threshold.replicated import Committee
from darkpool.protocol.terms import BondTerms, IntervalTerms, Pricing, PublicRules
from darkpool.simulation.clock import SimulatedClock
from darkpool.simulation.reporters import Reporter
from darkpool.units import (
    ADDRESS_BYTES,
    AccountId,
    Cash,
    InstrumentId,
    Interval,
    Lots,
    OwnerId,
    PriceGrid,
    account_of,
)

NOW_MS: Final = 1_900_000_000_000
CLOSES_MS: Final = NOW_MS + 3_600_000
NO_ACCOUNT: Final = AccountId("0x" + "00" * 20)
REPORTER: Final = Reporter(b"\x77" * 32, SimulatedClock(NOW_MS))


class _NoMaterial(PublicMaterial):
    """Stands for key material where only references are looked at."""

    def __init__(self) -> None:
        """It has no field but the committee."""
        object.__setattr__(self, "committee", Committee(4, 1))

    def digest(self) -> bytes:
        return bytes(32)


NO_MATERIAL: Final = _NoMaterial()


def renewed(
    terms: IntervalTerms,
    *,
    interval: Interval | None = None,
    domain: Domain | None = None,
    grid: PriceGrid | None = None,
    instruments: Iterable[InstrumentId] | None = None,
) -> IntervalTerms:
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
    keypers: tuple[AccountId, ...] | None = None,
) -> IntervalTerms:
    """Terms of an interval on references that are alike; keypers that sign nothing need no key."""
    numbers = range(1, material.committee.size + 1)
    nobodies = tuple(account_of(bytes([number]) * ADDRESS_BYTES) for number in numbers)
    return IntervalTerms(
        domain=domain,
        vault=NO_ACCOUNT,
        material=material,
        keypers=nobodies if keypers is None else keypers,
        interval=interval,
        closes_ms=closes_ms,
        pricing=Pricing.UNIFORM,
        reporter=REPORTER.address,
        references=REPORTER.sign(grid, instruments, interval, domain),
        margin_digest=bytes(32),
        rules=PublicRules(BondTerms(Cash(0), 0, NO_ACCOUNT)),
    )


def with_rules(
    terms: IntervalTerms,
    *,
    owners: Mapping[AccountId, OwnerId] | None = None,
    owners_min: int | None = None,
    cap_min: Lots | None = None,
) -> IntervalTerms:
    """The same terms under other public rules."""
    rules = terms.rules
    changed = PublicRules(
        rules.bond,
        rules.owners if owners is None else owners,
        rules.owners_min if owners_min is None else owners_min,
        rules.cap_min if cap_min is None else cap_min,
    )
    return replace(terms, rules=changed)
