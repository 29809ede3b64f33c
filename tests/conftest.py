import os
from pathlib import Path

import pytest
from hypothesis import settings

# The small rings load nowhere else.
os.environ["DARKPOOL_TEST_INSECURE"] = "1"

# Examples are not timed: the machine may be busy with something else.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


pytest_plugins = [
    "tests.support.epochs",
    "tests.support.house",
    "tests.support.arena",
    "tests.support.admission_venue",
    "tests.support.settlement_proposals",
]


@pytest.fixture(scope="session")
def es_orders_path() -> Path:
    """Fifteen minutes of real orders, where they are at hand."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("DARKPOOL_DATA", beside)) / "es_orders.csv"
    if not path.is_file():
        pytest.skip(f"no {path}; DARKPOOL_DATA names the folder that has es_orders.csv")
    return path
