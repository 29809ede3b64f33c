"""Committees of real keypers on the small rings, each with its own durable memory."""

import itertools
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from crypto.commitment import BatchRoot, Domain
from crypto.keys import PublicMaterial, deal
from crypto.params import TEST_INSECURE_SMALL, ParameterSet
from crypto.replicated import Committee
from crypto.seal import Evaluator
from darkpool.committee.factory import CommitteeSeat
from darkpool.committee.keyper import Keyper, RequireReferences, ShareWork
from darkpool.committee.local import LocalCommittee
from darkpool.committee.store import KeyperStore
from darkpool.units import Interval
from tests.crypto.conftest import EPOCH, Epoch

DOMAIN = Domain(31337, b"\xd0" * 20)


@dataclass(repr=False)
class House:
    """A dealt epoch, and a chain that makes final whatever a test puts into `final_roots`."""

    epoch: Epoch
    order: Evaluator
    comparison: Evaluator
    folder: Path
    final_roots: dict[int, bytes] = field(default_factory=dict)
    intervals: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def parameters(self) -> ParameterSet:
        return self.epoch.parameters

    @property
    def material(self) -> PublicMaterial:
        return self.epoch.material

    def seats(self) -> tuple[CommitteeSeat, ...]:
        """Seats with empty memories, and keys of their own."""
        home = self.folder / secrets.token_hex(4)
        home.mkdir()
        return tuple(
            CommitteeSeat(s, secrets.token_bytes(32), home / f"{s.keyper}.db")
            for s in self.epoch.secrets
        )

    def committee(
        self,
        seats: tuple[CommitteeSeat, ...] | None = None,
        kinds: Mapping[int, type[Keyper]] | None = None,
        require_references: RequireReferences = lambda _interval: None,
    ) -> LocalCommittee:
        """Start keypers; `kinds` gives some of them another class.

        Unless a test says otherwise, the reference prices of every interval count as accepted.
        """
        work = ShareWork()
        keypers = [
            (kinds or {}).get(seat.secrets.keyper, Keyper)(
                seat.secrets,
                self.material,
                seat.signing_key,
                KeyperStore(seat.store),
                DOMAIN,
                lambda interval: self.final_roots.get(interval),
                work,
                require_references,
            )
            for seat in seats or self.seats()
        ]
        return LocalCommittee(keypers, self.material, self.order, self.comparison, DOMAIN)

    def closed(self, committee: LocalCommittee) -> Interval:
        """An interval whose batch root all keypers signed and the chain made final."""
        interval, root = Interval(next(self.intervals)), secrets.token_bytes(32)
        committee.sign_batch_root(BatchRoot(interval, root, 1))
        self.final_roots[interval] = root
        return interval


def built(size: int, folder: Path, parameters: ParameterSet = TEST_INSECURE_SMALL) -> House:
    """A house with an epoch of its own."""
    committee = Committee(size, EPOCH)
    material, held = deal(parameters, committee)
    order = Evaluator(material.order.evaluation_keys())
    comparison = Evaluator(material.comparison.evaluation_keys())
    epoch = Epoch(parameters, committee, material, held)
    return House(epoch, order, comparison, folder)


@pytest.fixture(scope="session")
def house_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], House]:
    """House with a committee of 3 or 4, dealt once each."""
    made: dict[int, House] = {}

    def house(size: int) -> House:
        if size not in made:
            made[size] = built(size, tmp_path_factory.mktemp(f"house-{size}"))
        return made[size]

    return house


@pytest.fixture
def house(house_of: Callable[[int], House]) -> House:
    """House of four keypers."""
    return house_of(4)
