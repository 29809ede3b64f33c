from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crypto.errors import printable
from darkpool.errors import WrongType
from darkpool.limits import (
    CAPS_SUM_MAX_LOTS,
    INSTRUMENTS_PER_VENUE_MAX,
    INTENTS_PER_AUCTION_MAX,
    ORDER_FILE_MAX_BYTES,
    ORDER_FILE_PROBLEMS_MAX,
    ORDER_SIZE_MAX_LOTS,
)
from darkpool.simulation import order_file
from darkpool.simulation.errors import InvalidOrder, InvalidOrderFile
from darkpool.simulation.order_file import Order, parse_orders, read_orders
from darkpool.units import InstrumentName, PriceGrid, Side, Tick, cap_bucket

GRID = PriceGrid(Decimal("0.25"), Decimal(4805), 1024)
ES = InstrumentName("ES")
HEADER = "account,side,size,limit\n"
GOOD_ROW = "alice,buy,5,4805.25\n"


def parse(text: str | bytes) -> list[Order]:
    data = text if isinstance(text, bytes) else text.encode()
    return parse_orders(data, "orders.csv", GRID, ES)


def refusal(text: str | bytes) -> InvalidOrderFile:
    with pytest.raises(InvalidOrderFile) as caught:
        parse(text)
    assert caught.value.source == "orders.csv"
    assert caught.value.problems
    return caught.value


def only_problem(text: str | bytes) -> InvalidOrder:
    (problem,) = refusal(text).problems
    return problem


def test_orders_are_read_in_the_order_of_the_rows() -> None:
    orders = parse(HEADER + "alice,buy,5,4805.25\nbob,sell,7,4805.00\n0xAb,sell,1,4677\n")
    assert [(o.row, o.account, o.side, o.size, o.limit) for o in orders] == [
        (2, "alice", Side.BUY, 5, 513),
        (3, "bob", Side.SELL, 7, 512),
        (4, "0xAb", Side.SELL, 1, 0),
    ]
    assert {order.instrument for order in orders} == {"ES"}


def test_columns_may_come_in_any_order_quoted_and_with_either_line_end() -> None:
    plain = parse(HEADER + GOOD_ROW)
    assert parse('limit,size,side,account\r\n"4805.25",5,"buy",alice\r\n') == plain
    assert parse((HEADER + GOOD_ROW).rstrip("\n")) == plain
    assert parse(HEADER + '"a ""b"", c",buy,1,4805\n')[0].account == 'a "b", c'


def test_one_grid_serves_every_instrument_of_the_file() -> None:
    text = "instrument,account,side,size,limit\nES,alice,buy,5,4805\nNQ,alice,sell,5,4805\n"
    assert [order.instrument for order in parse(text)] == ["ES", "NQ"]


def test_each_instrument_has_the_grid_that_is_listed_for_it() -> None:
    grids = {ES: GRID, InstrumentName("CL"): PriceGrid(Decimal("0.01"), Decimal("-37.63"), 3)}
    text = "account,side,size,limit,instrument\nalice,buy,5,4805,ES\nalice,sell,5,-37.64,CL\n"
    assert [order.limit for order in parse_orders(text.encode(), "-", grids, ES)] == [512, 0]

    with pytest.raises(InvalidOrderFile) as caught:
        parse_orders(text.replace("CL", "NQ").encode(), "-", grids, ES)
    (problem,) = caught.value.problems
    assert (problem.row, problem.column, problem.expected) == (3, "instrument", "one of CL, ES")

    with pytest.raises(InvalidOrderFile) as caught:
        parse_orders((HEADER + GOOD_ROW).encode(), "-", grids, InstrumentName("NQ"))
    assert "instrument" in caught.value.problems[0].expected


@pytest.mark.parametrize(
    ("row", "limit"),
    [
        ("a,buy,1,4932.75", 1023),
        ("a,buy,1,4933", 1023),
        ("a,buy,1,999999999999", 1023),
        ("a,sell,1,4677", 0),
        ("a,sell,1,4676.75", 0),
        ("a,sell,1,-100", 0),
        ("a,buy,1,4677", 0),
        ("a,sell,1,4932.75", 1023),
    ],
)
def test_a_limit_beyond_the_grid_is_clamped_on_the_aggressive_side(row: str, limit: int) -> None:
    assert parse(HEADER + row)[0].limit == limit


