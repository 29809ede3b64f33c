"""`darkpool auction --check`, and the options that say which instruments and margin there are."""

import json
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from darkpool.cli.arguments import rate
from tests.support.command_line import GRID_OPTIONS, ORDERS, darkpool, run_process
from tests.support.margin_houses import EXAMPLES

NAMED = "account,side,size,limit,instrument\n"
MANY = NAMED + "".join(f"{a},buy,1,4805,{i}\n" for i in ("ES", "NQ") for a in "abc")
MARKET = ("--market", str(EXAMPLES / "market.json"), "--ticks", "64")


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    path.write_text(ORDERS)
    return path


def test_a_check_tells_what_is_there_and_runs_nothing(orders: Path) -> None:
    places = ("--record", orders.parent / "a" / "record", "--openings", orders.parent / "openings")
    done = darkpool("auction", orders, *GRID_OPTIONS, *places, "--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "All is in order, and nothing was run. Orders: 4. Accounts: 4. Instruments: default.\n"
    )
    assert [path.name for path in orders.parent.iterdir()] == ["orders.csv"]
    done = darkpool("auction", orders, *GRID_OPTIONS, "--check", "--json")
    assert json.loads(done.stdout) == {"orders": 4, "accounts": 4, "instruments": ["default"]}


def test_a_check_loads_no_venue(orders: Path) -> None:
    done = run_process("auction", orders, *GRID_OPTIONS, "--check", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not loaded & {"web3", "eth_tester", "darkpool.simulation.venue"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--chain", "hush:8545"), "chain: expected http:// or https:// and a host"),
        (("--record", "."), "record: expected a new directory, got ., which exists"),
        (("--openings", "orders.csv/x"), "which is no directory"),
        (("--record", "x", "--openings", "x/y"), "expected a folder apart from"),
        (("--record", "x" * 300), "File name too long"),
        (("--openings", "x" * 300), "File name too long"),
        (("--record", "x" * 300, "--openings", "y"), "File name too long"),
        (("--owners-min", "0"), "owners: expected 1 to 2048, got 0"),
        (("--attackers", "-1"), "attackers: expected 0 to 256, got -1"),
        (("--multiplier", "0"), "contract multiplier: expected 1 to 1000000, got 0"),
        (("--margin-rate", "100000"), "expected a percentage from 0% to 100%"),
        (("--market", "market.json"), "--tick and --reference, or --market"),
        (("--instruments", "ES"), "the columns account, side, size, limit and instrument"),
    ],
)
def test_a_check_finds_what_a_run_would_find(
    orders: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(orders.parent)
    for more in (("--check",), ()):
        done = darkpool("auction", "orders.csv", *GRID_OPTIONS, *options, *more)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in " ".join(done.stderr.split())


def test_a_check_finds_a_folder_that_cannot_be_written(orders: Path) -> None:
    closed = orders.parent / "closed"
    closed.mkdir(mode=0o500)
    if (closed / "x").parent.stat().st_uid == 0:
        pytest.skip("root may write anywhere")
    done = darkpool("auction", orders, *GRID_OPTIONS, "--check", "--record", closed / "a" / "b")
    assert done.returncode == 2
    assert "cannot be written to" in done.stderr


def test_a_check_reads_the_key(orders: Path) -> None:
    done = darkpool("auction", orders, *GRID_OPTIONS, "--check", DARKPOOL_CHAIN_KEY="c0ffee")
    assert (done.returncode, done.stdout) == (2, "")
    assert "DARKPOOL_CHAIN_KEY: expected 64 hexadecimal digits" in done.stderr


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (MANY, (), None),
        (MANY + "d,sell,1,4805,NG\n", (), "got these\n  NG, from row 8 on: 1"),
        (MANY + "d,sell,1,4805,NG\n", ("--instruments", "ES, NQ"), "one of ES, NQ, got NG"),
        (MANY + "d,sell,1,4805,NG\n", ("--instruments", "ES,NQ,NG"), None),
        (MANY + "d,sell,1,4805,NG\n", ("--owners-min", "1"), "orders of 2 accounts or more"),
        (MANY, ("--owners-min", "4"), "orders of 4 accounts or more"),
        (NAMED + "a,buy,1,4805,ES\n", (), None),
        (MANY, ("--instruments", "ES,,NQ"), "names with commas between them, each once"),
        (MANY, ("--instruments", "ES,ES"), "names with commas between them, each once"),
        (MANY, ("--instruments", ""), "names with commas between them, each once"),
    ],
)
def test_a_misspelt_instrument_is_no_new_one(
    orders: Path, text: str, options: tuple[str, ...], message: str | None
) -> None:
    orders.write_text(text)
    done = darkpool("auction", orders, *GRID_OPTIONS, *options, "--check")
    assert done.returncode == (0 if message is None else 2)
    assert (message or "") in done.stderr


