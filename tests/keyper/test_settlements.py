"""A keyper signs one settlement an interval: of its own batch, and as it computes it itself."""

import os
import signal
from dataclasses import replace
from typing import NoReturn

import pytest

from crypto.signing.ecdsa import verify_signature
from crypto.signing.eip712 import Domain
from crypto.threshold.attestation import opening_context
from darkpool.keyper.errors import Equivocation, SettlementRefused
from darkpool.keyper.identity import KeyperIdentity
from darkpool.keyper.keyper import LocalKeyper
from darkpool.keyper.store import KeyperStore
from darkpool.protocol.keyper import BatchProposal, VoidInterval
from darkpool.protocol.refusals import OpeningRefused
from darkpool.record.margin_forms import MarginInputs
from darkpool.simulation.committee import CommitteeSeat
from darkpool.units import Interval, account_bytes
from darkpool.verification.proposal import Difference
from darkpool.verification.voids import LeftByVoid
from tests.support.children import in_a_child, killed
from tests.support.house import COMMITTED_IN, DOMAIN, House, SilentNode
from tests.support.margin_forms import MARGIN
from tests.support.settlement_proposals import LEAVES, Checks, proposal_of, settlement_of

OTHER = b"\x09" * 32


class Settled:
    """An interval whose batch is signed and on the chain."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.seats = house.seats()
        self.interval = Interval(next(house.intervals))
        self.committee = committee = house.committee(self.seats)
        self.batch: BatchProposal = house.batch(committee, self.interval)
        self.keyper: LocalKeyper = committee.keypers[0]
        self.keyper.sign_batch_root(self.batch)
        self.other: LocalKeyper = committee.keypers[1]
        house.commit(self.batch.root)

    @property
    def seat(self) -> CommitteeSeat:
        return self.seats[0]

    def leaves(self) -> bytes | None:
        """What is on the keyper's disk."""
        store = KeyperStore(self.seat.store)
        try:
            return store.leaves(self.interval)
        finally:
            store.close()

    def restarted(self) -> LocalKeyper:
        """The keyper with what is on its disk, which was shown its batch again."""
        keyper = self.house.committee(self.seats).keypers[0]
        keyper.sign_batch_root(self.batch)
        return keyper


@pytest.fixture
def settled(house: House) -> Settled:
    return Settled(house)


def test_a_keyper_signs_what_it_computes_of_its_own_batch_and_its_own_node(
    settled: Settled, checks: Checks
) -> None:
    proposal = proposal_of(settled.interval)
    signature = settled.keyper.sign_settlement(proposal)
    digest = settlement_of(settled.interval).digest(DOMAIN)
    verify_signature(digest, signature, account_bytes(settled.keyper.address))
    ((record, node, voids),) = checks.asked
    assert not voids
    assert [intent.sealed for intent in record.intents] == [
        intent.sealed for intent in settled.batch.batch.intents
    ]
    assert record.summary is proposal.summary
    assert record.material() is settled.house.material
    assert isinstance(node, SilentNode)
    assert node.venue == proposal.summary.venue


def test_one_settlement_an_interval_also_after_a_restart(settled: Settled, checks: Checks) -> None:
    proposal = proposal_of(settled.interval)
    signature = settled.keyper.sign_settlement(proposal)
    assert settled.leaves() == LEAVES
    for again in (settled.keyper, settled.restarted()):
        checks.results = bytes(32)
        assert again.sign_settlement(proposal) == signature
        checks.results = OTHER
        with pytest.raises(Equivocation):
            again.sign_settlement(proposal)