def test_an_order_without_a_limit_has_the_grid_s_last_price_on_the_aggressive_side() -> None:
    orders = parse(HEADER + "alice,buy,5,\nbob,sell,5,\n")
    assert [order.limit for order in orders] == [1023, 0]


def test_a_row_is_the_line_on_which_it_begins() -> None:
    error = refusal(HEADER + '"al\nice",buy,1,4805\nbob,buy,0,4805\n"a,buy,1,4805\n')
    assert [(p.row, p.column) for p in error.problems] == [(2, "account"), (4, "size"), (5, None)]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("a,buy,1,4676.75", "a buy limit of 4677.00 or more"),
        ("a,sell,1,4933", "a sell limit of 4932.75 or less"),
    ],
)
def test_a_limit_beyond_the_grid_is_refused_on_the_passive_side(row: str, expected: str) -> None:
    problem = only_problem(HEADER + row)
    assert (problem.row, problem.column, problem.expected) == (2, "limit", expected)


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (",buy,1,4805", "account"),
        ("   ,buy,1,4805", "account"),
        ("alice ,buy,1,4805", "account"),
        (f"{'a' * 65},buy,1,4805", "account"),
        ("al\tice,buy,1,4805", "account"),
        ("al\u202eice,buy,1,4805", "account"),
        ("e\u0301ve,buy,1,4805", "account"),
        ('"al\nice",buy,1,4805', "account"),
        ("a,BUY,1,4805", "side"),
        ("a,b,1,4805", "side"),
        ("a,,1,4805", "side"),
        ("a,buy,0,4805", "size"),
        ("a,buy,-1,4805", "size"),
        ("a,buy,+1,4805", "size"),
        ("a,buy,1.0,4805", "size"),
        ("a,buy,1e3,4805", "size"),
        ("a,buy,1_000,4805", "size"),
        ("a,buy, 1,4805", "size"),
        ("a,buy,,4805", "size"),
        ("a,buy,０１,4805", "size"),
        ("a,buy,١,4805", "size"),
        ("a,buy,²,4805", "size"),
        (f"a,buy,{ORDER_SIZE_MAX_LOTS + 1},4805", "size"),
        (f"a,buy,{'9' * 100_000},4805", "size"),
        ("a,buy,1,4805.1", "limit"),
        ("a,buy,1,4805.2500001", "limit"),
        (f"a,buy,1,4805.{'0' * 5000}", "limit"),
        ("a,buy,1,.25", "limit"),
        ("a,buy,1,4805.", "limit"),
        ("a,buy,1,4.8e3", "limit"),
        ("a,buy,1,NaN", "limit"),
        ("a,buy,1,-Infinity", "limit"),
        ("a,buy,1,٤٨٠٥", "limit"),
        ("a,buy,1,4805\n\n", None),
        ("a,buy,1", None),
        ("a,buy,1,4805,ES", None),
    ],
)
def test_a_row_that_is_no_order_is_named(row: str, column: str | None) -> None:
    problem = refusal(HEADER + GOOD_ROW + row).problems[0]
    assert (problem.row, problem.column) == (4 if row.endswith("\n") else 3, column)
    assert problem.expected
    assert len(str(problem)) < 300
    assert str(problem).isascii()


@pytest.mark.parametrize(
    "name", ["", " ES", "E S", "ÉS", "E" * 33, "ES\u200b", "=cmd()", "ES\u00a0"]
)
def test_what_is_no_name_of_an_instrument_is_named(name: str) -> None:
    problem = only_problem(f"account,side,size,limit,instrument\na,buy,1,4805,{name}\n")
    assert (problem.row, problem.column) == (2, "instrument")


@pytest.mark.parametrize(("minimum", "lots"), [("", 0), ("1", 1), ("5", 5), ("05", 5)])
def test_a_minimum_is_from_one_lot_to_the_size_or_none(minimum: str, lots: int) -> None:
    text = f"account,side,size,limit,minimum\na,buy,5,4805,{minimum}\n"
    (order,) = parse(text)
    assert order.minimum == order.limit_order.minimum == lots


@pytest.mark.parametrize("minimum", ["0", "6", "-1", "+1", "1.0", "1e0", "٥", " 1", "9" * 5000])
def test_what_is_no_minimum_is_named(minimum: str) -> None:
    problem = only_problem(f"account,side,size,limit,minimum\na,buy,5,4805,{minimum}\n")
    assert (problem.row, problem.column) == (2, "minimum")
    assert len(str(problem)) < 300


