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
from darkpool.margin.errors import NoPrice, PriceNotCovered
from darkpool.margin.market.instruments import Contract, Kind, Specification, UnderlyingForm
from darkpool.margin.market.market import BACHELIER, Market
from darkpool.margin.market.surface import YEAR_MS
from darkpool.margin.valuation.black import Floats, black_76
from darkpool.record.margin_forms import MARGIN_VERSION, RiskArrayRecord, RiskArraysFile
from darkpool.units import PPM, PriceUnits

Integers = npt.NDArray[np.int64]

LOT_VALUE_MAX: Final = 2**53
"""Value of the underlying of one lot, and of its strike, in cash units."""

LOT_CHANGE_MAX: Final = 2**57
"""What a lot may be worth or change by in a scenario, in cash units."""

MOVED_PARTS: Final = 4 * PPM
"""Parts of a price unit that a moved price is counted in: then it is exact."""

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

    def moved(self, price: int, terms: UnderlyingForm) -> int:
        """The price after the move, in 1 / `MOVED_PARTS` of what `price` is in.

        It moves by a part of itself, or by a part of `price_range_min` where that is more. Without
        that range it is never below a hundredth of itself; with it, it may cross zero.
        """
        multiple = terms.tail_multiple if self.tail else PPM
        move_ppm = terms.price_range * self.quarters * multiple // (4 * PPM)
        if terms.least_range == 0:
            return price * 4 * max(_LOWEST_PRICE_PPM, PPM + move_ppm)
        moves = 4 * abs(price) * move_ppm, terms.least_range * self.quarters * multiple
        return price * MOVED_PARTS + (max(moves) if self.quarters > 0 else min(moves))


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
        delta: gain for a move of the underlying by its whole price, or by `price_range_min` where
            that is more, (contracts,).
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
        PriceNotCovered: a price at or below zero without `price_range_min`; or one that is there,
            or gets there in a scenario, where options are valued.
        OutOfBounds: underlying or strike of a lot are worth more than `LOT_VALUE_MAX`, or the lot
            itself more than `LOT_CHANGE_MAX`.
    """
    expired = np.array([market.has_expired(contract) for contract in contracts], dtype=np.bool_)
    live = np.flatnonzero(~expired).tolist()
    underlying = np.zeros(len(contracts), dtype=np.int64)
    for index in live:
        underlying[index] = _underlying_value(specification, market, contracts[index])
    units = _unit_risk(specification, market, contracts, live)
    multipliers = np.array([contract.multiplier for contract in contracts], dtype=np.int64)
    low, high = units.low * multipliers[:, None], units.high * multipliers[:, None]
    delta = units.delta * multipliers
    change_low, change_high = low[:, 1:] - high[:, :1], high[:, 1:] - low[:, :1]
    amounts = np.column_stack([low[:, 0], high[:, 0], change_low, change_high, delta, underlying])
    return LotRisk(
        tuple(contracts),
        value_low=low[:, 0],
        value_high=high[:, 0],
        change_low=change_low,
        change_high=change_high,
        delta=delta,
        underlying=underlying,
        expired=expired,
        largest=np.abs(amounts).max(axis=1, initial=0),
        low=units.low,
        high=units.high,
        unit_delta=units.delta,
        tokens=_token_prices(specification, market),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _UnitRisk:
    """`low`, `high` and `unit_delta` of `LotRisk`."""

    low: Integers
    high: Integers
    delta: Integers


def _unit_risk(
    specification: Specification,
    market: Market,
    contracts: Sequence[Contract],
    live: Sequence[int],
) -> _UnitRisk:
    """Value a unit of each contract; of those that are not `live` all is zero."""
    low, high = np.zeros((2, len(contracts), 1 + len(SCENARIOS)), dtype=np.int64)
    delta = np.zeros(len(contracts), dtype=np.int64)
    options = [index for index in live if contracts[index].kind.is_option]
    for index in live:
        contract = contracts[index]
        if not contract.kind.is_option:
            price = market.of(contract).forward(contract).price
            terms = specification.underlyings[contract.underlying]
            moved = [scenario.moved(price, terms) for scenario in SCENARIOS]
            delta[index] = max(abs(price), terms.least_range)
            low[index] = [price, *(m // MOVED_PARTS for m in moved)]
            high[index] = [price, *(-(-m // MOVED_PARTS) for m in moved)]
    if options:
        chosen = [contracts[index] for index in options]
        values = _option_values(specification, market, chosen)
        _require_bounded(chosen, np.column_stack([np.abs(values.prices), np.abs(values.deltas)]))
        low[options], high[options] = np.floor(values.prices), np.ceil(values.prices)
        delta[options] = np.rint(values.deltas)
    return _UnitRisk(low, high, delta)


def _token_prices(specification: Specification, market: Market) -> dict[str, PriceUnits]:
    prices = {}
    for token in specification.form.collateral:
        if token.underlying not in market.underlyings:
            raise NoPrice(token.token, f"an index of {token.underlying}")
        index = market.underlyings[token.underlying].index
        if index <= 0:
            raise PriceNotCovered(f"index of {token.underlying}", "above 0", index)
        prices[token.token] = index
    return prices


def _require_bounded(options: Sequence[Contract], amounts: Floats) -> None:
    """Check options' amounts in price units, (options, amounts), before they become integers."""
    for option, largest in zip(options, amounts.max(axis=1).tolist(), strict=True):
        value = largest * option.multiplier
        if not value <= LOT_CHANGE_MAX:
            got = LOT_CHANGE_MAX + 1 if math.isinf(value) or math.isnan(value) else int(value)
            what = f"value of a lot of {option.name} in cash units"
            raise OutOfBounds(what, 0, LOT_CHANGE_MAX, got)


