"""Records that follow each other are audited in order, each beside the one before it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from darkpool.errors import WrongType
from darkpool.verification import audit_all
from darkpool.verification.audit import audit
from darkpool.verification.report import AuditReport, Check, Verdict
from tests.support.audits import CHECKS, failed
from tests.support.records import Copy, Published
from tests.support.series import Series


def line(report: AuditReport) -> Check:
    (found,) = (check for check in report.checks if check.name == "continuity")
    return found


def test_a_series_holds_with_and_without_a_chain(series: Series) -> None:
    for reader in (None, series.reader()):
        reports = audit_all(series.directories, reader, quick=True)
        assert [report.audited.interval for report in reports] == [1, 2, 3]
        for report in reports:
            assert [check.name for check in report.checks] == CHECKS
            assert not failed(report)
            assert line(report).verdict is Verdict.HOLDS
        assert line(reports[0]).detail.startswith("nothing was settled before")
        for report in reports[1:]:
            assert "goes on where the record before it ended" in line(report).detail


def test_one_record_says_what_it_rests_on(series: Series) -> None:
    alone = line(audit(series.directories[1], quick=True))
    assert alone.verdict is Verdict.NOT_CHECKED
    assert alone.detail.startswith("no chain and no record before it")
    asked = line(audit(series.directories[1], series.reader(), quick=True))
    assert asked.verdict is Verdict.HOLDS
    assert asked.detail.startswith(
        "states before are those of interval 1 on the chain, with leaves"
    )


def test_a_record_that_is_left_out_is_missed(series: Series) -> None:
    first, _, third = series.directories
    found = failed(audit_all([first, third], quick=True)[1])
    assert set(found) == {"continuity"}
    assert "batch, previous settlement: expected" in found["continuity"]


def test_records_in_another_order_do_not_follow_each_other(series: Series) -> None:
    first, second, _ = series.directories
    found = failed(audit_all([second, first], quick=True)[1])
    assert "interval: expected above 2, got 1" in found["continuity"]


def test_after_a_record_that_cannot_be_read_nothing_is_compared(
    series: Series, tmp_path: Path
) -> None:
    report = audit_all([tmp_path / "nothing", series.directories[1]], quick=True)[1]
    assert line(report).verdict is Verdict.NOT_CHECKED
    assert not failed(report)


def later(tree: Any) -> None:
    tree["summary"]["references"][0]["observed_at"] += 10**9


def another_venue(tree: Any) -> None:
    tree["summary"]["venue"]["deposit_min"] += 1


def richer(tree: Any) -> None:
    tree["summary"]["after"][0]["cash"] += 1


def more_flows(tree: Any) -> None:
    tree["summary"]["batch"]["flows"] += 1


def other_flows(tree: Any) -> None:
    tree["summary"]["batch"]["flows_head"] = "0x" + "ee" * 32


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (later, "reference 0, time: expected at least"),
        (another_venue, "venue, deposit min"),
        (richer, "collateral before, number 0, cash"),
        (more_flows, "flows, last one before"),
        (other_flows, "batch, flows head"),
    ],
)
def test_what_the_record_before_says_otherwise_is_found(
    change: Callable[[Any], None],
    says: str,
    series: Series,
    copy_of: Callable[[Published], Copy],
) -> None:
    copy = copy_of(Published(series.directories[0], series.chain))
    copy.change("record.json", change)
    copy.reseal()
    _, report = audit_all([copy.directory, series.directories[1]], quick=True)
    assert set(failed(report)) == {"continuity"}
    assert any(says in str(found) for found in line(report).differences)


def test_what_is_audited_is_folders(series: Series, tmp_path: Path) -> None:
    shutil.copytree(series.directories[0], tmp_path / "record", dirs_exist_ok=True)
    with pytest.raises(WrongType, match="record: expected"):
        audit_all([tmp_path / "record", "record"])  # type: ignore[list-item]
    assert audit_all([]) == ()