@pytest.mark.parametrize(
    ("amount", "units"),
    [("", 0), ("1", 10**6), ("0.000001", 1), ("250.50", 250_500_000), (f"1{24 * '0'}", 10**30)],
)
def test_a_request_is_an_amount_of_the_currency_or_nothing(amount: str, units: int) -> None:
    (order,) = parse(f"account,side,size,limit,request\na,buy,5,4805,{amount}\n")
    assert order.request == units


@pytest.mark.parametrize(
    "amount",
    [
        "0",
        "0.000000",
        "-1",
        "+1",
        "1e3",
        "1.0000001",
        ".5",
        "5.",
        "٥",
        " 1",
        f"1{23 * '0'}1",
        "9" * 5000,
    ],
)
def test_what_is_no_request_is_named(amount: str) -> None:
    problem = only_problem(f"account,side,size,limit,request\na,buy,5,4805,{amount}\n")
    assert (problem.row, problem.column) == (2, "request")


def test_an_account_has_one_order_for_an_instrument() -> None:
    problem = only_problem(HEADER + "alice,buy,1,4805\nbob,buy,1,4805\nalice,sell,1,4806\n")
    assert (problem.row, problem.column) == (4, "account")
    assert problem.got == "rows 2 and 4 of 'alice'"


def test_all_problems_of_a_file_are_told_at_once() -> None:
    error = refusal(HEADER + "alice,BUY,0,4805.1\nbob,buy,1\ncarol,buy,1,4805\ndave,buy,1,1\n")
    assert [(p.row, p.column) for p in error.problems] == [
        (2, "side"),
        (2, "size"),
        (3, None),
        (5, "limit"),
    ]
    assert error.complete


@pytest.mark.parametrize(("rows", "complete"), [(0, True), (1, False)])
def test_problems_beyond_the_limit_are_not_told(rows: int, complete: bool) -> None:
    error = refusal(HEADER + "x\n" * (ORDER_FILE_PROBLEMS_MAX + rows))
    assert len(error.problems) == ORDER_FILE_PROBLEMS_MAX
    assert error.complete is complete


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "a header line"),
        (b"\n", "a header line"),
        (b"account,side,size\n", "a header line"),
        (b"account,side,size,limit,price\n", "a header line"),
        (b"account,side,size,limit,limit\n", "a header line"),
        (b"Account,side,size,limit\n", "a header line"),
        (b"account;side;size;limit\n", "a header line"),
        (HEADER.encode(), "at least one order"),
        (b"\xef\xbb\xbf" + HEADER.encode(), "UTF-8 without a byte order mark"),
        ((HEADER + GOOD_ROW).encode("utf-16"), "UTF-8 without a byte order mark"),
        (b"\xfe\xff" + HEADER.encode("utf-16-be"), "UTF-8 without a byte order mark"),
        (HEADER.encode() + b"\xff,buy,1,4805\n", "UTF-8 text"),
        (HEADER.encode() + b"\xed\xa0\x80,buy,1,4805\n", "UTF-8 text"),
        (HEADER.encode() + b"a\0,buy,1,4805\n", "text"),
        (b"PK\x03\x04" + bytes(100), "text"),
        (b"a" * (ORDER_FILE_MAX_BYTES + 1), f"at most {ORDER_FILE_MAX_BYTES} bytes"),
    ],
)
def test_a_file_that_is_no_order_file_is_refused_as_a_whole(data: bytes, expected: str) -> None:
    problem = only_problem(data)
    assert (problem.row, problem.column) == (None, None)
    assert problem.expected.startswith(expected)


@pytest.mark.parametrize(
    "row", ['"a,buy,1,4805\n', '"a"b,buy,1,4805\n', f"{'a' * 200_000},buy,1,4805\n"]
)
def test_broken_csv_ends_the_reading_at_its_row(row: str) -> None:
    error = refusal(HEADER + "alice,buy,0,4805\n" + row)
    assert [(p.row, p.column) for p in error.problems] == [(2, "size"), (3, None)]


def test_an_instrument_takes_so_many_orders_and_no_more() -> None:
    rows = [f"a{number},buy,1,4805\n" for number in range(INTENTS_PER_AUCTION_MAX + 1)]
    assert len(parse(HEADER + "".join(rows[:-1]))) == INTENTS_PER_AUCTION_MAX
    assert only_problem(HEADER + "".join(rows)).row == INTENTS_PER_AUCTION_MAX + 2


