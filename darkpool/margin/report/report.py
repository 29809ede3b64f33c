"""A portfolio's margin with everything that it comes from, for people to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from darkpool.margin.market.instruments import Contract, Specification
from darkpool.margin.market.market import Market
from darkpool.margin.model.caps import equity
from darkpool.margin.model.portfolio import PortfolioMargin, Requirement
from darkpool.margin.model.scenarios import SCENARIOS, Integers, lot_risk
from darkpool.margin.report.portfolio_file import Portfolio
from darkpool.units import Cash

_DAYS_PER_YEAR = 365
_VOLATILITY_POINTS = 100


@dataclass(frozen=True, slots=True)
class Greeks:
    """Sensitivities of all positions on an underlying; money is in the currency.

    Attributes:
        delta: units of the underlying that move alike.
        gamma: change of delta for a move of the underlying by one unit of currency.
        vega: change of value for one point of volatility, 0.01.
        theta: change of value in a day.
        vanna: change of delta for a point of volatility.
        volga: change of vega for a point of volatility.
    """

    delta: float
    gamma: float
    vega: float
    theta: float
    vanna: float
    volga: float


@dataclass(frozen=True, slots=True)
class PositionLine:
    """A position: lots, what it is worth, and its gain in its underlying's worst scenario."""

    contract: Contract
    lots: int
    value: Cash
    worst: Cash


@dataclass(frozen=True, slots=True, eq=False)
class MarginReport:
    """Everything about a portfolio's margin.

    Attributes:
        equity: collateral less the cost of positions and plus their value.
        collateral: what cash and each token count for.
        gains: of each underlying in each scenario, cash units.
    """

    equity: Cash
    collateral: Mapping[str, Cash]
    requirement: Requirement
    positions: tuple[PositionLine, ...]
    gains: Mapping[str, Integers]
    greeks: Mapping[str, Greeks]

    @property
    def surplus(self) -> Cash:
        """Equity less initial margin; below zero, no risk may be added."""
        return Cash(self.equity - self.requirement.initial)


def margin_report(
    specification: Specification, market: Market, portfolio: Portfolio
) -> MarginReport:
    """Compute the margin of a portfolio.

    Raises:
        NoPrice: the market lacks a price.
        OutOfBounds: lots or positions larger than margin is computed for.
    """
    contracts, holdings = portfolio.contracts, portfolio.holdings
    margin = PortfolioMargin(specification, lot_risk(specification, market, contracts))
    requirement = margin.requirement(holdings.net)
    changes = margin.changes(holdings.net)
    names = [contract.underlying for contract in contracts]
    gains = {
        name: changes[[other == name for other in names]].sum(axis=0)
        for name in dict.fromkeys(names)
    }
    lines = []
    for index, contract in enumerate(contracts):
        lots = int(holdings.net[index])
        worst = requirement.own[contract.underlying].scenario
        change = 0 if worst is None else int(changes[index, worst])
        lines.append(PositionLine(contract, lots, margin.value_of(index, lots), Cash(change)))
    return MarginReport(
        equity=equity(margin, holdings),
        collateral={"cash": holdings.cash}
        | {token: margin.collateral({token: held}) for token, held in holdings.tokens.items()},
        requirement=requirement,
        positions=tuple(lines),
        gains=gains,
        greeks=_greeks(market, contracts, holdings.net),
    )


def added_at_value(
    specification: Specification,
    market: Market,
    portfolio: Portfolio,
    additions: Sequence[tuple[Contract, int]],
) -> Portfolio:
    """A portfolio after trades (contract, lots bought or, below zero, sold) at values, not prices.

    Equity stays what it was, but for rounding.

    Raises:
        NoPrice, OutOfBounds: as `margin_report`.
    """
    contracts, holdings = portfolio.contracts, portfolio.holdings
    every = tuple(dict.fromkeys([*contracts, *(contract for contract, _ in additions)]))
    net = np.zeros(len(every), dtype=np.int64)
    net[: len(contracts)] = holdings.net
    more = np.zeros_like(net)
    for contract, lots in additions:
        more[every.index(contract)] += lots
    margin = PortfolioMargin(specification, lot_risk(specification, market, every))
    cost = Cash(holdings.cost + margin.value(more))
    return Portfolio(every, replace(holdings, cost=cost, net=net + more))


def _greeks(market: Market, contracts: Sequence[Contract], net: Integers) -> dict[str, Greeks]:
    sums: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
    for contract, lots in zip(contracts, net.tolist(), strict=True):
        per_lot = _greeks_of(market, contract) * contract.multiplier
        total = sums.setdefault(contract.underlying, np.zeros(len(per_lot)))
        total += lots * per_lot
    return {name: Greeks(*total.tolist()) for name, total in sums.items()}


def _greeks_of(market: Market, contract: Contract) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Of one unit of the underlying, in the units of `Greeks`."""
    if not contract.kind.is_option:
        return np.array([1.0, 0, 0, 0, 0, 0])
    values = market.option(contract).values()
    return np.array(
        [
            values.delta[0],
            values.gamma[0],
            values.vega[0] / _VOLATILITY_POINTS,
            values.theta[0] / _DAYS_PER_YEAR,
            values.vanna[0] / _VOLATILITY_POINTS,
            values.volga[0] / _VOLATILITY_POINTS**2,
        ]
    )


def scenario_label(index: int) -> str:
    """Words for a scenario: the move of the price, in quarters of its range, and of volatility."""
    scenario = SCENARIOS[index]
    price = "extreme " if scenario.tail else ""
    price += "price unchanged" if scenario.quarters == 0 else f"price {scenario.quarters:+d}/4"
    return f"{price}, volatility {('down', 'unchanged', 'up')[scenario.volatility + 1]}"
