"""Records that the tests of this room share, each of an auction of its own."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from darkpool.protocol.terms import Pricing
from tests.support.records import Copy, Published, orders_of, publish
from tests.support.series import Series, publish_series


@pytest.fixture(scope="session")
def uniform(tmp_path_factory: pytest.TempPathFactory) -> Published:
    directory = tmp_path_factory.mktemp("uniform") / "record"
    return publish(directory, orders_of("ABC", 1), Pricing.UNIFORM)


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Published:
    directory = tmp_path_factory.mktemp("reference") / "record"
    return publish(directory, orders_of("AC", 2), Pricing.REFERENCE, 3)


@pytest.fixture(scope="session")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Published:
    directory = tmp_path_factory.mktemp("quiet") / "record"
    return publish(directory, orders_of("AB", 3, crossing=False), Pricing.UNIFORM)


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Ten attackers among the orders, five of each sort."""
    directory = tmp_path_factory.mktemp("attacked") / "record"
    return publish(directory, orders_of("AB", 4), Pricing.UNIFORM, attackers=10)


@pytest.fixture(scope="session")
def series(tmp_path_factory: pytest.TempPathFactory) -> Series:
    return publish_series(tmp_path_factory.mktemp("series"))


@pytest.fixture
def copy_of(tmp_path: Path) -> Iterator[Callable[[Published], Copy]]:
    """Makes copies that share every file that is not changed."""
    made = 0

    def make(published: Published) -> Copy:
        nonlocal made
        made += 1
        directory = tmp_path / f"copy-{made}"
        shutil.copytree(published.directory, directory, copy_function=os.link)
        return Copy(directory)

    yield make
    shutil.rmtree(tmp_path, ignore_errors=True)
