"""A venue on a chain of its own, driven without the engine's chain client."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.venue_contracts import VenueContracts


@pytest.fixture(scope="session")
def deployed() -> VenueContracts:
    """Contracts and funded accounts, as every test of them begins."""
    venue = VenueContracts()
    venue.fund()
    return venue


@pytest.fixture
def venue(deployed: VenueContracts) -> Iterator[VenueContracts]:
    with deployed.as_it_was():
        yield deployed


@pytest.fixture(scope="session")
def hostile_token() -> tuple[list[dict[str, Any]], bytes]:
    from vyper import compile_code

    source = (Path(__file__).parent / "HostileToken.vy").read_text(encoding="utf-8")
    compiled = compile_code(source, output_formats=["abi", "bytecode"])
    return compiled["abi"], bytes.fromhex(compiled["bytecode"][2:])


@pytest.fixture
def hostile_venue(hostile_token: tuple[list[dict[str, Any]], bytes]) -> VenueContracts:
    venue = VenueContracts(hostile_token)
    venue.fund()
    return venue
