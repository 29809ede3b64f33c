"""Specification files: what is read of them, and what is said of those that cannot be used."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.signing.messages import instrument_id
from darkpool.canonical_json import to_json
from darkpool.errors import BadInput
from darkpool.margin.errors import InvalidFile
from darkpool.margin.market.forms import A_TIME
from darkpool.margin.market.instruments import Kind, Specification, read_specification
from tests.support.margin_houses import SPECIFICATION, specification


def read(text: str) -> Specification:
    return read_specification("contracts.toml", text)


def test_contracts_are_read() -> None:
    call = specification().contracts["BTC-MAR-60000-C"]  # type: ignore[index]
    assert call.kind is Kind.CALL
    assert call.strike == 60_000 * 10**6
    assert call.expiry_ms == int(datetime(2027, 3, 26, 8, tzinfo=UTC).timestamp()) * 1000
    assert call.identifier == instrument_id("BTC-MAR-60000-C")
    perpetual = specification().contracts["ETH-PERP"]  # type: ignore[index]
    assert (perpetual.expiry_ms, perpetual.strike, perpetual.multiplier) == (None, None, 10)


def test_what_is_published_is_the_content() -> None:
    commented = read("# a comment\n" + SPECIFICATION.replace("150_000", "150000"))
    changed = read(SPECIFICATION.replace("150_000", "150_001"))
    assert to_json(commented.record) == to_json(specification().record) != to_json(changed.record)


@pytest.mark.parametrize(
    ("old", "new", "path", "expected"),
    [
        ("version = 1", "version = 2", "version", "1"),
        ("version = 1\n", "", "version", "a value"),
        ("initial = 1_300_000", "initial = 999_999", "initial", "greater than or equal to 1000000"),
        ("initial = 1_300_000", 'initial = "1"', "initial", "a whole number"),
        ("initial = 1_300_000", "initial = nan", "initial", "a whole number"),
        (
            "price_range = 150_000",
            "price_range = 1_000_001",
            "underlyings[0].price_range",
            "less than or equal",
        ),
        ("basis = 5_000", "bases = 5_000", "underlyings[0].bases", "no such field"),
        ('kind = "call"', 'kind = "swaption"', "contracts[3].kind", "'future', 'perpetual'"),
        (
            "multiplier = 10\n",
            "multiplier = 0\n",
            "contracts[6].multiplier",
            "greater than or equal",
        ),
        ('strike = "60000"', "strike = 60000", "contracts[3].strike", "text in quotes"),
        ('strike = "60000"', 'strike = "6e4x"', "contracts[3].strike", "a number in digits"),
        ('strike = "60000"', 'strike = "0.0000001"', "contracts[3].strike", "at most 6 dec"),
        ('strike = "60000"', 'strike = "-1"', "contracts[3].strike", "a price above 0"),
        ('strike = "60000"', 'strike = "0"', "contracts[3].strike", "a price above 0"),
        ('strike = "60000"', 'strike = "1e-100000000"', "contracts[3].strike", "exponent"),
        ('strike = "60000"\n', "", "contracts[3].strike", "a strike of a call"),
        ("expiry = 2027-03-26T08:00:00Z\n", "", "contracts[1].expiry", "an expiry of a future"),
        (
            "2027-03-26T08:00:00Z",
            "2027-03-26T08:00:00",
            "contracts[1].expiry",
            "a time with its zone",
        ),
        (
            "2027-03-26T08:00:00Z",
            "1969-03-26T08:00:00Z",
            "contracts[1].expiry",
            "an expiry from 1970 to 9999",
        ),
        (
            "2027-03-26T08:00:00Z",
            "9999-12-31T23:59:59-00:01",
            "contracts[1].expiry",
            "an expiry from 1970 to 9999",
        ),
        ('name = "BTC-JUN"', 'name = "BTC-MAR"', "contracts[2].name", "each name once"),
        ('name = "ETH"', 'name = "BTC"', "underlyings[1].name", "each name once"),
        (
            'underlying = "ETH"',
            'underlying = "SOL"',
            "collateral[0].underlying",
            "one of the underlyings",
        ),
        (
            '["BTC", "ETH"]',
            '["BTC", "BTC"]',
            "groups[0].underlyings[1]",
            "each underlying of groups once",
        ),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, path: str, expected: str) -> None:
    assert old in SPECIFICATION
    with pytest.raises(InvalidFile) as caught:
        read(SPECIFICATION.replace(old, new, 1))
    expected_at = {problem.path: problem.expected for problem in caught.value.problems}
    assert expected in expected_at[path]
    assert "contracts.toml" in str(caught.value)


def test_every_problem_is_told_up_to_a_limit() -> None:
    broken = SPECIFICATION.replace("multiplier = 1\n", 'multiplier = "x"\n')
    broken += '\n[[contracts]]\nname = "?"\n' * 30
    with pytest.raises(InvalidFile) as caught:
        read(broken)
    assert len(caught.value.problems) > 30
    assert str(caught.value).endswith("and more")


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5000, "version = " + "1" * 5000, "a." * 50_000 + "a = 1", "'a'." * 99]
)
def test_what_would_exhaust_a_parser_is_refused(text: str) -> None:
    with pytest.raises(InvalidFile):
        read(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[a]\n[b]\n[a]\n", "Cannot declare a twice"),
        ("[a.b]\n[a.b]\n", "Cannot declare a.b twice"),
        ("version = " + "1" * 5000, "a number of too many digits"),
    ],
)
def test_what_the_parser_says_has_nothing_of_python(text: str, told: str) -> None:
    with pytest.raises(InvalidFile, match=f"expected TOML, got {re.escape(told)}") as caught:
        read(text)
    assert "('" not in str(caught.value)


@pytest.mark.parametrize("expiry", ["1806048000", "1806048000.5", '"1806048000"', "true"])
def test_a_number_is_no_time(expiry: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        read(SPECIFICATION.replace("2027-03-26T08:00:00Z", expiry, 1))
    (problem,) = caught.value.problems
    assert (problem.path, problem.expected) == ("contracts[1].expiry", A_TIME)


@given(st.text(max_size=200))
def test_no_text_does_anything_else(text: str) -> None:
    with pytest.raises(BadInput):
        read(text)


@given(st.integers(0, len(SPECIFICATION) - 1), st.characters())
def test_a_changed_character_is_read_or_refused(place: int, character: str) -> None:
    changed = SPECIFICATION[:place] + character + SPECIFICATION[place + 1 :]
    try:
        assert read(changed).contracts
    except BadInput as error:
        assert "expected" in str(error)  # noqa: PT017
