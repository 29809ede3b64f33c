"""Auctions of the command line on the small rings: what clients find again of their orders."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from darkpool.client.opening_file import OpeningFile
from tests.support.command_line import GRID_OPTIONS, darkpool, on_small_rings, require_done

LONG = "GLOBAL-MACRO-FUND-LP-SUBACCOUNT-000012345678-US-EQUITY-A"
LINES = [
    "account,side,size,limit,instrument",
    "ann,buy,5,4806,ES",
    "bob,sell,3,,ES",
    f"{LONG},sell,7,4805,ES",
    "ann,buy,4,4804,NQ",
    "bob,sell,4,4806,NQ",
    "cid,sell,4,4806,NQ",
    "ann,buy,4,,GC",
    "bob,sell,4,,GC",
]
OPTIONS = (*GRID_OPTIONS[:4], "--ticks", "16", "--instruments", "ES,NQ,GC")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """An auction with attackers: its folder, its object, and what it told on standard error."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "orders.csv").write_text("\n".join(LINES))
    with on_small_rings():
        options = (*OPTIONS, "--openings", folder / "openings", "--attackers", "1", "--json")
        done = darkpool("auction", folder / "orders.csv", *options)
    require_done(done)
    return folder, json.loads(done.stdout, parse_float=Decimal), done.stderr


def test_every_order_leads_to_its_intent_its_address_and_its_opening_file(
    run: tuple[Path, dict[str, Any], str],
) -> None:
    folder, document, _ = run
    assert document["intents"] == 9
    assert document["openings"] == str(folder / "openings")
    orders = document["orders"]
    assert [order["row"] for order in orders] == list(range(2, 10))
    for order in orders:
        account, side, size, _, instrument = LINES[order["row"] - 1].split(",")
        assert (order["account"], order["instrument"]) == (account, instrument)
        opening = OpeningFile.from_json((folder / "openings" / order["opening"]).read_text())
        assert order["opening"] == f"{order['intent']}.json"
        told = (("buy", "sell")[opening.intent.side], str(opening.intent.size))
        assert told == (side, size)
    assert len({order["address"] for order in orders}) == 4
    assert len(list((folder / "openings").iterdir())) == len(orders)


def test_a_fill_tells_price_row_and_address(run: tuple[Path, dict[str, Any], str]) -> None:
    _, document, _ = run
    (price,) = {one["price"] for one in document["instruments"] if one["instrument"] == "ES"}
    fills = document["fills"]
    assert {fill["row"]: fill["size"] for fill in fills} in ({2: 5, 3: 3, 4: 2}, {2: 5, 4: 5})
    addresses = {order["account"]: order["address"] for order in document["orders"]}
    for fill in fills:
        assert fill["price"] == price
        assert fill["account"] == LINES[fill["row"] - 1].split(",")[0]
        assert fill["address"] == addresses[fill["account"]]


def test_no_cross_is_told_apart_from_too_few_owners(run: tuple[Path, dict[str, Any], str]) -> None:
    _, document, _ = run
    outcomes = {one["instrument"]: one["outcome"] for one in document["instruments"]}
    assert outcomes == {"ES": "crossed", "NQ": "no cross", "GC": "too few owners"}


def test_a_run_without_a_terminal_tells_each_step_on_a_line(
    run: tuple[Path, dict[str, Any], str],
) -> None:
    lines = run[2].splitlines()
    told = [line.partition(" s  ")[2] for line in lines]
    assert told[0] == "Deal the committee's keys"
    assert told[-1] == "Settle on the chain"
    assert len(set(told)) == len(told)


def test_tables_tell_the_same_and_nothing_is_cut(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("\n".join(LINES))
    with on_small_rings():
        done = darkpool("auction", tmp_path / "orders.csv", *OPTIONS)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines()]
    assert ["NQ", "no cross", "0", ""] in rows
    assert ["GC", "too few owners", "0", ""] in rows
    assert any(row[:4] == ["4", LONG, "ES", "sell"] and "." in row[5] for row in rows if row[5:])
    orders = [row for row in rows if len(row) == 4 and row[2].startswith("0x")]
    assert [row[0] for row in orders] == [str(number) for number in range(2, 10)]
    assert [row[3] for row in orders] == [str(number) for number in range(8)]
    assert "…" not in done.stdout
