"""A record that is being written: durable before it has its name, and errors of the disk told."""

import os
import shutil
from pathlib import Path

import pytest

from darkpool.errors import UnwritableFolder
from darkpool.record.errors import RecordExists
from darkpool.record.files import DigestingFile, PendingDirectory

FULL = Path("/dev/full")


def on_a_full_disk(file: DigestingFile) -> DigestingFile:
    """The same file, on a device that takes nothing."""
    file._file.close()
    file._file = FULL.open("wb")
    return file


def test_every_file_and_folder_is_on_the_disk_before_the_record_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bool]] = []
    final, sync = tmp_path / "record", os.fsync

    def noting(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((path.name, final.exists()))
        sync(descriptor)

    pending = PendingDirectory(final)
    pending.write("masks/a", [b"1"])
    pending.stream("b").write(b"2")
    monkeypatch.setattr("darkpool.record.files.os.fsync", noting)
    pending.write("c", [b"3"])
    pending.complete()
    before = {name for name, there in synced if not there}
    assert before == {"b", "c", "manifest.json", "masks", pending.path.name}
    assert [name for name, there in synced if there] == [tmp_path.name]


def test_a_full_disk_is_told_by_its_folder(tmp_path: Path) -> None:
    pending = PendingDirectory(tmp_path / "record")
    with pytest.raises(UnwritableFolder, match=r"record\.partial-.*got No space left"):
        on_a_full_disk(pending.stream("large")).write(bytes(1 << 20))
    on_a_full_disk(pending.stream("small")).write(b"1")
    with pytest.raises(UnwritableFolder, match=r"record\.partial-.*got No space left"):
        pending.write("small", [])
    on_a_full_disk(pending.stream("open")).write(b"1")
    pending.abandon()
    assert not list(tmp_path.iterdir())


def test_folders_that_cannot_be_made_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnwritableFolder, match=r"file: expected .*got Not a directory"):
        PendingDirectory(tmp_path / "file" / "record")
    pending = PendingDirectory(tmp_path / "record")
    shutil.rmtree(pending.path)
    with pytest.raises(UnwritableFolder, match="got No such file"):
        pending.stream("masks/a")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_came_to_stand_at_the_place_of_a_record_stays(tmp_path: Path) -> None:
    """A link that leads nowhere is something too."""
    place = tmp_path / "record"
    pending = PendingDirectory(place)
    place.symlink_to("nowhere")
    with pytest.raises(RecordExists):
        PendingDirectory(place)
    with pytest.raises(UnwritableFolder, match="got Not a directory"):
        pending.complete()
    assert place.is_symlink()
    pending.abandon()
    assert [path.name for path in tmp_path.iterdir()] == ["record"]
