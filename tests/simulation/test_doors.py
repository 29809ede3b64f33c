"""What runs an auction from Python: anything at its doors is taken as it is meant, or refused."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from crypto.errors import CryptoError
from crypto.ring.params import TEST_INSECURE_SMALL
from darkpool.auction.listing import ContractListing, OutrightListing
from darkpool.auction.terms import VenueTerms
from darkpool.chain.client import Chain
from darkpool.errors import DarkpoolError
from darkpool.protocol.terms import Pricing
from darkpool.simulation.order_file import parse_orders
from darkpool.simulation.venue import Places, VenueSetting, run_orders
from darkpool.units import InstrumentName, PriceGrid

ODD: tuple[Any, ...] = (
    *("x", "3", b"3", 3.0, True, Decimal(3), float("nan"), [3], object(), 1 << 300, -1),
    *(np.float64(3), np.bool_(True), np.array([3, 4]), np.str_("3"), np.bytes_(b"3")),
)
GRID = PriceGrid(Decimal("0.25"), Decimal(4805), 16)
LISTING = OutrightListing(GRID)
TERMS = VenueTerms(LISTING, Pricing.UNIFORM, 4)
SETTING = VenueSetting(
    TEST_INSECURE_SMALL, Chain.embedded, Places(), lambda _step, _done, _of: None
)
NAME = InstrumentName("ES")

DOORS: dict[str, Callable[[Any], object]] = {
    "grid": lambda odd: OutrightListing(odd),
    "rate": lambda odd: OutrightListing(GRID, odd),
    "multiplier": lambda odd: OutrightListing(GRID, 1, odd),
    "specification": lambda odd: ContractListing(odd, odd, 16),
    "pricing": lambda odd: VenueTerms(LISTING, odd, 4),
    "keypers": lambda odd: VenueTerms(LISTING, Pricing.UNIFORM, odd),
    "owners": lambda odd: VenueTerms(LISTING, Pricing.UNIFORM, 4, odd),
    "cap": lambda odd: VenueTerms(LISTING, Pricing.UNIFORM, 4, cap_min=odd),
    "bond": lambda odd: VenueTerms(LISTING, Pricing.UNIFORM, 4, bond=odd),
    "charge": lambda odd: VenueTerms(LISTING, Pricing.UNIFORM, 4, bond_charge_ppm=odd),
    "record": lambda odd: Places(odd),
    "openings": lambda odd: Places(None, odd),
    "parameters": lambda odd: VenueSetting(odd, Chain.embedded, Places(), SETTING.progress),
    "connect": lambda odd: VenueSetting(TEST_INSECURE_SMALL, odd, Places(), SETTING.progress),
    "places": lambda odd: VenueSetting(TEST_INSECURE_SMALL, Chain.embedded, odd, SETTING.progress),
    "progress": lambda odd: VenueSetting(TEST_INSECURE_SMALL, Chain.embedded, Places(), odd),
    "orders": lambda odd: parse_orders(odd, "orders", GRID, NAME),
    "grids": lambda odd: parse_orders(b"account,side,size,limit\n", "orders", odd, NAME),
    "an order": lambda odd: run_orders([odd], TERMS, SETTING),
    "terms": lambda odd: run_orders([], odd, SETTING),
    "setting": lambda odd: run_orders([], TERMS, odd),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_what_is_of_another_kind_is_refused_in_words(door: str, odd: Any) -> None:
    with pytest.raises((DarkpoolError, CryptoError)) as refused:
        DOORS[door](odd)
    assert str(refused.value).isprintable() or refused.value.has_lines


def test_whole_numbers_of_numpy_are_taken_as_python_s() -> None:
    listing = OutrightListing(GRID, np.int64(5), np.array(7))  # type: ignore[arg-type]
    terms = VenueTerms(listing, Pricing.UNIFORM, np.uint8(3), np.int16(4))  # type: ignore[arg-type]
    numbers = (listing.margin_rate_ppm, listing.multiplier, terms.keypers, terms.owners_min)
    assert numbers == (5, 7, 3, 4)
    assert [type(number) for number in numbers] == [int] * 4
