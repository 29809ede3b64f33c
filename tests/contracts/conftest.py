"""A venue on a chain of its own, driven without the engine's chain client."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.venue_contracts import VenueContracts


@pytest.fixture
def venue() -> VenueContracts:
    venue = VenueContracts()
    venue.fund()
    return venue


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
