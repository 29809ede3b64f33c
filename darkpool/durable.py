"""Files whose writes are on the disk before the caller goes on, and what is told where they fail.

SQLite's own errors stay here: a caller gets `UnusableDatabase`, which names the file and what to
do. Only `sqlite3.IntegrityError` passes: a store that lets SQLite find what is there twice catches
it and says what it means.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self

from darkpool.errors import UnusableDatabase, UnwritableFolder

_PRIMARY_CODE: Final = 0xFF
"""The bits of an extended error code that say of which kind it is."""

_NUL_IN_PATH: Final = "embedded null"
"""What Python says of a path that no file can have, in an error that has no kind of its own."""

_REMEDIES: Final = {
    sqlite3.SQLITE_FULL: "free space in {folder}, or use a folder of another disk",
    sqlite3.SQLITE_BUSY: "end the other process that has it open",
    sqlite3.SQLITE_LOCKED: "end the other process that has it open",
    sqlite3.SQLITE_READONLY: "make the file and {folder} writable",
    sqlite3.SQLITE_CANTOPEN: "name a file in a folder that exists and can be written",
    sqlite3.SQLITE_PERM: "make the file and {folder} writable",
    sqlite3.SQLITE_IOERR: "check space and health of the disk of {folder}",
    sqlite3.SQLITE_NOTADB: "name another file: this one is of another kind, or damaged",
    sqlite3.SQLITE_CORRUPT: "keep a copy of the damaged file, and begin a new one",
}


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """SQLite's errors inside become `UnusableDatabase`."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except (sqlite3.Error, sqlite3.Warning, OverflowError, ValueError) as error:
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
        remedy = _REMEDIES.get(code, "").format(folder=path.parent)
        raise UnusableDatabase(path, error, remedy) from error


class _Cursor(sqlite3.Cursor):
    """A cursor whose errors are told."""

    def __init__(self, connection: _Connection) -> None:
        super().__init__(connection)
        self._path = connection.path

    def execute(self, *arguments: Any) -> Self:
        with _told(self._path):
            return super().execute(*arguments)

    def executemany(self, *arguments: Any) -> Self:
        with _told(self._path):
            return super().executemany(*arguments)

    def executescript(self, *arguments: Any) -> Self:
        with _told(self._path):
            super().executescript(*arguments)
        return self

    def fetchone(self) -> Any:
        with _told(self._path):
            return super().fetchone()

    def fetchall(self) -> list[Any]:
        with _told(self._path):
            return super().fetchall()

    def __next__(self) -> Any:
        with _told(self._path):
            return super().__next__()


class _Connection(sqlite3.Connection):
    """A connection all whose cursors tell their errors."""

    path: Path

    def cursor(self, *_: Any) -> sqlite3.Cursor:  # type: ignore[override]
        return _Cursor(self)

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        return self.cursor().execute(*arguments)

    def executescript(self, *arguments: Any) -> sqlite3.Cursor:
        return self.cursor().executescript(*arguments)


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    """Open an SQLite file whose transactions are on the disk when they return.

    Threads may use the connection one after the other, never at the same time.

    Raises:
        UnusableDatabase: the file is of another kind, damaged, or cannot be written; so does every
            statement that fails later.
    """
    with _told(path):
        connection = sqlite3.connect(
            path, timeout=30, isolation_level=None, check_same_thread=False, factory=_Connection
        )
    connection.path = path
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(schema)
    except UnusableDatabase:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Cursor]:
    """All or nothing; leaving it by an exception undoes it, and so does a commit that fails.

    Raises:
        UnusableDatabase: SQLite cannot read or write the file; nothing has changed.
    """
    cursor = connection.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    try:
        yield cursor
        cursor.execute("COMMIT")
    except BaseException:
        # SQLite has ended it by itself where the disk is full
        if connection.in_transaction:
            cursor.execute("ROLLBACK")
        raise


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """What the system refuses while files are written in a folder.

    Raises:
        UnwritableFolder: it is full, may not be written, or there is a NUL in a path.
    """
    try:
        yield
    except OSError as error:
        raise UnwritableFolder(folder, error.strerror or str(error)) from error
    except ValueError as error:
        if _NUL_IN_PATH not in str(error):
            raise
        raise UnwritableFolder(folder, "a path with a NUL in it") from error


def make_folders(folder: Path) -> tuple[Path, ...]:
    """Make a folder and those above it; returns the ones that were not there, innermost first.

    Raises:
        OSError: the system refuses; none that was made is left.
    """
    made = [folder]
    while not made[-1].exists():
        made.append(made[-1].parent)
    missing = tuple(made[:-1])
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        remove_empty(missing)
        raise
    return missing


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders, innermost first, that are empty; the others stay."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A folder for the time being, where the system keeps temporary files (`TMPDIR`).

    Raises:
        UnwritableFolder: there is no place that can be written.
    """
    place = Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108  # only to be named
    with writing(place):
        folder = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
    with folder as name:
        yield Path(name)


def sync_folder(folder: Path) -> None:
    """Return once the disk has the names of what lies in a folder.

    Raises:
        OSError: the system refuses.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
