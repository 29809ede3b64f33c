"""The clients' opening files: only their owner reads them, and errors of the disk are told."""

import shutil
import stat
from pathlib import Path

import pytest

from darkpool.errors import UnwritableFolder
from darkpool.simulation.clients import OpeningsFolder
from darkpool.simulation.errors import FolderExists, FoldersNested, UnmakeableFolder
from darkpool.simulation.folders import require_apart, require_new


class Opening:
    """What is written of an opening file."""

    def __init__(self, text: str) -> None:
        self._text = text

    def to_json(self) -> str:
        return self._text


def filled(place: Path) -> OpeningsFolder:
    folder = OpeningsFolder(place)
    for submission in range(3):
        folder.add(submission, Opening(str(submission)))  # type: ignore[arg-type]
    return folder


def test_openings_are_named_by_the_places_of_their_intents(tmp_path: Path) -> None:
    """What was not admitted is in no batch, and its opening goes."""
    place = tmp_path / "a" / "openings"
    filled(place).finish([2, 0])
    found = {path.name: path.read_text() for path in place.iterdir()}
    assert found == {"0.json": "2", "1.json": "0"}
    for path in place.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["openings"]


def test_what_is_abandoned_leaves_no_folder_and_what_is_kept_stays(tmp_path: Path) -> None:
    filled(tmp_path / "a" / "b" / "openings").abandon()
    assert not list(tmp_path.iterdir())
    folder = filled(tmp_path / "openings")
    kept = folder.keep_unfinished()
    folder.abandon()
    assert len(list(kept.iterdir())) == 3


def test_what_cannot_be_written_is_told_and_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UnwritableFolder, match="got File name too long"):
        OpeningsFolder(tmp_path / "a" / ("x" * 250))
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(UnwritableFolder, match="file: expected one that files"):
        OpeningsFolder(tmp_path / "file" / "openings")
    folder = filled(tmp_path / "openings")
    (pending,) = tmp_path.glob("openings.partial-*")
    shutil.rmtree(pending)
    with pytest.raises(UnwritableFolder, match="got No such file"):
        folder.add(3, Opening("3"))  # type: ignore[arg-type]
    with pytest.raises(UnwritableFolder, match="got No such file"):
        folder.finish([0])


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    for name in ("link", "folder"):
        with pytest.raises(FolderExists):
            OpeningsFolder(tmp_path / name)
        with pytest.raises(FolderExists):
            require_new(None, tmp_path / name)


@pytest.mark.parametrize(
    ("record", "openings"), [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("a/../b", "b/c")]
)
def test_public_and_secret_folders_lie_apart(record: str, openings: str, tmp_path: Path) -> None:
    with pytest.raises(FoldersNested):
        require_apart(tmp_path / record, tmp_path / openings)
    with pytest.raises(FoldersNested):
        require_new(tmp_path / record, tmp_path / openings)
    require_apart(tmp_path / record, None)
    require_apart(tmp_path / "ab", tmp_path / "a")


def test_a_folder_lies_in_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnmakeableFolder, match="file, which is no directory"):
        require_new(tmp_path / "file" / "a" / "record", None)
