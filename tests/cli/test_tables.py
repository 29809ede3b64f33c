"""What is shown is what there is: exact numbers, names as they are, no line broken."""

import io
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from darkpool.auction.instruments import Fault
from darkpool.batching.participation import Missing
from darkpool.chain.errors import ChainUnavailable
from darkpool.cli import tables
from darkpool.cli.sheets import show
from darkpool.cli.tables import (
    audit_document,
    exact_json,
    fills_table,
    left_out_table,
    print_audit,
    print_audited,
    print_lines,
    progress,
    refused_table,
    taken_out_table,
)
from darkpool.protocol.refusals import RefusalCode
from darkpool.simulation.result import LeftOut, NotAdmitted, RowFill, TakenOut
from darkpool.units import AccountLabel, InstrumentName, Lots, Side
from darkpool.verification.report import Audited, AuditReport, Check, Verdict


def console_and_text() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=200, highlight=False), out


@given(
    st.dictionaries(
        st.text(),
        st.one_of(
            st.none(),
            st.integers(),
            st.text(),
            st.decimals(allow_nan=False, allow_infinity=False, places=6),
        ),
    )
)
def test_numbers_are_exact_and_text_is_text(document: dict[str, object]) -> None:
    read = json.loads(exact_json(document), parse_float=Decimal)
    assert read == document
    for name, value in document.items():
        assert isinstance(read[name], str) == isinstance(value, str)


def test_a_price_is_a_number_with_all_its_digits() -> None:
    text = exact_json({"price": Decimal("12345678901234567890.000001"), "none": None})
    assert text == '{"price": 12345678901234567890.000001, "none": null}'


def test_what_json_has_no_form_for_is_refused() -> None:
    with pytest.raises(TypeError, match="got bytes"):
        exact_json({"root": b""})


@pytest.mark.parametrize("name", ["[red]ann[/red]", "[/]", "[bold", "a\\[b]", "x" * 64])
def test_a_name_is_no_style(name: str) -> None:
    console, out = console_and_text()
    fill = RowFill(3, AccountLabel(name), InstrumentName("ES"), Side.BUY, Lots(7), Decimal(4805))
    show(console, fills_table([fill]))
    assert name in out.getvalue()


def test_who_was_taken_out_left_out_or_refused_is_told_with_the_reason() -> None:
    console, out = console_and_text()
    show(console, taken_out_table([TakenOut(4, None, "[b]hump", Fault.SHAPE)]))
    aside = [LeftOut(5, 2, None, Missing.OWNERS, 3, 1)]
    aside.append(LeftOut(6, None, "hump", Missing.COLLATERAL, 12_345_000_001, 0))
    show(console, left_out_table(aside))
    refused = NotAdmitted(7, None, RefusalCode.NONCE, "expected [one], got another")
    show(console, refused_table([refused]))
    cells = [line.split("│")[1:-1] for line in out.getvalue().splitlines() if "│" in line]
    assert [[cell.strip() for cell in row] for row in cells] == [
        ["4", "", "[b]hump", "shape"],
        ["5", "2", "", "owners", "3", "1"],
        ["6", "", "hump", "collateral of others", "12,345.000001", "0.000000"],
        ["7", "", "nonce", "expected [one], got another"],
    ]


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_progress_has_no_character_that_the_terminal_lacks(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding, errors="backslashreplace", write_through=True)
    terminal = Console(file=out, force_terminal=True, width=80)
    monkeypatch.setattr(tables, "Console", lambda **_: terminal)
    with progress() as shown:
        shown("keys", 0, 0)
        shown("admit", 1, 2)
    written = raw.getvalue()
    assert b"Seal and admit the orders" in written
    assert b"\\u" not in written


def test_lines_are_never_broken() -> None:
    console, out = console_and_text()
    print_lines(console, {"root": "0x" + "ab" * 200, "[b]": "[red]", "c": "\x1b[2J\n\u202e"})
    assert out.getvalue() == f"root  0x{'ab' * 200}\n[b]   [red]\nc     \\x1b[2J\\n\\u202e\n"


def test_a_report_begins_with_the_record_and_shows_no_raw_character() -> None:
    console, out = console_and_text()
    versions = {"record.json": 2, "manifest.json": 2}
    print_audited(console, Audited("a\x1b[2J\nb", 7, ("[red]ES", "X"), versions, b"\x01" * 32))
    assert out.getvalue().splitlines() == [
        r"record       a\x1b[2J\nb",
        "interval     7",
        "instruments  [red]ES, X",
        "versions     record.json 2, manifest.json 2",
        f"manifest     SHA-256 0x{'01' * 32}",
    ]
    console, out = console_and_text()
    print_audited(console, Audited("empty"))
    assert [line.split("  ")[-1].strip() for line in out.getvalue().splitlines()] == [
        "empty",
        *["cannot be read"] * 4,
    ]


def test_an_audit_says_what_fails_and_what_was_not_checked() -> None:
    console, out = console_and_text()
    checks = (
        Check("form", "record", Verdict.HOLDS, "fine"),
        Check("masks", "mask 3", Verdict.FAILS, "mask 3: expected [a], got [b]"),
        Check("chain", "chain", Verdict.NOT_CHECKED, "not asked"),
    )
    print_audit(console, AuditReport(checks))
    assert out.getvalue().splitlines() == [
        "holds        form   fine",
        "fails        masks  mask 3: expected [a], got [b]",
        "not checked  chain  not asked",
        "The audit fails: 1 of 3 checks do not hold.",
    ]
    console, out = console_and_text()
    print_audit(console, AuditReport(checks[::2]))
    assert out.getvalue().splitlines()[-1] == "The audit passes. Not checked: chain."
    console, out = console_and_text()
    silent = AuditReport(checks[::2], unanswered=ChainUnavailable("http://node", "nothing"))
    print_audit(console, silent)
    assert out.getvalue().splitlines()[-1] == (
        "No check fails, but the chain that was asked gave no answer. Not checked: chain."
    )
    reports = (AuditReport(checks), AuditReport(checks[::2]), silent)
    documents = [audit_document(report) for report in reports]
    assert [one["verdict"] for one in documents] == ["failed", "passed", "not checked"]
    assert [one["passed"] for one in documents] == [False, True, False]
