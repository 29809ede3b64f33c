from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpool.errors import (
    InvalidAccount,
    InvalidGrid,
    InvalidPrice,
    NoBucket,
    OutOfBounds,
    WrongType,
)
from darkpool.limits import CAP_BUCKETS_LOTS, ORDER_SIZE_MAX_LOTS, PRICE_MAX_UNITS, TICKS_MAX
from darkpool.units import (
    NUMBER_MAX,
    AuctionId,
    InstrumentId,
    Interval,
    Lots,
    PriceGrid,
    PriceUnits,
    Tick,
    account_bytes,
    account_id,
    account_of,
    cap_bucket,
    integer,
    octets,
    price_decimal,
    price_units,
    require_bucket,
)

# Example address of EIP-55.
ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


ES = InstrumentId(bytes(32))


class Bytes(bytes):
    """Bytes of a class of its own."""


@st.composite
def grids(draw: st.DrawFn) -> PriceGrid:
    tick_size = price_decimal(PriceUnits(draw(st.integers(1, 10**9))))
    multiple = draw(st.integers(-(10**6), 10**6))
    return PriceGrid(tick_size, tick_size * multiple, draw(st.integers(1, TICKS_MAX)))


@pytest.mark.parametrize("seven", [7, np.int64(7), np.uint8(7), np.array(7)])
def test_a_whole_number_of_any_library_is_python_s_own(seven: Any) -> None:
    grid = PriceGrid.of_units(seven, seven * 3, seven)
    kept = (
        integer("number", seven),
        AuctionId(ES, seven).interval,
        grid.ticks,
        grid.units_of(seven - 4) // 7,
        cap_bucket(seven) - 3,
        require_bucket("cap", seven - 2) + 2,
    )
    assert kept == (7, 7, 7, 3, 7, 7)
    assert [type(number) for number in kept] == [int] * 6
    assert price_decimal(seven) == Decimal("0.000007")


NO_NUMBERS = (
    *(True, False, np.bool_(True), 7.0, np.float64(7), Decimal(7), np.array([7]), np.array([7, 8])),
    *("7", b"7", None, object(), 7j, [7]),
)


@pytest.mark.parametrize("odd", NO_NUMBERS)
def test_what_is_no_whole_number_is_told_by_its_kind(odd: Any) -> None:
    grid = PriceGrid.of_units(1, 0, 9)
    for take in (
        lambda: integer("number", odd),
        lambda: AuctionId(ES, odd),
        lambda: PriceGrid(Decimal(1), Decimal(0), odd),
        lambda: PriceGrid.of_units(odd, 1, 1),
        lambda: PriceGrid.of_units(1, odd, 1),
        lambda: grid.units_of(odd),
        lambda: grid.price_of(odd),
        lambda: cap_bucket(odd),
        lambda: require_bucket("cap", odd),
        lambda: price_decimal(odd),
    ):
        with pytest.raises(WrongType, match=f"got .*{type(odd).__name__}"):
            take()


@pytest.mark.parametrize("interval", [-1, NUMBER_MAX + 1])
def test_an_interval_has_64_bits(interval: int) -> None:
    assert AuctionId(ES, Interval(NUMBER_MAX)).interval == NUMBER_MAX
    with pytest.raises(OutOfBounds, match="interval"):
        AuctionId(ES, Interval(interval))


def test_octets_are_plain_bytes_of_their_length() -> None:
    kept = octets("digest", 4, Bytes(b"abcd"))
    assert (type(kept), kept) == (bytes, b"abcd")
    for length in (0, 3, 5):
        with pytest.raises(OutOfBounds, match=f"bytes of digest: expected 4, got {length}"):
            octets("digest", 4, bytes(length))
    for odd in (bytearray(4), memoryview(bytes(4)), "abcd", 4, None):
        with pytest.raises(WrongType, match="digest: expected 4 bytes"):
            octets("digest", 4, odd)


@pytest.mark.parametrize("cap", [-1, 0, 3, 4, 99, 10_000_001, pytest.param(10**5000, id="long")])
def test_a_cap_that_is_no_bucket_is_told_with_all_that_are(cap: int) -> None:
    with pytest.raises(NoBucket) as caught:
        require_bucket("cap", Lots(cap))
    assert "one of the buckets 1, 2, 5, 10" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_bucket_below_the_least_is_none() -> None:
    assert require_bucket("cap", Lots(5), Lots(3)) == require_bucket("cap", Lots(5), Lots(5)) == 5
    with pytest.raises(NoBucket, match="one of the buckets 10, 20"):
        require_bucket("cap", Lots(5), Lots(6))


@pytest.mark.parametrize("odd", [0.25, 1, "0.25", None, np.float64(1)])
def test_a_price_is_a_decimal_number(odd: Any) -> None:
    for take in (
        lambda: price_units(odd),
        lambda: PriceGrid(odd, Decimal(1), 1),
        lambda: PriceGrid(Decimal(1), odd, 1),
        lambda: PriceGrid.of_units(1, 1, 1).tick_of(odd),
    ):
        with pytest.raises(WrongType, match="price: expected Decimal"):
            take()


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
