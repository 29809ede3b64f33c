"""Risk arrays: what the engine publishes holds for any market, and what is off is found."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from darkpool.errors import OutOfBounds
from darkpool.margin.market.instruments import Specification, SpecificationForm
from darkpool.margin.market.market import MarketForm
from darkpool.margin.market.surface import VolatilitySurface
from darkpool.record.margin_forms import VALUES, MarginInputs
from darkpool.verification.report import Check, Findings
from darkpool.verification.valuation import check_risk_arrays
from tests.support.margin_houses import MARKET, specification
from tests.support.margin_records import add, changed, inputs_of, put

HONEST = inputs_of(specification(), MarketForm.model_validate_json(MARKET))
PERPETUAL, FUTURE, CALL, PUT = 0, 1, 3, 4
NAMES = [contract.name for contract in HONEST.specification.contracts]
NOW = datetime(2026, 11, 25, tzinfo=UTC)
HOUR = timedelta(hours=1)
LEFT = (timedelta(milliseconds=1), HOUR, 24 * HOUR, 720 * HOUR, 24_000 * HOUR, 870_000 * HOUR)


def checked(inputs: MarginInputs) -> Check:
    findings = Findings("risk arrays")
    check_risk_arrays(inputs, findings)
    return findings.check("all", "")


def published(data: dict[str, Any], form: MarketForm) -> MarginInputs:
    """What the engine publishes; a surface with arbitrage has values all the same."""
    with patch.object(VolatilitySurface, "arbitrage", return_value=[]):
        return inputs_of(Specification(SpecificationForm.model_validate(data)), form)


def decimal(number: int) -> str:
    return f"{Decimal(number).scaleb(-6):f}"


@st.composite
def expiries(draw: st.DrawFn) -> list[dict[str, Any]]:
    """One to three expiries, some without volatilities, but for one."""
    price = draw(st.integers(10**4, 10**13))
    times = sorted(draw(st.sets(st.sampled_from(LEFT), min_size=1, max_size=3)))
    found: list[dict[str, Any]] = []
    for time in times:
        forward = math.ceil(price * draw(st.floats(0.9, 1.1)))
        rate = draw(st.integers(-100_000, 100_000))
        steps = draw(st.lists(st.floats(0.05, 1), min_size=0 if found else 1, max_size=4))
        start = draw(st.floats(-2, 1))
        moneyness = [start + sum(steps[:k]) for k in range(len(steps))]
        middle = draw(st.integers(10**4, 4 * 10**6))
        volatilities = [draw(st.integers(middle // 2, middle)) for _ in steps]
        found.append(
            {
                "expiry": NOW + time,
                "forward": decimal(forward),
                "rate": rate,
                "strikes": [decimal(math.ceil(forward * math.exp(m))) for m in moneyness],
                "volatilities": [decimal(volatility) for volatility in volatilities],
            }
        )
    return found


@st.composite
def houses(draw: st.DrawFn) -> MarginInputs:
    """Options in and out of the money on a random market, with random parameters."""
    dated = draw(expiries())
    quotes = {"name": "X", "index": "1", "perpetual": dated[0]["forward"], "expiries": dated}
    form = MarketForm.model_validate({"version": 1, "time": NOW, "underlyings": [quotes]})
    common = {"underlying": "X", "multiplier": draw(st.sampled_from((1, 7))), "tick_size": "1"}
    contracts = [{"name": "perpetual", "kind": "perpetual", **common}]
    for number, expiry in enumerate(dated):
        dates = {"expiry": expiry["expiry"], **common}
        contracts.append({"name": f"{number}-future", "kind": "future", **dates})
        for kind in ("call", "put"):
            far = draw(st.sampled_from((0.0, 1e-6, 0.02, 0.3, 2.0, 5.0)))
            factor = math.exp(draw(st.floats(-far, far)))
            strike = max(1, round(float(expiry["forward"]) * 10**6 * factor))
            option = {"name": f"{number}-{kind}", "kind": kind, "strike": decimal(strike)}
            contracts.append({**option, **dates})
    data = specification().form.model_dump()
    data["underlyings"] = [{**data["underlyings"][0], "name": "X", **draw(PARAMETERS)}]
    data |= {"groups": [], "collateral": [], "contracts": contracts}
    data["horizon_ms"] = draw(st.sampled_from((0, 1, 3_600_000, 86_400_000, 30 * 86_400_000)))
    try:
        return published(data, form)
    except OutOfBounds:
        assume(False)
        raise


PARAMETERS = st.fixed_dictionaries(
    {
        "price_range": st.integers(0, 10**6),
        "tail_multiple": st.integers(10**6, 10**7),
        "volatility_up": st.integers(0, 10**6),
        "volatility_down": st.integers(0, 999_999),
    }
)


@given(houses())
@settings(max_examples=150, deadline=None)
def test_what_the_engine_publishes_holds(inputs: MarginInputs) -> None:
    assert checked(inputs).ok, checked(inputs).detail


def test_the_examples_of_the_documentation_hold() -> None:
    assert checked(HONEST).ok


@pytest.mark.parametrize("hours", [1, 79, 81, 720, 2879, 2881])
def test_moves_of_volatility_are_bounded(hours: int) -> None:
    """The root of 30 days over what is left is 3 within 80 hours of expiry, 1/2 beyond 2,880."""
    form = MarketForm.model_validate_json(MARKET)
    expiry = form.underlyings[0].expiries[0].expiry
    data = specification().form.model_dump() | {"horizon_ms": 0}
    for underlying in data["underlyings"]:
        underlying |= {"volatility_up": 10**6, "volatility_down": 999_999}
    inputs = published(data, form.model_copy(update={"time": expiry - hours * HOUR}))
    assert checked(inputs).ok, checked(inputs).detail


OFF = [(PERPETUAL, 1), (FUTURE, 1), (CALL, 2), (PUT, 2)]


@given(
    st.sampled_from(OFF),
    st.sampled_from(("low", "high")),
    st.integers(0, VALUES - 1),
    st.sampled_from((-1, 1)),
)
@settings(deadline=None)
def test_a_value_that_is_off_is_found(
    off: tuple[int, int], side: str, index: int, sign: int
) -> None:
    place, by = off
    check = checked(changed(HONEST, f"risk.contracts.{place}.{side}.{index}", add(sign * by)))
    assert check.part in [
        f"risk array of {NAMES[place]}, {what} {index}" for what in (side, "high")
    ]


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(("place", "by"), OFF)
def test_a_delta_that_is_off_is_found(place: int, by: int, sign: int) -> None:
    check = checked(changed(HONEST, f"risk.contracts.{place}.delta", add(sign * by)))
    assert check.part == f"risk array of {NAMES[place]}, delta"


def test_roundings_of_one_value_are_neighbours() -> None:
    """Where either integer may be a value rounded down, not both sides may be the farther one."""
    data = specification().form.model_dump()
    data["horizon_ms"] = 30 * 86_400_000
    form = MarketForm.model_validate_json(MARKET).model_copy(
        update={"time": datetime(2027, 3, 26, 7, tzinfo=UTC)}
    )
    inputs = published(data, form)
    # the call at 60,000 is exercised at 61,000: a whole number, which floats may miss either way
    index = 1 + 3 * 4
    low = inputs.risk.contracts[CALL].low[index]
    assert abs(low - 1_000 * 10**6) <= 1
    row = f"risk.contracts.{CALL}"
    for bottom, top, holds in ((-1, 0, True), (0, 1, True), (0, 0, True), (-1, 1, False)):
        around = changed(inputs, f"{row}.low.{index}", put(1_000 * 10**6 + bottom))
        around = changed(around, f"{row}.high.{index}", put(1_000 * 10**6 + top))
        assert checked(around).ok is holds


def test_an_expired_contract_is_worth_nothing() -> None:
    expired = MarketForm.model_validate_json(MARKET).underlyings[0].expiries[0].expiry
    data = MarketForm.model_validate_json(MARKET).model_dump()
    data["time"] = expired
    for underlying in data["underlyings"]:
        underlying["expiries"] = underlying["expiries"][1:]
    inputs = published(specification().form.model_dump(), MarketForm.model_validate(data))
    assert checked(inputs).ok
    for what in ("low.0", "high.33", "delta"):
        assert not checked(changed(inputs, f"risk.contracts.{FUTURE}.{what}", put(1))).ok


def swapped(arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*arrays[:3], arrays[4], arrays[3], *arrays[5:])


BTC = "market.underlyings.0"


@pytest.mark.parametrize(
    ("path", "change", "part"),
    [
        ("risk.version", add(1), "risk arrays, version"),
        ("risk.contracts", lambda arrays: arrays[1:], "risk arrays, contracts"),
        ("risk.contracts", swapped, f"risk array of {NAMES[CALL]}, low 0"),
        ("risk.contracts.2.low", lambda low: low[:3], f"risk array of {NAMES[2]}, low"),
        ("risk.contracts.2.high", lambda high: (*high, 0), f"risk array of {NAMES[2]}, high"),
        ("market.underlyings", lambda quotes: quotes[1:], "market, quote BTC/index"),
        (f"{BTC}.perpetual", put(None), "market, quote BTC/perpetual"),
        (f"{BTC}.perpetual.value", put(0), "market, quote BTC/perpetual"),
        (f"{BTC}.expiries.0.forward.value", put(0), "market, quote BTC/1806048000000/forward"),
        (f"{BTC}.expiries", lambda quoted: quoted[1:], "market, quote BTC/1806048000000/forward"),
        (f"{BTC}.expiries", lambda quoted: quoted[::-1], "market, expiries of BTC"),
        (f"{BTC}.expiries.0.rate.value", put(10**7), "market, quote BTC/1806048000000/rate"),
        (
            f"{BTC}.expiries.0.volatilities.0.value",
            put(0),
            "market, quote BTC/1806048000000/volatility/40000000000",
        ),
        (f"{BTC}.expiries.0.strikes.0", put(0), "market, strikes of BTC/1806048000000"),
        (f"{BTC}.expiries.0.volatilities", put(()), "market, volatilities of BTC/1806048000000"),
        (
            "specification.underlyings.0.name",
            put("Y"),
            "specification, contract BTC-PERP, underlying",
        ),
        (
            "specification.contracts.3.strike",
            put(None),
            f"specification, contract {NAMES[3]}, strike",
        ),
        (
            "specification.contracts.3.strike",
            put(-1),
            f"specification, contract {NAMES[3]}, strike",
        ),
        ("specification.contracts.1.expiry_ms", put(None), "market, quote BTC/None/forward"),
        ("market.time_ms", put(0), f"risk array of {NAMES[CALL]}, low 0"),
        ("market.underlyings.0.expiries.0.expiry_ms", put(2**64 - 1), "market, quote"),
    ],
)
def test_what_cannot_be_valued_is_found(path: str, change: Callable[[Any], Any], part: str) -> None:
    assert checked(changed(HONEST, path, change)).part.startswith(part)


def test_an_expiry_beyond_all_bounds_is_found() -> None:
    far = changed(HONEST, f"{BTC}.expiries.1.expiry_ms", put(2**64 - 1))
    far = changed(far, f"specification.contracts.{CALL}.expiry_ms", put(2**64 - 1))
    far = changed(far, f"risk.contracts.{CALL + 1}.low.0", add(-2))
    check = checked(far)
    assert f"specification, contract {NAMES[CALL]}, expiry_ms" in check.detail
    assert f"risk array of {NAMES[CALL + 1]}, low 0" in check.detail
    assert not check.ok


def test_no_volatilities_at_all_are_found() -> None:
    bare = HONEST
    for expiry in (0, 1):
        for what in ("strikes", "volatilities"):
            bare = changed(bare, f"{BTC}.expiries.{expiry}.{what}", put(()))
    assert checked(bare).part == "market, expiries of BTC"
