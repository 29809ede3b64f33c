"""What the command line shows: progress on standard error, results on standard output."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from crypto.errors import hexadecimal, printable
from darkpool.cli.errors import tell_line
from darkpool.cli.sheets import Column, Sheet, show
from darkpool.units import PriceUnits, price_decimal

if TYPE_CHECKING:
    from darkpool.simulation.result import (
        AccountMargin,
        LeftOut,
        NotAdmitted,
        RowFill,
        RowIntent,
        TakenOut,
        VenueResult,
    )
    from darkpool.simulation.withdrawing import Withdrawal
    from darkpool.verification.report import Audited, AuditReport

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
    "claim": "Claim what was granted",
}
FILLS_SHOWN_MAX: Final = 40
NAME, WORD, NUMBER = Column.NAME, Column.WORD, Column.NUMBER

_VERDICTS: Final = {"holds": "passed", "fails": "failed", "not checked": "not checked"}
"""Of an audit as a whole, by the verdict of its report."""

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
            self._task = self._progress.add_task(_told(step), total=None)
        if total:
            self._progress.update(self._task, total=total, completed=done)

    def finish(self) -> None:
        """The last step is over."""
        if self._task is not None:
            self._progress.update(self._task, total=1, completed=1)


class _Log:
    """One line a step, written when it begins, with the seconds since the first."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._step = ""

    def __call__(self, step: str, _done: int, _total: int) -> None:
        if step != self._step:
            self._step = step
            tell_line(f"{time.monotonic() - self._start:6.1f} s  {_told(step)}")


def _told(step: str) -> str:
    return STEPS.get(step, step)


