"""What margin starts from: reports that nobody signed and parameters out of range are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crypto.signing.eip712 import Domain
from darkpool.limits import REFERENCE_AGE_AT_CLOSE_MAX_MS
from darkpool.record.margin_forms import MarginInputs, QuoteRecord
from darkpool.verification.prices import PPM, check_market, check_specification
from darkpool.verification.report import Check, Findings
from tests.support.margin_records import (
    DOMAIN,
    HONEST,
    KEYS,
    STRANGER,
    add,
    changed,
    put,
    report,
    signed,
)

MARCH = HONEST.market.underlyings[0].expiries[0]
PATH = f"BTC/{MARCH.expiry_ms}"


def checked_market(inputs: MarginInputs, domain: Domain = DOMAIN) -> Check:
    findings = Findings("market")
    check_market(inputs, domain, findings)
    return findings.check("all", "")


def checked_specification(inputs: MarginInputs) -> Check:
    findings = Findings("specification")
    check_specification(inputs, findings)
    return findings.check("all", "")


def test_an_honest_market_holds() -> None:
    assert checked_market(HONEST).ok


@pytest.mark.parametrize("dropped", range(4))
def test_three_of_four_reports_are_enough(dropped: int) -> None:
    def drop(quote: QuoteRecord) -> QuoteRecord:
        reports = quote.reports[:dropped] + quote.reports[dropped + 1 :]
        return QuoteRecord(sorted(r.value for r in reports)[1], reports)

    assert checked_market(changed(HONEST, "market.underlyings.0.index", drop)).ok


def test_reports_for_another_contract_do_not_count() -> None:
    check = checked_market(HONEST, Domain(1, DOMAIN.verifying_contract))
    assert check.part == "market, quote BTC/index, report 0, signature"


INDEX = "market.underlyings.0.index"
QUOTE = "market, quote BTC/index"


@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize(
    ("path", "part"),
    [
        (INDEX, QUOTE),
        ("market.underlyings.1.perpetual", "market, quote ETH/perpetual"),
        ("market.underlyings.0.expiries.0.forward", f"market, quote {PATH}/forward"),
        ("market.underlyings.0.expiries.0.rate", f"market, quote {PATH}/rate"),
        (
            "market.underlyings.0.expiries.0.volatilities.1",
            f"market, quote {PATH}/volatility/{MARCH.strikes[1]}",
        ),
    ],
)
def test_a_number_is_the_lower_median(path: str, part: str, by: int) -> None:
    check = checked_market(changed(HONEST, f"{path}.value", add(by)))
    assert check.part == f"{part}, lower median"


@pytest.mark.parametrize(("name", "value"), [("false_max", 0), ("false_max", 2)])
def test_how_many_reporters_may_be_false_is_nobody_s_choice(name: str, value: int) -> None:
    check = checked_market(changed(HONEST, f"market.{name}", put(value)))
    assert check.part == "market, false_max"


@pytest.mark.parametrize("age_max_ms", [0, REFERENCE_AGE_AT_CLOSE_MAX_MS + 1, 10**12])
def test_reports_are_not_older_than_references_may_be(age_max_ms: int) -> None:
    check = checked_market(changed(HONEST, "market.age_max_ms", put(age_max_ms)))
    assert check.part == "market, age_max_ms"


@pytest.mark.parametrize(
    ("name", "change", "part"),
    [
        ("reports.2", lambda r: report("BTC/index", r.value, STRANGER, r.observed_at), "report 2"),
        ("reports.2", lambda r: report("BTC/index", r.value, KEYS[0], r.observed_at), "report 2"),
        ("reports.2", lambda r: report("ETH/index", r.value, KEYS[2], r.observed_at), "report 2"),
        ("reports.2.value", add(1), "report 2"),
        ("reports.2.observed_at", add(-1), "report 2"),
        ("reports.2.signature", put(bytes(65)), "report 2"),
        ("reports", lambda reports: (*reports[:3], reports[2]), "report 3"),
        ("reports", lambda reports: reports[1:3], "reports"),
        ("reports", put(()), "reports"),
        (
            "reports.2",
            lambda r: report("BTC/index", r.value, KEYS[2], r.observed_at + 1),
            "times",
        ),
    ],
)
def test_reports_are_signed_once_each_and_at_one_time(
    name: str, change: Callable[[Any], Any], part: str
) -> None:
    check = checked_market(changed(HONEST, f"{INDEX}.{name}", change))
    assert check.part.startswith(f"{QUOTE}, {part}")


@pytest.mark.parametrize(
    ("path", "name", "lowest", "highest"),
    [
        (INDEX, "BTC/index", 1, 10**15),
        ("market.underlyings.0.perpetual", "BTC/perpetual", 1, 10**15),
        ("market.underlyings.0.expiries.0.forward", f"{PATH}/forward", 1, 10**15),
        ("market.underlyings.0.expiries.0.rate", f"{PATH}/rate", -(10**6), 10**6),
        (
            "market.underlyings.0.expiries.0.volatilities.0",
            f"{PATH}/volatility/{MARCH.strikes[0]}",
            1,
            10**8,
        ),
    ],
)
def test_numbers_are_in_range(path: str, name: str, lowest: int, highest: int) -> None:
    for value in (lowest, highest):
        assert checked_market(changed(HONEST, path, put(signed(name, value)))).ok
    for value in (lowest - 1, highest + 1):
        check = checked_market(changed(HONEST, path, put(signed(name, value))))
        assert check.part == f"market, quote {name}"


@pytest.mark.parametrize(
    ("path", "change", "part"),
    [
        ("version", add(1), "version"),
        ("reporters", lambda reporters: (*reporters, reporters[0]), "reporters"),
        ("reporters", put(()), "reporters"),
        ("reporters", lambda r: (*r, *(bytes([k]) * 20 for k in range(28))), "reporters"),
        ("reporters", lambda reporters: reporters[:3], "false_max"),
        ("false_max", add(1), "false_max"),
        ("underlyings", lambda quotes: (*quotes, quotes[0]), "underlyings"),
        ("underlyings.0.expiries", lambda expiries: expiries[::-1], "expiries of BTC"),
        ("time_ms", put(MARCH.expiry_ms), "expiries of BTC"),
        ("underlyings.0.expiries.0.strikes", lambda s: (0, *s[1:]), f"strikes of {PATH}"),
        ("underlyings.0.expiries.0.strikes", lambda s: (s[0], *s[:2]), f"strikes of {PATH}"),
        ("underlyings.0.expiries.0.volatilities", lambda v: v[1:], f"volatilities of {PATH}"),
        ("underlyings.0.expiries.0.strikes", put(()), f"volatilities of {PATH}"),
    ],
)
def test_a_market_is_in_its_form(path: str, change: Callable[[Any], Any], part: str) -> None:
    check = checked_market(changed(HONEST, f"market.{path}", change))
    assert check.part == f"market, {part}"


def test_an_honest_specification_holds() -> None:
    assert checked_specification(HONEST).ok


def ends(name: str, lowest: int, highest: int) -> list[tuple[str, Any, bool]]:
    values = (lowest - 1, lowest, highest, highest + 1)
    return [(name, put(value), lowest <= value <= highest) for value in values]


@pytest.mark.parametrize(
    ("path", "change", "holds"),
    [
        ("version", add(1), False),
        *ends("initial", PPM, 10 * PPM),
        *ends("horizon_ms", 0, 30 * 86_400_000),
        *(
            case
            for name in ("price_range", "tail_weight", "basis", "short_option", "concentration")
            for case in ends(f"underlyings.1.{name}", 0, PPM)
        ),
        *ends("underlyings.1.tail_multiple", PPM, 10 * PPM),
        *ends("underlyings.1.volatility_down", 0, PPM - 1),
        *ends("groups.0.offset", 0, PPM),
        *ends("contracts.3.multiplier", 1, 10**6),
        ("contracts.3.tick_size", put(0), False),
        ("contracts.3.tick_size", put(1), True),
        ("contracts.3.strike", put(0), False),
        ("contracts.3.strike", put(1), True),
        ("contracts.3.strike", put(None), False),
        ("contracts.3.expiry_ms", put(None), False),
        ("contracts.1.strike", put(1), False),
        ("contracts.1.expiry_ms", put(None), False),
        ("contracts.0.expiry_ms", put(1), False),
        ("contracts.0.underlying", put("DOGE"), False),
        ("contracts.1.name", put("BTC-PERP"), False),
        ("underlyings.1.name", put("BTC"), False),
        ("groups", lambda groups: (*groups, *groups), False),
        ("groups", lambda groups: (*groups, replace(groups[0], name="other")), False),
        ("groups", put(()), True),
        ("groups.0.underlyings", put(("BTC",)), False),
        ("groups.0.underlyings", put(("BTC", "BTC")), False),
        ("groups.0.underlyings", put(("BTC", "DOGE")), False),
    ],
)
def test_a_specification_makes_sense(path: str, change: Callable[[Any], Any], holds: bool) -> None:
    check = checked_specification(changed(HONEST, f"specification.{path}", change))
    assert check.ok is holds
    assert holds or check.part.startswith("specification, ")
