from dataclasses import astuple, replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpool.client.plan import CoverPolicy
from darkpool.client.standing_orders import (
    COVER,
    OrderState,
    PlacedOrder,
    StandingOrder,
    interval_order,
)
from darkpool.errors import (
    BadInput,
    DarkpoolError,
    InvalidAccount,
    NoBucket,
    OutOfBounds,
    WrongType,
)
from darkpool.protocol.intents import LimitOrder
from darkpool.units import InstrumentId, Interval, Lots, PriceGrid, PriceUnits, Side, Tick
from tests.support.agent_desk import order

GRID = PriceGrid(Decimal("0.25"), Decimal(100), 8)
"""Prices 99 to 100.75."""


def mapped(side: Side, limit: int, size: int = 10, filled: int = 0, cap: int = 50) -> LimitOrder:
    standing = order(size, limit, side=side, cap=Lots(cap))
    return interval_order(PlacedOrder(1, standing, Lots(filled), OrderState.LIVE), GRID)


@pytest.mark.parametrize(
    ("side", "limit", "tick"),
    [
        (Side.BUY, 99_000_000, 0),
        (Side.BUY, 100_000_000, 4),
        (Side.BUY, 100_750_000, 7),
        (Side.SELL, 99_000_000, 0),
        (Side.SELL, 100_750_000, 7),
        # Between two ticks: the one that is no worse for the order.
        (Side.BUY, 100_249_999, 4),
        (Side.SELL, 100_000_001, 5),
        # Beyond the grid on the aggressive side: the last price on that side.
        (Side.BUY, 200_000_000, 7),
        (Side.BUY, 100_750_001, 7),
        (Side.SELL, -5_000_000, 0),
        (Side.SELL, 98_999_999, 0),
    ],
)
def test_a_limit_becomes_the_tick_that_is_no_worse(side: Side, limit: int, tick: int) -> None:
    assert mapped(side, limit) == LimitOrder(side, Lots(10), Tick(tick))


@pytest.mark.parametrize(
    ("side", "limit"), [(Side.BUY, 98_999_999), (Side.BUY, -1), (Side.SELL, 100_750_001)]
)
def test_a_limit_beyond_the_grid_on_the_passive_side_is_cover(side: Side, limit: int) -> None:
    assert mapped(side, limit) == COVER
    assert COVER.size == 0


def test_no_order_is_cover() -> None:
    assert interval_order(None, GRID) == COVER


def test_what_is_left_is_sealed_and_at_most_the_cap() -> None:
    assert mapped(Side.BUY, 100_000_000, 100, 30, 50).size == 50
    assert mapped(Side.BUY, 100_000_000, 100, 60, 50).size == 40


@given(
    side=st.sampled_from(Side),
    limit=st.integers(90_000_000, 110_000_000),
    size=st.integers(1, 1000),
    filled=st.integers(0, 999),
)
def test_an_order_never_trades_beyond_its_limit(
    side: Side, limit: int, size: int, filled: int
) -> None:
    filled = min(filled, size - 1)
    sealed = mapped(side, limit, size, filled, 100)
    price = GRID.units_of(sealed.limit)
    if sealed.size:
        assert (price <= limit) if side is Side.BUY else (price >= limit)
        assert sealed.size == min(size - filled, 100)
    else:
        better = [GRID.units_of(Tick(t)) for t in range(GRID.ticks)]
        assert not any(p <= limit if side is Side.BUY else p >= limit for p in better)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"size": 0}, OutOfBounds),
        ({"size": 10_000_001}, OutOfBounds),
        ({"size": 1.0}, WrongType),
        ({"size": True}, WrongType),
        ({"size": "5"}, WrongType),
        ({"side": "buy"}, WrongType),
        ({"side": 0}, WrongType),
        ({"cap": 50.0}, WrongType),
        ({"instrument": "ES"}, WrongType),
        ({"account": None}, WrongType),
        ({"limit": 10**18 + 1}, OutOfBounds),
        ({"good_until": 0}, OutOfBounds),
        ({"good_until": 1 << 63}, OutOfBounds),
        ({"cap": 3}, NoBucket),
        ({"instrument": InstrumentId(b"ES")}, OutOfBounds),
        ({"account": "0x00"}, InvalidAccount),
    ],
)
def test_an_order_that_cannot_be_is_refused(
    changes: dict[str, object], error: type[DarkpoolError]
) -> None:
    with pytest.raises(error):
        replace(order(), **changes)  # type: ignore[arg-type]


def test_an_order_keeps_what_it_is_given_in_one_spelling_of_its_own_kinds() -> None:
    given = order(
        np.int64(7),
        np.array(5),
        account=order().account.lower(),
        good_until=np.uint8(9),
        cap=np.uint16(20),
    )
    assert given == order(7, 5, good_until=Interval(9), cap=Lots(20))
    kinds = [type(value) for value in astuple(given)]
    assert kinds == [str, bytes, Side, int, int, int, int]


@pytest.mark.parametrize(
    ("rate", "cap", "error"),
    [
        (-1, 50, OutOfBounds),
        (1_000_001, 50, OutOfBounds),
        (10, 51, NoBucket),
        (10, 0, NoBucket),
    ],
)
def test_a_cover_policy_that_cannot_be_is_refused(
    rate: int, cap: int, error: type[BadInput]
) -> None:
    with pytest.raises(error):
        CoverPolicy(rate, Lots(cap))


def test_what_remains_is_exact() -> None:
    standing: StandingOrder = order(10_000_000, PriceUnits(1))
    assert PlacedOrder(1, standing, Lots(9_999_999), OrderState.LIVE).remaining == 1