def test_leaves_are_on_the_disk_before_a_signature_leaves(
    settled: Settled, checks: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A keyper that is killed in between gives the same signature again, and no other."""

    def die(_identity: KeyperIdentity, _digest: bytes) -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    def sign_and_die() -> None:
        keyper = settled.restarted()
        monkeypatch.setattr(KeyperIdentity, "sign", die)
        keyper.sign_settlement(proposal_of(settled.interval))

    assert killed(in_a_child(sign_and_die, None))
    assert settled.leaves() == LEAVES
    keyper = settled.restarted()
    signature = keyper.sign_settlement(proposal_of(settled.interval))
    digest = settlement_of(settled.interval).digest(DOMAIN)
    verify_signature(digest, signature, account_bytes(keyper.address))
    checks.results = OTHER
    with pytest.raises(Equivocation):
        keyper.sign_settlement(proposal_of(settled.interval))


def test_the_settlement_of_a_batch_that_it_did_not_sign_is_refused(
    settled: Settled, checks: Checks
) -> None:
    proposal = proposal_of(settled.interval)
    with pytest.raises(SettlementRefused, match=f"signed for interval {settled.interval}"):
        settled.other.sign_settlement(proposal)
    with pytest.raises(SettlementRefused, match="batch"):
        settled.keyper.sign_settlement(proposal_of(Interval(settled.interval + 1)))
    assert not checks.asked


def test_only_the_batch_that_is_open_on_the_chain_is_settled(
    settled: Settled, checks: Checks
) -> None:
    """Else an interval that went void would settle, or one batch would settle as another."""
    house, interval, root = settled.house, settled.interval, settled.batch.root
    del house.batches[interval]
    with pytest.raises(OpeningRefused, match="no open batch"):
        settled.keyper.sign_settlement(proposal_of(interval))
    for other in (
        replace(root, root=OTHER),
        replace(root, previous_settlement=OTHER),
        replace(root, commit_by=root.commit_by + 1),
    ):
        house.commit(other)
        with pytest.raises(OpeningRefused, match=other.struct_hash().hex()):
            settled.keyper.sign_settlement(proposal_of(interval))
    assert not checks.asked
    assert settled.leaves() is None
    house.commit(root)
    settled.keyper.sign_settlement(proposal_of(interval))


def test_a_proposal_that_differs_is_refused_in_the_words_of_the_difference(
    settled: Settled, checks: Checks
) -> None:
    checks.differences = (
        Difference("fills", "fill 2, size", "30", "31"),
        Difference("custody", "account 0x01", "5", "6"),
    )
    with pytest.raises(SettlementRefused) as caught:
        settled.keyper.sign_settlement(proposal_of(settled.interval))
    assert str(caught.value) == "settlement, fills, fill 2, size: expected 30, got 31"
    assert settled.leaves() is None
    # refused is not signed: what follows later is signed
    checks.differences = ()
    settled.keyper.sign_settlement(proposal_of(settled.interval))


@pytest.mark.parametrize(
    "other", [replace(DOMAIN, chain_id=1), replace(DOMAIN, verifying_contract=bytes(20))]
)
def test_a_proposal_for_another_chain_or_contract_is_refused(
    settled: Settled, checks: Checks, other: Domain
) -> None:
    with pytest.raises(SettlementRefused, match="venue"):
        settled.keyper.sign_settlement(proposal_of(settled.interval, other))
    assert not checks.asked


def void_of(settled: Settled, margin: MarginInputs = MARGIN) -> VoidInterval:
    """The interval itself, as one that ended void; nobody says what was opened in it."""
    terms = settled.house.terms(settled.committee, settled.interval)
    return VoidInterval(replace(terms, margin_digest=MARGIN.digest()), margin, None)


def test_a_void_interval_counts_with_the_prices_of_its_terms(
    settled: Settled, checks: Checks
) -> None:
    later = Settled(settled.house)
    other = replace(MARGIN, market=replace(MARGIN.market, time_ms=MARGIN.market.time_ms + 1))
    proposal = proposal_of(later.interval)
    with pytest.raises(SettlementRefused, match=f"void interval {settled.interval}, prices"):
        later.keyper.sign_settlement(replace(proposal, voids=(void_of(settled, other),)))
    assert not checks.asked
    void = void_of(settled)
    later.keyper.sign_settlement(replace(proposal, voids=(void,)))
    ((_, _, voids),) = checks.asked
    times = tuple(r.message.observed_at for r in void.terms.references.values())
    assert voids == [LeftByVoid(settled.interval, void.terms.digest, MARGIN, None, times)]


def test_faults_that_a_keyper_saw_in_a_void_interval_are_not_left_out(
    settled: Settled, checks: Checks
) -> None:
    """Also where it signed no settlement there, because something else differed."""
    checks.proves_faults = True
    checks.differences = (Difference("custody", "account 0x01", "5", "6"),)
    keyper = settled.keyper
    with pytest.raises(SettlementRefused, match="account 0x01"):
        keyper.sign_settlement(proposal_of(settled.interval))
    checks.differences = ()
    house, interval = settled.house, Interval(next(settled.house.intervals))
    later = house.batch(settled.committee, interval)
    settled.committee.sign_batch_root(later)
    house.commit(later.root)
    proposal = replace(proposal_of(interval), voids=(void_of(settled),))
    with pytest.raises(SettlementRefused, match=f"void interval {settled.interval}, openings"):
        keyper.sign_settlement(proposal)
    settled.other.sign_settlement(proposal)


def test_a_keyper_that_restarts_in_an_auction_still_settles(
    settled: Settled, checks: Checks
) -> None:
    keyper = settled.restarted()
    context = keyper.begin_auction(settled.interval)
    assert context == opening_context(settled.batch.root.digest(DOMAIN), COMMITTED_IN)
    keyper.sign_settlement(proposal_of(settled.interval))
    assert checks.asked
