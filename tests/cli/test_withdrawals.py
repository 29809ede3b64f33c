"""Money that accounts of an order file ask back: asked before the close, granted, claimed."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from darkpool.chain.client import Chain
from darkpool.chain.errors import ChainUnavailable
from tests.support.command_line import GRID_OPTIONS, darkpool, on_small_rings

HEADER = "account,side,size,limit,request\n"
# ann fills whole, whoever sells to it; dan does not trade
ORDERS = (
    HEADER + "ann,buy,5,4806,100\nbob,sell,3,4804.5,\ncid,sell,7,4805,\ndan,buy,1,4802,1000.5\n"
)
OPTIONS = GRID_OPTIONS


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    path.write_text(ORDERS)
    return path


@pytest.fixture(autouse=True)
def small() -> Iterator[None]:
    with on_small_rings():
        yield


def test_who_does_not_trade_gets_what_it_asks_for_and_who_trades_waits(orders: Path) -> None:
    done = darkpool("auction", orders, *OPTIONS, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout, parse_float=Decimal)
    ann, dan = document["withdrawals"]
    assert (ann["account"], dan["account"]) == ("ann", "dan")
    addresses = {order["account"]: order["address"] for order in document["orders"]}
    assert dan["address"] == addresses["dan"]
    assert [ann[name] for name in ("requested", "granted", "claimed")] == [100, 0, 0]
    assert [dan[name] for name in ("requested", "granted", "claimed")] == 3 * [Decimal("1000.5")]
    # a bond of a thousand, and margin of the cap that all four share, ten lots
    assert ann["deposited"] == dan["deposited"] > 1000 + 10 * 480
    assert "Claim what was granted" in done.stderr


def test_tables_tell_the_same(orders: Path) -> None:
    done = darkpool("auction", orders, *OPTIONS)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines()]
    (dan,) = [row for row in rows if len(row) == 5 and row[0] == "dan"]
    assert dan[2:] == 3 * ["1,000.500000"]
    assert "Withdrawals, in the quote currency" in done.stdout


def test_a_claim_that_fails_is_told_after_the_result(
    orders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ChainUnavailable("node", "silence")

    monkeypatch.setattr(Chain, "claim", fails)
    done = darkpool("auction", orders, *OPTIONS, "--json")
    assert done.returncode == 1
    (_, dan) = json.loads(done.stdout, parse_float=Decimal)["withdrawals"]
    assert (dan["granted"], dan["claimed"]) == (Decimal("1000.5"), 0)
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        "darkpool: account 'dan': expected what was granted, in its account, got"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "an amount above zero, up to"),
        ("-1", "an amount above zero with at most 6 decimals, or nothing"),
        ("1.0000001", "an amount above zero with at most 6 decimals, or nothing"),
        ("all", "an amount above zero with at most 6 decimals, or nothing"),
        ("1" + 24 * "0" + ".000001", "an amount above zero, up to 1000000000000000000000000"),
    ],
)
def test_an_amount_that_is_none_is_bad_input(orders: Path, text: str, message: str) -> None:
    orders.write_text(ORDERS.replace("1000.5", text))
    done = darkpool("auction", orders, *OPTIONS, "--check")
    assert done.returncode == 2
    assert f"row 5, column request: expected {message}" in done.stderr


def test_amounts_of_an_account_add_up(orders: Path) -> None:
    """The account has a request in each of two rows; its vault knows only the last one."""
    named = "account,side,size,limit,instrument,request\n"
    rows = [
        f"{who},{side},1,4805,{name},{amount}\n"
        for name, amount in (("ES", 3), ("NQ", 4))
        for who, side in (("ann", "buy"), ("bob", "buy"), ("cid", "buy"))
    ]
    orders.write_text(named + "".join(rows))
    done = darkpool("auction", orders, *OPTIONS, "--json")
    assert done.returncode == 0, done.stderr
    withdrawals = json.loads(done.stdout)["withdrawals"]
    assert [one["account"] for one in withdrawals] == ["ann", "bob", "cid"]
    assert {one["claimed"] for one in withdrawals} == {7}
