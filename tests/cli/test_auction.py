"""The command line as its users have it: real processes, real parameters, real signals."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from darkpool.auction.listing import OutrightListing
from darkpool.auction.terms import VenueTerms
from darkpool.protocol.terms import Pricing
from darkpool.record.reader import Record
from darkpool.simulation.order_file import Order, read_orders
from darkpool.simulation.twin import plain_twin
from darkpool.units import InstrumentName, PriceGrid
from tests.support.command_line import (
    BINARY,
    GRID_OPTIONS,
    HEADER,
    ORDERS,
    STEP,
    TIMEOUT_S,
    darkpool,
    environment,
    require_done,
    run_process,
)

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Started:
    """An auction under way in a session of its own; `folder` gets its record and openings."""

    process: subprocess.Popen[str]
    folder: Path

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    def wait_until_begun(self) -> None:
        """Until a folder for the record is made, before keys are dealt."""
        self._wait_until_written("record.partial-*")

    def wait_until_under_way(self) -> None:
        """Until keys are dealt, masks are being prepared, and the record is being written."""
        self._wait_until_written("record.partial-*/material/comparison-galois.seal")

    def _wait_until_written(self, pattern: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not list(self.folder.glob(pattern)):
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def end(self) -> None:
        """End whatever is left of it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def default_signals() -> None:
    """A test run that ignores a hang-up must not hand that down."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start_auction(folder: Path) -> Started:
    (folder / "orders.csv").write_text(ORDERS)
    (folder / "state").mkdir(exist_ok=True)
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(  # noqa: S603
            [str(BINARY), *auction_arguments(folder)],
            env=environment(TMPDIR=str(folder / "state")),
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
            preexec_fn=default_signals,
        )
    return Started(process, folder)


def auction_arguments(folder: Path) -> list[str]:
    places = ("--record", str(folder / "record"), "--openings", str(folder / "openings"))
    return ["auction", str(folder / "orders.csv"), *GRID_OPTIONS, *places, "--json"]


@dataclass(frozen=True)
class Run:
    folder: Path
    document: dict[str, Any]


@pytest.fixture(scope="module")
def killed_then_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An auction that was killed half-way, and run again in the same place."""
    folder = tmp_path_factory.mktemp("cli")
    started = start_auction(folder)
    try:
        started.wait_until_under_way()
        started.process.kill()
    finally:
        started.end()
    assert started.process.returncode == -signal.SIGKILL
    assert not (folder / "record").exists()
    assert not (folder / "openings").exists()
    done = run_process(*auction_arguments(folder))
    require_done(done)
    return Run(folder, json.loads(done.stdout, parse_float=Decimal))


def orders_of(path: Path, grid: PriceGrid) -> list[Order]:
    return read_orders(path, grid, InstrumentName("default"))


def require_twin(path: Path, grid: PriceGrid, document: dict[str, Any], record: Path) -> None:
    terms = VenueTerms(OutrightListing(grid, 100_000, 1), Pricing.UNIFORM)
    beacon = Record.load(record).summary.beacon
    (outcome,), fills = plain_twin(orders_of(path, grid), terms, beacon)
    assert (document["price"], document["volume"]) == (outcome.price, outcome.volume)
    assert outcome.short_side is not None
    assert document["short_side"] == outcome.short_side.label
    assert [(f["row"], f["account"], f["side"], f["size"]) for f in document["fills"]] == [
        (fill.row, fill.account, fill.side.label, fill.size) for fill in fills
    ]


def test_an_auction_equals_the_plain_twin(killed_then_run: Run) -> None:
    folder, document = killed_then_run.folder, killed_then_run.document
    grid = PriceGrid(Decimal("0.25"), Decimal(4805), 64)
    require_twin(folder / "orders.csv", grid, document, folder / "record")


