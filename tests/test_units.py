from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpool.errors import InvalidAccount, InvalidGrid, InvalidPrice, OutOfBounds
from darkpool.limits import CAP_BUCKETS_LOTS, ORDER_SIZE_MAX_LOTS, PRICE_MAX_UNITS, TICKS_MAX
from darkpool.units import (
    Lots,
    PriceGrid,
    PriceUnits,
    Tick,
    account_bytes,
    account_id,
    account_of,
    cap_bucket,
    price_decimal,
    price_units,
)

# Example address of EIP-55.
ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


@st.composite
def grids(draw: st.DrawFn) -> PriceGrid:
    tick_size = price_decimal(PriceUnits(draw(st.integers(1, 10**9))))
    multiple = draw(st.integers(-(10**6), 10**6))
    return PriceGrid(tick_size, tick_size * multiple, draw(st.integers(1, TICKS_MAX)))


def test_an_address_gets_its_checksum_spelling() -> None:
    assert account_id(ADDRESS) == ADDRESS
    assert account_id(ADDRESS.lower()) == ADDRESS
    assert account_id("0x" + ADDRESS[2:].upper()) == ADDRESS
    assert account_bytes(account_id(ADDRESS)) == bytes.fromhex(ADDRESS[2:])
    assert account_of(bytes.fromhex(ADDRESS[2:])) == ADDRESS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        ADDRESS[2:],
        ADDRESS[:-1],
        ADDRESS + "0",
        "0X" + ADDRESS[2:],
        ADDRESS.replace("A", "a", 1),
        ADDRESS[:-1] + "g",
        ADDRESS[:-1] + "１",
        " " + ADDRESS,
        ADDRESS + "\n",
    ],
)
def test_text_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidAccount):
        account_id(text)


def test_price_units_are_millionths() -> None:
    assert price_units(Decimal("4805.25")) == 4_805_250_000
    assert price_units(Decimal("-37.63")) == -37_630_000
    assert price_units(Decimal("0E+999999")) == 0
    assert price_units(Decimal("-0.000000000000")) == 0
    assert price_units(Decimal("1.0000000000000")) == 1_000_000
    assert price_units(Decimal("1E+3")) == 1_000_000_000
    assert str(price_decimal(PriceUnits(-37_630_000))) == "-37.630000"


@given(st.integers(-PRICE_MAX_UNITS, PRICE_MAX_UNITS))
def test_every_price_survives_the_way_to_a_decimal_and_back(units: int) -> None:
    assert price_units(price_decimal(PriceUnits(units))) == units


@pytest.mark.parametrize(
    "text",
    ["NaN", "sNaN", "Infinity", "-Infinity", "0.0000001", "1000000000000.000001", "1E+999999"],
)
def test_a_price_that_units_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(InvalidPrice):
        price_units(Decimal(text))


@given(grids())
def test_ticks_and_prices_of_a_grid_are_one_to_one(grid: PriceGrid) -> None:
    for tick in map(Tick, {0, grid.ticks // 3, grid.ticks // 2, grid.ticks - 1}):
        assert grid.tick_of(grid.price_of(tick)) == tick
        assert price_units(grid.price_of(tick)) == grid.units_of(tick)
        assert abs(grid.units_of(tick)) <= grid.worst_price_units
    assert grid.price_of(grid.reference_tick) == grid.reference
    ends = {abs(grid.units_of(Tick(0))), abs(grid.units_of(Tick(grid.ticks - 1)))}
    assert grid.worst_price_units in ends


def test_an_even_grid_has_one_more_tick_below_its_reference() -> None:
    grid = PriceGrid(Decimal("0.25"), Decimal(4805), 1024)
    assert grid.reference_tick == 512
    assert (grid.price_of(Tick(0)), grid.price_of(Tick(1023))) == (
        Decimal(4677),
        Decimal("4932.75"),
    )
    assert grid.worst_price_units == 4_932_750_000
    assert PriceGrid(Decimal(1), Decimal(0), 5).price_of(Tick(0)) == -2


def test_prices_off_the_grid_are_refused() -> None:
    grid = PriceGrid(Decimal("0.25"), Decimal(4805), 1024)
    assert grid.unbounded_tick_of(Decimal("4676.75")) == -1
    for text in ("4805.1", "4676.75", "4933", "NaN"):
        with pytest.raises(InvalidPrice):
            grid.tick_of(Decimal(text))
    for tick in (-1, 1024):
        with pytest.raises(OutOfBounds):
            grid.price_of(Tick(tick))
        with pytest.raises(OutOfBounds):
            grid.units_of(Tick(tick))


@pytest.mark.parametrize(
    ("tick_size", "reference", "ticks", "parameter"),
    [
        ("0", "1", 1, "tick size"),
        ("-0.25", "1", 1, "tick size"),
        ("0.0000001", "1", 1, "tick size"),
        ("NaN", "1", 1, "tick size"),
        ("0.25", "4805.1", 1, "reference price"),
        ("0.25", "Infinity", 1, "reference price"),
        ("0.25", "4805", 0, "ticks"),
        ("0.25", "4805", TICKS_MAX + 1, "ticks"),
        ("1", "1000000000000", 3, "ticks"),
    ],
)
def test_a_grid_that_cannot_exist_is_refused(
    tick_size: str, reference: str, ticks: int, parameter: str
) -> None:
    with pytest.raises(InvalidGrid) as caught:
        PriceGrid(Decimal(tick_size), Decimal(reference), ticks)
    assert caught.value.subject == parameter


@given(st.integers(0, ORDER_SIZE_MAX_LOTS))
def test_a_cap_is_the_smallest_bucket_that_covers_the_size(size: int) -> None:
    cap = cap_bucket(Lots(size))
    assert cap >= size
    assert cap == min(bucket for bucket in CAP_BUCKETS_LOTS if bucket >= size)


@pytest.mark.parametrize("size", [-1, ORDER_SIZE_MAX_LOTS + 1])
def test_a_size_without_a_bucket_is_refused(size: int) -> None:
    with pytest.raises(OutOfBounds):
        cap_bucket(Lots(size))
