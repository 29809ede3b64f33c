"""A stranger makes the folder: an audit of it ends, says every line, and shows no raw character."""

import json
import os
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darkpool.cli.tables import audit_document, exact_json
from darkpool.verification.audit import audit
from darkpool.verification.report import AuditReport, Verdict
from tests.support import hostile_records
from tests.support.audits import CHECKS, failed
from tests.support.ending import ending
from tests.support.hostile_records import NAMES, mutate
from tests.support.records import Copy, Published

ENDS_WITHIN_S = 60


def report_of(copy: Copy) -> AuditReport:
    """The report of a quick audit, which has every line and only what can be printed."""
    with ending(ENDS_WITHIN_S):
        report = audit(copy.directory, quick=True)
    assert [check.name for check in report.checks] == CHECKS
    shown = exact_json(audit_document(report))
    assert shown.isprintable()
    for check in report.checks:
        assert (check.part + check.detail).isprintable()
        assert "that this version can check" not in check.detail, check.detail
        assert check.differences or check.ok
    return report


def require_every_line(seed: int, copy: Copy) -> None:
    generator = random.Random(seed)
    for _ in range(generator.randrange(1, 4)):
        # the change before may have left nothing that this one can be made to
        with suppress(ValueError, OSError, MemoryError, RecursionError, IndexError):
            mutate(copy, generator)
    report_of(copy)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_an_audit_of_any_folder_says_every_line(
    seed: int, uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    require_every_line(seed, copy_of(uniform))


@pytest.mark.slow
@settings(max_examples=600, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_an_audit_of_any_folder_says_every_line_many_times(
    seed: int, uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    require_every_line(seed, copy_of(uniform))


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (hostile_records.pipe, "a named pipe"),
        (hostile_records.listen, "a socket"),
        (hostile_records.link_to("/dev/zero"), "a symbolic link"),
        (hostile_records.fold, "a folder"),
    ],
)
@pytest.mark.parametrize("name", ["record.json", "openings.json", "masks/0-order.bin"])
def test_what_is_no_plain_file_is_told_and_never_opened(
    name: str,
    change: Callable[[Path], None],
    kind: str,
    uniform: Published,
    copy_of: Callable[[Published], Copy],
) -> None:
    copy = copy_of(uniform)
    change(copy.directory / name)
    report = report_of(copy)
    assert f"{name}: expected a plain file, got {kind}" in failed(report)["form"]
    assert {check.name: check.verdict for check in report.checks}["files"] is Verdict.FAILS


def test_a_file_too_many_fails_one_line(
    uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    copy = copy_of(uniform)
    for name in NAMES:
        (copy.directory / name).touch()
    report = report_of(copy)
    assert set(failed(report)) == {"form"}
    (form,) = (check for check in report.checks if check.name == "form")
    assert len(form.differences) == len(NAMES)
    assert any(r"\x1b[2J" in one.got for one in form.differences)
    assert any(r"\udcff" in one.got for one in form.differences)


def test_what_needs_a_part_without_its_form_is_left_out_and_says_so(
    uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    copy = copy_of(uniform)
    copy.write("masks.json", b"{")
    report = report_of(copy)
    details = {check.name: check for check in report.checks}
    assert set(failed(report)) == {"form", "files"}
    assert details["masks"].verdict is Verdict.NOT_CHECKED
    assert details["masks"].detail == "needs masks.json, which has not its form"
    for name in ("intents", "certificates", "prices", "collateral", "settlement"):
        assert details[name].verdict is Verdict.HOLDS, details[name]


def test_a_record_of_nothing_has_every_line(tmp_path: Path) -> None:
    report = report_of(Copy(tmp_path))
    assert not report.ok
    assert {check.verdict for check in report.checks} == {Verdict.FAILS, Verdict.NOT_CHECKED}
    assert (report.audited.interval, report.audited.manifest) == (None, None)


def test_a_file_that_seems_larger_than_its_bytes_is_not_read(
    uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    copy = copy_of(uniform)
    hostile_records.stretch(copy.directory / "material/order-galois.seal")
    found = failed(report_of(copy))
    part = "material/order-galois.seal: expected a file without holes"
    assert part in found["files"]
    assert part in found["transcript"]


def test_a_large_file_stands_for_one_part_only(
    uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    copy = copy_of(uniform)
    large = copy.directory / "masks/0-tables.npy"
    assert large.stat().st_size > 1 << 17
    (copy.directory / "masks/1-tables.npy").unlink()
    os.link(large, copy.directory / "masks/1-tables.npy")
    found = failed(report_of(copy))["form"]
    assert "masks/1-tables.npy: expected a file of its own" in found


def test_every_difference_is_told_whole(
    uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    copy = copy_of(uniform)

    def forge(tree: dict[str, dict[str, list[dict[str, object]]]]) -> None:
        for state in tree["summary"]["after"]:
            state["free"] = 10**30

    copy.change("record.json", forge)
    copy.reseal()
    report = report_of(copy)
    document = json.loads(exact_json(audit_document(report)))
    (line,) = (check for check in document["checks"] if check["name"] == "collateral")
    told = [one for one in line["differences"] if one["part"].endswith("free")]
    assert len(told) == len(copy.json("record.json")["summary"]["after"]) > 5
    assert {one["got"] for one in told} == {str(10**30)}
    assert document["manifest_sha256"].startswith("0x")
    assert document["instruments"] == ["A", "B", "C"]
