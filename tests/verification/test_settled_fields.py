"""Every field of what is settled: whoever changes one fails the lines that it is of, and no other.

The digest of the record's core is signed, so a change of the core fails `settlement` as well.
"""

import json
from collections.abc import Callable
from dataclasses import fields as dataclass_fields
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from darkpool.record.forms import (
    BatchRecord,
    FlowRecord,
    PaidRecord,
    PlannedMask,
    SettlementRecord,
    StateRecord,
    TreeRecord,
)
from darkpool.verification.audit import audit
from tests.support.audits import failed
from tests.support.records import Copy, Published
from tests.support.series import Series

Place = tuple[str | int, ...]
SETTLED: Place = ("evidence", "settlement")
CORE = {"settlement"}


def another(value: Any) -> Any:
    """Another value of its kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, list):
        return value[:-1] if value else ["0x" + "01" * 32]
    if isinstance(value, dict):
        return dict(list(value.items())[:2])
    return value[:-1] + ("0" if value[-1] != "0" else "1")


Row = tuple[type, int, Place, dict[str, set[str]]]
BEFORE, AFTER = ("summary", "before"), ("summary", "after")
ROWS: dict[str, Row] = {
    # `idle` asks for all that it has, and has no positions: what was free for it does not count
    "a state before": (
        StateRecord,
        1,
        (*BEFORE, "idle"),
        {
            "account": {"collateral", "continuity"},
            "cash": {"collateral", "continuity"},
            "debt": {"collateral", "continuity"},
            "granted": {"collateral", "continuity"},
            "is_pruned": {"continuity"},
            "free": {"continuity"},
        },
    ),
    "positions before": (
        StateRecord,
        1,
        (*BEFORE, "client"),
        {"positions": {"collateral", "continuity"}},
    ),
    "a state after": (
        StateRecord,
        1,
        (*AFTER, "client"),
        {field: {"collateral"} for field in StateRecord.__dataclass_fields__},
    ),
    # a request that becomes a deposit
    "a flow": (
        FlowRecord,
        1,
        ("summary", "flows", 0),
        {
            "index": {"collateral", "chain"},
            "vault": {"collateral", "chain"},
            "account": {"collateral", "chain"},
            "amount": {"collateral", "chain"},
            "number": {"chain"},
        },
    ),
    "a payment": (
        PaidRecord,
        2,
        ("summary", "paid", "idle"),
        {"account": {"collateral", "chain"}, "amount": {"collateral", "chain"}},
    ),
    "the batch": (
        BatchRecord,
        1,
        ("summary", "batch"),
        {
            "root": {"batch root", "chain"},
            "count": {"batch root", "chain"},
            "previous_settlement": {"batch root", "chain"},
            "masks": {"batch root", "schedule", "rejections", "results", "fills", "chain"},
            "commit_by": {"batch root", "chain"},
            "flows": {"collateral", "continuity", "chain"},
            "flows_head": {"chain"},
            "block": {"batch root", "chain"},
        },
    ),
    "a planned mask": (
        PlannedMask,
        1,
        ("summary", "batch", "masks", 0),
        {
            "number": {"batch root", "schedule", "chain"},
            "lanes": {"batch root", "schedule", "chain"},
            "digest": {"batch root", "masks", "chain"},
        },
    ),
    "the settlement": (
        SettlementRecord,
        1,
        SETTLED,
        {
            field: {"chain"}
            for field in SettlementRecord.__dataclass_fields__
            if field != "transaction"
        },
    ),
    "a tree": (
        TreeRecord,
        1,
        (*SETTLED, "trees", 0),
        {field: {"chain"} for field in TreeRecord.__dataclass_fields__},
    ),
}


def found_at(tree: Any, place: Place) -> Any:
    """What a place leads to; `idle` has no positions, and `client` has some."""
    *path, last = place
    holder = reduce(lambda inner, step: inner[step], path, tree)
    if last == "idle":
        of = {state["account"] for state in tree["summary"]["after"] if state["cash"] == 0}
        return next(entry for entry in holder if entry["account"] in of)
    if last == "client":
        return next(entry for entry in holder if len(entry["positions"]) > len("0x01"))
    return holder[last]


CASES = [
    pytest.param(number, place, field, lines, id=f"{name}: {field}")
    for name, (_, number, place, fields) in ROWS.items()
    for field, lines in fields.items()
]


@pytest.mark.parametrize(("number", "place", "field", "lines"), CASES)
def test_a_changed_field_fails_its_lines_alone(
    number: int,
    place: Place,
    field: str,
    lines: set[str],
    series: Series,
    copy_of: Callable[[Published], Copy],
) -> None:
    copy = copy_of(Published(series.directories[number], series.chain))
    tree = copy.json("record.json")
    entry = found_at(tree, place)
    entry[field] = another(entry[field])
    copy.write_json("record.json", tree)
    copy.reseal()
    assert set(failed(audit(copy.directory, series.reader(), quick=True))) == lines | CORE


def test_every_field_is_changed() -> None:
    changed: dict[type, set[str]] = {}
    for form, _, _, fields in ROWS.values():
        changed.setdefault(form, set()).update(fields)
    # kinds of flows are changed below, and transactions where a chain is asked
    elsewhere = {FlowRecord: {"kind"}, SettlementRecord: {"transaction"}}
    for record, names in changed.items():
        told = {field.name for field in dataclass_fields(record)}
        assert names | elsewhere.get(record, set()) == told


@pytest.mark.parametrize(("kind", "lines"), [(1, set[str]()), (3, {"schedule"})])
def test_a_request_is_no_deposit_and_no_notice(
    kind: int, lines: set[str], series: Series, copy_of: Callable[[Published], Copy]
) -> None:
    copy = copy_of(Published(series.directories[1], series.chain))
    copy.change("record.json", lambda tree: tree["summary"]["flows"][0].update(kind=kind))
    copy.reseal()
    found = failed(audit(copy.directory, series.reader(), quick=True))
    # who is covered cannot be told where flows make no sense, so openings are not understood
    understood = {"rejections", "results", "fills"} if lines else set()
    assert set(found) == {"collateral", "chain", "settlement"} | lines | understood


def test_the_series_shows_what_it_is_to_show(series: Series) -> None:
    first, second, third = (
        json.loads((directory / "record.json").read_bytes())["summary"]
        for directory in series.directories
    )
    assert [flow["kind"] for flow in first["flows"]] == [1] * 5
    assert [flow["kind"] for flow in second["flows"]] == [2, 2]
    assert [flow["kind"] for flow in third["flows"]] == [1, 3]
    assert [len(summary["paid"]) for summary in (first, second, third)] == [0, 0, 2]
    assert second["fills"]
    assert not third["fills"]
    assert any(state["is_pruned"] for state in third["after"])
    assert any(state["granted"] and not state["is_pruned"] for state in third["after"])
    assert len({Path(directory).name for directory in series.directories}) == 3
