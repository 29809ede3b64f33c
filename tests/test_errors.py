from darkpool.errors import BadInput, CheckFailed, DarkpoolError
from darkpool.margin.errors import InsufficientMargin
from darkpool.simulation.errors import InvalidOrder, InvalidOrderFile


def test_bad_input_and_a_failed_check_have_different_exit_codes() -> None:
    assert (DarkpoolError.exit_code, BadInput.exit_code, CheckFailed.exit_code) == (1, 2, 1)
    assert InvalidOrder(0, "size", "1", "0").exit_code == 2


def test_an_order_is_named_by_row_and_column_with_expected_and_got() -> None:
    error = InvalidOrder(7, "size", "1 to 10 lots", "'0'")
    assert str(error) == "row 7, column size: expected 1 to 10 lots, got '0'"
    assert (error.row, error.column, error.expected, error.got) == (
        7,
        "size",
        "1 to 10 lots",
        "'0'",
    )
    assert str(InvalidOrder(7, None, "4 fields", "3")) == "row 7: expected 4 fields, got 3"
    assert str(InvalidOrder(None, None, "UTF-8 text", "x")) == "file: expected UTF-8 text, got x"


def test_an_order_file_lists_its_problems() -> None:
    problems = [InvalidOrder(0, "side", "buy or sell", "'b'"), InvalidOrder(2, None, "a", "b")]
    error = InvalidOrderFile("orders.csv", problems, complete=False)
    assert str(error).splitlines() == [
        "orders.csv: expected an order file, got these problems",
        "  row 0, column side: expected buy or sell, got 'b'",
        "  row 2: expected a, got b",
        "  and more",
    ]


def test_insufficient_margin_carries_its_operands() -> None:
    error = InsufficientMargin(required=10, available=3)
    assert (error.required, error.available) == (10, 3)
    assert str(error) == "margin: expected at least 10 available, got 3"
