"""Auctions at and below zero, outright and in contracts, from sealing to audit."""

from decimal import Decimal
from pathlib import Path

import pytest

from darkpool.auction.listing import ContractListing, OutrightListing
from darkpool.auction.terms import VenueTerms
from darkpool.errors import BadInput
from darkpool.margin.errors import InvalidMarginRange
from darkpool.margin.market.market import read_market_form
from darkpool.protocol.terms import Pricing
from darkpool.simulation.order_file import parse_orders
from darkpool.simulation.venue import Places
from darkpool.units import InstrumentName, PriceGrid
from darkpool.verification.audit import audit
from tests.support.oil import MARKET, OIL, oil
from tests.support.one_process import run_here

HEADER = "account,side,size,limit\n"
CL = InstrumentName("CL")


def least_range(listing: OutrightListing) -> str:
    return listing.of([CL]).specification.form.underlyings[0].price_range_min


@pytest.mark.parametrize(
    ("tick", "reference", "ticks", "rows", "price"),
    [
        ("0.01", "-37.63", 16, "a,buy,5,-37.60\nb,sell,3,-37.65\nc,sell,7,-37.63\n", "-37.63"),
        pytest.param(
            *("1", "2", 16, "a,buy,5,-1\nb,sell,3,-3\nc,sell,7,-2\n", "-2"), marks=pytest.mark.slow
        ),
        pytest.param(
            *("0.5", "0", 8, "a,buy,5,0\nb,sell,3,0\nc,sell,7,0\n", "0.0"), marks=pytest.mark.slow
        ),
    ],
)
def test_an_outright_auction_settles_and_audits(
    tmp_path: Path, tick: str, reference: str, ticks: int, rows: str, price: str
) -> None:
    grid = PriceGrid(Decimal(tick), Decimal(reference), ticks)
    listing = OutrightListing(grid)
    orders = parse_orders((HEADER + rows).encode(), "orders", grid, CL)
    result = run_here(
        orders, VenueTerms(listing, Pricing.UNIFORM), places=Places(tmp_path / "record")
    )
    (crossed,) = result.instruments
    assert crossed.price == Decimal(price)
    share = abs(Decimal(reference)) / 10
    needed = max(share, Decimal(least_range(listing))) * 10**6
    filled = {fill.size for fill in result.fills}
    assert {one.after for one in result.margins} == {size * needed for size in filled}
    report = audit(tmp_path / "record", quick=True)
    assert report.ok, report


def test_the_oil_of_the_documentation_settles_and_audits(tmp_path: Path) -> None:
    listing = ContractListing(oil(), read_market_form("market.json", MARKET), 16)
    data = (OIL / "orders.csv").read_bytes()
    orders = parse_orders(data, "orders.csv", listing.grids, CL)
    result = run_here(
        orders, VenueTerms(listing, Pricing.UNIFORM), places=Places(tmp_path / "record")
    )
    assert len(result.margins) == 4
    assert all(0 < one.after <= one.equity for one in result.margins)
    assert audit(tmp_path / "record", quick=True).ok


def test_a_range_is_what_was_given_and_only_where_it_is_needed_by_default() -> None:
    grid = PriceGrid(Decimal(1), Decimal(20), 16)
    assert least_range(OutrightListing(grid)) == "0.000000"
    assert least_range(OutrightListing(grid, margin_range=Decimal("2.5"))) == "2.500000"
    below = PriceGrid(Decimal(1), Decimal(-20), 16)
    assert least_range(OutrightListing(below)) == "8.000000"


@pytest.mark.parametrize("text", ["0", "-1", "1000000001", "0.0000001"])
def test_a_range_has_bounds(text: str) -> None:
    grid = PriceGrid(Decimal(1), Decimal(-20), 16)
    with pytest.raises(InvalidMarginRange, match="margin range: expected"):
        OutrightListing(grid, margin_range=Decimal(text))


@pytest.mark.parametrize("reference", ["-1000000001", "1000000001"])
def test_prices_have_the_same_bound_on_both_sides(reference: str) -> None:
    with pytest.raises(BadInput, match="expected -1000000000 to 1000000000, got"):
        OutrightListing(PriceGrid(Decimal(1), Decimal(reference), 1))
    most = Decimal(reference).copy_abs() - 1
    OutrightListing(PriceGrid(Decimal(1), most.copy_sign(Decimal(reference)), 1))
