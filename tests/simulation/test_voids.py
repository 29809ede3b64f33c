"""Intervals that end void: what they leave, who is charged, and how the venue goes on."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crypto.threshold.revealing import Revealed
from darkpool.auction.outcome import IntervalOutcome
from darkpool.chain.errors import SettledOtherwise, TransactionReverted
from darkpool.chain.evidence import SETTLEMENT_TIMEOUT_S
from darkpool.chain.reader import RecordedVenue
from darkpool.committee.session import Session
from darkpool.keyper.errors import SettlementRefused
from darkpool.keyper.proposed import left_by
from darkpool.margin.market.payoffs import funding_for_a_unit
from darkpool.protocol.keyper import VoidInterval
from darkpool.protocol.refusals import OpeningRefused
from darkpool.protocol.results import encode_results
from darkpool.record.core import HeldRecord
from darkpool.record.due_forms import DueRecord
from darkpool.record.forms import RejectionRecord
from darkpool.record.reader import Record
from darkpool.settlement.between import Between, VoidCharge
from darkpool.settlement.claims import TREASURY
from darkpool.simulation.node import open_batch
from darkpool.units import (
    AccountId,
    Cash,
    InstrumentName,
    Interval,
    PriceUnits,
    account_bytes,
    identifier,
)
from darkpool.verification.asked import AskedChain
from darkpool.verification.audit import audit_all
from darkpool.verification.basis import Basis
from darkpool.verification.proposal import check_proposal
from darkpool.verification.report import AuditReport, Check, Findings, Verdict
from darkpool.verification.voids import DueCheck
from tests.support.moving_markets import HOUR_MS
from tests.support.venue_story import rotate
from tests.support.void_story import PERPETUAL, VoidStory, void_story

TRADE = ("BTC-PERP", "alice", "carol", 1)
MARCH = identifier(InstrumentName("BTC-MAR"))


@pytest.fixture
def voids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[VoidStory]:
    with void_story(tmp_path, monkeypatch) as told:
        yield told


def void_with_a_fault(voids: VoidStory) -> IntervalOutcome:
    """After the expiry of March, an interval with an intent at fault ends void."""
    voids.wait(5 * 24)
    voids.story.market.premium = 20
    found = voids.unsent(TRADE, strangers=[voids.intruder()])
    assert [rejection.account for rejection in found.rejections] == [mallory(voids)]
    assert voids.end(found)
    return found


def mallory(voids: VoidStory) -> AccountId:
    return voids.story.standing.account("mallory")


def innocent(record: HeldRecord) -> int:
    """An intent that was not at fault."""
    rejected = {rejection.intent for rejection in record.summary.rejections}
    return next(place for place in range(len(record.intents)) if place not in rejected)


def line(report: AuditReport, name: str) -> Check:
    (check,) = (check for check in report.checks if check.name == name)
    return check


def audited(voids: VoidStory, *intervals: int) -> tuple[tuple[AuditReport, AuditReport], ...]:
    """Of each record the report beside the chain, and the one without it."""
    folders = [voids.story.standing.record(interval) for interval in intervals]
    chain = RecordedVenue(voids.story.chain, Record(folders[0]).summary.venue)
    return tuple(zip(audit_all(folders, chain), audit_all(folders), strict=True))


def test_a_venue_goes_on_after_two_voids(voids: VoidStory) -> None:
    """What the first found, and what expired in it, is booked at its prices; then orders trade."""
    story, venue = voids.story, voids.story.standing.venue
    found = void_with_a_fault(voids)
    story.market.share = 105
    voids.wait(4)
    refused = voids.too_late()
    assert isinstance(refused, OpeningRefused)
    assert "at least 1800 s left to settle it" in str(refused)
    assert voids.end(None)
    voids.wait(4)
    settled = story.interval(TRADE, names=PERPETUAL)
    assert settled.batch.count == 0
    assert settled.settlement.is_final
    due = settled.settlement.record.summary.due
    markets = [void.margin.market for void in voids.opened.voids]
    first, second = (
        next(quotes for quotes in market.underlyings if quotes.name == "BTC") for market in markets
    )
    assert [(e.interval, e.instrument, e.price) for e in due.expiries] == [
        (2, MARCH, first.index.value)
    ]
    elapsed = [markets[0].time_ms - due.settled_ms, markets[1].time_ms - markets[0].time_ms]
    assert second.index.value != first.index.value
    assert elapsed[0] > 24 * HOUR_MS > elapsed[1]
    expected = []
    for interval, quotes, passed_ms in ((2, first, elapsed[0]), (3, second, elapsed[1])):
        assert quotes.perpetual is not None
        mark, index = PriceUnits(quotes.perpetual.value), PriceUnits(quotes.index.value)
        expected.append((interval, funding_for_a_unit(mark, index, passed_ms)))
    assert [(f.interval, f.for_a_unit) for f in due.fundings] == expected
    bond = venue.terms.rules(TREASURY).bond
    assert [(c.interval, c.amount) for c in due.charges] == [(2, bond.charge())]
    before = {state.account: state.cash for state in found.applied.before}
    cash = {state.account: state.cash for state in settled.applied.after}
    assert before[mallory(voids)] - cash[mallory(voids)] == bond.charge() == cash[TREASURY]
    assert not venue.voids
    traded = story.interval(TRADE, names=PERPETUAL)
    assert traded.settlement.is_final
    assert traded.crossed.fills
    assert not traded.settlement.record.summary.due.charges

    for both in audited(voids, 1, 2, 4, 5):
        assert all(report.ok for report in both)
    _, (void, void_alone), (beside, alone), _ = audited(voids, 1, 2, 4, 5)
    assert "void" in line(void, "chain").detail
    assert line(void_alone, "settlement").verdict is Verdict.HOLDS
    for report in (beside, alone):
        assert "(3) is the keypers' word" in line(report, "continuity").detail
    ((beside, alone),) = audited(voids, 4)
    assert beside.ok
    for report in (beside, alone):
        assert "(2, 3) is the keypers' word" in line(report, "continuity").detail
    assert line(alone, "continuity").verdict is Verdict.NOT_CHECKED


def test_another_committee_books_what_a_void_interval_left(voids: VoidStory) -> None:
    """The openings that show the fault are signed by keypers that are no more."""
    void_with_a_fault(voids)
    rotate(voids.story)
    settled = voids.story.interval(names=PERPETUAL)
    assert settled.settlement.is_final, settled.settlement.transaction
    (charge,) = settled.settlement.record.summary.due.charges
    assert (charge.interval, charge.account) == (2, account_bytes(mallory(voids)))
    for both in audited(voids, 1, 2, 3):
        assert all(report.ok for report in both)


def test_keypers_sign_nothing_that_void_intervals_did_not_leave(voids: VoidStory) -> None:
    """An operator books what is wrong as if it was right, so that all else agrees with it."""
    void_with_a_fault(voids)
    venue = voids.story.standing.venue
    due, (left,) = venue.between, venue.voids
    alice = voids.story.standing.account("alice")

    made_up = replace(due, charges=(*due.charges, VoidCharge(left.terms.interval, alice, Cash(1))))
    assert "due, charges, how many" in voids.refused(made_up, venue.voids)
    (_, (_, told), (beside, alone)) = audited(voids, 1, 2, 3)
    assert told.ok
    for report in (beside, alone):
        assert line(report, "continuity").part == "due, charges, how many"
        assert line(report, "settlement").verdict is Verdict.NOT_CHECKED
    assert all(report.ok for report in audited(voids, 3)[0])  # alone it rests on signatures

    nobody, silent = replace(venue.between, charges=()), replace(left, record=None)
    assert "void interval 2, openings" in voids.refused(nobody, (silent, *venue.voids[1:]))
    nothing = Between(voids.first.margin.inputs.market.time_ms)
    assert "void intervals since" in voids.refused(nothing, ())

    settled = voids.story.interval(names=PERPETUAL)
    assert settled.settlement.is_final
    assert len(settled.settlement.record.summary.due.charges) == 1


@pytest.mark.slow
def test_what_a_keyper_finds_wrong_in_what_is_due(voids: VoidStory) -> None:
    void_with_a_fault(voids)
    assert isinstance(voids.too_late(), OpeningRefused)
    assert voids.end(None)
    record = voids.story.interval(names=PERPETUAL).settlement.record
    due, (void, second) = record.summary.due, voids.opened.voids
    (charge,), (expiry,) = due.charges, due.expiries
    found, first = void.record, voids.first
    assert found is not None

    def told(stated: DueRecord, *intervals: VoidInterval) -> str:
        changed = replace(record, summary=replace(record.summary, due=stated))
        chain = RecordedVenue(voids.story.chain, record.summary.venue)
        checked = check_proposal(changed, chain, [left_by(left, ()) for left in intervals])
        return ", ".join(each.subject for each in checked.differences if each.check == "due")

    assert not told(due, void, second)
    for part, changed in (
        ("charges, how many", replace(due, charges=(charge, charge))),
        ("charges, how many", replace(due, charges=())),
        ("charges, how many", replace(due, charges=(replace(charge, interval=1), charge))),
        ("charges, number 0, amount", replace(due, charges=(replace(charge, amount=1),))),
        ("charges, number 0, interval", replace(due, charges=(replace(charge, interval=3),))),
        ("expiries, how many", replace(due, expiries=())),
        ("expiries, number 0, price", replace(due, expiries=(replace(expiry, price=1),))),
        ("fundings, how many", replace(due, fundings=due.fundings[:1])),
        ("time of the last market", replace(due, market_ms=due.market_ms - 1)),
    ):
        assert told(changed, void, second).startswith(f"due, {part}")

    settled = VoidInterval(first.terms, first.margin.inputs, voids.settled.settlement.record)
    for intervals in ((), (void,), (second, void), (settled, void, second)):
        assert told(due, *intervals).startswith("void intervals since the settlement before")
    digest, inputs = first.terms.margin_digest, first.margin.inputs
    with pytest.raises(SettlementRefused, match="void interval 2, prices"):
        told(due, replace(void, margin=inputs), second)
    other = replace(void, terms=replace(void.terms, margin_digest=digest), margin=inputs)
    assert told(due, other, second).startswith("void interval 2, terms")
    twice = replace(second, record=found)
    assert told(due, void, twice).startswith("void interval 3, interval")
    rejected = (*found.summary.rejections, RejectionRecord(innocent(found), "cap"))
    summary = replace(found.summary, rejections=tuple(sorted(rejected, key=lambda r: r.intent)))
    accused = replace(void, record=replace(found, summary=summary))
    assert told(due, accused, second).startswith("void interval 2, rejections")
    unsigned = replace(found, evidence=replace(found.evidence, transcripts={}))
    unsigned_of = replace(void, record=unsigned)
    assert told(due, unsigned_of, second).startswith("void interval 2, transcript, signatures")


def test_prices_of_a_void_interval_are_those_that_reporters_signed(voids: VoidStory) -> None:
    voids.unsent(TRADE)
    assert voids.end(None)
    record = voids.story.interval(names=PERPETUAL).settlement.record
    chain, findings = RecordedVenue(voids.story.chain, record.summary.venue), Findings("due")
    asked = AskedChain(Basis(record), chain, None)
    asked.check_committed(findings)
    left = left_by(voids.opened.voids[0], ())
    quotes, *rest = left.margin.market.underlyings
    forged = replace(quotes, index=replace(quotes.index, value=quotes.index.value + 1))
    market = replace(left.margin.market, underlyings=(forged, *rest))
    left = replace(left, margin=replace(left.margin, market=market))
    DueCheck(asked, [left], chain).check(findings)
    assert findings.check("", "").part.startswith("void interval 2, market, ")


def test_an_interval_that_stops_before_its_openings_charges_nobody(voids: VoidStory) -> None:
    """Orders were sealed and committed; nothing of them was opened, so nobody was at fault."""
    story, venue = voids.story, voids.story.standing.venue
    with pytest.raises(OpeningRefused, match="left to settle it"):
        raise voids.too_late(TRADE, strangers=[voids.intruder()])
    assert voids.end(None)
    assert venue.voids[0].record is None
    assert not venue.between.charges
    settled = story.interval(TRADE, names=PERPETUAL)
    assert settled.settlement.is_final
    assert settled.batch.count == 0
    assert {s.account: s.cash for s in settled.applied.after}.get(TREASURY, 0) == 0


@pytest.mark.slow
def test_who_else_ends_an_interval_changes_nothing(voids: VoidStory) -> None:
    story, venue = voids.story, voids.story.standing.venue
    chain = story.chain
    unsent = voids.unsent(TRADE)
    with pytest.raises(TransactionReverted, match="too early"):
        venue.end_void(voids.opened, unsent)
    assert not venue.voids
    results, signed = encode_results(unsent.crossed.results), unsent.settlement.signatures
    chain.settle(unsent.settlement.message, results, [*signed.values()])
    with pytest.raises(SettledOtherwise, match="settlement of interval"):
        venue.end_void(voids.opened, None)
    assert not venue.end_void(voids.opened, unsent)
    assert venue.last.hash == unsent.settlement.message.struct_hash()
    assert venue.states == unsent.applied.after
    void = voids.unsent(TRADE)
    voids.travel_past()
    chain.void(voids.opened.terms.interval)
    assert venue.end_void(voids.opened, void)
    assert story.interval(names=PERPETUAL).settlement.is_final
    assert story.interval(TRADE, names=PERPETUAL).settlement.is_final


def test_an_interval_that_was_never_committed_leaves_nothing(voids: VoidStory) -> None:
    venue = voids.story.standing.venue
    before = venue.between
    voids.story.market.premium = 20
    voids.wait(8)
    assert voids.story.standing.open(PERPETUAL).terms.interval == 2
    assert not venue.end_void(voids.opened, None)
    assert (venue.between, venue.voids) == (before, ())


def test_a_keyper_begins_while_half_of_the_hour_is_left(voids: VoidStory) -> None:
    """What has begun it does not end for time."""
    chain, travel = voids.story.chain, voids.story.machine.travel
    committee = voids.story.standing.venue.committee
    begin, (early, late, *_) = committee.begin_auction, committee.keypers

    def begin_late(interval: Interval, publish: Callable[[Revealed], None]) -> Session:
        batch = open_batch(chain, interval)
        assert batch is not None
        travel(batch.seconds_left - SETTLEMENT_TIMEOUT_S // 2)
        context = early.begin_auction(interval)
        travel(2)
        assert early.begin_auction(interval) == context
        with pytest.raises(OpeningRefused, match="at least 1800 s left to settle it"):
            late.begin_auction(interval)
        return begin(interval, publish)

    voids.patch.setattr(committee, "begin_auction", begin_late)
    with pytest.raises(OpeningRefused, match="at least 1800 s left to settle it"):
        voids.story.interval(TRADE, names=PERPETUAL)
