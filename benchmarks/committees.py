"""A local committee for benchmarks: production rings, four keypers, final roots on demand."""

import secrets
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from crypto.ring.params import STANDARD
from crypto.signing.eip712 import Domain
from crypto.signing.merkle import merkle_root
from crypto.signing.messages import instrument_id
from crypto.signing.settling import BatchRoot
from crypto.threshold.attestation import plan_digest
from crypto.threshold.evaluators import Evaluators
from crypto.threshold.keys import PublicMaterial, deal
from crypto.threshold.replicated import Committee
from darkpool.chain.evidence import BatchEvidence
from darkpool.clock import SystemClock
from darkpool.committee.committee import KeyperCommittee
from darkpool.committee.session import Session
from darkpool.keyper.identity import KeyperIdentity, KeyperSenses
from darkpool.protocol.intents import ClosedBatch
from darkpool.protocol.keyper import BatchProposal
from darkpool.protocol.terms import BondTerms, IntervalTerms, Pricing, PublicRules
from darkpool.simulation.committee import CommitteeSeat, local_committee, view_of
from darkpool.simulation.mask_factory import no_chain
from darkpool.simulation.reporters import Reporter
from darkpool.units import AccountId, Cash, InstrumentId, Interval, PriceGrid, account_of

DOMAIN = Domain(1, bytes(20))
INSTRUMENT = InstrumentId(instrument_id("ES-MAR"))
GRID = PriceGrid(Decimal("0.25"), Decimal(4805), 1024)
_NO_ACCOUNT = AccountId("0x" + "00" * 20)
CLOSED_MS = 1
"""A close that has passed."""


def terms_of(
    material: PublicMaterial,
    interval: Interval,
    grid: PriceGrid = GRID,
    closes_ms: int = 1 << 40,
    keypers: tuple[AccountId, ...] = (),
) -> IntervalTerms:
    """Terms of an interval with one instrument, on a reference price of this moment.

    Without keypers the addresses of the committee are made up: nothing is signed then.
    """
    made_up = (account_of(bytes([k + 1]) * 20) for k in material.committee.members)
    reporter = Reporter(secrets.token_bytes(32), SystemClock())
    return IntervalTerms(
        domain=DOMAIN,
        vault=_NO_ACCOUNT,
        material=material,
        keypers=keypers or tuple(made_up),
        interval=interval,
        closes_ms=closes_ms,
        pricing=Pricing.UNIFORM,
        reporter=reporter.address,
        references=reporter.sign(grid, [INSTRUMENT], interval, DOMAIN),
        margin_digest=bytes(32),
        rules=PublicRules(BondTerms(Cash(0), 0, _NO_ACCOUNT)),
    )


@dataclass(frozen=True, slots=True)
class Bench:
    """Evaluators and a committee whose chain says what it is told."""

    material: PublicMaterial
    evaluators: Evaluators
    committee: KeyperCommittee
    batches: dict[Interval, BatchEvidence]

    def terms(self, interval: Interval, closes_ms: int) -> IntervalTerms:
        """Terms of an interval that this committee serves."""
        return terms_of(self.material, interval, GRID, closes_ms, self.committee.addresses)

    def begin(self, interval: Interval) -> Session:
        """Make the root of an empty batch final and open its auction; keeps nothing of it."""
        terms = self.terms(interval, CLOSED_MS)
        for keyper in self.committee.keypers:
            keyper.open_admission(terms)
            keyper.close_admission(interval)
        plan, none = plan_digest([]), bytes(32)
        message = BatchRoot(interval, merkle_root([]), 0, none, terms.digest, plan, 0)
        self.committee.sign_batch_root(BatchProposal(message, ClosedBatch((), ()), ()))
        self.batches[interval] = BatchEvidence(message, 0, none, (), none, 1, none)
        return self.committee.begin_auction(interval, lambda _revealed: None)


def start(directory: Path) -> Bench:
    """Deal an epoch and start its four keypers; their stores are in `directory`."""
    material, held = deal(STANDARD, Committee(4, 0))
    seats = [
        CommitteeSeat(
            KeyperIdentity(own, secrets.token_bytes(32)), directory / f"{own.keyper}.sqlite"
        )
        for own in held
    ]
    batches: dict[Interval, BatchEvidence] = {}
    evaluators = Evaluators.of(material)
    senses = KeyperSenses(SystemClock(), batches.get, no_chain, lambda _interval: None)
    committee = local_committee(view_of(material, DOMAIN, seats), seats, senses, evaluators)
    return Bench(material, evaluators, committee, batches)
