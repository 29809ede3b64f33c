"""What a lot of each contract is worth, and how much that changes in each scenario.

Floats end here. Every value is rounded to a price unit, down and up; a long position takes the
lower number and a short one the higher, so that rounding is against the account, and everything
after is integers. Two roundings of a value keep the loss of a position a convex function of its
size, which `darkpool.margin.model.caps` relies on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from darkpool.errors import OutOfBounds
from darkpool.limits import PRICE_DECIMALS
from darkpool.margin.errors import NoPrice
from darkpool.margin.market.instruments import Contract, Kind, Specification, UnderlyingForm
from darkpool.margin.market.market import Market
from darkpool.margin.market.surface import YEAR_MS
from darkpool.margin.valuation.black import Floats, black_76
from darkpool.record.margin_forms import MARGIN_VERSION, RiskArrayRecord, RiskArraysFile
from darkpool.units import PPM, PriceUnits

Integers = npt.NDArray[np.int64]

LOT_VALUE_MAX: Final = 2**53
"""Value of the underlying of one lot, and of its strike, in cash units."""

LOT_CHANGE_MAX: Final = 2**57
"""What a lot may be worth or change by in a scenario, in cash units."""

_UNITS: Final = 10**PRICE_DECIMALS
_THIRTY_DAYS_YEARS: Final = 30 * 86_400_000 / YEAR_MS
_LEAST_YEARS: Final = _THIRTY_DAYS_YEARS / 9
_MOST_YEARS: Final = _THIRTY_DAYS_YEARS * 4
_LOWEST_VOLATILITY_SHARE: Final = 0.25
_LOWEST_PRICE_PPM: Final = PPM // 100


@dataclass(frozen=True, slots=True)
class Scenario:
    """A move of an underlying: quarters of its price range, and of its volatility -1, 0 or 1.

    In the tail the move is the range times `tail_multiple`, and of the loss a part counts.
    """

    quarters: int
    volatility: int
    tail: bool

    def price_ppm(self, terms: UnderlyingForm) -> int:
        """The price after the move, relative to the one before; never below a hundredth."""
        multiple = terms.tail_multiple if self.tail else PPM
        move = terms.price_range * self.quarters * multiple // (4 * PPM)
        return max(_LOWEST_PRICE_PPM, PPM + move)


SCENARIOS: Final = tuple(
    Scenario(quarters, volatility, tail)
    for tail, moves in ((False, range(-4, 5)), (True, (-4, 4)))
    for quarters in moves
    for volatility in (-1, 0, 1)
)
"""Nine prices and two extreme ones, with three volatilities each: 33."""

TAIL: Final = np.array([scenario.tail for scenario in SCENARIOS])
"""Which of the scenarios are extreme, bool (33,)."""


@dataclass(frozen=True, slots=True, eq=False)
class LotRisk:
    """Risk of one lot of each of some contracts, in cash units; int64 but for `contracts`.

    Attributes:
        value_low, value_high: what it is worth, rounded down and up, (contracts,).
        change_low, change_high: change of the value, (contracts, scenarios).
        delta: gain for a move of the underlying by its whole price, (contracts,).
        underlying: value of its underlying, rounded up, (contracts,).
        expired: whether the market is later than its expiry, bool (contracts,); then all is zero,
            and a position that is not settled yet has no margin.
        largest: the most of all of these in absolute terms, (contracts,).
        low, high: value of a unit of the contract in price units, rounded down and up: now, and in
            each scenario, (contracts, 1 + scenarios).
        unit_delta: `delta` of a unit, in price units, (contracts,).
        tokens: price of each token of collateral, in price units.
    """

    contracts: tuple[Contract, ...]
    value_low: Integers
    value_high: Integers
    change_low: Integers
    change_high: Integers
    delta: Integers
    underlying: Integers
    expired: npt.NDArray[np.bool_]
    largest: Integers
    low: Integers
    high: Integers
    unit_delta: Integers
    tokens: Mapping[str, PriceUnits]

    def record(self) -> RiskArraysFile:
        """What is published of it."""
        rows = zip(self.low.tolist(), self.high.tolist(), self.unit_delta.tolist(), strict=True)
        arrays = tuple(RiskArrayRecord(tuple(low), tuple(up), delta) for low, up, delta in rows)
        return RiskArraysFile(MARGIN_VERSION, arrays)


def lot_risk(
    specification: Specification, market: Market, contracts: Sequence[Contract]
) -> LotRisk:
    """Value contracts in all scenarios.

    Raises:
        NoPrice: the market lacks what a contract's value follows from, or a token's index.
        OutOfBounds: underlying or strike of a lot are worth more than `LOT_VALUE_MAX`, or the lot
            itself more than `LOT_CHANGE_MAX`.
    """
    count = len(contracts)
    rounded = np.zeros((2, count, 1 + len(SCENARIOS)), dtype=np.int64)
    delta = np.zeros(count, dtype=np.int64)
    underlying = np.zeros(count, dtype=np.int64)
    expired = np.array([market.has_expired(contract) for contract in contracts], dtype=np.bool_)
    live = [(i, contract) for i, contract in enumerate(contracts) if not expired[i]]
    options = [i for i, contract in live if contract.kind.is_option]
    for i, contract in live:
        price = market.of(contract).forward(contract).price
        underlying[i] = _lot_value(contract, price)
        if not contract.kind.is_option:
            rounded[:, i, 0] = delta[i] = price
            rounded[:, i, 1:] = _moved(price, specification.underlyings[contract.underlying])
    if options:
        chosen = [contracts[i] for i in options]
        prices, deltas = _option_values(specification, market, chosen)
        _require_bounded(chosen, np.column_stack([np.abs(prices), np.abs(deltas)]))
        rounded[0, options], rounded[1, options] = np.floor(prices), np.ceil(prices)
        delta[options] = np.rint(deltas)
    multipliers = np.array([contract.multiplier for contract in contracts], dtype=np.int64)
    down, up = rounded * multipliers[:, None]
    changes = down[:, 1:] - up[:, :1], up[:, 1:] - down[:, :1]
    each = [down[:, :1], up[:, :1], *changes, (delta * multipliers)[:, None], underlying[:, None]]
    return LotRisk(
        tuple(contracts),
        value_low=down[:, 0],
        value_high=up[:, 0],
        change_low=changes[0],
        change_high=changes[1],
        delta=delta * multipliers,
        underlying=underlying,
        expired=expired,
        largest=np.abs(np.concatenate(each, axis=1)).max(axis=1, initial=0),
        low=rounded[0],
        high=rounded[1],
        unit_delta=delta,
        tokens=_token_prices(specification, market),
    )


def _token_prices(specification: Specification, market: Market) -> dict[str, PriceUnits]:
    found = {}
    for token in specification.form.collateral:
        if token.underlying not in market.underlyings:
            raise NoPrice(token.token, f"an index of {token.underlying}")
        found[token.token] = market.underlyings[token.underlying].index
    return found


def _require_bounded(options: Sequence[Contract], amounts: Floats) -> None:
    """Check options' amounts in price units, (options, amounts), before they become integers."""
    for option, largest in zip(options, amounts.max(axis=1).tolist(), strict=True):
        value = largest * option.multiplier
        if not value <= LOT_CHANGE_MAX:
            got = LOT_CHANGE_MAX + 1 if math.isinf(value) or math.isnan(value) else int(value)
            raise OutOfBounds(f"value of a lot of {option.name}", 0, LOT_CHANGE_MAX, got)


