"""The auditor's face: what it takes, and the example of its document."""

import json
from pathlib import Path
from typing import Any

import pytest

from darkpool.errors import OutOfBounds, WrongType
from darkpool.record.reader import Record
from darkpool.verification import Anchor, audit
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


ADDRESS = bytes(20)


@pytest.mark.parametrize("odd", ["0x" + "00" * 20, bytearray(20), bytes(19), bytes(21), 7, b""])
def test_an_anchor_is_of_addresses(odd: Any) -> None:
    pair: Any = (ADDRESS, odd)
    listed: Any = [ADDRESS]
    for name in ("settlement", "reporter"):
        with pytest.raises((WrongType, OutOfBounds), match=name):
            Anchor(**{name: odd})
    for name in ("keypers", "price_reporters"):
        with pytest.raises((WrongType, OutOfBounds), match=name):
            Anchor(**{name: pair})
        with pytest.raises(WrongType, match=f"{name}: expected tuple"):
            Anchor(**{name: listed})
    assert Anchor(ADDRESS, (ADDRESS,), ADDRESS, (ADDRESS,)).unknown() == []


def test_an_audit_is_of_a_path_and_with_an_anchor(tmp_path: Path) -> None:
    odd: Any
    for odd in (str(tmp_path), None, 7):
        with pytest.raises(WrongType, match="record: expected Path"):
            audit(odd)
    for odd in ("0x" + "00" * 20, {"keypers": ()}, (ADDRESS,)):
        with pytest.raises(WrongType, match="anchor: expected Anchor"):
            audit(tmp_path, anchor=odd)
