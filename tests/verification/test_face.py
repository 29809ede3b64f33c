"""The example of the auditor's document."""

import json
from pathlib import Path

import pytest

from darkpool.record.reader import Record
from tests.support.documents import examples
from tests.support.records import Published


def test_the_example_of_the_auditors_document_runs(
    uniform: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "record").symlink_to(uniform.directory)
    addresses = Record.load(uniform.directory).summary.committee.addresses
    keypers = [f"0x{address.hex()}" for address in addresses]
    (tmp_path / "result.json").write_text(json.dumps({"keypers": keypers}))
    (example,) = examples("audit.md")
    names: dict[str, object] = {}
    exec(example, names)  # noqa: S102
    assert names["failed"] == []