def test_the_object_that_json_prints(killed_then_run: Run) -> None:
    document = killed_then_run.document
    assert list(document) == [
        *("price", "volume", "short_side", "fills", "margins", "withdrawals", "instruments"),
        "orders",
        *(
            "taken_out",
            "left_out",
            "refused",
            "intents",
            "batch_root",
            "balances_root",
            "settlement_tx",
        ),
        *("settlement_contract", "keypers", "reporter", "price_reporters", "timings_ms"),
        *("record", "openings"),
    ]
    assert document["price"] == Decimal("4805.00")
    assert document["intents"] == 4
    for name in ("batch_root", "balances_root", "settlement_tx"):
        assert re.fullmatch("0x[0-9a-f]{64}", document[name])
    assert all(type(ms) is int and ms >= 0 for ms in document["timings_ms"].values())
    assert document["record"] == str(killed_then_run.folder / "record")


def anchors(record: Path) -> tuple[str, ...]:
    """The options that say what an auditor knows of the venue of a record."""
    loaded = Record.load(record)
    summary, reporters = loaded.summary, loaded.margin.market.reporters
    keypers = ",".join(f"0x{address.hex()}" for address in summary.committee.addresses)
    known = {
        "--settlement": f"0x{summary.venue.settlement.hex()}",
        "--keypers": keypers,
        "--reporter": f"0x{summary.reporter.hex()}",
        "--price-reporters": ",".join(f"0x{address.hex()}" for address in reversed(reporters)),
    }
    return tuple(text for option in known.items() for text in option)


def test_an_audit_passes(killed_then_run: Run) -> None:
    record = killed_then_run.folder / "record"
    done = run_process("audit", record, *anchors(record), "--json")
    report = json.loads(done.stdout)
    require_done(done)
    assert report["passed"]
    verdicts = {check["name"]: check["verdict"] for check in report["checks"]}
    assert verdicts.pop("chain") == "not checked"
    assert {"anchor", "transcript"} <= set(verdicts)
    assert set(verdicts.values()) == {"holds"}


def test_an_audit_of_another_venue_fails(killed_then_run: Run) -> None:
    record = killed_then_run.folder / "record"
    _, settlement, _, keypers, *_, price_reporters = anchors(record)
    other = "0x" + "11" * 20
    for options in (
        ("--settlement", other),
        ("--keypers", ",".join([other, *keypers.split(",")[1:]])),
        ("--reporter", other),
        ("--price-reporters", f"{price_reporters},{other}"),
    ):
        done = darkpool("audit", record, "--quick", "--json", *options)
        assert done.returncode == 1
        failed = [c["name"] for c in json.loads(done.stdout)["checks"] if c["verdict"] == "fails"]
        assert failed == ["anchor"]
    for option, text, subject in (
        ("--settlement", settlement[:-1], "--settlement"),
        ("--keypers", f"{keypers},{other[:-1]}", "--keypers, address 5"),
        ("--reporter", "", "--reporter"),
        ("--price-reporters", f"\x1b[2J,{other}", "--price-reporters, address 1"),
    ):
        bad = darkpool("audit", record, "--quick", option, text)
        assert (bad.returncode, bad.stdout) == (2, "")
        assert bad.stderr.startswith(f"darkpool: {subject}: expected ")
        assert bad.stderr.strip("\n").isprintable()


def test_a_quick_audit_leaves_out_the_circuits(killed_then_run: Run) -> None:
    done = darkpool("audit", killed_then_run.folder / "record", "--quick")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:6]] == [
        *("record", "interval", "instruments", "versions", "manifest", "holds")
    ]
    manifest = (killed_then_run.folder / "record" / "manifest.json").read_bytes()
    assert lines[4].endswith(f"SHA-256 0x{hashlib.sha256(manifest).hexdigest()}")
    assert re.search("^not checked +circuits ", done.stdout, re.MULTILINE)
    assert lines[-1] == "The audit passes. Not checked: anchor, circuits, chain."


