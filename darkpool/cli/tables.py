"""What the command line shows: progress on standard error, results on standard output."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from darkpool.units import PriceUnits, price_decimal

if TYPE_CHECKING:
    from darkpool.simulation.result import (
        AccountMargin,
        LeftOut,
        NotAdmitted,
        RowFill,
        TakenOut,
        VenueResult,
    )
    from darkpool.verification.report import AuditReport

STEPS: Final = {
    "keys": "Deal the committee's keys",
    "chain": "Deploy the contracts",
    "deposit": "Deposit collateral",
    "admit": "Seal and admit the orders",
    "close": "Put the batch root on the chain",
    "masks": "Wait for masks",
    "shape": "Check that all intents are orders, encrypted",
    "cross": "Cross encrypted",
    "margin": "Book fills and check margin",
    "settle": "Settle on the chain",
    "record": "Make the record durable",
    "read": "Read the record",
}
FILLS_SHOWN_MAX: Final = 40

_DECIMAL_MARK: Final = "\x00decimal "


def output() -> Console:
    """Standard output; lines are as long as they have to be where it is no terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=160)


class _Lines:
    """One line a step, the last one moving."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: Any = None
        self._step = ""

    def __call__(self, step: str, done: int, total: int) -> None:
        if step != self._step:
            self.finish()
            self._step = step
            self._task = self._progress.add_task(STEPS.get(step, f"Audit: {step}"), total=None)
        if total:
            self._progress.update(self._task, total=total, completed=done)

    def finish(self) -> None:
        """The last step is over."""
        if self._task is not None:
            self._progress.update(self._task, total=1, completed=1)


def _silent(_step: str, _done: int, _total: int) -> None:
    return


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Shows steps on standard error while it is open; nothing where that is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _silent
        return
    columns = (
        SpinnerColumn(finished_text="[green]✓[/green]"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as lines:
        shown = _Lines(lines)
        yield shown
        shown.finish()


def exact_json(document: object) -> str:
    """One JSON object on one line; decimal numbers are written exactly, as numbers."""

    def marked(value: object) -> str:
        if not isinstance(value, Decimal):
            raise TypeError(f"expected a value for JSON, got {type(value).__name__}")
        return f"{_DECIMAL_MARK}{value:f}"

    text = json.dumps(document, default=marked)
    mark = re.escape(json.dumps(_DECIMAL_MARK)[:-1])
    return re.sub(f'{mark}([^"]*)"', r"\1", text)


def auction_document(result: VenueResult) -> dict[str, object]:
    """What `darkpool auction --json` prints.

    `price`, `volume` and `short_side` are those of the only instrument; where the file has several,
    they are null and `instruments` has them all.
    """
    instruments = [
        {
            "instrument": instrument.instrument,
            "price": instrument.price,
            "volume": instrument.volume,
            "short_side": None if instrument.short_side is None else instrument.short_side.label,
            "exhausted": instrument.exhausted,
        }
        for instrument in result.instruments
    ]
    only = instruments[0] if len(instruments) == 1 else {}
    settlement = result.outcome.settlement
    return {
        "price": only.get("price"),
        "volume": only.get("volume"),
        "short_side": only.get("short_side"),
        "fills": [
            {
                "row": fill.row,
                "account": fill.account,
                "instrument": fill.instrument,
                "side": fill.side.label,
                "size": fill.size,
            }
            for fill in result.fills
        ],
        "margins": [
            {
                "account": margin.account,
                "before": price_decimal(PriceUnits(margin.before)),
                "after": price_decimal(PriceUnits(margin.after)),
                "equity": price_decimal(PriceUnits(margin.equity)),
            }
            for margin in result.margins
        ],
        "instruments": instruments,
        "taken_out": [
            {
                "intent": taken.batch_index,
                "row": taken.row,
                "attacker": taken.kind,
                "fault": taken.fault.value,
            }
            for taken in result.taken_out
        ],
        "left_out": [
            {
                "intent": left.batch_index,
                "row": left.row,
                "attacker": left.kind,
                "missing": left.missing.value,
                "required": left.required,
                "available": left.available,
            }
            for left in result.left_out
        ],
        "refused": [
            {
                "row": refused.row,
                "attacker": refused.kind,
                "code": refused.code,
                "reason": refused.reason,
            }
            for refused in result.refused
        ],
        "intents": len(result.outcome.admitted),
        "batch_root": _hex(result.outcome.batch.root),
        "balances_root": _hex(settlement.balances_root),
        "settlement_tx": _hex(settlement.final().hash),
        "settlement_contract": result.settlement_contract,
        "keypers": list(result.keypers),
        "reporter": result.reporter,
        "price_reporters": list(result.price_reporters),
        "timings_ms": dict(result.timings_ms),
        "record": None if result.record is None else str(result.record),
    }


def print_auction(console: Console, result: VenueResult) -> None:
    """The public result, the fills and the roots."""
    console.print(results_table(result))
    if result.fills:
        console.print(fills_table(result.fills[:FILLS_SHOWN_MAX]))
    if len(result.fills) > FILLS_SHOWN_MAX:
        console.print(f"and {len(result.fills) - FILLS_SHOWN_MAX} more fills; --json has them all")
    if result.margins:
        console.print(margins_table(result.margins[:FILLS_SHOWN_MAX]))
    if len(result.margins) > FILLS_SHOWN_MAX:
        more = len(result.margins) - FILLS_SHOWN_MAX
        console.print(f"and {more} more accounts; --json has them all")
    if result.refused:
        console.print(refused_table(result.refused))
    if result.taken_out:
        console.print(taken_out_table(result.taken_out))
    if result.left_out:
        console.print(left_out_table(result.left_out))
    settlement = result.outcome.settlement
    lines = {
        "intents": str(len(result.outcome.admitted)),
        "batch root": _hex(result.outcome.batch.root),
        "balances root": _hex(settlement.balances_root),
        "settlement transaction": _hex(settlement.final().hash),
        "settlement contract": result.settlement_contract,
        "keypers": ",".join(result.keypers),
        "reporter": result.reporter,
        "price reporters": ",".join(result.price_reporters),
        "close to fills": f"{result.timings_ms['close_to_fills']} ms",
        "record": "none (--record DIR keeps one)" if result.record is None else str(result.record),
    }
    print_lines(console, lines)


def print_lines(console: Console, lines: dict[str, str]) -> None:
    """Names and values, one pair a line, never broken."""
    width = max(map(len, lines))
    for name, value in lines.items():
        console.print(f"{name:<{width}}  {value}", soft_wrap=True, markup=False, emoji=False)


def results_table(result: VenueResult) -> Table:
    """Price, volume and short side by instrument."""
    table = Table("instrument", "price", "volume", "short side", title="Result")
    for instrument in result.instruments:
        name = Text(instrument.instrument)
        if instrument.price is None or instrument.short_side is None:
            table.add_row(name, "no cross", "0", "")
        else:
            price, volume = f"{instrument.price:f}", str(instrument.volume)
            table.add_row(name, price, volume, instrument.short_side.label)
    return table


def fills_table(fills: Sequence[RowFill]) -> Table:
    """Who traded how much, by row of the file."""
    table = Table(title="Fills")
    table.add_column("row", justify="right")
    for name in ("account", "instrument", "side"):
        table.add_column(name)
    table.add_column("size", justify="right")
    for fill in fills:
        # a name may look like a style or an emoji's code
        account, instrument = Text(fill.account), Text(fill.instrument)
        table.add_row(str(fill.row), account, instrument, fill.side.label, str(fill.size))
    return table


def margins_table(margins: Sequence[AccountMargin]) -> Table:
    """What the positions of those who traded need, before and after, and their equity."""
    table = Table("account", title="Initial margin of who traded")
    for name in ("before", "after", "equity"):
        table.add_column(name, justify="right")
    for one in margins:
        amounts = (one.before, one.after, one.equity)
        cells = [f"{price_decimal(PriceUnits(amount)):,f}" for amount in amounts]
        table.add_row(Text(one.account), *cells)
    return table


def taken_out_table(taken_out: Sequence[TakenOut]) -> Table:
    """Which intents were found to be at fault."""
    table = Table(title="Taken out: found to be at fault, unopened")
    table.add_column("intent", justify="right")
    table.add_column("row", justify="right")
    for name in ("attacker", "fault"):
        table.add_column(name)
    for taken in taken_out:
        row, kind = "" if taken.row is None else str(taken.row), Text(taken.kind or "")
        table.add_row(str(taken.batch_index), row, kind, taken.fault.value)
    return table


def left_out_table(left_out: Sequence[LeftOut]) -> Table:
    """Which intents took no part though nothing is wrong with them, and what was too little."""
    table = Table(title="Left out: nothing of them was opened, nothing charged")
    table.add_column("intent", justify="right")
    table.add_column("row", justify="right")
    table.add_column("too few")
    for name in ("required", "available"):
        table.add_column(name, justify="right")
    for left in left_out[:FILLS_SHOWN_MAX]:
        row = "" if left.row is None else str(left.row)
        numbers = (str(left.required), str(left.available))
        table.add_row(str(left.batch_index), row, left.missing.value, *numbers)
    return table


def refused_table(refused: Sequence[NotAdmitted]) -> Table:
    """Which submissions did not become intents, and why."""
    table = Table("row", "attacker", "code", "reason", title="Refused")
    for one in refused:
        row, kind = "" if one.row is None else str(one.row), Text(one.kind or "")
        table.add_row(row, kind, one.code, Text(one.reason))
    return table


def audit_document(report: AuditReport) -> dict[str, object]:
    """What `darkpool audit --json` prints."""
    checks = [
        {
            "name": check.name,
            "verdict": check.verdict.value,
            "part": check.part,
            "detail": check.detail,
        }
        for check in report.checks
    ]
    return {"passed": report.ok, "checks": checks}


def print_audit(console: Console, report: AuditReport) -> None:
    """One line a check, then the verdict."""
    colours = {"holds": "green", "fails": "red", "not checked": "yellow"}
    verdicts = [check.verdict.value for check in report.checks]
    names = [check.name for check in report.checks]
    for verdict, name, check in zip(verdicts, names, report.checks, strict=True):
        padded = f"{verdict:<{max(map(len, verdicts))}}"
        console.print(f"[{colours[verdict]}]{padded}[/]", end="  ")
        line = f"{name:<{max(map(len, names))}}  {check.detail}"
        console.print(line, soft_wrap=True, markup=False, emoji=False)
    failed = sum(not check.ok for check in report.checks)
    if failed:
        console.print(f"[red]The audit fails[/]: {failed} of {len(verdicts)} checks do not hold.")
    else:
        left_out = [check.name for check in report.checks if check.verdict.value == "not checked"]
        console.print("[green]The audit passes.[/]", end="")
        console.print(f" Not checked: {', '.join(left_out)}." if left_out else "")


def _hex(value: bytes) -> str:
    return f"0x{value.hex()}"