def test_a_venue_takes_so_many_instruments_and_no_more() -> None:
    header = "account,side,size,limit,instrument\n"
    rows = [f"a,buy,1,4805,I{number}\n" for number in range(INSTRUMENTS_PER_VENUE_MAX + 1)]
    assert len(parse(header + "".join(rows[:-1]))) == INSTRUMENTS_PER_VENUE_MAX
    problem = only_problem(header + "".join(rows))
    assert (problem.row, problem.column) == (INSTRUMENTS_PER_VENUE_MAX + 2, "instrument")


def test_public_caps_add_up_to_less_than_a_quarter_of_t() -> None:
    rows = ["a,buy,10000000,4805\n", "b,buy,5000000,4805\n", "c,buy,1000001,4805\n"]
    assert len(parse(HEADER + "".join(rows[:2]))) == 2
    problem = only_problem(HEADER + "".join(rows))
    assert (problem.row, problem.column) == (4, "size")
    assert str(CAPS_SUM_MAX_LOTS) in problem.expected


def test_a_file_is_read_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(HEADER + GOOD_ROW, encoding="utf-8")
    assert read_orders(path, GRID, ES) == parse(HEADER + GOOD_ROW)


def test_no_more_of_a_file_is_read_than_a_file_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, text = tmp_path / "orders.csv", HEADER + GOOD_ROW
    monkeypatch.setattr(order_file, "ORDER_FILE_MAX_BYTES", len(text))
    path.write_text(text)
    assert len(read_orders(path, GRID, ES)) == 1
    path.write_text(text + "b,buy,1,4805\n")
    with pytest.raises(InvalidOrderFile, match=f"expected at most {len(text)} bytes"):
        read_orders(path, GRID, ES)


def test_a_file_that_cannot_be_read_is_bad_input(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.csv", tmp_path, tmp_path / "a\0b"):
        with pytest.raises(InvalidOrderFile) as caught:
            read_orders(path, GRID, ES)
        assert caught.value.exit_code == 2
        assert printable(str(path)) in str(caught.value)
    for other in ("orders.csv", None):
        with pytest.raises(WrongType):
            read_orders(other, GRID, ES)  # type: ignore[arg-type]
    with pytest.raises(WrongType):
        parse_orders(HEADER + GOOD_ROW, "orders", GRID, ES)  # type: ignore[arg-type]


fields = st.one_of(
    st.sampled_from(
        ["buy", "sell", "1", "0", "-1", "4805", "4805.1", "alice", "", '"', '""', "ES"]
    ),
    st.text(max_size=8),
    st.integers().map(str),
    st.decimals().map(str),
)
csv_like = st.lists(st.lists(fields, min_size=3, max_size=5).map(",".join), max_size=6).map(
    "\n".join
)


@given(st.one_of(st.binary(max_size=200), csv_like.map(lambda text: (HEADER + text).encode())))
@example(HEADER.encode() + b"a,buy,1,4805\r")
def test_any_bytes_are_orders_or_a_list_of_problems(data: bytes) -> None:
    orders: list[Order] = []
    refused: list[InvalidOrderFile] = []
    try:
        orders = parse(data)
    except InvalidOrderFile as error:
        refused = [error]
    assert bool(orders) is not bool(refused)
    assert all(error.problems and str(error).isascii() for error in refused)
    assert [order.row for order in orders] == list(range(2, len(orders) + 2))
    assert len({(order.instrument, order.account) for order in orders}) == len(orders)
    for order in orders:
        assert 1 <= order.size <= cap_bucket(order.size)
        assert 0 <= order.limit < GRID.ticks


@given(
    st.lists(
        st.tuples(
            st.sampled_from(Side),
            st.integers(1, 5000),
            st.integers(0, GRID.ticks - 1).map(Tick),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_every_order_that_is_written_is_read_back(rows: list[tuple[Side, int, Tick]]) -> None:
    lines = [
        f"account {number},{side.label},{size},{GRID.price_of(limit)}"
        for number, (side, size, limit) in enumerate(rows)
    ]
    orders = parse(HEADER + "\n".join(lines))
    assert [(order.side, order.size, order.limit) for order in orders] == rows