def test_an_audit_names_what_fails(killed_then_run: Run, tmp_path: Path) -> None:
    record = killed_then_run.folder / "record"
    copy = tmp_path / "record"
    for path in record.rglob("*"):
        if path.is_file():
            target = copy / path.relative_to(record)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(path)
    data = (copy / "contracts.json").read_bytes()
    (copy / "contracts.json").unlink()
    changed = data.replace(b'"multiplier": 1,', b'"multiplier": 2,')
    assert changed != data
    (copy / "contracts.json").write_bytes(changed)
    done = darkpool("audit", copy, "--quick", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert not report["passed"]
    failed = [check["name"] for check in report["checks"] if check["verdict"] == "fails"]
    assert {"files", "collateral"} <= set(failed)
    text = darkpool("audit", copy, "--quick")
    assert text.returncode == 1
    assert re.search("^fails +collateral ", text.stdout, re.MULTILINE)
    assert text.stdout.splitlines()[-1].startswith("The audit fails")


def test_an_audit_needs_a_directory(tmp_path: Path) -> None:
    done = darkpool("audit", tmp_path / "none")
    assert (done.returncode, done.stdout) == (2, "")
    assert "expected a file that can be read, got no directory" in done.stderr
    (tmp_path / "empty").mkdir()
    done = darkpool("audit", tmp_path / "empty")
    assert done.returncode == 1
    assert "manifest.json" in done.stdout


def test_an_opening_opens_its_own_intent(killed_then_run: Run) -> None:
    record, openings = killed_then_run.folder / "record", killed_then_run.folder / "openings"
    done = darkpool("open", record, "2", "--opening", openings / "2.json")
    require_done(done)
    assert re.search("^order +sell 7 of default at 4805.00$", done.stdout, re.MULTILINE)
    other = darkpool("open", record, "1", "--opening", openings / "2.json")
    assert (other.returncode, other.stdout) == (1, "")
    assert "expected" in other.stderr
    assert "Traceback" not in other.stderr


@pytest.mark.parametrize(
    ("intent", "file", "message"),
    [
        ("9", "2.json", "intent: expected 0 to 3, got 9"),
        ("2", "9.json", "expected a file that can be read, got No such file"),
        ("2", "../orders.csv", "opening file, text: expected one JSON object"),
    ],
)
def test_bad_input_to_open(killed_then_run: Run, intent: str, file: str, message: str) -> None:
    opening = killed_then_run.folder / "openings" / file
    done = darkpool("open", killed_then_run.folder / "record", intent, "--opening", opening)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.mark.parametrize(
    ("number", "whole_terminal", "wait"),
    [
        (signal.SIGINT, True, Started.wait_until_under_way),
        (signal.SIGTERM, False, Started.wait_until_under_way),
        (signal.SIGHUP, False, Started.wait_until_begun),
    ],
)
def test_a_signal_leaves_nothing(
    tmp_path: Path,
    number: signal.Signals,
    whole_terminal: bool,
    wait: Callable[[Started], None],
) -> None:
    started = start_auction(tmp_path)
    try:
        wait(started)
        (os.killpg if whole_terminal else os.kill)(started.process.pid, number)
        started.process.wait(TIMEOUT_S)
    finally:
        started.end()
    assert started.process.returncode == 128 + number
    *steps, last = started.output.splitlines()
    assert all(map(STEP.fullmatch, steps))
    assert last == f"darkpool: stopped by {number.name}"
    assert {path.name for path in tmp_path.iterdir()} == {"orders.csv", "output", "state"}
    assert not list((tmp_path / "state").iterdir())


def test_the_small_rings_do_not_serve_the_command_line(small_record: Path) -> None:
    for changes in ({}, {"DARKPOOL_TEST_INSECURE": "1"}):
        done = run_process("audit", small_record, **changes)
        assert done.returncode == 1
        assert "got the test-only set 'TEST_INSECURE_SMALL" in done.stdout
        opening = small_record.parent / "openings" / "0.json"
        done = run_process("open", small_record, "0", "--opening", opening, **changes)
        assert (done.returncode, done.stdout) == (2, "")
        assert "got the test-only set 'TEST_INSECURE_SMALL" in done.stderr


RUN_SMALL = """
import sys
from decimal import Decimal
from pathlib import Path
from crypto.ring.params import TEST_INSECURE_SMALL
from darkpool.simulation.order_file import read_orders
from darkpool.auction.listing import OutrightListing
from darkpool.protocol.terms import Pricing
from darkpool.chain.client import Chain
from darkpool.units import InstrumentName, PriceGrid
from darkpool.simulation.venue import Places, VenueSetting, run_orders
from darkpool.auction.terms import VenueTerms

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    grid = PriceGrid(Decimal("0.25"), Decimal(4805), 64)
    orders = read_orders(folder / "orders.csv", grid, InstrumentName("default"))
    terms = VenueTerms(OutrightListing(grid, 100_000, 1), Pricing.UNIFORM)
    places = Places(folder / "record", folder / "openings")
    setting = VenueSetting(TEST_INSECURE_SMALL, Chain.embedded, places, lambda *step: None)
    run_orders(orders, terms, setting)
"""


def run_small(folder: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    (folder / "orders.csv").write_text(ORDERS)
    (folder / "run_small.py").write_text(RUN_SMALL)
    return subprocess.run(  # noqa: S603
        [sys.executable, str(folder / "run_small.py"), str(folder)],
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.fixture(scope="module")
def small_record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    done = run_small(folder, DARKPOOL_TEST_INSECURE="1")
    assert done.returncode == 0, done.stderr
    return folder / "record"


def test_the_small_rings_need_the_variable_of_the_tests(tmp_path: Path) -> None:
    done = run_small(tmp_path)
    assert done.returncode == 1
    assert "InsecureParameters" in done.stderr
    assert not (tmp_path / "record").exists()


@pytest.mark.slow
def test_the_demonstration(tmp_path: Path) -> None:
    done = run_process("demo", "--record", tmp_path / "record", "--seed", "1")
    require_done(done)
    assert "The plain twin gives the same prices, volumes and fills" in done.stdout
    assert "The audit passes." in done.stdout
    assert darkpool("audit", tmp_path / "record", "--quick").returncode == 0


@pytest.mark.slow
def test_a_wheel_in_a_fresh_environment(tmp_path: Path) -> None:
    def run(*command: str | Path) -> str:
        done = subprocess.run(  # noqa: S603
            list(map(str, command)), cwd=tmp_path, env=environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", tmp_path / "dist", ROOT)
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    (wheel,) = (tmp_path / "dist").glob("darkpool-*.whl")
    binaries = tmp_path / "venv" / "bin"
    run(binaries / "python", "-m", "pip", "install", "--quiet", wheel)
    assert "auction" in run(binaries / "darkpool", "--help")
    assert "The audit passes." in run(binaries / "darkpool", "demo")


MINUTE = "2023-12-25T23:01"


@pytest.mark.slow
def test_a_minute_of_real_orders(es_orders_path: Path, tmp_path: Path) -> None:
    lines = es_orders_path.read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split(",") for line in lines if line.startswith(MINUTE)]
    orders = tmp_path / "orders.csv"
    orders.write_text(
        HEADER + "".join(f"client-{k},{row[1]},{row[2]},{row[3]}\n" for k, row in enumerate(rows))
    )
    grid = ("--tick", "0.25", "--reference", "4805", "--ticks", "1024")
    done = run_process("auction", orders, *grid, "--record", tmp_path / "record", "--json")
    require_done(done)
    document = json.loads(done.stdout, parse_float=Decimal)
    assert document["intents"] == len(rows) == 1302
    whole = PriceGrid(Decimal("0.25"), Decimal(4805), 1024)
    require_twin(orders, whole, document, tmp_path / "record")
    audited = darkpool("audit", tmp_path / "record")
    assert audited.returncode == 0, audited.stdout
