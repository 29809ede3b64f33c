"""Files of the stores: one that is no database is refused with a code, and left as it was."""

import sqlite3
from pathlib import Path

import pytest

from darkpool.durable import open_database, transaction
from darkpool.errors import UnusableDatabase

SCHEMA = "CREATE TABLE IF NOT EXISTS numbers (number INTEGER PRIMARY KEY);"


@pytest.mark.parametrize("data", [b"a list of orders\n" * 100, b"SQLite format 3\0" + b"\xff" * 84])
def test_a_file_of_another_kind_is_refused_and_left_alone(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_bytes(data)
    with pytest.raises(UnusableDatabase, match=r"orders\.csv") as caught:
        open_database(path, SCHEMA)
    assert caught.value.code == "unusable-database"
    assert path.read_bytes() == data


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "numbers"):
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
