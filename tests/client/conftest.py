from pathlib import Path

import pytest

from crypto.ring.params import TEST_INSECURE_SMALL
from tests.support.admission_venue import AdmissionVenue, made_venue
from tests.support.agent_desk import Desk


@pytest.fixture(scope="session")
def small_venue() -> AdmissionVenue:
    return made_venue(TEST_INSECURE_SMALL, 4)


@pytest.fixture
def desk(small_venue: AdmissionVenue, tmp_path: Path) -> Desk:
    return Desk(small_venue, tmp_path / "agent.db")