def _underlying_value(specification: Specification, market: Market, contract: Contract) -> int:
    """What the underlying of a lot is worth, cash units."""
    price = market.of(contract).forward(contract).price
    terms = specification.underlyings[contract.underlying]
    _require_covered(contract, price, terms)
    largest = max(abs(price), terms.least_range, contract.strike or 0) * contract.multiplier
    if largest > LOT_VALUE_MAX:
        what = f"value of a lot of {contract.name} in cash units"
        raise OutOfBounds(what, -LOT_VALUE_MAX, LOT_VALUE_MAX, largest)
    return price * contract.multiplier


def _require_covered(contract: Contract, price: PriceUnits, terms: UnderlyingForm) -> None:
    subject = f"price of {contract.name}"
    if price <= 0 and contract.kind.is_option:
        raise PriceNotCovered(subject, BACHELIER, price)
    if price <= 0 and terms.least_range == 0:
        expected = f"above 0, or price_range_min of {contract.underlying} in the contracts"
        raise PriceNotCovered(subject, expected, price)
    lowest = min(scenario.moved(price, terms) for scenario in SCENARIOS)
    if lowest <= 0 and contract.kind.is_option:
        expected = f"in every scenario {BACHELIER}"
        raise PriceNotCovered(subject, expected, PriceUnits(lowest // MOVED_PARTS))


@dataclass(frozen=True, slots=True, eq=False)
class _OptionValues:
    """Of a unit of each option, in price units, as floats.

    Attributes:
        prices: now and in all scenarios, (options, 1 + scenarios).
        deltas: delta times the forward, (options,).
    """

    prices: Floats
    deltas: Floats


def _option_values(
    specification: Specification, market: Market, options: Sequence[Contract]
) -> _OptionValues:
    """Value options; volatility stays with the strike when the price moves."""
    calls = np.array([option.kind is Kind.CALL for option in options])[:, None]
    forwards = [market.of(option).forward(option) for option in options]
    forward = np.array([quote.price for quote in forwards], dtype=np.float64)[:, None]
    rate = np.array([quote.rate_ppm / PPM for quote in forwards])[:, None]
    strike = np.array([float(option.strike or 0) for option in options])[:, None]
    volatility = np.array([market.of(option).volatility(option) for option in options])
    left = np.array([market.years_left(option) for option in options])
    horizon = specification.form.horizon_ms
    later = np.array([market.years_left(option, horizon) for option in options])
    terms = [specification.underlyings[option.underlying] for option in options]
    price_moves = np.array(
        [
            [scenario.moved(quote.price, t) / (quote.price * MOVED_PARTS) for scenario in SCENARIOS]
            for quote, t in zip(forwards, terms, strict=True)
        ]
    )
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
    return _OptionValues(values * _UNITS, now.delta.reshape(-1) * forward[:, 0])


def _volatility_move(terms: UnderlyingForm, direction: int, years: float) -> float:
    """What volatility is multiplied by: the nearer the expiry, the more it moves."""
    if direction == 0:
        return 1.0
    scale = float(np.sqrt(_THIRTY_DAYS_YEARS / min(max(years, _LEAST_YEARS), _MOST_YEARS)))
    if direction > 0:
        return 1.0 + scale * (terms.volatility_up / PPM)
    return max(_LOWEST_VOLATILITY_SHARE, 1.0 - scale * (terms.volatility_down / PPM))
