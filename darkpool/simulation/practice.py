"""Terms to try a client's program with: those of a venue that nothing stands behind."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Final

from coincurve import PrivateKey

from crypto.ring.params import STANDARD, ParameterSet
from crypto.signing.ecdsa import address_of
from crypto.signing.eip712 import Domain
from crypto.threshold.keys import deal
from crypto.threshold.replicated import Committee
from darkpool.auction.listing import chosen
from darkpool.auction.terms import BOND, BOND_CHARGE_PPM, KEYPERS
from darkpool.clock import SystemClock
from darkpool.protocol.terms import BondTerms, IntervalTerms, Pricing, PublicRules
from darkpool.simulation.reporters import Reporter
from darkpool.units import (
    FIRST_INTERVAL,
    InstrumentName,
    PriceGrid,
    account_of,
    identifier,
    require_kind,
)

CHAIN_ID: Final = 31337
"""That of development chains."""
OPEN_MS: Final = 600_000


def practice_terms(
    names: Iterable[InstrumentName], grid: PriceGrid, parameters: ParameterSet = STANDARD
) -> IntervalTerms:
    """Terms of a first interval with fresh keys, which closes in ten minutes.

    Whatever is sealed for it can never be opened: the keypers' secrets are gone at once.

    Raises:
        WrongType: an argument of another kind.
        InvalidGrid: no names.
    """
    require_kind("parameters", ParameterSet, parameters)
    require_kind("grid", PriceGrid, grid)
    instruments = [identifier(name) for name in chosen(names)]
    material, _ = deal(parameters, Committee(KEYPERS, 1))
    clock, domain = SystemClock(), Domain(CHAIN_ID, secrets.token_bytes(20))
    reporter = Reporter(PrivateKey().secret, clock)
    treasury = account_of(secrets.token_bytes(20))
    return IntervalTerms(
        domain=domain,
        vault=account_of(secrets.token_bytes(20)),
        material=material,
        keypers=tuple(
            account_of(address_of(PrivateKey().secret)) for _ in range(material.committee.size)
        ),
        interval=FIRST_INTERVAL,
        closes_ms=clock.unix_ms() + OPEN_MS,
        pricing=Pricing.UNIFORM,
        reporter=reporter.address,
        references=reporter.sign(grid, instruments, FIRST_INTERVAL, domain),
        margin_digest=bytes(32),
        rules=PublicRules(BondTerms(BOND, BOND_CHARGE_PPM, treasury)),
    )
