"""Intervals that end void: what they leave, who is charged, and how the venue goes on."""

from pathlib import Path

import pytest

from darkpool.chain.reader import RecordedVenue
from darkpool.protocol.refusals import OpeningRefused
from darkpool.record.reader import Record
from darkpool.verification.audit import audit_all
from tests.support.void_story import PERPETUAL, void_story


def test_a_venue_goes_on_after_two_voids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found and what expired in the first is booked at its prices; then orders trade."""
    with void_story(tmp_path, monkeypatch) as voids:
        story, standing = voids.story, voids.story.standing
        venue = standing.venue
        voids.wait(5 * 24)
        story.market.premium = 20
        mallory = voids.intruder()
        found = voids.unsent(("BTC-PERP", "alice", "carol", 1), strangers=[mallory])
        assert [rejection.account for rejection in found.rejections] == [mallory.account]
        assert voids.end(found)
        story.market.share = 105
        voids.wait(4)
        refused = voids.too_late()
        assert isinstance(refused, OpeningRefused)
        assert "left to settle it" in str(refused)
        assert voids.end(None)
        voids.wait(4)
        settled = story.interval(("BTC-PERP", "alice", "carol", 1), names=PERPETUAL)
        assert settled.batch.count == 0
        assert settled.settlement.is_final
        due = settled.settlement.record.summary.due
        print(due, venue.between)
        traded = story.interval(("BTC-PERP", "alice", "carol", 1), names=PERPETUAL)
        assert traded.settlement.is_final
        assert traded.crossed.fills
        folders = [standing.record(k) for k in (1, 2, 4, 5)]
        chain = RecordedVenue(story.chain, Record(folders[0]).summary.venue)
        for report in (*audit_all(folders, chain), *audit_all(folders)):
            print([str(c) for c in report.checks if not c.ok])
            print([c for c in report.checks if c.name in ("continuity", "chain", "settlement")])
            assert report.ok
