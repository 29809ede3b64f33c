"""What has to be so before folders are made: nothing is in their way, and they lie apart."""

from __future__ import annotations

import os
from pathlib import Path

from darkpool.record.errors import RecordExists
from darkpool.simulation.errors import FolderExists, FoldersNested, UnmakeableFolder
from darkpool.units import require_kind


def require_new(record: Path | None, openings: Path | None) -> None:
    """Check that the folders that are wanted can be made, one apart from the other.

    Raises:
        FoldersNested: one is the other, or lies in it.
        RecordExists, FolderExists: there is something at its place.
        UnmakeableFolder: no directory can be made there.
    """
    require_apart(record, openings)
    for folder, error in ((record, RecordExists), (openings, FolderExists)):
        if folder is not None:
            try:
                _require_makeable(folder, error)
            except OSError as refusal:  # a name that is too long, for instance
                raise UnmakeableFolder(folder, str(refusal.strerror)) from None


def _require_makeable(folder: Path, exists: type[RecordExists | FolderExists]) -> None:
    if folder.exists() or folder.is_symlink():
        raise exists(folder)
    above = next(path for path in folder.absolute().parents if path.exists())
    if not above.is_dir():
        raise UnmakeableFolder(folder, f"{above}, which is no directory")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UnmakeableFolder(folder, f"{above}, which cannot be written to")


def require_apart(record: Path | None, openings: Path | None) -> None:
    """Check that what only clients may know does not come to lie in the public record.

    Raises:
        WrongType: no path.
        FoldersNested: one folder is the other, or lies in it.
        UnmakeableFolder: links that lead to no place, or a path that no file can have.
    """
    for name, folder in (("record", record), ("openings", openings)):
        if folder is not None and "\0" in str(require_kind(name, Path, folder)):
            raise UnmakeableFolder(folder, "a path with a NUL in it")
    if record is None or openings is None:
        return
    places = _resolved(record), _resolved(openings)
    if any(one.is_relative_to(other) for one, other in (places, places[::-1])):
        raise FoldersNested(*places)


def _resolved(folder: Path) -> Path:
    try:
        return folder.resolve()
    except RuntimeError:  # up to Python 3.12
        raise UnmakeableFolder(folder, "a circle of symbolic links") from None
    except OSError as refusal:
        raise UnmakeableFolder(folder, str(refusal.strerror)) from None
