"""What is told of files that people write: the path, the rule in words, and the value."""

import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkpool.errors import BadInput, WrongType
from darkpool.margin.errors import InvalidFile
from darkpool.margin.market.instruments import read_specification
from darkpool.margin.market.market import read_market, read_market_form
from darkpool.margin.report.portfolio_file import LOTS_MAX, read_portfolio
from darkpool.simulation.order_file import parse_orders
from darkpool.units import InstrumentName, PriceGrid, is_name
from tests.support.margin_houses import EXAMPLES, MARKET, SPECIFICATION, specification

PORTFOLIO = (EXAMPLES / "portfolio.json").read_text(encoding="utf-8")
ORDERS = (EXAMPLES / "orders.csv").read_bytes()
READERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "market": (MARKET, lambda text: read_market("file", text)),
    "portfolio": (PORTFOLIO, lambda text: read_portfolio("file", text, specification())),
    "contracts": (SPECIFICATION, lambda text: read_specification("file", text)),
}
INDEX = "underlyings[0].index"
PYTHON = re.compile(
    r"\bdict\b|\btuple\b|\bNone\b|\bTrue\b|pattern|datetime|instance|Input|Value err"
)


def problems(kind: str, text: str) -> dict[str, tuple[str, str]]:
    with pytest.raises(InvalidFile) as caught:
        READERS[kind][1](text)
    assert not PYTHON.search(str(caught.value))
    return {one.path: (one.expected, one.got) for one in caught.value.problems}


def replaced(kind: str, old: str, new: str) -> str:
    text = READERS[kind][0]
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("kind", "old", "new", "path", "expected", "got"),
    [
        (
            "market",
            '"60020.5"',
            '"60020.1234567"',
            "underlyings[0].perpetual",
            "at most 6 decimals",
            "60020.1234567",
        ),
        ("market", '"60000", "p', '"+5", "p', "underlyings[0].index", "a number in digits", "+5"),
        ("market", '"60000", "p', '"٥", "p', "underlyings[0].index", "a number in digits", "٥"),
        ("market", '"60000", "p', '"6٥", "p', INDEX, "a number in digits", "6٥"),
        ("market", '"60000", "p', '"060000", "p', INDEX, "a number in digits", "060000"),
        (
            "market",
            '"60000", "p',
            f'"6.{"0" * 5000}", "p',
            INDEX,
            "a number of at most 40 characters",
            None,
        ),
        ("market", '"60000", "p', '"-1000000001", "p', INDEX, "a price from -1000000000", None),
        ("market", '"60000", "p', '"1000000000.1", "p', INDEX, "a price from -1000000000", None),
        ("market", '"60000", "p', '"", "p', "underlyings[0].index", "a number in digits", '""'),
        ("market", '"60000", "p', '5, "p', "underlyings[0].index", "text in quotes", "5"),
        ("market", '"60000", "p', 'null, "p', "underlyings[0].index", "text in quotes", "null"),
        (
            "market",
            '"60000", "p',
            '{"a": 1}, "p',
            "underlyings[0].index",
            "text in quotes",
            "an object",
        ),
        (
            "market",
            '"name": "BTC"',
            '"name": "B TC"',
            "underlyings[0].name",
            "a name of 1 to 32",
            "B TC",
        ),
        (
            "market",
            '"0.68"',
            '"100.1"',
            "underlyings[0].expiries[0].volatilities[0]",
            "up to 100",
            "100.1",
        ),
        (
            "market",
            '"0.68"',
            '"0.6800000000001"',
            "underlyings[0].expiries[0].volatilities[0]",
            "at most 12",
            "0.6800000000001",
        ),
        ("market", '"version": 1', '"version": true', "version", "a whole number", "true"),
        (
            "contracts",
            'tick_size = "0.5"',
            'tick_size = "0"',
            "contracts[0].tick_size",
            "a price above 0",
            "0",
        ),
        (
            "contracts",
            "basis = 5_000",
            'basis = 5_000\nprice_range_min = "-1"',
            "underlyings[0].price_range_min",
            "a distance",
            "-1",
        ),
        (
            "contracts",
            "multiplier = 1\n",
            "multiplier = 1.5\n",
            "contracts[0].multiplier",
            "a whole number",
            "1.5",
        ),
        (
            "contracts",
            '["BTC", "ETH"]',
            '["BTC"]',
            "groups[0].underlyings",
            "2 entries or more",
            "a list of 1",
        ),
        (
            "contracts",
            'kind = "perpetual"',
            'kind = "perpetual"\nstrike = "5"',
            "contracts[0].strike",
            "no strike of a perpetual",
            "5",
        ),
        (
            "contracts",
            'kind = "perpetual"',
            'kind = "perpetual"\nexpiry = 2027-01-01T00:00:00Z',
            "contracts[0].expiry",
            "no expiry of a perpetual",
            "2027-01-01T00:00:00+00:00",
        ),
        ("portfolio", '"cash": "', '"cash": "x', "cash", "a number in digits", None),
        ("portfolio", '"cash": "', '"cash": "0.0000001', "cash", "at most 6 decimals", None),
    ],
)
def test_what_is_wrong_is_named_with_its_value(
    kind: str, old: str, new: str, path: str, expected: str, got: str | None
) -> None:
    found = problems(kind, replaced(kind, old, new))
    assert found[path][0].startswith(expected) or expected in found[path][0]
    assert got is None or found[path][1] == got


