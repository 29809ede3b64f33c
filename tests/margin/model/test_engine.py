"""The engine for many accounts against the one for a single portfolio, and after every tick."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkpool.errors import OutOfBounds
from darkpool.margin.errors import NoPrice
from darkpool.margin.market.market import Market, read_market
from darkpool.margin.model.caps import Holdings
from darkpool.margin.model.engine import RiskEngine
from darkpool.margin.model.portfolio import EXPOSURE_MAX, PortfolioMargin
from darkpool.margin.model.scenarios import Integers, lot_risk
from darkpool.units import AccountId, Cash
from tests.support.margin_houses import MARKET, market, specification

SPECIFICATION = specification()
CONTRACTS = tuple(SPECIFICATION.contracts.values())
sizes = st.one_of(st.just(0), st.just(0), st.integers(-30, 30), st.integers(-(10**5), 10**5))
portfolio = st.lists(sizes, min_size=len(CONTRACTS), max_size=len(CONTRACTS)).map(np.array)


def moved(btc: str, eth: str, perpetual: str = "60000") -> Market:
    data: Any = json.loads(MARKET)
    data["underlyings"][0]["expiries"][0]["forward"] = btc
    data["underlyings"][0]["perpetual"] = perpetual
    data["underlyings"][1]["expiries"][0]["forward"] = eth
    return read_market("moved.json", json.dumps(data))


def holdings(nets: list[Integers]) -> dict[AccountId, Holdings]:
    cash = Cash(10**12)
    return {AccountId(f"0x{k:040x}"): Holdings(cash, Cash(k), net) for k, net in enumerate(nets)}


def require_equal(engine: RiskEngine, accounts: dict[AccountId, Holdings], at: Market) -> None:
    single = PortfolioMargin(SPECIFICATION, lot_risk(SPECIFICATION, at, CONTRACTS))
    for index, (account, held) in enumerate(accounts.items()):
        required, standing = single.requirement(held.net), engine.standing(index)
        assert standing.account == account
        assert (standing.maintenance, standing.initial) == (required.maintenance, required.initial)
        assert standing.equity == held.cash - held.cost + single.value(held.net)


@given(st.lists(portfolio, min_size=1, max_size=5), st.integers(20_000, 200_000), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_every_tick_gives_what_a_fresh_computation_gives(
    nets: list[Integers], btc: int, eth: int
) -> None:
    accounts = holdings(nets)
    engine = RiskEngine(SPECIFICATION, market(), accounts)
    require_equal(engine, accounts, market())
    first = moved(str(btc), "3040.25")
    engine.reprice(first, ["BTC"])
    require_equal(engine, accounts, first)
    second = moved(str(btc), f"{eth}000.5")
    engine.reprice(second, ["ETH"])
    require_equal(engine, accounts, second)


def test_who_is_below_maintenance_is_named() -> None:
    nets = [np.zeros(len(CONTRACTS), dtype=np.int64) for _ in range(3)]
    nets[0][0], nets[1][0] = 10, -10
    accounts = {
        name: Holdings(Cash(100_000 * 10**6), Cash(60_020_500_000 * int(held.net[0])), held.net)
        for name, held in holdings(nets).items()
    }
    engine = RiskEngine(SPECIFICATION, market(), accounts)
    assert engine.below_maintenance() == []
    engine.reprice(moved("61000", "3040.25", perpetual="61500"), ["BTC"])
    (called,) = engine.below_maintenance()
    assert called == engine.standing(1)
    assert called.equity < called.maintenance


def test_a_bad_price_changes_nothing() -> None:
    accounts = holdings([np.arange(len(CONTRACTS)) - 3])
    engine = RiskEngine(SPECIFICATION, market(), accounts)
    data: Any = json.loads(MARKET)
    del data["underlyings"][0]["perpetual"]
    with pytest.raises(NoPrice):
        engine.reprice(read_market("less.json", json.dumps(data)), ["BTC"])
    dear = moved("61000", "3040.25", perpetual=str(10**9))
    engine = RiskEngine(SPECIFICATION, market(), holdings([np.full(len(CONTRACTS), 10**5)]))
    before = engine.standing(0)
    with pytest.raises(OutOfBounds) as caught:
        engine.reprice(dear, ["BTC"])
    assert caught.value.highest == EXPOSURE_MAX
    assert engine.standing(0) == before


def test_accounts_without_positions_need_nothing() -> None:
    accounts = holdings([np.zeros(len(CONTRACTS), dtype=np.int64)] * 2)
    engine = RiskEngine(SPECIFICATION, market(), accounts)
    assert engine.standing(1).maintenance == engine.standing(1).initial == 0
    assert engine.standing(1).equity == 10**12 - 1


def test_the_bound_is_exact_where_floats_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account at the bound to the unit has margin, as one by one; a unit less, and it has none.

    Floats of its exposure are above it, as those of some accounts are.
    """
    odd = moved("61000.000001", "3040.25")
    largest = int(lot_risk(SPECIFICATION, odd, CONTRACTS).largest[1])
    lots = next(k for k in range(10**6, 2 * 10**6) if float(k) * largest > k * largest)
    net = np.zeros(len(CONTRACTS), dtype=np.int64)
    net[1] = lots
    monkeypatch.setattr("darkpool.margin.model.engine.EXPOSURE_MAX", lots * largest)
    RiskEngine(SPECIFICATION, odd, holdings([np.zeros_like(net), net]))
    monkeypatch.setattr("darkpool.margin.model.engine.EXPOSURE_MAX", lots * largest - 1)
    with pytest.raises(OutOfBounds) as caught:
        RiskEngine(SPECIFICATION, odd, holdings([np.zeros_like(net), net]))
    assert caught.value.got == lots * largest
