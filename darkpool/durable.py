"""SQLite files whose writes are on the disk before the caller goes on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from darkpool.errors import UnusableDatabase


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    """Open an SQLite file whose transactions are on the disk when they return.

    Threads may use the connection one after the other, never at the same time.

    Raises:
        UnusableDatabase: the file is of another kind, damaged, or cannot be written.
    """
    try:
        connection = sqlite3.connect(
            path, timeout=30, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise UnusableDatabase(path, error) from error
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(schema)
    except sqlite3.Error as error:
        connection.close()
        raise UnusableDatabase(path, error) from error
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Cursor]:
    """All or nothing; leaving it by an exception undoes it."""
    cursor = connection.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    try:
        yield cursor
    except BaseException:
        cursor.execute("ROLLBACK")
        raise
    cursor.execute("COMMIT")
