"""Caps: nothing that an intent can do within its cap leaves an account below initial margin."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkpool.errors import OutOfBounds
from darkpool.limits import CAP_BUCKETS_LOTS
from darkpool.margin.model.caps import (
    CORNERS_INTENTS_MAX,
    Holdings,
    LiveIntent,
    PriceRange,
    largest_cap,
    surplus,
)
from darkpool.units import Cash, Lots, PriceUnits
from tests.support.margin_houses import market, specification
from tests.support.portfolios import COUNT, ENGINE, position

CONTRACTS = tuple(specification().contracts.values())
MARKS = [market().of(contract).forward(contract).price for contract in CONTRACTS]
VALUES = [int(v) for v in ENGINE.value_of_lots()]
small = st.lists(st.integers(-30, 30), min_size=COUNT, max_size=COUNT).map(np.array)


def intent(contract_index: int, cap: int, width_ppm: int = 20_000) -> LiveIntent:
    """An intent on a grid around the value of its contract."""
    multiplier = CONTRACTS[contract_index].multiplier
    middle = VALUES[contract_index] // multiplier
    half = middle * width_ppm // 10**6 + 1
    prices = PriceRange(PriceUnits(middle - half), PriceUnits(middle + half))
    return LiveIntent(contract_index, Lots(cap), prices, multiplier)


def after(holdings: Holdings, fills: list[tuple[LiveIntent, int, int]]) -> int:
    """Equity less initial margin once fills (intent, lots, price) are booked."""
    net, cost = holdings.net.copy(), int(holdings.cost)
    for filled, lots, price in fills:
        net[filled.contract_index] += lots
        cost += lots * price * filled.multiplier
    return holdings.cash - cost + ENGINE.value(net) - ENGINE.requirement(net).initial


@given(small, st.data())
@settings(max_examples=150, deadline=None)
def test_no_fills_within_caps_breach_initial_margin(net: np.ndarray, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 6))
    live = [
        intent(
            data.draw(st.integers(0, COUNT - 1)), data.draw(st.sampled_from(CAP_BUCKETS_LOTS[:9]))
        )
        for _ in range(count)
    ]
    bare = Holdings(Cash(0), Cash(0), net)
    # just enough collateral for all of it, and not a unit more
    holdings = Holdings(Cash(-surplus(ENGINE, bare, live)), Cash(0), net)
    assert surplus(ENGINE, holdings, live) == 0
    for _ in range(5):
        fills = []
        for fillable in live:
            lots = data.draw(st.integers(-fillable.cap, fillable.cap))
            fills.append(
                (
                    fillable,
                    lots,
                    data.draw(st.integers(fillable.prices.lowest, fillable.prices.highest)),
                )
            )
        assert after(holdings, fills) >= 0


@given(small, st.integers(0, COUNT - 1), st.integers(0, 10**13))
@settings(max_examples=50, deadline=None)
def test_the_cap_is_the_largest_that_passes(net: np.ndarray, contract: int, cash: int) -> None:
    holdings = Holdings(Cash(cash), Cash(0), net)
    largest = largest_cap(ENGINE, holdings, intent(contract, CAP_BUCKETS_LOTS[-1]))
    passing = [cap for cap in CAP_BUCKETS_LOTS if _passes(holdings, intent(contract, cap))]
    expected = max(passing, default=0) if surplus(ENGINE, holdings) >= 0 else 0
    assert largest == expected


def _passes(holdings: Holdings, candidate: LiveIntent) -> bool:
    try:
        return surplus(ENGINE, holdings, [candidate]) >= 0
    except OutOfBounds:
        return False


def test_a_corner_is_reached() -> None:
    """With fewer intents than are combined the reserve is not a unit too large."""
    live = [intent(0, 5), intent(3, 10), intent(6, 20)]
    bare = Holdings(Cash(0), Cash(0), position(BTC_MAR=3))
    needed = -surplus(ENGINE, bare, live)
    holdings = Holdings(Cash(needed), Cash(0), bare.net)
    corners = product((1, -1), repeat=len(live))
    assert min(after(holdings, _whole_caps(live, corner)) for corner in corners) == 0


def _whole_caps(
    live: list[LiveIntent], signs: tuple[int, ...]
) -> list[tuple[LiveIntent, int, int]]:
    return [
        (filled, sign * filled.cap, filled.prices.highest if sign > 0 else filled.prices.lowest)
        for filled, sign in zip(live, signs, strict=True)
    ]


def test_more_intents_than_are_combined_are_covered() -> None:
    live = [intent(0, 5)] * (CORNERS_INTENTS_MAX + 2)
    bare = Holdings(Cash(0), Cash(0), position())
    assert surplus(ENGINE, bare, live) <= surplus(ENGINE, bare, [intent(0, 30)])


@pytest.mark.parametrize("hedge", [-5, 5])
def test_a_hedge_has_room_on_both_sides(hedge: int) -> None:
    """Side is hidden: who is long may not have a larger cap because a sale would reduce risk."""
    cash = Cash(200_000 * 10**6)
    flat = largest_cap(ENGINE, Holdings(cash, Cash(0), position()), intent(1, 10**7))
    cost = Cash(VALUES[1] * hedge)
    held = largest_cap(ENGINE, Holdings(cash, cost, position(BTC_MAR=hedge)), intent(1, 10**7))
    assert held <= flat
