"""The files of a folder that others may change meanwhile."""

import os
import stat
from pathlib import Path

import pytest

from darkpool.errors import MalformedRecord
from darkpool.record.folder import RecordFolder


@pytest.mark.parametrize(
    ("more", "says"), [(1, "fewer when it was read"), (-1, "more when it was read")]
)
def test_a_file_that_changes_while_it_is_read_is_refused(
    more: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    folder, status = RecordFolder(tmp_path), os.fstat
    assert folder.whole("a", 5) == b"12345"

    def other_size(descriptor: int) -> os.stat_result:
        found = list(status(descriptor))
        found[stat.ST_SIZE] += more
        return os.stat_result(found)

    monkeypatch.setattr("darkpool.record.folder.os.fstat", other_size)
    with pytest.raises(MalformedRecord, match=says):
        folder.whole("a", 9)
    with pytest.raises(MalformedRecord, match=says):
        folder.digest("a")


def test_a_folder_that_is_a_link_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a").write_bytes(b"1")
    record = tmp_path / "record"
    record.mkdir()
    (record / "masks").symlink_to(tmp_path / "elsewhere")
    folder = RecordFolder(record)
    with pytest.raises(MalformedRecord, match="expected a folder masks, got a symbolic link"):
        folder.whole("masks/a", 9)
    names = [str(problem) for problem in folder.problems({"masks/a"}, set())]
    assert names == ["record, masks/a: expected a folder masks, got a symbolic link"]


def test_no_more_names_are_told_than_can_be_read(tmp_path: Path) -> None:
    for number in range(1200):
        (tmp_path / str(number)).touch()
    told = RecordFolder(tmp_path).problems(set(), set())
    assert len(told) == 1001
    assert "more than these extra" in str(told[-1])
