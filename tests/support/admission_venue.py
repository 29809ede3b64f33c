"""An interval's terms, keypers and admission, without an auction behind them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL, ParameterSet
from crypto.signing.ecdsa import address_of
from crypto.signing.eip712 import Domain
from crypto.signing.messages import instrument_id
from crypto.threshold.keys import KeyperSecrets
from darkpool.admission.admit import Admission
from darkpool.admission.register import IN_MEMORY, AdmissionRegister
from darkpool.clock import Clock
from darkpool.committee.quorum import KeyperPanel
from darkpool.keyper.identity import CommitteeView, KeyperIdentity, KeyperSenses
from darkpool.keyper.keyper import LocalKeyper
from darkpool.keyper.share_work import ShareWork
from darkpool.keyper.store import KeyperStore
from darkpool.protocol.terms import IntervalTerms
from darkpool.simulation.clock import SimulatedClock
from darkpool.simulation.mask_factory import no_chain
from darkpool.units import InstrumentId, Interval, PriceGrid, account_id
from tests.support.epochs import dealt
from tests.support.reference_prices import CLOSES_MS, NOW_MS, terms_on


@dataclass(frozen=True)
class AdmissionVenue:
    """An interval's terms; every admission has a register and keypers of its own.

    What these keypers remember is gone with them.
    """

    terms: IntervalTerms
    secrets: tuple[KeyperSecrets, ...]
    instruments: tuple[InstrumentId, InstrumentId]
    clock: SimulatedClock
    work: ShareWork

    def keypers(self) -> list[LocalKeyper]:
        """Keypers that have certified nothing yet."""
        return [
            LocalKeyper(
                KeyperIdentity(own, signing_key(own.keyper)),
                KeyperStore(Path(":memory:")),
                CommitteeView(self.terms.material, self.terms.domain, self.terms.addresses()),
                KeyperSenses(self.clock, lambda _interval: None, no_chain, lambda _interval: None),
                self.work,
            )
            for own in self.secrets
        ]

    def admission(
        self,
        register: AdmissionRegister | None = None,
        terms: IntervalTerms | None = None,
        clock: Clock | None = None,
        keypers: Sequence[Any] | None = None,
    ) -> Admission:
        return Admission(
            terms or self.terms,
            clock or self.clock,
            KeyperPanel(keypers or self.keypers()),
            AdmissionRegister(IN_MEMORY) if register is None else register,
        )


def signing_key(keyper: int) -> bytes:
    return (1000 + keyper).to_bytes(32, "big")


def made_venue(parameters: ParameterSet, size: int) -> AdmissionVenue:
    epoch = dealt(parameters, size)
    domain = Domain(31337, b"\xc0" * 20)
    names = (InstrumentId(instrument_id("ES")), InstrumentId(instrument_id("NQ")))
    grid = PriceGrid(Decimal("0.25"), Decimal(4805), 100)
    addresses = tuple(account_id("0x" + address_of(signing_key(i)).hex()) for i in range(size))
    terms = terms_on(grid, names, Interval(7), domain, epoch.material, CLOSES_MS, addresses)
    return AdmissionVenue(terms, epoch.secrets, names, SimulatedClock(NOW_MS), ShareWork())


@pytest.fixture(scope="session")
def venue_of() -> Callable[[int], AdmissionVenue]:
    """AdmissionVenue with a committee of 3 or 4, dealt once each, on the insecure small rings."""
    made: dict[int, AdmissionVenue] = {}

    def venue(size: int) -> AdmissionVenue:
        if size not in made:
            made[size] = made_venue(TEST_INSECURE_SMALL, size)
        return made[size]

    return venue


@pytest.fixture(scope="session")
def standard_venue() -> AdmissionVenue:
    """AdmissionVenue of four keypers on the rings of production."""
    return made_venue(STANDARD, 4)


@pytest.fixture
def venue(venue_of: Callable[[int], AdmissionVenue]) -> AdmissionVenue:
    """AdmissionVenue of four keypers, with a clock of its own."""
    return replace(venue_of(4), clock=SimulatedClock(NOW_MS))
