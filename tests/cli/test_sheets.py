"""No table cuts a number, a hash or a name, however narrow the terminal."""

import io
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from darkpool.auction.instruments import Fault
from darkpool.batching.participation import Missing
from darkpool.cli import margin_tables, story, tables
from darkpool.cli.sheets import Column, Sheet, show
from darkpool.protocol.refusals import RefusalCode
from darkpool.simulation.result import (
    AccountMargin,
    LeftOut,
    NotAdmitted,
    RowFill,
    RowIntent,
    TakenOut,
)
from darkpool.simulation.twin import generated_orders
from darkpool.units import AccountLabel, Cash, InstrumentName, Lots, Side, account_of
from tests.support.imports import ROOT
from tests.support.margin_houses import EXAMPLES

WIDTHS = (20, 40, 60, 80, 100, 160)
TWINS = [AccountLabel(f"GLOBAL-MACRO-FUND-LP-SUBACCOUNT-000012345678-US-EQUITY-{x}") for x in "AB"]
LONG = InstrumentName("ES-2027-03-E-MINI-SP500-FUTURES")
MOST = Cash(123_456_789_012_345_678_901)


def shown(sheet: Sheet, width: int) -> str:
    out = io.StringIO()
    show(Console(file=out, width=width, highlight=False), sheet)
    return out.getvalue()


def require_whole(sheet: Sheet, width: int) -> None:
    """Every cell can be read: names from the lines of their column, all else in one piece."""
    text = shown(sheet, width)
    assert "…" not in text
    folded = [line.split("│")[1:-1] for line in text.splitlines() if line.startswith("│")]
    columns = ["".join("".join(cells).split()) for cells in zip(*folded, strict=True)]
    assert all(len(line) <= width for line in text.splitlines() if line.startswith("│"))
    for row in sheet.rows:
        for number, (cell, kind) in enumerate(zip(row, sheet.columns.values(), strict=True)):
            if kind is Column.NAME and folded:
                assert "".join(cell.split()) in columns[number]
            else:
                assert cell in text


def auction_sheets() -> Iterator[Sheet]:
    price = Decimal("123456789012.250001")
    yield tables.fills_table(
        [
            RowFill(2 + k, name, LONG, Side(k), Lots(10_000_000), price)
            for k, name in enumerate(TWINS)
        ]
    )
    address = account_of(bytes(range(20)))
    yield tables.orders_table(
        [
            RowIntent(2048, TWINS[0], address, LONG, 131_071),
            RowIntent(3, TWINS[1], address, LONG, None),
        ]
    )
    yield tables.margins_table([AccountMargin(name, Cash(0), MOST, MOST) for name in TWINS])
    yield tables.taken_out_table([TakenOut(131_071, None, "minus_one_everywhere", Fault.SHAPE)])
    missing = (Missing.OWN_COLLATERAL, MOST, MOST - 1)
    yield tables.left_out_table([LeftOut(131_071, 2048, None, *missing)])
    reason = "nonce: expected one that no other intent of the account has, got 18446744073709551615"
    yield tables.refused_table([NotAdmitted(2048, None, RefusalCode.NONCE, reason)])


@pytest.mark.parametrize("width", WIDTHS)
def test_the_tables_of_an_auction_show_all_of_every_cell(width: int) -> None:
    for sheet in auction_sheets():
        require_whole(sheet, width)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_tables_of_margin_and_of_the_demonstration_do_so_too(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from darkpool.cli.arguments import MARGIN_FILE_MAX_BYTES, read_whole, specification_of
    from darkpool.margin.market.market import read_market
    from darkpool.margin.report.portfolio_file import read_portfolio
    from darkpool.margin.report.report import margin_report

    market, held = EXAMPLES / "market.json", EXAMPLES / "portfolio.json"
    specification = specification_of(market, None)
    prices = read_market(str(market), read_whole(market, MARGIN_FILE_MAX_BYTES))
    portfolio = read_portfolio(str(held), read_whole(held, MARGIN_FILE_MAX_BYTES), specification)
    report = margin_report(specification, prices, portfolio)
    sheets: list[Sheet] = []
    for module in (margin_tables, story):
        monkeypatch.setattr(module, "show", lambda _console, sheet: sheets.append(sheet))
    console = Console(file=io.StringIO())
    margin_tables.print_margin(console, report, report)
    story._tell_orders(console, generated_orders(1), 1)
    assert len(sheets) > 5
    for sheet in sheets:
        require_whole(sheet, width)


def test_a_long_name_stays_beside_its_numbers_at_80_columns() -> None:
    text = shown(next(auction_sheets()), 80)
    assert text.count("│") > 6


@given(
    kinds=st.lists(st.sampled_from(Column), min_size=1, max_size=7),
    cells=st.lists(st.text("ab1-.世", max_size=30), min_size=14, max_size=14),
    width=st.integers(1, 200),
)
def test_any_cells_at_any_width_are_there_whole(
    kinds: list[Column], cells: list[str], width: int
) -> None:
    sheet = Sheet("", {f"column {n}": kind for n, kind in enumerate(kinds)})
    sheet.add(*cells[: len(kinds)])
    sheet.add(*cells[7 : 7 + len(kinds)])
    text = shown(sheet, width)
    folded = [line.split("│")[1:-1] for line in text.splitlines() if line.startswith("│")]
    columns = ["".join("".join(parts).split()) for parts in zip(*folded, strict=True)]
    for row in sheet.rows:
        for number, (cell, kind) in enumerate(zip(row, kinds, strict=True)):
            assert cell in (columns[number] if kind is Column.NAME and folded else text)


def test_every_table_of_the_command_line_is_such_a_sheet() -> None:
    of_rich = [
        path.name
        for path in (ROOT / "darkpool").rglob("*.py")
        if "rich.table" in path.read_text(encoding="utf-8")
    ]
    assert of_rich == ["sheets.py"]
