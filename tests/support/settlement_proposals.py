"""What keypers are asked to settle: all of it has its form, and nothing in it is true."""

from collections.abc import Iterable, Sequence
from typing import Final

import pytest

from crypto.signing.eip712 import Domain
from crypto.signing.settling import Settlement
from darkpool.keyper import keyper as keyper_module
from darkpool.protocol.keyper import SettlementProposal
from darkpool.record.core import RecordView
from darkpool.record.due_forms import DueRecord
from darkpool.record.forms import (
    AuctionSummary,
    BatchRecord,
    BondRecord,
    CommitteeRecord,
    ParticipationRecord,
    SettlementRecord,
    VenueRecord,
)
from darkpool.record.margin_forms import MarginInputs
from darkpool.units import Interval, account_bytes
from darkpool.verification.evidence import ChainReader
from darkpool.verification.proposal import CheckedSettlement, Difference
from darkpool.verification.voids import LeftByVoid
from tests.support.house import DOMAIN, House, HouseCommittee
from tests.support.margin_forms import MARGIN
from tests.support.reference_prices import REPORTER

ZERO: Final = bytes(32)
LEAVES: Final = b"leaves of a settlement"


def proposal_of(interval: Interval, domain: Domain = DOMAIN) -> SettlementProposal:
    """A proposal for an interval of a venue."""
    summary = AuctionSummary(
        interval=interval,
        closes_ms=0,
        pricing="uniform",
        ticks=5,
        reporter=account_bytes(REPORTER.address),
        references=(),
        committee=CommitteeRecord(4, 7, 3, ()),
        venue=VenueRecord(domain.chain_id, domain.verifying_contract, bytes(20), 1),
        context=ZERO,
        beacon_shares=(),
        beacon=ZERO,
        instruments=(),
        rejections=(),
        fills=(),
        before=(),
        due=DueRecord(0, 0, (), (), ()),
        flows=(),
        paid=(),
        after=(),
        batch=BatchRecord(ZERO, 0, ZERO, (), 0, 0, ZERO, 0),
        participation=ParticipationRecord((), 1, 1),
        bond=BondRecord(0, 0, bytes(20)),
    )
    settlement = SettlementRecord(ZERO, ZERO, ZERO, ZERO, (), ZERO, (), ZERO, {}, None)
    return SettlementProposal(summary, settlement, {}, MARGIN, ())


def settlement_of(interval: int, results: bytes = ZERO) -> Settlement:
    """A settlement of an interval."""
    return Settlement(
        interval, ZERO, ZERO, ZERO, results, ZERO, ZERO, ZERO, (), ZERO, (), ZERO, ZERO
    )


class Checks:
    """Stands for the check of proposals: each is of `settlement_of` its interval.

    Attributes:
        results: of the settlement that follows from whatever is proposed.
        differences: what is found wrong with it.
        proves_faults: whether it tells whose intents were at fault.
        asked: records, nodes and void intervals that were checked.
    """

    def __init__(self, results: bytes = ZERO, differences: Iterable[Difference] = ()) -> None:
        self.results = results
        self.differences = tuple(differences)
        self.proves_faults = False
        self.asked: list[tuple[RecordView, ChainReader, Sequence[LeftByVoid]]] = []

    def check(
        self,
        record: RecordView,
        chain: ChainReader,
        voids: Sequence[LeftByVoid],
        _prices_before: MarginInputs | None,
    ) -> CheckedSettlement:
        self.asked.append((record, chain, voids))
        message = settlement_of(record.summary.interval, self.results)
        return CheckedSettlement(message, LEAVES, self.proves_faults, self.differences)


def signers(house: House, committee: HouseCommittee) -> set[int]:
    """Keypers whose signatures of a settlement count."""
    interval = house.closed(committee)
    return {*committee.sign_settlement(proposal_of(interval), settlement_of(interval))}


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    """Keypers find what this says, until the test ends."""
    made = Checks()
    monkeypatch.setattr(keyper_module, "check_proposal", made.check)
    return made
