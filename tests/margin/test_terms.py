from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpool.errors import OutOfBounds
from darkpool.limits import CONTRACT_MULTIPLIER_MAX, ORDER_SIZE_MAX_LOTS, PRICE_MAX_UNITS
from darkpool.margin.terms import MarginTerms
from darkpool.units import Lots, PriceGrid, PriceUnits

rates = st.integers(0, 10**6)
multipliers = st.integers(1, CONTRACT_MULTIPLIER_MAX)
prices = st.integers(0, PRICE_MAX_UNITS).map(PriceUnits)
sizes = st.integers(0, ORDER_SIZE_MAX_LOTS).map(Lots)


def test_an_es_contract_at_ten_percent() -> None:
    grid = PriceGrid(Decimal("0.25"), Decimal(4805), 1024)
    terms = MarginTerms.on_grid(grid, rate_ppm=100_000, multiplier=50)
    # 10 % of 3 contracts of 50 at 4932.75, in millionths.
    assert terms.initial_margin(Lots(3)) == 73_991_250_000


def test_the_worst_price_may_be_the_lowest() -> None:
    grid = PriceGrid(Decimal(1), Decimal(-10), 3)
    assert MarginTerms.on_grid(grid, 10**6, 1).initial_margin(Lots(1)) == 11_000_000


@given(rates, multipliers, prices, sizes)
def test_margin_is_rounded_up(rate: int, multiplier: int, price: PriceUnits, size: Lots) -> None:
    margin = MarginTerms(rate, multiplier, price).initial_margin(size)
    exact = Fraction(price * multiplier * size * rate, 10**6)
    assert 0 <= margin - exact < 1


@given(rates, multipliers, prices, sizes, sizes)
def test_a_larger_size_never_needs_less(
    rate: int, multiplier: int, price: PriceUnits, first: Lots, second: Lots
) -> None:
    terms = MarginTerms(rate, multiplier, price)
    smaller, larger = sorted((first, second))
    assert terms.initial_margin(smaller) <= terms.initial_margin(larger)


@pytest.mark.parametrize(
    ("rate", "multiplier", "price"),
    [
        (-1, 1, 1),
        (10**6 + 1, 1, 1),
        (1, 0, 1),
        (1, CONTRACT_MULTIPLIER_MAX + 1, 1),
        (1, 1, -1),
        (1, 1, PRICE_MAX_UNITS + 1),
    ],
)
def test_terms_outside_their_bounds_are_refused(rate: int, multiplier: int, price: int) -> None:
    with pytest.raises(OutOfBounds):
        MarginTerms(rate, multiplier, PriceUnits(price))


@pytest.mark.parametrize("size", [-1, ORDER_SIZE_MAX_LOTS + 1])
def test_margin_of_a_size_outside_its_bounds_is_refused(size: int) -> None:
    with pytest.raises(OutOfBounds):
        MarginTerms(1, 1, PriceUnits(1)).initial_margin(Lots(size))
