from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import pytest

from crypto.ciphertext import Ciphertext
from crypto.commitment import Domain, SealedIntent, instrument_id
from crypto.keys import KeyperSecrets, PublicMaterial, deal
from crypto.opening import ReencryptedOpening, open_and_announce
from crypto.params import STANDARD, TEST_INSECURE_SMALL, ParameterSet
from crypto.replicated import Committee
from darkpool.admission.admit import Admission
from darkpool.admission.intent import AuctionTerms
from darkpool.admission.register import IN_MEMORY, AdmissionRegister
from darkpool.clock import SimulatedClock
from darkpool.units import InstrumentId, Interval, PriceGrid
from tests.reference_prices import NOW_MS, terms_on


@dataclass(frozen=True)
class Keyper:
    """A keyper that does nothing but check openings."""

    secrets: KeyperSecrets
    material: PublicMaterial
    domain: Domain

    @property
    def number(self) -> int:
        return self.secrets.keyper

    def check_opening(
        self, sealed: SealedIntent, ciphertext: Ciphertext, envelope: bytes
    ) -> ReencryptedOpening:
        return open_and_announce(
            self.secrets, self.material, sealed, self.domain, ciphertext, envelope
        )


@dataclass(frozen=True)
class Venue:
    """An interval's terms and its keypers; every test admits into a register of its own."""

    terms: AuctionTerms
    keypers: tuple[Keyper, ...]
    instruments: tuple[InstrumentId, InstrumentId]
    clock: SimulatedClock

    def admission(
        self, register: AdmissionRegister | None = None, terms: AuctionTerms | None = None
    ) -> Admission:
        register = AdmissionRegister(IN_MEMORY) if register is None else register
        return Admission(terms or self.terms, self.clock, self.keypers, register)


def made_venue(parameters: ParameterSet, size: int) -> Venue:
    material, held = deal(parameters, Committee(size, 2))
    domain = Domain(31337, b"\xc0" * 20)
    names = (InstrumentId(instrument_id("ES")), InstrumentId(instrument_id("NQ")))
    grid = PriceGrid(Decimal("0.25"), Decimal(4805), 100)
    terms = terms_on(grid, names, Interval(7), domain, material)
    keypers = tuple(Keyper(s, material, domain) for s in held)
    return Venue(terms, keypers, names, SimulatedClock(NOW_MS))


@pytest.fixture(scope="session")
def venue_of() -> Callable[[int], Venue]:
    """Venue with a committee of 3 or 4, dealt once each, on the insecure small rings."""
    made: dict[int, Venue] = {}

    def venue(size: int) -> Venue:
        if size not in made:
            made[size] = made_venue(TEST_INSECURE_SMALL, size)
        return made[size]

    return venue


@pytest.fixture(scope="session")
def standard_venue() -> Venue:
    """Venue of four keypers on the rings of production."""
    return made_venue(STANDARD, 4)


@pytest.fixture
def venue(venue_of: Callable[[int], Venue]) -> Venue:
    """Venue of four keypers."""
    return venue_of(4)
