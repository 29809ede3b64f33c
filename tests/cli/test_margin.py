"""`darkpool margin`, as people run it."""

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from darkpool.cli.arguments import read_whole
from darkpool.cli.errors import UnreadableFile
from darkpool.margin.report.picture import VECTOR_ENDINGS, _dots_per_inch
from tests.support.command_line import Done, darkpool
from tests.support.margin_houses import EXAMPLES

MARKET = ("--market", str(EXAMPLES / "market.json"))
PORTFOLIO = str(EXAMPLES / "portfolio.json")


def run(*arguments: str) -> Done:
    return darkpool("margin", *arguments, COLUMNS="120")


def document(*arguments: str) -> Any:
    done = run(PORTFOLIO, *MARKET, "--json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout, parse_float=Decimal)


def test_the_object_adds_up() -> None:
    found = document()
    parts = found["parts"]
    charges = [part for name, part in parts.items() if name.startswith(("basis", "concentration"))]
    base = max(parts["scenarios"], parts["minimum for short options"])
    assert abs(base + sum(charges) - found["maintenance_margin"]) <= Decimal("0.00001")
    assert found["surplus"] == found["equity"] - found["initial_margin"]
    for name in ("BTC", "ETH"):
        worst = found["worst"][name]
        assert found["scenarios"][name][worst["scenario"]] == -worst["loss"]
    in_worst = [line["gain_in_worst_scenario"] for line in found["positions"]]
    assert sum(in_worst) == -found["worst"]["BTC"]["loss"] - found["worst"]["ETH"]["loss"]
    assert found["greeks"]["ETH"]["delta"] == 20


def test_what_is_added_changes_no_equity() -> None:
    found = document("--add", "BTC-JUN=5", "--add", "ETH-PERP=-2")
    after = found["after"]
    assert after["equity"] == found["equity"]
    lots = {line["contract"]: line["lots"] for line in after["positions"]}
    assert (lots["BTC-JUN"], lots["ETH-PERP"]) == (5, 0)
    assert after["initial_margin"] != found["initial_margin"]


def test_people_read_tables(tmp_path: Path) -> None:
    picture = tmp_path / "profit.png"
    done = run(PORTFOLIO, *MARKET, "--add", "BTC-PERP=1", "--plot", str(picture))
    assert done.returncode == 0
    for words in ("initial margin", "basis BTC 2027-03-26", "extreme price +4/4", "vanna", "after"):
        assert words in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.json", *MARKET), "No such file"),
        ((PORTFOLIO, "--market", PORTFOLIO), "contracts.toml: expected a file that can be used"),
        ((PORTFOLIO, *MARKET, "--add", "BTC-JUN"), "expected CONTRACT=LOTS"),
        ((PORTFOLIO, *MARKET, "--add", "SOL=1"), "expected CONTRACT=LOTS"),
        ((PORTFOLIO, *MARKET, "--add", "BTC-JUN=1.5"), "expected a whole number"),
        ((PORTFOLIO, *MARKET, "--add", f"BTC-JUN={10**13}"), "expected at most"),
        ((PORTFOLIO, *MARKET, "--add", f"BTC-JUN=-{10**13}"), "expected at most"),
        (
            (PORTFOLIO, *MARKET, "--plot", "/nowhere/at/all.png"),
            "can be written, got No such file or directory",
        ),
        ((PORTFOLIO, *MARKET, "--plot", "picture.nothing"), "expected a picture"),
        (("{broken}", *MARKET), "file: expected JSON"),
        (("{unknown}", *MARKET), "positions[0].contract: expected one of the specification"),
        (("{twice}", *MARKET), "each contract once"),
        (("{binary}", *MARKET), "bytes that are not UTF-8"),
        (("{huge}", *MARKET), "expected 0 to"),
    ],
)
def test_bad_input_is_named(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    def held(*names: str, lots: int = 1) -> bytes:
        positions = [{"contract": name, "lots": lots, "cost": "0"} for name in names]
        return json.dumps({"version": 1, "cash": "0", "positions": positions}).encode()

    contents = {
        "{broken}": b"{",
        "{unknown}": held("SOL"),
        "{twice}": held("BTC-MAR", "BTC-MAR"),
        "{binary}": b"\xff\xfe",
        "{huge}": held("BTC-MAR", lots=10**12),
    }
    if arguments[0] in contents:
        path = tmp_path / "portfolio.json"
        path.write_bytes(contents[arguments[0]])
        arguments = (str(path), *arguments[1:])
    if message.startswith("contracts.toml"):
        folder = tmp_path / "market"
        folder.mkdir()
        (folder / "market.json").write_bytes((EXAMPLES / "market.json").read_bytes())
        (folder / "contracts.toml").write_text("version = 1", encoding="utf-8")
        arguments = (PORTFOLIO, "--market", str(folder / "market.json"))
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_no_more_of_a_file_is_read_than_it_may_have(tmp_path: Path) -> None:
    path = tmp_path / "market.json"
    path.write_text("{}")
    assert read_whole(path, 2) == "{}"
    path.write_text("{} ")
    with pytest.raises(UnreadableFile, match="expected at most 2 bytes, got more"):
        read_whole(path, 2)


@pytest.mark.parametrize("ending", ["svg", "pdf", "EPS"])
def test_a_vector_picture_holds_its_shades_as_pixels(tmp_path: Path, ending: str) -> None:
    picture = tmp_path / f"profit.{ending}"
    assert run(PORTFOLIO, *MARKET, "--json", "--plot", str(picture)).returncode == 0
    assert 20_000 < picture.stat().st_size < 1_000_000


def test_shades_of_many_panels_have_no_more_pixels_than_those_of_one() -> None:
    for ending in VECTOR_ENDINGS:
        assert _dots_per_inch(ending, 9) * 3 == _dots_per_inch(ending, 1)


def test_without_the_package_that_draws_the_one_to_install_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "darkpool.margin.report.picture", raising=False)
    done = run(PORTFOLIO, *MARKET, "--plot", str(tmp_path / "profit.png"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "--plot: expected matplotlib, `pip install 'darkpool[plot]'`, got none" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", ".", "profit", "profit.", "profit.pgf", ".svg"])
def test_a_picture_needs_a_name_with_an_ending_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(PORTFOLIO, *MARKET, "--json", "--plot", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("darkpool: --plot")
    assert "a file name that ends with one of .png" in done.stderr
    shown = "an empty name" if name in ("", ".") else name
    assert done.stderr.rstrip().endswith(f"got {shown}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("mark", "got"), [("\ufeff".encode(), "a byte order mark"), (b"\xff\xfe", "UTF-16")]
)
@pytest.mark.parametrize("name", ["portfolio.json", "market.json", "contracts.toml"])
def test_a_byte_order_mark_is_named_in_every_file(
    tmp_path: Path, name: str, mark: bytes, got: str
) -> None:
    for one in ("portfolio.json", "market.json", "contracts.toml"):
        content = (EXAMPLES / one).read_bytes()
        (tmp_path / one).write_bytes(mark + content if one == name else content)
    done = run(str(tmp_path / "portfolio.json"), "--market", str(tmp_path / "market.json"))
    assert done.returncode == 2
    expected = f"{name}: expected UTF-8 without a byte order mark, got {got}"
    assert expected in done.stderr
