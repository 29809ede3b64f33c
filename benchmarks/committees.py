"""A local committee for benchmarks: production rings, four keypers, final roots on demand."""

import secrets
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from crypto.bfv.seal import Evaluator
from crypto.ring.params import STANDARD
from crypto.signing.eip712 import Domain
from crypto.signing.merkle import merkle_root
from crypto.signing.messages import BatchRoot, instrument_id
from crypto.threshold.keys import PublicMaterial, deal
from crypto.threshold.replicated import Committee
from crypto.threshold.revealing import Revealed
from darkpool.clock import SystemClock
from darkpool.committee.committee import LocalCommittee
from darkpool.committee.session import Session
from darkpool.protocol.intents import ClosedBatch
from darkpool.protocol.terms import AuctionTerms
from darkpool.simulation.committee import CommitteeSeat, local_committee
from darkpool.simulation.reporters import Reporter
from darkpool.units import InstrumentId, Interval, PriceGrid

DOMAIN = Domain(1, bytes(20))
INSTRUMENT = InstrumentId(instrument_id("ES-MAR"))
GRID = PriceGrid(Decimal("0.25"), Decimal(4805), 1024)
CLOSED_MS = 1
"""A close that has passed."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Evaluators and a committee whose chain says what it is told."""

    material: PublicMaterial
    order: Evaluator
    comparison: Evaluator
    committee: LocalCommittee
    final_roots: dict[Interval, bytes]

    def terms(self, interval: Interval, closes_ms: int) -> AuctionTerms:
        """Terms of an interval with one instrument, on a reference price of this moment."""
        reporter = Reporter(secrets.token_bytes(32), SystemClock())
        return AuctionTerms(
            DOMAIN,
            self.material,
            interval,
            reporter.address,
            reporter.sign(GRID, [INSTRUMENT], interval, DOMAIN),
            closes_ms,
            self.committee.addresses,
        )

    def begin(self, interval: Interval) -> tuple[Session, list[Revealed]]:
        """Make the root of an empty batch final and open its auction."""
        terms = self.terms(interval, CLOSED_MS)
        for keyper in self.committee.keypers:
            keyper.open_admission(terms)
            keyper.close_admission(interval)
        root = merkle_root([])
        self.committee.sign_batch_root(BatchRoot(interval, root, 0), ClosedBatch((), ()))
        self.final_roots[interval] = root
        opened: list[Revealed] = []
        return self.committee.begin_auction(interval, opened.append), opened


def start(directory: Path) -> Bench:
    """Deal an epoch and start its four keypers; their stores are in `directory`."""
    material, held = deal(STANDARD, Committee(4, 0))
    order = Evaluator(material.order_keys.evaluation_keys())
    comparison = Evaluator(material.comparison_keys.evaluation_keys())
    seats = [
        CommitteeSeat(own, secrets.token_bytes(32), directory / f"{own.keyper}.sqlite")
        for own in held
    ]
    final_roots: dict[Interval, bytes] = {}
    committee = local_committee(
        material,
        seats,
        DOMAIN,
        SystemClock(),
        final_roots.get,
        order,
        comparison,
        lambda _interval: None,
    )
    return Bench(material, order, comparison, committee, final_roots)
