"""What the command line answers to input that it cannot use: exactly what, where and which code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import GRID_OPTIONS, HEADER, ORDERS, darkpool, run_process


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"",
            "file: expected a header line with the columns account, side, size, limit, each once",
        ),
        (HEADER, "file: expected at least one order, got none"),
        (b"\x00\x01", "file: expected text, got a NUL at character 0"),
        (b"\xff\xfe", "file: expected UTF-8 without a byte order mark, got UTF-16"),
        (HEADER + '"a,buy,1,4805\n', "row 2: expected CSV by RFC 4180, got "),
        ("a,b\n1,2\n", "file: expected a header line with the columns account, side, size, limit"),
        (HEADER + "a,buy,1\n", "row 2: expected 4 fields, got 3"),
        (HEADER + "a,hold,1,4805\n", "row 2, column side: expected buy or sell, got 'hold'"),
        (HEADER + "a,buy,0,4805\n", "row 2, column size: expected 1 to 10000000 lots, got '0'"),
        (
            HEADER + "a,buy,-1,4805\n",
            "row 2, column size: expected a whole number of lots, in digits, got '-1'",
        ),
        (
            HEADER + "a,buy,1.5,4805\n",
            "row 2, column size: expected a whole number of lots, in digits, got '1.5'",
        ),
        (
            HEADER + "a,buy,1,4805.1\n",
            "row 2, column limit: expected a multiple of 0.25, got '4805.1'",
        ),
        (
            HEADER + "a,buy,1,nan\n",
            "expected a price, in digits with at most one point, or nothing, got 'nan'",
        ),
        (
            HEADER + "a,buy,1,4000\n",
            "row 2, column limit: expected a buy limit of 4797.00 or more, got '4000'",
        ),
        (
            HEADER + "a,sell,1,5000\n",
            "row 2, column limit: expected a sell limit of 4812.75 or less, got '5000'",
        ),
        (
            HEADER + "a,buy,1,4805\nb,buy,1,4805\na,sell,1,4805\n",
            (
                "row 4, column account: expected one order of an account for default"
                ", got rows 2 and 4 of 'a'"
            ),
        ),
        (
            "account,side,size,limit,instrument\na,buy,1,4805,E S\n",
            "row 2, column instrument: expected a name of 1 to 32 characters, each a letter",
        ),
    ],
)
def test_a_file_of_orders_that_is_none(tmp_path: Path, content: str | bytes, message: str) -> None:
    orders = tmp_path / "orders.csv"
    orders.write_bytes(content if isinstance(content, bytes) else content.encode())
    places = ("--record", tmp_path / "record", "--openings", tmp_path / "openings")
    done = darkpool("auction", orders, *GRID_OPTIONS, *places, "--json")
    assert (done.returncode, done.stdout) == (2, "")
    first = f"darkpool: {orders}: expected an order file, got these problems\n"
    assert done.stderr.startswith(first)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["orders.csv"]


def test_a_missing_file(tmp_path: Path) -> None:
    done = darkpool("auction", tmp_path / "none.csv", *GRID_OPTIONS)
    assert (done.returncode, done.stdout) == (2, "")
    assert "expected a file that can be read, got No such file or directory" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tick", "abc"), "expected a number in digits with at most one point, got 'abc'"),
        (("--tick", "1e3"), "expected a number in digits with at most one point, got '1e3'"),
        (("--tick", "0"), "tick size: expected a number above zero, got 0"),
        (("--tick", "-0.25"), "tick size: expected a number above zero, got -0.25"),
        (("--reference", "4805.1"), "reference price: expected a multiple of 0.25, got 4805.1"),
        (("--reference", "0.0000001"), "expected at most 6 decimals"),
        (("--ticks", "0"), "ticks: expected 1 to 2047, got 0"),
        (("--ticks", "2048"), "ticks: expected 1 to 2047, got 2048"),
        (("--ticks", "many"), "expected a whole number, got 'many'"),
        (("--ticks", "1" * 41), "expected at most 40 characters, got '111"),
        (("--tick", "1" * 41), "expected at most 40 characters, got '111"),
        (("--margin-rate", "0." + "0" * 39), "expected at most 40 characters, got '0.00"),
        (("--tick", "0.0000001"), "expected at most 6 decimals, got 0.0000001"),
        (("--record", "a" * 300), "a place where a directory can be made, got File name too long"),
        (("--multiplier", "1.5"), "expected a whole number, got '1.5'"),
        (("--pricing", "midpoint"), "expected uniform or reference, got 'midpoint'"),
        (("--margin-rate", "100.0001%"), "expected a percentage from 0% to 100%"),
        (("--multiplier", "0"), "contract multiplier: expected 1 to 1000000, got 0"),
        (("--record", "."), "record: expected a new directory, got ., which exists"),
        (("--openings", "."), "openings: expected a new directory, got ., which exists"),
        (
            ("--record", "a", "--openings", "a/b"),
            f"expected a folder apart from {Path('a').resolve()}, got ",
        ),
    ],
)
def test_options_out_of_bounds(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    orders = tmp_path / "orders.csv"
    orders.write_text(ORDERS)
    done = darkpool("auction", orders, *GRID_OPTIONS, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["orders.csv"]


@pytest.mark.parametrize("seed", ["-1", "4294967296", "x"])
def test_a_seed_out_of_bounds(seed: str) -> None:
    done = darkpool("demo", "--seed", seed)
    assert (done.returncode, done.stdout) == (2, "")
    assert "expected" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("key", ["c0ffee" * 12, "", "0" * 64, "f" * 64])
def test_a_wrong_key_is_refused_and_never_shown(tmp_path: Path, key: str) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    done = darkpool("auction", tmp_path / "orders.csv", *GRID_OPTIONS, DARKPOOL_CHAIN_KEY=key)
    assert (done.returncode, done.stdout) == (2, "")
    assert "DARKPOOL_CHAIN_KEY: expected 64 hexadecimal digits" in done.stderr
    assert not key or key not in done.stderr


def test_a_node_that_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    url, place = "http://127.0.0.1:9", tmp_path / "record"
    done = darkpool(
        "auction", tmp_path / "orders.csv", *GRID_OPTIONS, "--chain", url, "--record", place
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"expected an answer from {url}" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["orders.csv"]


def test_a_node_s_credentials_are_never_shown(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    url = "http://alice:hush1@127.0.0.1:9/v3/hush2/?key=hush3"
    done = darkpool("auction", tmp_path / "orders.csv", *GRID_OPTIONS, "--chain", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert "expected an answer from http://127.0.0.1:9, got " in done.stderr
    for secret in ("alice", "hush"):
        assert secret not in done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hush",
        "hush:8545",
        "ws://hush",
        "file:///hush",
        "http://",
        "http:hush",
        "http://[hush",
        "http://hush:0",
        "http://hush:99999",
    ],
)
def test_an_address_of_no_node(tmp_path: Path, url: str) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    (tmp_path / "record").mkdir()
    for command in (
        ("auction", tmp_path / "orders.csv", *GRID_OPTIONS),
        ("audit", tmp_path / "record"),
    ):
        done = darkpool(*command, "--chain", url)
        assert (done.returncode, done.stdout) == (2, "")
        assert (
            "chain: expected http:// or https:// and a host, with or without a port, got "
            in done.stderr
        )
        assert "hush" not in done.stderr


def test_openings_do_not_lie_in_the_record_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    (tmp_path / "link").symlink_to(tmp_path)
    places = ("--record", tmp_path / "record", "--openings", tmp_path / "link" / "record" / "mine")
    done = darkpool("auction", tmp_path / "orders.csv", *GRID_OPTIONS, *places)
    assert (done.returncode, done.stdout) == (2, "")
    record = (tmp_path / "record").resolve()
    assert f"expected a folder apart from {record}, got {record / 'mine'}" in done.stderr
    assert not record.exists()


def test_version_and_help() -> None:
    assert re.fullmatch(r"darkpool \d+\.\d+\.\d+\n", run_process("--version").stdout)
    text = run_process("--help")
    assert text.returncode == 0
    for command in ("auction", "audit", "demo", "open"):
        assert re.search(f"^  {command} ", text.stdout, re.MULTILINE)
        assert darkpool(command, "--help").returncode == 0
    about = " ".join(darkpool("auction", "--help").stdout.split())
    assert "Limits beyond the grid are clamped on the aggressive side" in about
    about = " ".join(darkpool("open", "--help").stdout.split())
    assert "counted from 0, and the number of its opening file" in about


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, darkpool.cli.commands\n"
        "heavy = {'numpy', 'numba', 'tenseal', 'web3', 'eth', 'coincurve', 'Crypto', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
