"""Whatever a record's forms allow ends in findings or a typed error, never in another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from darkpool.canonical_json import from_json, to_json
from darkpool.errors import MalformedRecord
from darkpool.record.margin_forms import MarginInputs
from darkpool.verification.errors import Unsound
from darkpool.verification.prices import check_market, check_specification
from darkpool.verification.report import Findings
from darkpool.verification.requirement import LiveIntent, MarginModel
from darkpool.verification.valuation import check_risk_arrays
from tests.support.margin_records import DOMAIN, HONEST, changed, put


def parts(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All that a record consists of, by its path."""
    if path:
        yield path, value
    if is_dataclass(value):
        for field in fields(value):
            yield from parts(getattr(value, field.name), f"{path}.{field.name}".lstrip("."))
    elif isinstance(value, tuple):
        for place, part in enumerate(value):
            yield from parts(part, f"{path}.{place}".lstrip("."))


def others(value: Any) -> list[Any]:
    """Values of the same form, or none at all."""
    if isinstance(value, int):
        return [None, 0, 1, -1, value + 1, 10**8, 10**15, 10**18, -(10**18), 2**64 - 1]
    if isinstance(value, tuple):
        return [(), value[1:], value[::-1], value + value]
    if isinstance(value, str):
        return ["Z", "BTC", "ETH", "perpetual", "future", "put"]
    return [bytes(len(value))] if isinstance(value, bytes) else [None, 1, 10**15]


PARTS = list(parts(HONEST))


@st.composite
def malformed(draw: st.DrawFn) -> MarginInputs:
    inputs = HONEST
    for path, value in draw(st.lists(st.sampled_from(PARTS), min_size=1, max_size=3)):
        try:
            inputs = changed(inputs, path, put(draw(st.sampled_from(others(value)))))
        except (AttributeError, IndexError, TypeError):
            assume(False)  # an earlier change has taken away what this one is about
    try:
        for name in ("specification", "market", "risk"):
            form = type(getattr(HONEST, name))
            from_json(to_json(getattr(inputs, name)), form, name)
    except MalformedRecord:
        assume(False)
    return inputs


@given(malformed())
@settings(max_examples=100, deadline=None)
def test_nothing_malformed_ends_a_check(inputs: MarginInputs) -> None:
    findings = Findings("margin")
    check_specification(inputs, findings)
    check_market(inputs, DOMAIN, findings)
    check_risk_arrays(inputs, findings)
    with suppress(Unsound):
        model = MarginModel(inputs)
        model.requirement({0: 3, 3: -2, 8: 1})
        model.surplus(0, 0, {1: 1}, [LiveIntent(3, 5, 1, 2)] * 6)
