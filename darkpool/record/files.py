"""How a record lies on a disk: written beside and renamed, digested, and read back strictly.

A record is a folder. `manifest.json` names every other file with its SHA-256, so nothing can be
added, lost or changed unnoticed. Arrays are NumPy's `.npy`, whose header has to be, to the byte,
the one that is expected.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from darkpool.canonical_json import to_json
from darkpool.durable import make_folders, remove_empty, writing
from darkpool.errors import MalformedRecord
from darkpool.record.errors import RecordExists

MANIFEST: Final = "manifest.json"
MANIFEST_VERSION: Final = 2
CIPHERTEXTS: Final = "ciphertexts.bin"
MARGIN_FILES: Final = ("contracts.json", "market.json", "risk.json")

_NAME: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*(?:/[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)?")


def npy_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """What stands before the data of an array in C order, to the byte."""
    out = io.BytesIO()
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, header)
    return out.getvalue()


def read_npy(path: Path, part: str, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Read an array of exactly this type and shape; nothing in the file is interpreted.

    Raises:
        MalformedRecord: another header or length, or the file cannot be read.
    """
    header = npy_header(dtype, shape)
    count = int(np.prod(shape, dtype=object))
    size = len(header) + count * np.dtype(dtype).itemsize
    try:
        with path.open("rb") as file:
            length = os.fstat(file.fileno()).st_size
            if length != size or file.read(len(header)) != header:
                raise MalformedRecord(part, f"a {dtype} array of shape {shape}", f"{length} bytes")
            return np.fromfile(file, dtype=dtype, count=count).reshape(shape)
    except OSError as error:
        raise MalformedRecord(part, "a readable file", error) from error


def files_of(directory: Path) -> set[str]:
    """Names of all files of a record, with forward slashes.

    Raises:
        MalformedRecord: something is neither a plain file nor a folder.
    """
    found = set()
    for path in directory.rglob("*"):
        name = path.relative_to(directory).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise MalformedRecord("files", "plain files", f"{name!r}, which is not plain")
        if path.is_file():
            found.add(name)
    return found


def file_digest(path: Path, part: str) -> bytes:
    """SHA-256 of a file.

    Raises:
        MalformedRecord: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise MalformedRecord(part, "a readable file", error) from error


def read_bytes(path: Path, part: str, size_max: int, start: int = 0) -> bytes:
    """Read at most `size_max` bytes of a file.

    Raises:
        MalformedRecord: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(size_max)
    except (OSError, ValueError) as error:  # a path with a NUL is no path
        raise MalformedRecord(part, "a readable file", error) from error


def read_whole(path: Path, part: str, size_max: int) -> bytes:
    """Read a whole file of at most `size_max` bytes.

    Raises:
        MalformedRecord: it is longer, or cannot be read.
    """
    data = read_bytes(path, part, size_max + 1)
    if len(data) > size_max:
        raise MalformedRecord(part, f"at most {size_max} bytes", f"at least {len(data)} bytes")
    return data


@dataclass(frozen=True, slots=True)
class Manifest:
    """Every file of a record but the manifest itself, with its SHA-256."""

    version: int
    files: Mapping[str, bytes]

    def require_names(self) -> None:
        """Refuse names that could lead out of the record.

        Raises:
            MalformedRecord: a name is no file in the record or in a folder of it.
        """
        for name in self.files:
            if not _NAME.fullmatch(name):
                raise MalformedRecord("manifest", "file names in lower case", name)


class DigestingFile:
    """A file under construction in a folder, and its running SHA-256.

    Raises:
        UnwritableFolder: the system refuses to make, write or close the file.
    """

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        with writing(self._folder):
            self._folder.mkdir(exist_ok=True)
            self._file = path.open("xb")
        self._state = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> None:
        """Append."""
        with writing(self._folder):
            self._file.write(data)
        self._state.update(data)

    def close(self) -> bytes:
        """Make the file durable; returns its SHA-256."""
        with writing(self._folder):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        return self._state.digest()

    def discard(self) -> None:
        """Close without a promise."""
        with suppress(OSError):  # closing writes what the disk did not take before
            self._file.close()


class PendingDirectory:
    """A record under construction, in a folder beside the one that it will be.

    Raises:
        RecordExists: there is something at its final place already.
        UnwritableFolder: the system refuses to make the folder, or a file in it.
    """

    def __init__(self, directory: Path) -> None:
        self.final = directory
        self.path = directory.with_name(f"{directory.name}.partial-{secrets.token_hex(8)}")
        with writing(directory.parent):
            if directory.exists() or directory.is_symlink():
                raise RecordExists(directory)
            self._made = make_folders(self.path)
        self._digests: dict[str, bytes] = {}
        self._open: dict[str, DigestingFile] = {}

    def stream(self, name: str) -> DigestingFile:
        """A file to append to until the record is complete."""
        if name not in self._open:
            self._open[name] = DigestingFile(self.path / name)
        return self._open[name]

    def write(self, name: str, chunks: Iterable[bytes | memoryview]) -> None:
        """Write a whole file."""
        file = self.stream(name)
        for chunk in chunks:
            file.write(chunk)
        self._digests[name] = self._open.pop(name).close()

    def write_npy(self, name: str, array: npt.NDArray[Any], dtype: str) -> None:
        """Write an array as `read_npy` reads it."""
        data = np.ascontiguousarray(array).astype(dtype, copy=False)
        octets = data.reshape(-1).view(np.uint8)
        self.write(name, [npy_header(dtype, data.shape), octets.data])

    def complete(self) -> Path:
        """Write the manifest, make everything durable and move it to its final place.

        Raises:
            RecordExists: somebody else was there first; the folder stays at `path`.
        """
        for name in list(self._open):
            self._digests[name] = self._open.pop(name).close()
        digests = dict(sorted(self._digests.items()))
        self.write(MANIFEST, [to_json(Manifest(MANIFEST_VERSION, digests))])
        with writing(self.final.parent):
            for folder in {self.path, *((self.path / name).parent for name in digests)}:
                _sync_folder(folder)
            if self.final.exists():
                raise RecordExists(self.final)
            self.path.rename(self.final)
            _sync_folder(self.final.parent)
        return self.final

    def abandon(self) -> None:
        """Remove what was written, and the folders that were made for it."""
        for file in self._open.values():
            file.discard()
        self._open.clear()
        shutil.rmtree(self.path, ignore_errors=True)
        remove_empty(self._made)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
