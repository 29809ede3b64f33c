"""A venue on a chain of its own, driven without the engine's chain client."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.custody_contracts import CustodyContracts

SOURCES = Path(__file__).parent


def compiled(name: str) -> tuple[list[dict[str, Any]], bytes]:
    from vyper import compile_code

    source = (SOURCES / f"{name}.vy").read_text(encoding="utf-8")
    artifact = compile_code(source, output_formats=["abi", "bytecode"])
    return artifact["abi"], bytes.fromhex(artifact["bytecode"][2:])


@pytest.fixture(scope="session")
def deployed() -> CustodyContracts:
    """Contracts and funded accounts, as every test of them begins."""
    venue = CustodyContracts()
    venue.fund()
    return venue


@pytest.fixture
def venue(deployed: CustodyContracts) -> Iterator[CustodyContracts]:
    with deployed.as_it_was():
        yield deployed


@pytest.fixture(scope="session")
def hostile_token() -> tuple[list[dict[str, Any]], bytes]:
    return compiled("HostileToken")


@pytest.fixture
def hostile_venue(hostile_token: tuple[list[dict[str, Any]], bytes]) -> CustodyContracts:
    venue = CustodyContracts([hostile_token])
    venue.fund()
    return venue


@pytest.fixture(scope="session")
def wallet_code() -> tuple[list[dict[str, Any]], bytes]:
    return compiled("Wallet")


@pytest.fixture(scope="session")
def silent_code() -> tuple[list[dict[str, Any]], bytes]:
    return compiled("SilentToken")


@pytest.fixture(scope="session")
def blocking_code() -> tuple[list[dict[str, Any]], bytes]:
    return compiled("BlockingToken")
