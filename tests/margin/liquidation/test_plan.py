"""Plans of liquidation, the intents that they become, and what is given up of their fills."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkpool.errors import BadInput, OutOfBounds
from darkpool.limits import ORDER_SIZE_MAX_LOTS
from darkpool.margin.accounts.defaults import CloseOut
from darkpool.margin.accounts.house import INSURANCE_FUND
from darkpool.margin.errors import InsufficientMargin, InvalidParties, ReserveOffGrid
from darkpool.margin.liquidation.liquidator import (
    give_up,
    in_one_auction,
    limit_order,
    shares_of_fill,
)
from darkpool.margin.liquidation.plan import (
    LiquidationOrder,
    LiquidationTerms,
    Maker,
    conceded,
    liquidation_orders,
)
from darkpool.margin.model.caps import Holdings, PriceRange, equity, surplus
from darkpool.margin.model.scenarios import Integers
from darkpool.protocol.intents import LimitOrder
from darkpool.units import AuctionId, Cash, Interval, Lots, PriceGrid, PriceUnits, Side, Tick
from tests.support.margin_houses import margin_at
from tests.support.margin_lives import (
    ALICE,
    BOB,
    CAROL,
    CONTRACTS,
    FIRST,
    LIQUIDATOR,
    ONE,
    TERMS,
    house,
    named,
    to_close,
    traded,
)

NOW = margin_at(100)
FUTURE = named("BTC-MAR")
sizes = st.one_of(st.just(0), st.just(0), st.integers(-30, 30), st.integers(-2_000, 2_000))
portfolios = st.lists(sizes, min_size=len(CONTRACTS), max_size=len(CONTRACTS)).map(np.array)
parts = st.integers(-500_000, 1_000_000)


def with_equity(net: Integers, part_ppm: int) -> Holdings:
    """An account whose equity is a part of its initial margin."""
    initial = NOW.requirement(net).initial
    return Holdings(Cash(initial * part_ppm // 10**6), NOW.value(net), net)


def filled(held: Holdings, orders: tuple[LiquidationOrder, ...]) -> Holdings:
    """The account once its orders have filled at their reserve prices."""
    net, cost = held.net.copy(), int(held.cost)
    for order in orders:
        lots = order.size if order.side is Side.BUY else -order.size
        net[order.contract_index] += lots
        cost += lots * order.reserve * CONTRACTS[order.contract_index].multiplier
    return Holdings(held.cash, Cash(cost), net)


@given(portfolios, parts)
@settings(max_examples=100)
def test_a_plan_restores_the_account_or_closes_all(net: Integers, part: int) -> None:
    held = with_equity(net, part)
    orders = liquidation_orders(NOW, held, CONTRACTS, TERMS)
    after = filled(held, orders)
    assert surplus(NOW, after) >= 0 or not after.net.any()
    assert len({order.contract_index for order in orders}) == len(orders)
    for order in orders:
        assert 1 <= order.size <= abs(net[order.contract_index])
        assert (order.side is Side.SELL) == (net[order.contract_index] > 0)
    assert bool(orders) == (surplus(NOW, held) < 0 and bool(net.any()))


@given(st.integers(0, len(CONTRACTS) - 1), st.integers(-2_000, 2_000), parts)
def test_of_one_position_no_lot_too_many_is_closed(
    contract_index: int, lots: int, part: int
) -> None:
    net = np.zeros(len(CONTRACTS), dtype=np.int64)
    net[contract_index] = lots
    held = with_equity(net, part)
    orders = liquidation_orders(NOW, held, CONTRACTS, TERMS)
    if not orders:
        return
    (order,) = orders
    fewer = LiquidationOrder(
        contract_index, order.instrument, order.side, Lots(order.size - 1), order.reserve
    )
    assert surplus(NOW, filled(held, (fewer,))) < 0


@given(portfolios, parts, st.integers(0, 10**9))
@settings(max_examples=50)
def test_better_prices_restore_it_too(net: Integers, part: int, better: int) -> None:
    held = with_equity(net, part)
    orders = liquidation_orders(NOW, held, CONTRACTS, TERMS)
    improved = tuple(
        LiquidationOrder(
            o.contract_index,
            o.instrument,
            o.side,
            o.size,
            PriceUnits(o.reserve + (better if o.side is Side.SELL else -better)),
        )
        for o in orders
    )
    after = filled(held, improved)
    assert surplus(NOW, after) >= 0 or not after.net.any()


def test_the_position_that_frees_most_for_its_cost_goes_first() -> None:
    """A short call far out concedes little and frees its minimum; the future alone would do."""
    net = np.zeros(len(CONTRACTS), dtype=np.int64)
    net[CONTRACTS.index(FUTURE)], net[CONTRACTS.index(named("ETH-PERP"))] = 10, 10
    held = with_equity(net, 950_000)
    (order,) = liquidation_orders(NOW, held, CONTRACTS, TERMS)
    rates = {}
    for contract_index in np.flatnonzero(net).tolist():
        fewer = net.copy()
        fewer[contract_index] -= 1
        mark = NOW.value_of(contract_index, 1) // CONTRACTS[contract_index].multiplier
        cost = mark - conceded(NOW, CONTRACTS, contract_index, 1, TERMS.concession_ppm)
        freed = NOW.requirement(net).initial - NOW.requirement(fewer).initial
        rates[contract_index] = freed / (cost * CONTRACTS[contract_index].multiplier)
    assert order.contract_index == max(rates, key=lambda contract_index: rates[contract_index])


def test_a_leg_of_a_hedge_is_not_closed_alone() -> None:
    """Where each single leg only adds risk, an equal part of all is closed."""
    net = np.zeros(len(CONTRACTS), dtype=np.int64)
    net[CONTRACTS.index(FUTURE)], net[CONTRACTS.index(named("BTC-JUN"))] = 1_000, -1_000
    held = with_equity(net, 800_000)
    orders = liquidation_orders(NOW, held, CONTRACTS, TERMS)
    assert {(order.side, order.size) for order in orders} == {(Side.SELL, 1_000), (Side.BUY, 1_000)}
    assert 0 <= equity(NOW, filled(held, orders)) < 2 * 1_000
    cheap = LiquidationTerms(LIQUIDATOR, 100, 500_000)
    first, second = liquidation_orders(NOW, with_equity(net, 600_000), CONTRACTS, cheap)
    assert 200 < second.size <= first.size < 400
    assert first.size - second.size < 20


def test_a_reserve_price_by_hand() -> None:
    """A tenth of what a lot needs: 15.5 % of 61,000."""
    contract_index = CONTRACTS.index(FUTURE)
    assert conceded(NOW, CONTRACTS, contract_index, 5, 100_000) == (61_000 - 945.5) * ONE
    assert conceded(NOW, CONTRACTS, contract_index, -5, 100_000) == (61_000 + 945.5) * ONE


GRID = PriceGrid(Decimal("0.5"), Decimal(61_000), 201)


@pytest.mark.parametrize(
    ("side", "reserve", "tick"),
    [
        (Side.SELL, 61_000_000_000, 100),
        (Side.SELL, 60_999_500_001, 100),
        (Side.BUY, 61_000_000_000, 100),
        (Side.BUY, 61_000_499_999, 100),
        (Side.SELL, 50_000_000_000, 0),
        (Side.BUY, 70_000_000_000, 200),
    ],
)
def test_a_limit_is_never_worse_than_the_reserve_price(side: Side, reserve: int, tick: int) -> None:
    order = LiquidationOrder(1, FUTURE.identifier, side, Lots(3), PriceUnits(reserve))
    assert limit_order(order, GRID) == LimitOrder(side, Lots(3), Tick(tick))


@pytest.mark.parametrize(("side", "reserve"), [(Side.SELL, 61_050_000_001), (Side.BUY, 6)])
def test_a_reserve_price_that_no_tick_keeps_to(side: Side, reserve: int) -> None:
    order = LiquidationOrder(1, FUTURE.identifier, side, Lots(3), PriceUnits(reserve))
    with pytest.raises(ReserveOffGrid):
        limit_order(order, GRID)


def test_an_intent_is_no_larger_than_an_intent_may_be() -> None:
    large = Lots(ORDER_SIZE_MAX_LOTS + 1)
    order = LiquidationOrder(1, FUTURE.identifier, Side.SELL, large, PriceUnits(61_000 * ONE))
    assert limit_order(order, GRID).size == ORDER_SIZE_MAX_LOTS


def test_a_fill_is_given_up_at_its_price() -> None:
    accounts = house({ALICE: 100_000, BOB: 100_000, LIQUIDATOR: 100_000})
    traded(accounts, FUTURE, ALICE, BOB, 5, 60_000 * ONE)
    traded(accounts, FUTURE, BOB, LIQUIDATOR, 3, 61_000 * ONE)
    fill = CloseOut(FUTURE.identifier, Lots(3), PriceUnits(61_000 * ONE))
    for size in (0, 4):
        with pytest.raises(OutOfBounds):
            give_up(accounts, LIQUIDATOR, ALICE, Side.SELL, replace(fill, size=Lots(size)))
    for account, side in ((ALICE, Side.BUY), (BOB, Side.SELL), (CAROL, Side.SELL)):
        if account != BOB:
            with pytest.raises(OutOfBounds):
                give_up(accounts, LIQUIDATOR, account, side, fill)
    give_up(accounts, LIQUIDATOR, ALICE, Side.SELL, fill)
    accounts.verify_conservation()
    assert accounts.is_flat(LIQUIDATOR)
    alice = accounts.positions(ALICE)[FUTURE.identifier]
    assert (alice.net, alice.cost) == (2, (300_000 - 183_000) * ONE)
    assert alice.entry == 120_000 * ONE


def test_of_several_accounts_the_larger_side_goes_first_at_the_best_reserve_price() -> None:
    orders = {
        CAROL: [to_close(Side.SELL, 4, 90), to_close(Side.BUY, 1, 7, contract_index=0)],
        ALICE: [to_close(Side.SELL, 3, 95)],
        BOB: [to_close(Side.BUY, 6, 110), to_close(Side.BUY, 1, 6, contract_index=0)],
    }
    first, second = in_one_auction(orders)
    assert first == to_close(Side.BUY, 2, 6, contract_index=0)
    assert second == to_close(Side.SELL, 7, 95)
    assert shares_of_fill(second, Lots(7), orders) == {ALICE: 3, CAROL: 4}
    assert shares_of_fill(second, Lots(5), orders) == {ALICE: 3, CAROL: 2}
    assert shares_of_fill(second, Lots(1), orders) == {ALICE: 1}
    assert shares_of_fill(second, Lots(0), orders) == {}
    with pytest.raises(OutOfBounds):
        shares_of_fill(second, Lots(8), orders)
    (equal,) = in_one_auction({ALICE: [to_close(Side.BUY, 4, 9)], BOB: [to_close(Side.SELL, 4, 8)]})
    assert equal.side is Side.SELL


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda: LiquidationTerms(LIQUIDATOR, 500_001, 0), OutOfBounds),
        (lambda: LiquidationTerms(LIQUIDATOR, 0, 1_000_001), OutOfBounds),
        (
            lambda: LiquidationTerms(LIQUIDATOR, 0, 0, (Maker(LIQUIDATOR, 1, Cash(0)),)),
            InvalidParties,
        ),
        (lambda: LiquidationTerms(INSURANCE_FUND, 0, 0), InvalidParties),
        (lambda: Maker(FIRST, 0, Cash(0)), OutOfBounds),
        (lambda: Maker(FIRST, 1, Cash(-1)), OutOfBounds),
    ],
)
def test_terms_that_cannot_be(change: Callable[[], object], error: type[BadInput]) -> None:
    with pytest.raises(error):
        change()


def test_a_called_account_adds_no_risk() -> None:
    accounts = house({ALICE: 19_000, BOB: 500_000})
    traded(accounts, FUTURE, ALICE, BOB, 2, 61_000 * ONE)
    auction = AuctionId(FUTURE.identifier, Interval(1))
    grid = PriceRange(PriceUnits(60_000 * ONE), PriceUnits(62_000 * ONE))
    with pytest.raises(InsufficientMargin):
        accounts.reserve(ALICE, auction, Lots(1), grid, NOW)
