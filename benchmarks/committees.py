"""A local committee for benchmarks: production rings, four keypers, final roots on demand."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from crypto.commitment import BatchRoot, Domain
from crypto.keys import PublicMaterial, deal
from crypto.params import STANDARD
from crypto.replicated import Committee
from crypto.revealing import Revealed
from crypto.seal import Evaluator
from darkpool.committee.factory import CommitteeSeat, local_committee
from darkpool.committee.local import LocalCommittee, Session
from darkpool.units import Interval

DOMAIN = Domain(1, bytes(20))


@dataclass(frozen=True, slots=True)
class Bench:
    """Evaluators and a committee whose chain says what it is told."""

    material: PublicMaterial
    order: Evaluator
    comparison: Evaluator
    committee: LocalCommittee
    final_roots: dict[Interval, bytes]

    def begin(self, interval: Interval, intents: int) -> tuple[Session, list[Revealed]]:
        """Make a random batch root final and open its auction."""
        root = secrets.token_bytes(32)
        self.committee.sign_batch_root(BatchRoot(interval, root, intents))
        self.final_roots[interval] = root
        opened: list[Revealed] = []
        return self.committee.begin_auction(interval, opened.append), opened


def start(directory: Path) -> Bench:
    """Deal an epoch and start its four keypers; their stores are in `directory`."""
    material, held = deal(STANDARD, Committee(4, 0))
    order = Evaluator(material.order.evaluation_keys())
    comparison = Evaluator(material.comparison.evaluation_keys())
    seats = [
        CommitteeSeat(own, secrets.token_bytes(32), directory / f"{own.keyper}.sqlite")
        for own in held
    ]
    final_roots: dict[Interval, bytes] = {}
    committee = local_committee(
        material, seats, DOMAIN, final_roots.get, order, comparison, lambda _interval: None
    )
    return Bench(material, order, comparison, committee, final_roots)
