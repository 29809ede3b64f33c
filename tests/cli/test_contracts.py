"""`darkpool auction --market`: contracts of a specification, margined together, then audited."""

import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.command_line import darkpool, on_small_rings, require_done
from tests.support.margin_houses import EXAMPLES

MARKET = ("--market", str(EXAMPLES / "market.json"), "--ticks", "64")
ORDERS = (EXAMPLES / "orders.csv").read_text(encoding="utf-8")


@pytest.fixture(params=["small", pytest.param("production", marks=pytest.mark.slow)])
def rings(request: pytest.FixtureRequest) -> Iterator[None]:
    with on_small_rings() if request.param == "small" else nullcontext():
        yield


@pytest.mark.usefixtures("rings")
def test_contracts_of_two_underlyings_are_margined_together_and_audited(tmp_path: Path) -> None:
    orders, record = tmp_path / "orders.csv", tmp_path / "record"
    orders.write_text(ORDERS)
    done = darkpool("auction", orders, *MARKET, "--record", record, "--json")
    require_done(done)
    document = json.loads(done.stdout, parse_float=Decimal)
    assert {fill["instrument"] for fill in document["fills"]} == {
        "BTC-PERP",
        "BTC-MAR",
        "BTC-MAR-60000-C",
        "ETH-MAR-2500-P",
    }
    traders = sorted({fill["account"] for fill in document["fills"]})
    assert [margin["account"] for margin in document["margins"]] == traders
    for margin in document["margins"]:
        assert margin["before"] == 0 < margin["after"] <= margin["equity"]
    audited = darkpool("audit", record, "--quick")
    assert audited.returncode == 0, audited.stdout
    for check in ("prices", "collateral"):
        assert re.search(f"^holds +{check} ", audited.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "expected --tick and --reference, or --market, got nothing"),
        (("--tick", "1"), "or --market, got --tick"),
        ((*MARKET[:2], "--tick", "1"), "or --market, got --tick and --market"),
        (("--contracts", "c.toml"), "or --market, got --contracts"),
        (("--market", "none.json"), "expected a file that can be read"),
        ((*MARKET[:2], "--contracts", "none.toml"), "none.toml: expected a file that can be read"),
        (MARKET[:2], "expected one of BTC-JUN, BTC-MAR, "),
    ],
)
def test_what_is_traded_is_said_once(
    tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    orders = tmp_path / "orders.csv"
    orders.write_text(ORDERS.replace("ETH-MAR-2500-P", "SOL-PERP"))
    done = darkpool("auction", orders, "--ticks", "64", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
