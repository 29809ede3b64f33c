"""The files of a folder that others may change meanwhile."""

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from darkpool.errors import MalformedRecord
from darkpool.record.folder import SMALL_BYTES, RecordFolder
from tests.support.ending import ending


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


def test_an_array_that_ends_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "a.npy", np.arange(4, dtype=np.int64))
    folder, status = RecordFolder(tmp_path), os.fstat
    assert folder.array("a.npy", "<i8", (4,)).tolist() == [0, 1, 2, 3]
    os.truncate(tmp_path / "a.npy", (tmp_path / "a.npy").stat().st_size - 1)

    def whole(descriptor: int) -> os.stat_result:
        found = list(status(descriptor))
        found[stat.ST_SIZE] += 1
        return os.stat_result(found)

    monkeypatch.setattr("darkpool.record.folder.os.fstat", whole)
    with pytest.raises(MalformedRecord, match="fewer when it was read"):
        folder.array("a.npy", "<i8", (4,))


def test_what_takes_the_place_of_a_file_after_a_look_at_it_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").write_bytes(b"1")
    (tmp_path / "link").symlink_to("elsewhere")
    os.mkfifo(tmp_path / "pipe")
    folder = RecordFolder(tmp_path)
    monkeypatch.setattr(RecordFolder, "_plain", lambda *_: None)
    with pytest.raises(MalformedRecord, match="link: expected a readable file"):
        folder.whole("link", 9)
    with ending(10), pytest.raises(MalformedRecord, match="a plain file, got a named pipe"):
        folder.whole("pipe", 9)


def test_a_file_system_that_cannot_tell_holes_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"1" * (SMALL_BYTES + 1))
    seek = os.lseek

    def cannot_tell(descriptor: int, place: int, whence: int) -> int:
        if whence == os.SEEK_HOLE:
            raise OSError(errno.EINVAL, "Invalid argument")
        return seek(descriptor, place, whence)

    monkeypatch.setattr("darkpool.record.folder.os.lseek", cannot_tell)
    assert RecordFolder(tmp_path).whole("a", 1 << 20) == b"1" * (SMALL_BYTES + 1)


def test_small_files_may_have_holes_and_second_names(tmp_path: Path) -> None:
    """An honest record has small files whose bytes are the same, and copying may join them."""
    with (tmp_path / "a").open("wb") as file:
        file.truncate(SMALL_BYTES)
    os.link(tmp_path / "a", tmp_path / "b")
    folder = RecordFolder(tmp_path)
    assert folder.problems({"a", "b"}, set()) == []
    assert folder.whole("b", SMALL_BYTES) == bytes(SMALL_BYTES)


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
