"""How a record is read from a disk: a stranger made the folder, so nothing in it is opened blindly.

A file is opened when it is known to be a plain one, in a folder that is one; a pipe is never waited
for, and no link is followed. No more is read than the file had when it was opened. What is random
in an honest record takes the room on the disk that it seems to take: a file above `SMALL_BYTES` has
no holes, and none is another one under a second name. So work and memory follow from the bytes that
are there.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from darkpool.errors import MalformedRecord

SMALL_BYTES: Final = 1 << 17
EXTRA_TOLD_MAX: Final = 1000
"""Names of files that are no part of a record, of which the first are told."""

_CHUNK_BYTES: Final = 1 << 20
_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def npy_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """What stands before the data of an array in C order, to the byte."""
    out = io.BytesIO()
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, header)
    return out.getvalue()


class RecordFolder:
    """The files of a record, by their names with forward slashes.

    Every method that reads raises MalformedRecord where a file is missing, is no plain file, cannot
    be read, or changes meanwhile.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._refused: dict[str, MalformedRecord] = {}

    def size(self, name: str) -> int:
        """Bytes of a file."""
        with self._open(name, name) as file:
            return os.fstat(file.fileno()).st_size

    def digest(self, name: str) -> bytes:
        """SHA-256 of a file."""
        state = hashlib.sha256()
        with self._open(name, name) as file:
            for chunk in _chunks(file, name, os.fstat(file.fileno()).st_size):
                state.update(chunk)
        return state.digest()

    def bytes_at(self, name: str, part: str, size: int, start: int) -> bytes:
        """At most `size` bytes of a file, from a place in it."""
        with self._open(name, part) as file:
            file.seek(start)
            return file.read(size)

    def whole(self, name: str, size_max: int) -> bytes:
        """All of a file, of at most `size_max` bytes."""
        with self._open(name, name) as file:
            size = os.fstat(file.fileno()).st_size
            if size > size_max:
                raise MalformedRecord(name, f"at most {size_max} bytes", size)
            return b"".join(_chunks(file, name, size))

    def array(self, name: str, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """An array of exactly this type and shape; nothing in the file is interpreted."""
        header = npy_header(dtype, shape)
        count = int(np.prod(shape, dtype=object))
        size = len(header) + count * np.dtype(dtype).itemsize
        with self._open(name, name) as file:
            length = os.fstat(file.fileno()).st_size
            start = file.read(len(header))
            if length != size or start != header:
                dimensions = " by ".join(map(str, shape))
                expected = f"a header for {dtype}, {dimensions}, and {size} bytes in all"
                got = f"{length} bytes, beginning {start.decode('latin-1')}"
                raise MalformedRecord(name, expected, got)
            words = np.empty(count, dtype=dtype)
            if file.readinto(words.view(np.uint8).data) != size - len(header):
                raise MalformedRecord(name, f"{size} bytes", "fewer when it was read")
            return words.reshape(shape)

    def problems(self, expected: Collection[str], unread: Collection[str]) -> list[MalformedRecord]:
        """What is wrong with names and kinds of files: missing, extra, or not plain.

        Files that have no room of their own are refused from here on.

        Args:
            expected: names of all files of the record.
            unread: folders of which nothing says what belongs into them.
        """
        wrong: list[MalformedRecord] = []
        places: dict[tuple[int, int], str] = {}
        for name in sorted(expected):
            try:
                found = self._plain(name, name)
            except MalformedRecord as error:
                missing = isinstance(error.__cause__, FileNotFoundError)
                wrong.append(_inexact(f"{name} missing") if missing else error)
                continue
            first = places.setdefault((found.st_dev, found.st_ino), name)
            if first != name and found.st_size > SMALL_BYTES:
                got = f"a link to the same bytes as {first}"
                refusal = MalformedRecord(name, "a file of its own", got)
                self._refused[name] = refusal
                wrong.append(refusal)
        return wrong + self._extra(expected, unread)

    def _extra(self, expected: Collection[str], unread: Collection[str]) -> list[MalformedRecord]:
        folders = {name.partition("/")[0] for name in expected if "/" in name} | {*unread}
        try:
            names = _names(self._directory, folders)
            strange = (
                name
                for name in names
                if name not in expected and name.partition("/")[0] not in unread
            )
            told = sorted(islice(strange, EXTRA_TOLD_MAX + 1))
        except (OSError, ValueError) as error:
            return [MalformedRecord("files", "a folder that can be read", _reason(error))]
        wrong = [_inexact(f"{name} extra") for name in told[:EXTRA_TOLD_MAX]]
        return wrong + [_inexact("more than these extra")] * (len(told) > EXTRA_TOLD_MAX)

    def _plain(self, name: str, part: str) -> os.stat_result:
        """The status of a plain file in a folder that is one."""
        path = self._directory / name
        try:
            for folder in path.parents[: name.count("/")]:
                _require_kind(folder.lstat(), stat.S_IFDIR, part, f"a folder {folder.name}")
            found = path.lstat()
        except FileNotFoundError as error:
            raise MalformedRecord(part, "a file", "none of this name") from error
        except (OSError, ValueError) as error:  # a path with a NUL is no path
            raise MalformedRecord(part, "a readable file", _reason(error)) from error
        _require_kind(found, stat.S_IFREG, part, "a plain file")
        return found

    @contextmanager
    def _open(self, name: str, part: str) -> Iterator[io.BufferedReader]:
        if name in self._refused:
            raise self._refused[name]
        self._plain(name, part)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(self._directory / name, flags), "rb") as file:
                status = os.fstat(file.fileno())
                # it may be another file by now
                _require_kind(status, stat.S_IFREG, part, "a plain file")
                if status.st_size > SMALL_BYTES and _has_hole(file, status.st_size):
                    raise MalformedRecord(part, "a file without holes", "one with holes")
                yield file
        except OSError as error:
            raise MalformedRecord(part, "a readable file", _reason(error)) from error


def _names(directory: Path, folders: Collection[str]) -> Iterator[str]:
    """Names of all that lies in a record, but of what lies in strange folders."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name not in folders:
                yield entry.name
            elif entry.is_dir(follow_symlinks=False):
                with os.scandir(entry) as inner:
                    yield from (f"{entry.name}/{one.name}" for one in inner)


def _chunks(file: BinaryIO, part: str, size: int) -> Iterator[bytes]:
    """All that a file of this size has.

    Raises:
        MalformedRecord: it is shorter or longer by now.
    """
    left = size
    while left:
        chunk = file.read(min(left, _CHUNK_BYTES))
        if not chunk:
            raise MalformedRecord(part, f"{size} bytes", "fewer when it was read")
        left -= len(chunk)
        yield chunk
    if file.read(1):
        raise MalformedRecord(part, f"{size} bytes", "more when it was read")


def _has_hole(file: BinaryIO, size: int) -> bool:
    try:
        return os.lseek(file.fileno(), 0, os.SEEK_HOLE) < size
    except OSError:  # a file system that cannot tell
        return False
    finally:
        os.lseek(file.fileno(), 0, os.SEEK_SET)


def _require_kind(status: os.stat_result, kind: int, part: str, expected: str) -> None:
    got = stat.S_IFMT(status.st_mode)
    if got != kind:
        raise MalformedRecord(part, expected, _KINDS.get(got, "a plain file"))


def _inexact(got: str) -> MalformedRecord:
    return MalformedRecord("files", "exactly its files", got)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
