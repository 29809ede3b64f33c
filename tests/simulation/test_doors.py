"""Anything at all at the doors of the page about Python: a typed error, or a value that works."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.ring.params import TEST_INSECURE_SMALL
from darkpool.auction.listing import ContractListing, OutrightListing
from darkpool.auction.terms import VenueTerms
from darkpool.chain.client import Chain
from darkpool.crossing.clearing import Book, clear_reference, clear_uniform
from darkpool.margin.market.market import read_market_form
from darkpool.protocol.terms import Pricing
from darkpool.simulation.order_file import Order, parse_orders
from darkpool.simulation.practice import practice_terms
from darkpool.simulation.twin import generated_orders, plain_twin, verify_twin
from darkpool.simulation.venue import Places, VenueSetting, run_orders
from darkpool.units import Cash, InstrumentName, Lots, PriceGrid, Side, Tick
from darkpool.verification import Anchor, audit
from tests.support.anything import ANYTHING, DECIMALS, TYPED, refused
from tests.support.margin_houses import MARKET, specification

ES = InstrumentName("ES")
GRID = PriceGrid(Decimal("0.25"), Decimal(4805), 64)
DATA = b"account,side,size,limit\nann,buy,5,4806\nbob,sell,3,4804.5\ncid,sell,7,4805\n"
ORDERS = parse_orders(DATA, "orders", GRID, ES)
LISTING = OutrightListing(GRID, 100_000, 1)
TERMS = VenueTerms(LISTING, Pricing.UNIFORM)
FORM = read_market_form("market", MARKET)


def silent(_step: str, _done: int, _total: int) -> None:
    return


def array(*values: int) -> Any:
    return np.array(values, dtype=np.int64)


BOOK = Book(array(0, 1), array(5, 3), array(40, 30), 64)
GOOD: dict[Callable[..., object], dict[str, Any]] = {
    PriceGrid: {"tick_size": Decimal("0.25"), "reference": Decimal(4805), "ticks": 64},
    OutrightListing: {
        "grid": GRID,
        "margin_rate_ppm": 100_000,
        "multiplier": 1,
        "margin_range": Decimal(5),
    },
    ContractListing: {"specification": specification(), "market": FORM, "ticks": 64},
    VenueTerms: {
        "listing": LISTING,
        "pricing": Pricing.UNIFORM,
        "owners_min": 3,
        "cap_min": Lots(1),
        "bond": 1,
        "bond_charge_ppm": 1,
    },
    VenueSetting: {
        "parameters": TEST_INSECURE_SMALL,
        "connect": Chain.embedded,
        "places": Places(),
        "progress": silent,
    },
    Places: {"record": None, "openings": Path("openings")},
    Order: {
        "row": 2,
        "account": "ann",
        "instrument": ES,
        "side": Side.BUY,
        "size": Lots(5),
        "limit": Tick(3),
        "minimum": Lots(0),
        "request": Cash(0),
    },
    Book: {
        "sides": array(0, 1),
        "sizes": array(5, 3),
        "limits": array(40, 30),
        "ticks": 64,
        "minimums": array(0, 1),
    },
    clear_uniform: {"book": BOOK, "reference": Tick(32), "priority": array(1, 0)},
    clear_reference: {"book": BOOK, "reference": Tick(32), "priority": array(1, 0)},
    parse_orders: {"data": DATA, "source": "orders", "grids": GRID, "default_instrument": ES},
    plain_twin: {"orders": ORDERS, "terms": TERMS, "beacon": bytes(32)},
    Anchor: {"settlement": bytes(20), "keypers": None, "reporter": None, "price_reporters": None},
}


def others(good: Any) -> st.SearchStrategy[Any]:
    """Anything in the place of a value, now and then of its own kind or with one inside."""
    inside = st.sampled_from([[good], (good,), {ES: good}, {1: good}, (good, good), str(good)])
    return st.one_of(ANYTHING, inside, DECIMALS)


@given(data=st.data())
@settings(max_examples=500, deadline=None)
def test_what_a_page_calls_takes_anything_or_refuses_it(data: st.DataObject) -> None:
    call = data.draw(st.sampled_from(list(GOOD)))
    good = GOOD[call]
    names = data.draw(st.lists(st.sampled_from(list(good)), min_size=1, unique=True))
    bad = {name: data.draw(others(good[name])) for name in names}
    made: list[Any] = []
    if not refused(lambda: made.append(call(**good | bad))) and call in (Order, VenueTerms):
        kept = [getattr(made[0], one.name) for one in fields(made[0])]
        assert {type(one) for one in kept if isinstance(one, int)} <= {int, Side}


@pytest.mark.parametrize("call", GOOD, ids=lambda call: call.__name__)
def test_every_operand_has_a_kind(call: Callable[..., object]) -> None:
    call(**GOOD[call])
    for name in GOOD[call]:
        with pytest.raises(TYPED):
            call(**GOOD[call] | {name: object()})


@given(one=ANYTHING)
@settings(max_examples=150, deadline=None)
def test_nothing_is_run_of_what_is_refused(one: Any) -> None:
    setting = VenueSetting(TEST_INSECURE_SMALL, Chain.embedded, Places(), silent)
    no_function: Any = 5 if callable(one) else one
    no_truth: Any = 5 if isinstance(one, bool) else one
    something: Any = 5 if one is None else one
    several: Any = 5 if isinstance(one, dict) else one
    calls: Mapping[str, Callable[[], object]] = {
        "orders": lambda: run_orders(one, TERMS, setting),
        "an order": lambda: run_orders([*ORDERS, one], TERMS, setting),
        "terms": lambda: run_orders(ORDERS, one, setting),
        "setting": lambda: run_orders(ORDERS, TERMS, one),
        "result": lambda: verify_twin(ORDERS, TERMS, one),
        "grid": lambda: practice_terms([ES], one, TEST_INSECURE_SMALL),
        "names": lambda: practice_terms(several, GRID, TEST_INSECURE_SMALL),
        "parameters": lambda: practice_terms([ES], GRID, one),
        "chain": lambda: audit(Path("none"), something),
        "progress": lambda: audit(Path("none"), progress=no_function),
        "anchor": lambda: audit(Path("none"), anchor=something),
        "quick": lambda: audit(Path("none"), quick=no_truth),
    }
    for name, call in calls.items():
        assert refused(call), name


@given(one=ANYTHING)
@settings(max_examples=150, deadline=None)
def test_a_listing_answers_or_refuses(one: Any) -> None:
    for listing in (LISTING, ContractListing(specification(), FORM, 64)):
        refused(lambda listing=listing: listing.of(one))  # type: ignore[misc]
        refused(lambda listing=listing: listing.of([one]))  # type: ignore[misc]
    refused(lambda: generated_orders(one))


@pytest.mark.parametrize(
    "text", ["1E-999999999999999", "0." + "1" * 5000, "1E+999999999999999", "1." + "0" * 9000 + "1"]
)
def test_a_price_of_many_digits_is_refused(text: str) -> None:
    for price in (Decimal(text), Decimal(f"-{text}")):
        assert refused(lambda price=price: PriceGrid(price, price, 3))  # type: ignore[misc]
        assert refused(lambda price=price: GRID.tick_of(price))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("0E-999999999999", "0"),
        ("0E+999999999999", "0"),
        ("1E+3", "1000"),
        ("250.000000000", "250"),
        ("250.00", "250.00"),
        ("-2.5E+2", "-250"),
    ],
)
def test_a_grid_keeps_prices_that_can_be_written(written: str, kept: str) -> None:
    grid = PriceGrid(Decimal(1), Decimal(written), 3)
    assert str(grid.reference) == kept
    assert [f"{grid.price_of(Tick(tick)):f}" for tick in range(3)] == [
        str(Decimal(kept) + offset) for offset in (-1, 0, 1)
    ]


def test_a_context_of_the_caller_s_rounds_no_price() -> None:
    with localcontext(prec=3):
        grid = PriceGrid(Decimal("0.25"), Decimal("123456789.5"), 3)
        assert str(grid.price_of(Tick(0))) == "123456789.25"
        assert grid.units_of(Tick(2)) == 123_456_789_750_000


def test_whole_numbers_of_numpy_are_taken_as_python_s() -> None:
    listing = OutrightListing(GRID, np.int64(5), np.array(7))  # type: ignore[arg-type]
    terms = VenueTerms(listing, Pricing.UNIFORM, np.int16(4))  # type: ignore[arg-type]
    numbers = (listing.margin_rate_ppm, listing.multiplier, terms.owners_min)
    assert numbers == (5, 7, 4)
    assert [type(number) for number in numbers] == [int] * 3
