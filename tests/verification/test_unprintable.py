"""What a record names is refused in words that can be printed, whatever it names."""

from collections.abc import Callable

from darkpool.verification.audit import audit
from tests.support.audits import failed
from tests.support.records import Copy, Published


def test_a_signer_that_the_committee_does_not_have_is_a_finding(
    uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    copy = copy_of(uniform)
    tree = copy.json("record.json")
    signatures = tree["evidence"]["transcripts"]
    signatures["9"] = signatures.pop("0")
    copy.write_json("record.json", tree)
    copy.reseal()
    found = failed(audit(copy.directory, quick=True))
    assert "transcripts: expected numbers below 4, got 9" in found["form"]


def test_a_name_that_cannot_be_printed_is_escaped(
    uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    copy = copy_of(uniform)
    tree = copy.json("record.json")
    tree["summary"]["instruments"][0]["name"] = "\ud800\x1b[2J"
    copy.write_json("record.json", tree)
    copy.reseal()
    report = audit(copy.directory, quick=True)
    assert not report.ok
    assert all((check.part + check.detail).isprintable() for check in report.checks)
    assert r"\ud800\x1b[2J" in failed(report)["form"]