def test_what_follows_from_an_entry_at_fault_is_not_told_again() -> None:
    data = json.loads(MARKET)
    data["underlyings"] = [data["underlyings"][0] | {"index": "x"}]
    assert list(problems("market", json.dumps(data))) == ["underlyings[0].index"]
    data["underlyings"] = []
    assert problems("market", json.dumps(data)) == {
        "underlyings": ("1 entries or more", "a list of 0")
    }


HEAD = 'version = 1\nname = "a"\ninitial = 1_000_000\nhorizon_ms = 0\n'
TWICE = ",".join(f'"a{number}":0,"a{number}":0' for number in range(20_000))
WRONG = {
    "entries": ("contracts", f"{HEAD}underlyings = []\ncontracts = [{'{},' * 20_000}]", 251),
    "lists": ("contracts", f"{HEAD}contracts = []\ngroups = [{'{underlyings=[]},' * 900}]", 152),
    "too many": ("contracts", f"{HEAD}underlyings = []\ncontracts = [{'{},' * 110_000}]", 2),
    "fields": ("contracts", "\n".join(f"a{number} = 1" for number in range(30_000)), 56),
    "a long word": ("contracts", "x" * 300_000, 1),
    "a long number": ("contracts", f"{HEAD}underlyings = []\ncontracts = 0x{'f' * 9_000}", 2),
    "texts": ("market", json.dumps({"underlyings": [{"expiries": [{"strikes": [5] * 900}]}]}), 56),
    "more": ("market", json.dumps({"underlyings": [{"expiries": [{"strikes": [5] * 5000}]}]}), 7),
    "positions": ("portfolio", json.dumps({"positions": [{}] * 30_000}), 152),
    "fields twice": ("portfolio", f"{{{TWICE}}}", 50),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_very_often_takes_no_time_and_no_memory(what: str) -> None:
    kind, text, told = WRONG[what]
    tracemalloc.start()
    try:
        found = problems(kind, text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found) == told
    assert peak < 200 << 20


@pytest.mark.parametrize("cash", ["1" + "0" * 19, "-1" + "0" * 19])
@pytest.mark.parametrize("tokens", ["-0.5", "1" + "0" * 13])
@pytest.mark.parametrize("lots", [LOTS_MAX + 1, -LOTS_MAX - 1, 1 << 70])
def test_amounts_have_bounds(cash: str, tokens: str, lots: int) -> None:
    data = json.loads(PORTFOLIO)
    data["cash"] = data["positions"][1]["cost"] = cash
    data["collateral"] = [{"token": "ETH", "amount": tokens}]
    data["positions"][0]["lots"] = lots
    found = problems("portfolio", json.dumps(data))
    assert {path: got for path, (_, got) in found.items()} == {
        "cash": cash,
        "positions[1].cost": cash,
        "collateral[0].amount": tokens,
        "positions[0].lots": str(lots),
    }


@pytest.mark.parametrize(
    ("tokens", "path", "expected"),
    [
        (["ETH", "SOL"], "collateral[1].token", "one of the specification"),
        (["ETH", "ETH"], "collateral[1].token", "each token once"),
    ],
)
def test_tokens_are_those_of_the_specification_each_once(
    tokens: list[str], path: str, expected: str
) -> None:
    data = json.loads(PORTFOLIO)
    data["collateral"] = [{"token": token, "amount": "1"} for token in tokens]
    found = problems("portfolio", json.dumps(data))
    assert {at: told for at, (told, _) in found.items()} == {path: expected}


@pytest.mark.parametrize("root", ["[]", "1", "null", '"text"'])
@pytest.mark.parametrize("kind", ["market", "portfolio"])
def test_a_file_of_another_shape_is_told_so(kind: str, root: str) -> None:
    assert problems(kind, root)["file"][0] == "an object"


@pytest.mark.parametrize(
    ("kind", "old", "new", "path"),
    [
        ("portfolio", '"version": 1', '"version": 1, "version": 1', "version"),
        ("portfolio", '"lots": ', '"lots": 99, "lots": ', "positions[0].lots"),
        ("market", '"rate": 40000', '"rate": 1, "rate": 40000', "underlyings[0].expiries[0].rate"),
        (
            "market",
            '"rate": 40000',
            '"rate": 1, "r\\u0061te": 40000',
            "underlyings[0].expiries[0].rate",
        ),
    ],
)
def test_a_field_twice_is_refused_with_its_path(kind: str, old: str, new: str, path: str) -> None:
    assert problems(kind, replaced(kind, old, new)) == {path: ("each field once", "it again")}


def test_a_field_twice_is_found_where_a_later_one_hides_it() -> None:
    text = '{"a": {"b": 1, "b": 2}, "a": 3}'
    assert problems("portfolio", text) == {"a": ("each field once", "it again")}


@pytest.mark.parametrize("name", ["/ES", ".ES", "-ES", "ES/2", "a.b-c_d", "E" * 32, "9"])
def test_one_rule_for_names(name: str) -> None:
    """What a file of contracts takes, an order file and a portfolio take as well."""
    contracts = SPECIFICATION.replace('name = "BTC-PERP"', f'name = "{name}"')
    assert InstrumentName(name) in (known := read_specification("file", contracts)).contracts
    held = {"version": 1, "cash": "0", "positions": [{"contract": name, "lots": 1, "cost": "0"}]}
    assert read_portfolio("file", json.dumps(held), known).contracts[0].name == name
    rows = f"account,side,size,limit,instrument\nann,buy,1,5,{name}\n"
    (order,) = parse_orders(rows.encode(), "file", FIVE, InstrumentName("default"))
    assert order.instrument == name


@given(st.text(max_size=40))
def test_a_name_is_refused_by_all_files_or_by_none(name: str) -> None:
    held = {"version": 1, "cash": "0", "positions": [{"contract": name, "lots": 1, "cost": "0"}]}
    with pytest.raises(InvalidFile) as caught:
        read_portfolio("file", json.dumps(held), specification())
    if name in specification().contracts:
        return
    rule = "one of the specification" if is_name(name) else "a name of 1 to 32 characters"
    assert caught.value.problems[0].expected.startswith(rule)


FIVE = PriceGrid.of_units(10**6, 5 * 10**6, 8)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["-1", "0", "1e9", "1.0000001", "9" * 50, "-0.5", "2027-01-01T00:00:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def with_another_value(text: str, data: st.DataObject) -> str:
    tree = json.loads(text)
    place: Any = tree
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not place[key] or not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(json_values)
    return json.dumps(tree)


def read_or_refused(kind: str, text: str) -> None:
    try:
        READERS[kind][1](text)
    except BadInput as error:
        assert "expected" in str(error)  # noqa: PT017
        # a field of the file may have such a name
        assert all(word in text for word in PYTHON.findall(str(error)))  # noqa: PT017


def changed_bytes(original: bytes, data: st.DataObject) -> bytes:
    begin = data.draw(st.integers(0, len(original)))
    end = data.draw(st.integers(begin, min(len(original), begin + 8)))
    return original[:begin] + data.draw(st.binary(max_size=8)) + original[end:]


def fuzz(data: st.DataObject) -> None:
    """A value, or some bytes, of one of the files are others."""
    kind = data.draw(st.sampled_from([*READERS, "orders"]))
    if kind == "orders":
        rows = changed_bytes(ORDERS, data)
        try:
            parse_orders(rows, "file", FIVE, InstrumentName("default"))
        except BadInput as error:
            assert "expected" in str(error)  # noqa: PT017
        return
    text = READERS[kind][0]
    if kind != "contracts" and data.draw(st.booleans()):
        read_or_refused(kind, with_another_value(text, data))
    else:
        read_or_refused(kind, changed_bytes(text.encode(), data).decode("utf-8", "replace"))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_file_is_read_or_refused_in_words(data: st.DataObject) -> None:
    fuzz(data)


@pytest.mark.slow
@given(st.data())
@settings(max_examples=20_000, deadline=None)
def test_any_of_very_many_files_is_read_or_refused_in_words(data: st.DataObject) -> None:
    fuzz(data)


def test_no_pattern_is_in_a_message_of_a_form() -> None:
    """Forms check text by functions that say their rule."""
    forms = Path(__file__).resolve().parents[3] / "darkpool" / "margin"
    assert not [path for path in forms.rglob("*.py") if "pattern=" in path.read_text("utf-8")]


@pytest.mark.parametrize("odd", [None, 5, b"{}", ["{}"]])
def test_what_is_no_text_is_refused_before_it_is_read(odd: Any) -> None:
    for read in (read_market_form, read_specification):
        with pytest.raises(WrongType, match="file: expected str"):
            read("file", odd)
        with pytest.raises(InvalidFile, match="text in Unicode"):
            read("file", 'version = "\ud800"')