def test_a_check_finds_numbers_that_no_reporter_signs(orders: Path) -> None:
    orders.write_text((EXAMPLES / "orders.csv").read_text(encoding="utf-8"))
    market = orders.parent / "market.json"
    text = (EXAMPLES / "market.json").read_text(encoding="utf-8")
    market.write_text(text.replace('"0.68"', '"0.6800001"'))
    contracts = ("--contracts", EXAMPLES / "contracts.toml", "--ticks", "64")
    for more in (("--check",), ()):
        done = darkpool("auction", orders, "--market", market, *contracts, *more)
        assert done.returncode == 2
        assert "volatilities[0]: expected at most six decimals, got 0.6800001" in done.stderr
        assert str(market) in done.stderr


def test_the_contracts_of_a_market_are_its_instruments(orders: Path) -> None:
    orders.write_text((EXAMPLES / "orders.csv").read_text(encoding="utf-8"))
    assert darkpool("auction", orders, *MARKET, "--check").returncode == 0
    few = ("--instruments", "BTC-PERP,BTC-MAR")
    done = darkpool("auction", orders, *MARKET, *few, "--check")
    assert "expected one of BTC-MAR, BTC-PERP, got BTC-MAR-60000-C" in done.stderr
    done = darkpool("auction", orders, *MARKET, "--instruments", "BTC-PREP", "--check")
    assert "--instruments: expected names of BTC-JUN, BTC-MAR, " in done.stderr
    orders.write_text(
        (EXAMPLES / "orders.csv").read_text(encoding="utf-8") + "d,buy,1,1,BTC-PREP\n"
    )
    done = darkpool("auction", orders, *MARKET, "--check")
    assert "row 14, column instrument: expected one of BTC-JUN" in done.stderr


def test_a_market_below_zero_is_told_by_field_where_no_range_covers_it(tmp_path: Path) -> None:
    for path in (EXAMPLES / "oil").iterdir():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith("price_range_min")]
        (tmp_path / path.name).write_text("".join(kept), encoding="utf-8")
    market = tmp_path / "market.json"
    done = darkpool(
        "auction", tmp_path / "orders.csv", "--market", market, "--ticks", "64", "--check"
    )
    assert (done.returncode, done.stdout) == (2, "")
    for field in ("index", "perpetual", "expiries[0].forward"):
        assert f"underlyings[0].{field}: expected a price above 0" in done.stderr


@pytest.mark.parametrize(
    ("text", "ppm"),
    [
        ("10%", 100_000),
        ("0.1", 100_000),
        ("12.5%", 125_000),
        ("0.0001%", 1),
        ("0.000001", 1),
        ("0", 0),
        ("100%", 1_000_000),
        ("1", 1_000_000),
        ("1.000000000", 1_000_000),
    ],
)
def test_a_rate_is_a_percentage_or_a_fraction(text: str, ppm: int) -> None:
    assert rate(text) == ppm


NO_RATES = ("", "%", "10 %", "-1%", "1e-1", ".1", "1.", "1/10", "10", "100.0001%", "0.0000001")


@pytest.mark.parametrize(
    "text", [*NO_RATES, "nan", "0.00001%", "0,1", "1%%", "\uff11%", "0." + "0" * 40]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        rate(text)


@given(st.integers(0, 1_000_000))
def test_every_rate_is_read_back_exactly(ppm: int) -> None:
    assert rate(f"{ppm // 1_000_000}.{ppm % 1_000_000:06}") == ppm
    assert rate(f"{ppm // 10_000}.{ppm % 10_000:04}%") == ppm


def test_an_audit_of_what_cannot_be_a_folder_is_bad_input() -> None:
    for name, told in (("x" * 300, "File name too long"), ("none", "no directory of this name")):
        done = darkpool("audit", name)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"darkpool: {name}: expected a file that can be read, got {told}\n"
