"""How a record is put on a disk: written beside its place, digested, and renamed.

A record is a folder. `manifest.json` names every other file with its SHA-256, so nothing can be
added, lost or changed unnoticed. Arrays are NumPy's `.npy`, whose header has to be, to the byte,
the one that is expected.
"""

from __future__ import annotations

import hashlib
import os
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
from darkpool.durable import make_folders, remove_empty, sync_folder, writing
from darkpool.record.errors import RecordExists
from darkpool.record.folder import npy_header

MANIFEST: Final = "manifest.json"
MANIFEST_VERSION: Final = 2
CIPHERTEXTS: Final = "ciphertexts.bin"
MARGIN_FILES: Final = ("contracts.json", "market.json", "risk.json")


@dataclass(frozen=True, slots=True)
class Manifest:
    """Every file of a record but the manifest itself, with its SHA-256."""

    version: int
    files: Mapping[str, bytes]


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
            RecordExists: another writer was there first; the folder stays at `path`.
        """
        for name in list(self._open):
            self._digests[name] = self._open.pop(name).close()
        digests = dict(sorted(self._digests.items()))
        self.write(MANIFEST, [to_json(Manifest(MANIFEST_VERSION, digests))])
        with writing(self.final.parent):
            for folder in {self.path, *((self.path / name).parent for name in digests)}:
                sync_folder(folder)
            if self.final.exists():
                raise RecordExists(self.final)
            self.path.rename(self.final)
            sync_folder(self.final.parent)
        return self.final

    def abandon(self) -> None:
        """Remove what was written, and the folders that were made for it."""
        for file in self._open.values():
            file.discard()
        self._open.clear()
        shutil.rmtree(self.path, ignore_errors=True)
        remove_empty(self._made)
