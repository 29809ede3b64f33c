"""What `darkpool margin` shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console

from darkpool.cli.sheets import Column, Sheet, show
from darkpool.margin.model.scenarios import SCENARIOS
from darkpool.margin.report.report import Greeks, MarginReport, scenario_label
from darkpool.units import PPM, PriceUnits, price_decimal


def _currency(units: int) -> Decimal:
    return price_decimal(PriceUnits(units))


def margin_document(report: MarginReport) -> dict[str, Any]:
    """What `--json` prints: amounts in the currency, exactly."""
    needed = report.requirement
    worst = {**needed.own, **{f"group {name}": case for name, case in needed.joint.items()}}
    return {
        "equity": _currency(report.equity),
        "collateral": {name: _currency(counted) for name, counted in report.collateral.items()},
        "initial_margin": _currency(needed.initial),
        "maintenance_margin": _currency(needed.maintenance),
        "surplus": _currency(report.surplus),
        "parts": {name: _currency(part) for name, part in _parts(report).items()},
        "worst": {
            name: None
            if case.scenario is None
            else {
                "scenario": scenario_label(case.scenario),
                "loss": _currency(-(-case.loss // PPM)),
            }
            for name, case in worst.items()
        },
        "scenarios": {
            name: {scenario_label(i): _currency(gain) for i, gain in enumerate(gains.tolist())}
            for name, gains in report.gains.items()
        },
        "positions": [
            {
                "contract": line.contract.name,
                "lots": line.lots,
                "value": _currency(line.value),
                "gain_in_worst_scenario": _currency(line.worst),
            }
            for line in report.positions
        ],
        "greeks": {name: asdict(greeks) for name, greeks in report.greeks.items()},
    }


def _parts(report: MarginReport) -> dict[str, int]:
    """What maintenance margin is made of, in cash units, each rounded up by itself."""
    needed = report.requirement
    parts = {"scenarios": needed.scan, "minimum for short options": needed.short_options}
    for (name, expiry_ms), part in needed.basis.items():
        when = "perpetual" if expiry_ms is None else f"{_date(expiry_ms):%Y-%m-%d}"
        parts[f"basis {name} {when}"] = part
    parts |= {f"concentration {name}": part for name, part in needed.concentration.items()}
    return {name: needed.rounded(part) for name, part in parts.items()}


def _date(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1000, UTC)


def print_margin(console: Console, report: MarginReport, after: MarginReport | None) -> None:
    """Tables for people."""
    reports = [report] if after is None else [report, after]
    columns = ["", "now"] if after is None else ["", "now", "after"]
    needed = [found.requirement for found in reports]
    rows: dict[str, list[int]] = {
        f"collateral {name}": [found.collateral[name] for found in reports]
        for name in report.collateral
    }
    rows |= {
        "equity": [found.equity for found in reports],
        "initial margin": [found.initial for found in needed],
        "surplus over it": [found.surplus for found in reports],
        "maintenance margin": [found.maintenance for found in needed],
    }
    table = _table("Margin", columns, [[k, *map(_shown, v)] for k, v in rows.items()])
    show(console, table)
    last = reports[-1]
    show(
        console,
        _table(
            "Maintenance margin comes from",
            ["", "amount"],
            [[name, _shown(part)] for name, part in _parts(last).items()],
            caption="The larger of the first two, and the sum of the others.",
        ),
    )
    positions = [
        [line.contract.name, f"{line.lots:,}", _shown(line.value), _shown(line.worst)]
        for line in last.positions
    ]
    heads = ["contract", "lots", "value", "in its worst scenario"]
    show(console, _table("Positions", heads, positions))
    for name, gains in last.gains.items():
        worst = last.requirement.own[name].scenario
        show(console, _scenario_table(name, gains.tolist(), worst))
    greeks = [
        [name, *(f"{g:,.6g}" for g in asdict(found).values())]
        for name, found in last.greeks.items()
    ]
    show(console, _table("Greeks", ["", *Greeks.__slots__], greeks))


def _scenario_table(name: str, gains: list[int], worst: int | None) -> Sheet:
    rows = []
    for first in range(0, len(SCENARIOS), 3):
        label = scenario_label(first).partition(",")[0]
        cells = [f"{_shown(gains[i])}{' *' if i == worst else ''}" for i in range(first, first + 3)]
        rows.append([label, *cells])
    heads = ["", "volatility down", "unchanged", "up"]
    caption = "* costs most; of an extreme move only a part counts"
    return _table(f"{name}: gain in each scenario", heads, rows, caption=caption)


def _shown(units: int) -> str:
    """An amount for people, rounded to cents."""
    return f"{_currency(units):,.2f}"


def _table(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], caption: str | None = None
) -> Sheet:
    first, *numbers = heads
    columns = {first: Column.NAME} | dict.fromkeys(numbers, Column.NUMBER)
    sheet = Sheet(title, columns, caption)
    for row in rows:
        sheet.add(*row)
    return sheet
