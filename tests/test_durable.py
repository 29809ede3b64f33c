"""Files of the stores: one that is no database is refused with a code, and left as it was."""

import errno
import re
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest

import darkpool
from darkpool.durable import (
    make_folders,
    open_database,
    remove_empty,
    temporary_folder,
    transaction,
    writing,
)
from darkpool.errors import UnusableDatabase, UnwritableFolder

SCHEMA = "CREATE TABLE IF NOT EXISTS numbers (number INTEGER PRIMARY KEY);"


def is_open(path: Path) -> bool:
    """Whether this process has a file open."""
    places = []
    for fd in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # another thread may close one meanwhile
            places.append(fd.readlink())
    return path in places


@pytest.mark.parametrize("data", [b"a list of orders\n" * 100, b"SQLite format 3\0" + b"\xff" * 84])
def test_a_file_of_another_kind_is_refused_and_left_alone(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_bytes(data)
    with pytest.raises(UnusableDatabase, match=r"orders\.csv.*: name another file") as caught:
        open_database(path, SCHEMA)
    assert caught.value.code == "unusable-database"
    assert path.read_bytes() == data
    assert not is_open(path)


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "numbers", tmp_path / "a\0b"):
        with pytest.raises(UnusableDatabase):
            open_database(path, SCHEMA)


def test_what_an_exception_leaves_is_undone(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "numbers", SCHEMA)

    def add_twice() -> None:
        with transaction(connection) as cursor:
            cursor.execute("INSERT INTO numbers VALUES (1)")
            cursor.execute("INSERT INTO numbers VALUES (1)")

    with pytest.raises(sqlite3.IntegrityError):
        add_twice()
    assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (0,)


PAGE_FULL = "PRAGMA max_page_count = 4"


def test_a_full_disk_is_told_and_changes_nothing(tmp_path: Path) -> None:
    """SQLite answers to a bound on its pages as it does to a disk without space."""
    connection = open_database(tmp_path / "numbers", SCHEMA)
    connection.execute(PAGE_FULL)

    def fill() -> None:
        with transaction(connection) as cursor:
            cursor.executemany("INSERT INTO numbers VALUES (?)", ((n,) for n in range(10_000)))

    for _ in range(2):
        with pytest.raises(UnusableDatabase, match="full: free space in") as caught:
            fill()
        assert str(tmp_path) in str(caught.value)
    assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (0,)


def test_a_commit_that_fails_undoes_its_transaction(tmp_path: Path) -> None:
    schema = (
        "CREATE TABLE parents (id INTEGER PRIMARY KEY);"
        "CREATE TABLE children (parent INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED);"
    )
    connection = open_database(tmp_path / "family", schema)
    connection.execute("PRAGMA foreign_keys = ON")
    for _ in range(2):
        with pytest.raises(sqlite3.IntegrityError), transaction(connection) as cursor:
            cursor.execute("INSERT INTO children VALUES (7)")
        assert not connection.in_transaction


def test_a_file_that_is_damaged_later_is_told(tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    connection = open_database(path, SCHEMA)
    with transaction(connection) as cursor:
        cursor.executemany("INSERT INTO numbers VALUES (?)", ((n,) for n in range(10_000)))
    connection.close()
    data = bytearray(path.read_bytes())
    data[-4096:] = b"\xff" * 4096
    path.write_bytes(data)
    ways: tuple[Callable[[sqlite3.Cursor], object], ...] = (
        list,
        lambda rows: rows.fetchall(),
        lambda rows: list(iter(rows.fetchone, None)),
    )
    for read in ways:
        rows = open_database(path, SCHEMA).execute("SELECT number FROM numbers")
        with pytest.raises(UnusableDatabase, match=r"numbers.*: keep a copy of the damaged file"):
            read(rows)


def test_tables_that_cannot_be_made_are_told(tmp_path: Path) -> None:
    with pytest.raises(UnusableDatabase, match="syntax error"):
        open_database(tmp_path / "numbers", "CREATE NONSENSE")


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        ("SELECT ?", (object(),)),
        ("SELECT ?", (1 << 64,)),
        ("SELECT ?", ()),
        ("SELECT none FROM nothing", ()),
    ],
)
def test_no_error_of_sqlite_reaches_a_caller(
    statement: str, values: tuple[object, ...], tmp_path: Path
) -> None:
    connection = open_database(tmp_path / "numbers", SCHEMA)
    with pytest.raises(UnusableDatabase):
        connection.execute(statement, values)
    with pytest.raises(UnusableDatabase), transaction(connection) as cursor:
        cursor.execute(statement, values)
    connection.close()
    with pytest.raises(UnusableDatabase, match="closed database"):
        connection.execute("SELECT 1")


def test_a_file_that_another_process_writes_is_told(tmp_path: Path) -> None:
    first, second = (open_database(tmp_path / "numbers", SCHEMA) for _ in range(2))
    second.execute("PRAGMA busy_timeout = 0")

    def write_both() -> None:
        with transaction(first), transaction(second):
            pass

    with pytest.raises(UnusableDatabase, match="end the other process"):
        write_both()


def test_what_to_do_follows_from_the_kind_of_an_error_with_a_finer_code(tmp_path: Path) -> None:
    """What was read is not the newest any more: busy, by a code of its own."""
    first, second = (open_database(tmp_path / "numbers", SCHEMA) for _ in range(2))
    second.execute("BEGIN")
    assert second.execute("SELECT count(*) FROM numbers").fetchall() == [(0,)]
    first.execute("INSERT INTO numbers VALUES (1)")
    with pytest.raises(UnusableDatabase, match="end the other process") as caught:
        second.execute("INSERT INTO numbers VALUES (2)")
    assert caught.value.__cause__ is not None
    assert caught.value.__cause__.sqlite_errorcode == sqlite3.SQLITE_BUSY_SNAPSHOT  # type: ignore[attr-defined]


def test_only_one_module_knows_the_errors_of_sqlite() -> None:
    for path in (Path(darkpool.__file__).parent).rglob("*.py"):
        if path.name != "durable.py":
            text = path.read_text(encoding="utf-8")
            assert "sqlite3.connect" not in text, path
            assert not re.search(r"except[^:]*sqlite3\.(Error|\w*(?<!Integrity)Error)", text), path


def test_folders_that_were_made_and_are_empty_are_removed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    made = make_folders(tmp_path / "there" / "a" / "b")
    assert made == (tmp_path / "there" / "a" / "b", tmp_path / "there" / "a")
    assert make_folders(tmp_path / "there" / "a") == ()
    (tmp_path / "there" / "a" / "note").touch()
    remove_empty(made)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "note", "there"]


def test_a_folder_that_cannot_be_made_leaves_none(tmp_path: Path) -> None:
    too_long = "x" * 300
    with pytest.raises(OSError, match="too long"):
        make_folders(tmp_path / "a" / "b" / too_long)
    (tmp_path / "file").touch()
    refused = pytest.raises(UnwritableFolder, match=r"file: expected .*, got Not a directory")
    with refused, writing(tmp_path / "file"):
        make_folders(tmp_path / "file" / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_temporary_folder_needs_a_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(UnwritableFolder, match="none: expected"), temporary_folder("test-"):
        pass
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with temporary_folder("test-") as folder:
        (folder / "file").touch()
        assert folder.parent == tmp_path
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_removed_in_the_end_ends_no_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_arguments: object, **_options: object) -> NoReturn:
        raise OSError(errno.EBUSY, "busy")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with temporary_folder("test-") as folder:
        (folder / "file").touch()
        monkeypatch.setattr("os.unlink", refuse)
    assert (folder / "file").exists()
