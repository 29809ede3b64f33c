"""A record of parts that have the right form, nothing of which is true."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crypto.bfv.ciphertext import Ciphertext, level_primes
from crypto.bfv.lanes import LaneShape
from crypto.circuits.comparison import BITS_LEVEL
from crypto.ring.params import TEST_INSECURE_SMALL, RingParameters
from crypto.ring.ring import Words
from crypto.signing.messages import SealedIntent
from crypto.threshold.keys import PublicMaterial, deal
from crypto.threshold.masks import TABLE_LEVEL, Draw, DrawnMask
from crypto.threshold.replicated import Committee
from crypto.threshold.revealing import CoveredCiphertext, OpeningRequest, Revealed
from darkpool.record.due_forms import DueCharge, DueExpiry, DueFunding, DueRecord
from darkpool.record.forms import (
    AuctionSummary,
    BatchRecord,
    BondRecord,
    CommitmentRecord,
    CommitteeRecord,
    EvidenceRecord,
    FillRecord,
    FlowRecord,
    InstrumentRecord,
    IntentRecord,
    OutcomeRecord,
    OwnerRecord,
    PaidRecord,
    ParticipationRecord,
    PlannedMask,
    ReferenceRecord,
    RejectionRecord,
    SettlementRecord,
    StateRecord,
    TransactionRecord,
    TreeRecord,
    VenueRecord,
)
from darkpool.record.writer import RecordWriter
from tests.support.margin_forms import MARGIN

EPOCH = 3
SMALL = TEST_INSECURE_SMALL
GENERATOR = np.random.default_rng(5)


def residues(ring: RingParameters, level: int, *leading: int) -> Words:
    primes = np.array(level_primes(ring, level), dtype=np.uint64)[:, None]
    return GENERATOR.integers(0, primes, (*leading, level, ring.degree), dtype=np.uint64)


def ciphertext(ring: RingParameters, level: int) -> Ciphertext:
    return Ciphertext(ring, residues(ring, level, 2))


@dataclass(frozen=True)
class Parts:
    """Everything of a record; nothing in it is true, all of it has the right form."""

    material: PublicMaterial
    intents: list[tuple[IntentRecord, Ciphertext]]
    mask: DrawnMask
    opened: Revealed
    summary: AuctionSummary
    evidence: EvidenceRecord

    def write(self, directory: Path) -> Path:
        with RecordWriter(directory, SMALL) as writer:
            writer.add_material(self.material)
            writer.add_margin(MARGIN)
            for intent, sealed in self.intents:
                writer.add_intent(intent, sealed)
            writer.add_mask(self.mask, {2: bytes(65), 0: bytes(65)})
            writer.add_opening(self.opened)
            return writer.finish(self.summary, self.evidence)


def summary_of() -> AuctionSummary:
    state = StateRecord(bytes(20), 1 << 127, 2, 3, True, 4, b"\1")
    return AuctionSummary(
        interval=1,
        pricing="uniform",
        ticks=5,
        reporter=bytes(20),
        references=(
            ReferenceRecord(bytes(32), 1, -3_000_000, 250_000, 5, (1 << 64) - 1, bytes(65)),
        )
        * 2,
        committee=CommitteeRecord(4, EPOCH, 3, tuple(bytes([i]) * 20 for i in range(4))),
        closes_ms=1_900_000_000_000,
        venue=VenueRecord(1, bytes(20), bytes(20), 1),
        context=bytes(32),
        beacon_shares=(bytes(32),) * 4,
        beacon=bytes(32),
        instruments=(
            InstrumentRecord("ES H4", bytes(32), (0, 1), OutcomeRecord(2, 10, 1, exhausted=False)),
            InstrumentRecord("X", bytes(32), (2,), None),
        ),
        fills=(FillRecord(0, 1, bytes(20), 0, 10, 2),),
        before=(state,),
        due=DueRecord(
            1,
            2,
            (DueExpiry(1, bytes(32), -3),),
            (DueFunding(1, bytes(32), -4),),
            (DueCharge(1, bytes(20), 5),),
        ),
        flows=(FlowRecord(6, 4, bytes(20), bytes(20), 7, 5),),
        paid=(PaidRecord(bytes(20), 1),),
        after=(state, StateRecord(bytes(20), 0, 0, 0, False, 0, b"")),
        batch=BatchRecord(
            bytes(32),
            3,
            bytes(32),
            (PlannedMask(9, 512, bytes(32)),),
            (1 << 64) - 1,
            6,
            bytes(32),
            7,
        ),
        participation=ParticipationRecord((OwnerRecord(bytes(20), b"\1" * 20),), 3, 1),
        bond=BondRecord((1 << 128) - 1, 10**6, b"\2" * 20),
        rejections=(RejectionRecord(1, "shape"), RejectionRecord(2, "cap")),
    )


def evidence_of() -> EvidenceRecord:
    return EvidenceRecord(
        CommitmentRecord({0: bytes(65), 3: bytes(65)}, bytes(32)),
        {1: bytes(65)},
        SettlementRecord(
            results=bytes(32),
            prices=b"\1" * 32,
            fills_root=b"\2" * 32,
            state_root=b"\3" * 32,
            trees=(TreeRecord(bytes(20), bytes(32), 1, (1 << 128) - 1),),
            leaf_hash=bytes(32),
            leaf_blobs=(b"\1" * 32,),
            record_digest=bytes(32),
            signatures={},
            transaction=TransactionRecord(bytes(32), 7),
        ),
    )


def made_parts() -> Parts:
    """Parts whose numbers are drawn."""
    material, _ = deal(SMALL, Committee(4, EPOCH))
    order, comparison = SMALL.order_ring, SMALL.comparison_ring
    sealed = SealedIntent(
        bytes(20), bytes(32), 1, bytes(32), bytes(32), 5, 6, (1 << 64) - 1, EPOCH, (1 << 128) - 1
    )
    intents = [
        (
            IntentRecord(sealed, bytes([i]) * 65, {1: bytes(65)}),
            ciphertext(order, len(order.data_primes)),
        )
        for i in range(3)
    ]
    shape = LaneShape(SMALL, comparison.degree // 4)
    ones = np.ones(shape.lanes, dtype=np.int64)
    masks = tuple(ciphertext(order, len(order.data_primes)) for _ in range(shape.order_ciphertexts))
    tables = residues(comparison, TABLE_LEVEL, shape.positions, 16, 2)
    mask = DrawnMask(Draw(EPOCH, 9, 0, shape, ones), masks, tables)
    support = GENERATOR.integers(0, 2, comparison.degree) == 1
    covered = CoveredCiphertext(ciphertext(comparison, BITS_LEVEL), support, None, None)
    opened = Revealed(
        OpeningRequest(bytes(32), EPOCH, 0, "no-cross 0", covered),
        GENERATOR.integers(0, comparison.plain_modulus, comparison.degree),
        tuple(residues(comparison, BITS_LEVEL) for _ in range(4)),
        (bytes(32),) * 4,
        30,
        9,
        (2,),
    )
    return Parts(material, intents, mask, opened, summary_of(), evidence_of())