def _lot_value(contract: Contract, price: int) -> int:
    largest = max(price, contract.strike or 0) * contract.multiplier
    if largest > LOT_VALUE_MAX:
        raise OutOfBounds(f"value of a lot of {contract.name}", 0, LOT_VALUE_MAX, largest)
    return price * contract.multiplier


def _moved(price: int, terms: UnderlyingForm) -> Integers:
    """Prices in all scenarios, rounded down and up, shape (2, scenarios)."""
    moved = [price * scenario.price_ppm(terms) for scenario in SCENARIOS]
    return np.array([[m // PPM for m in moved], [-(-m // PPM) for m in moved]], dtype=np.int64)


def _option_values(
    specification: Specification, market: Market, options: Sequence[Contract]
) -> tuple[Floats, Floats]:
    """Values now and in all scenarios, (n, 1 + scenarios), and delta times the forward, (n,).

    Both in price units, as floats. Volatility stays with the strike when the price moves.
    """
    calls = np.array([option.kind is Kind.CALL for option in options])[:, None]
    forwards = [market.of(option).forward(option) for option in options]
    forward = np.array([found.price for found in forwards], dtype=np.float64)[:, None]
    rate = np.array([found.rate_ppm / PPM for found in forwards])[:, None]
    strike = np.array([float(option.strike or 0) for option in options])[:, None]
    volatility = np.array([market.of(option).volatility(option) for option in options])
    left = np.array([market.years_left(option) for option in options])
    horizon = specification.form.horizon_ms
    later = np.array([market.years_left(option, horizon) for option in options])
    terms = [specification.underlyings[option.underlying] for option in options]
    price_moves = np.array([[s.price_ppm(t) / PPM for s in SCENARIOS] for t in terms])
    moves = np.array(
        [
            [_volatility_move(t, s.volatility, years) for s in SCENARIOS]
            for t, years in zip(terms, left.tolist(), strict=True)
        ]
    )
    price, level, volatility = forward / _UNITS, strike / _UNITS, volatility[:, None]
    now = black_76(calls, price, level, volatility, left[:, None], rate)
    shocked = price * price_moves, level, volatility * moves
    then = black_76(calls, *shocked, later[:, None], rate)
    values = np.concatenate([now.price.reshape(-1, 1), then.price.reshape(moves.shape)], axis=1)
    return values * _UNITS, now.delta.reshape(-1) * forward[:, 0]


def _volatility_move(terms: UnderlyingForm, direction: int, years: float) -> float:
    """What volatility is multiplied by: the nearer the expiry, the more it moves."""
    if direction == 0:
        return 1.0
    scale = float(np.sqrt(_THIRTY_DAYS_YEARS / min(max(years, _LEAST_YEARS), _MOST_YEARS)))
    if direction > 0:
        return 1.0 + scale * (terms.volatility_up / PPM)
    return max(_LOWEST_VOLATILITY_SHARE, 1.0 - scale * (terms.volatility_down / PPM))