def audit_progress(shown: Callable[[str, int, int], None]) -> Callable[[str], None]:
    """Shows the steps of an audit, some of which have names of an auction's."""
    return lambda step: shown(f"Audit: {step}", 0, 0)


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Shows steps on standard error while it is open; as plain lines where that is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Log()
        return
    ascii_only = console.options.ascii_only
    spinner, finished = ("line", "*") if ascii_only else ("dots", "✓")
    columns = (
        SpinnerColumn(spinner, finished_text=f"[green]{finished}[/green]"),
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


def print_auction(console: Console, result: VenueResult) -> None:
    """The public result, the fills and the roots."""
    show(console, results_table(result))
    if result.fills:
        show(console, fills_table(result.fills[:FILLS_SHOWN_MAX]))
        _tell_more(console, len(result.fills), "fills")
    show(console, orders_table(result.orders[:FILLS_SHOWN_MAX]))
    _tell_more(console, len(result.orders), "orders")
    if result.margins:
        show(console, margins_table(result.margins[:FILLS_SHOWN_MAX]))
        _tell_more(console, len(result.margins), "accounts")
    if result.withdrawals:
        show(console, withdrawals_table(result.withdrawals[:FILLS_SHOWN_MAX]))
        _tell_more(console, len(result.withdrawals), "withdrawals")
    if result.refused:
        show(console, refused_table(result.refused))
    if result.taken_out:
        show(console, taken_out_table(result.taken_out))
    if result.left_out:
        show(console, left_out_table(result.left_out))
    settlement = result.outcome.settlement
    lines = {
        "intents": str(len(result.outcome.admitted)),
        "batch root": hexadecimal(result.outcome.batch.root),
        "balances root": hexadecimal(settlement.balances_root),
        "settlement transaction": hexadecimal(settlement.final().hash),
        "settlement contract": result.settlement_contract,
        "keypers": ",".join(result.keypers),
        "reporter": result.reporter,
        "price reporters": ",".join(result.price_reporters),
        "close to fills": f"{result.timings_ms['close_to_fills']} ms",
        "record": "none (--record DIR keeps one)" if result.record is None else str(result.record),
    }
    print_lines(console, lines)


def _tell_more(console: Console, count: int, what: str) -> None:
    if count > FILLS_SHOWN_MAX:
        console.print(f"and {count - FILLS_SHOWN_MAX} more {what}; --json has them all")


def print_lines(console: Console, lines: dict[str, str]) -> None:
    """Names and values, one pair a line, never broken; what cannot be printed is escaped."""
    width = max(map(len, lines))
    for name, value in lines.items():
        console.print(
            f"{name:<{width}}  {printable(value)}", soft_wrap=True, markup=False, emoji=False
        )


def results_table(result: VenueResult) -> Sheet:
    """Price, volume and short side by instrument."""
    columns = {"instrument": NAME, "price": NUMBER, "volume": NUMBER, "short side": WORD}
    table = Sheet("Result: volume in lots", columns)
    for one in result.instruments:
        if one.price is None or one.short_side is None:
            table.add(one.instrument, one.crossing.value, "0", "")
        else:
            price, volume = f"{one.price:f}", str(one.volume)
            table.add(one.instrument, price, volume, one.short_side.label)
    return table


def fills_table(fills: Sequence[RowFill]) -> Sheet:
    """Who traded how much at which price, by row of the file."""
    columns = {"row": NUMBER, "account": NAME, "instrument": NAME, "side": WORD}
    table = Sheet("Fills: size in lots", columns | {"size": NUMBER, "price": NUMBER})
    for fill in fills:
        who = (str(fill.row), fill.account, fill.instrument, fill.side.label)
        table.add(*who, str(fill.size), f"{fill.price:f}")
    return table


def orders_table(orders: Sequence[RowIntent]) -> Sheet:
    """Which intent an order became, and where its account is on the chain."""
    columns = {"row": NUMBER, "account": NAME, "address": WORD, "intent": NUMBER}
    table = Sheet("Orders: the opening file of intent N is N.json", columns)
    for one in orders:
        intent = "none" if one.batch_index is None else str(one.batch_index)
        table.add(str(one.row), one.account, one.address, intent)
    return table


def margins_table(margins: Sequence[AccountMargin]) -> Sheet:
    """What the positions of those who traded need, before and after, and their equity."""
    columns = {"account": NAME, "before": NUMBER, "after": NUMBER, "equity": NUMBER}
    table = Sheet("Initial margin of who traded, in the quote currency", columns)
    for one in margins:
        table.add(one.account, *map(_amount, (one.before, one.after, one.equity)))
    return table


def withdrawals_table(withdrawals: Sequence[Withdrawal]) -> Sheet:
    """What accounts asked back, and got."""
    columns = {"account": NAME, "deposited": NUMBER, "requested": NUMBER}
    title = "Withdrawals, in the quote currency"
    table = Sheet(title, columns | {"granted": NUMBER, "claimed": NUMBER})
    for one in withdrawals:
        amounts = (one.deposited, one.requested, one.granted, one.claimed)
        table.add(one.account, *map(_amount, amounts))
    return table


def taken_out_table(taken_out: Sequence[TakenOut]) -> Sheet:
    """Which intents were found to be at fault."""
    columns = {"intent": NUMBER, "row": NUMBER, "attacker": NAME, "fault": WORD}
    table = Sheet("Taken out: found to be at fault, unopened", columns)
    for taken in taken_out:
        table.add(str(taken.batch_index), *_named(taken), taken.fault.value)
    return table


def left_out_table(left_out: Sequence[LeftOut]) -> Sheet:
    """Which intents took no part though nothing is wrong with them, and what was too little."""
    columns = {"intent": NUMBER, "row": NUMBER, "attacker": NAME, "too little": NAME}
    caption = "Collateral is in the quote currency."
    columns |= {"required": NUMBER, "available": NUMBER}
    table = Sheet("Left out: nothing of them was opened, nothing charged", columns, caption)
    for left in left_out[:FILLS_SHOWN_MAX]:
        shown = str if left.missing.value == "owners" else _amount
        numbers = (shown(left.required), shown(left.available))
        table.add(str(left.batch_index), *_named(left), left.missing.value, *numbers)
    return table


def refused_table(refused: Sequence[NotAdmitted]) -> Sheet:
    """Which submissions did not become intents, and why."""
    columns = {"row": NUMBER, "attacker": NAME, "code": WORD, "reason": NAME}
    table = Sheet("Refused", columns)
    for one in refused:
        table.add(*_named(one), one.code, one.reason)
    return table


def _named(party: TakenOut | LeftOut | NotAdmitted) -> tuple[str, str]:
    """Row of an order, kind of an attacker; one of them is empty."""
    return "" if party.row is None else str(party.row), party.kind or ""


def _amount(units: int) -> str:
    return f"{price_decimal(PriceUnits(units)):,f}"


def audit_document(report: AuditReport) -> dict[str, object]:
    """What `darkpool audit --json` prints."""
    checks = [
        {
            "name": check.name,
            "verdict": check.verdict.value,
            "part": check.part,
            "detail": check.detail,
            "differences": [asdict(difference) for difference in check.differences],
        }
        for check in report.checks
    ]
    audited = report.audited
    about = {
        "record": printable(audited.directory),
        "interval": audited.interval,
        "instruments": None if audited.instruments is None else list(audited.instruments),
        "versions": dict(audited.versions),
        "manifest_sha256": None if audited.manifest is None else hexadecimal(audited.manifest),
    }
    verdict = _VERDICTS[report.verdict.value]
    return {**about, "verdict": verdict, "passed": report.ok, "checks": checks}


def print_audited(console: Console, audited: Audited) -> None:
    """Which record was audited: what another auditor compares before anything else."""
    unread, names = "cannot be read", audited.instruments
    versions = (f"{name} {version}" for name, version in audited.versions.items())
    lines = {
        "record": audited.directory,
        "interval": unread if audited.interval is None else str(audited.interval),
        "instruments": unread if names is None else ", ".join(names),
        "versions": ", ".join(versions) or unread,
        "manifest": unread
        if audited.manifest is None
        else f"SHA-256 {hexadecimal(audited.manifest)}",
    }
    print_lines(console, lines)


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
        if report.ok:
            console.print("[green]The audit passes.[/]", end="")
        else:
            told = "No check fails, but the chain that was asked gave no answer."
            console.print(f"[yellow]{told}[/]", end="")
        console.print(f" Not checked: {', '.join(left_out)}." if left_out else "")
