"""What a unit of each contract is worth now and in the scenarios: Black-76, and the surface.

The engine's numbers are floating point before they are rounded, and so are these, computed in
another way. Where the two may round differently either integer is taken, and from there on all is
exact.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from darkpool.record.margin_forms import (
    MARGIN_VERSION,
    VALUES,
    ContractRecord,
    MarginInputs,
    RiskArrayRecord,
    UnderlyingRecord,
)
from darkpool.verification.errors import Unsound
from darkpool.verification.prices import DAY_MS, OPTIONS, PPM, ExpiryFeeds, Kept, Quotes
from darkpool.verification.report import Findings

YEAR_MS: Final = 365 * DAY_MS
YEARS_MAX: Final = 100
"""Time to an option's expiry; keeps discount factors far from overflow."""

PRICE_LEAST_PPM: Final = PPM // 100
VOLATILITY_LEAST: Final = 0.25
_VOLATILITY_TIME_MS: Final = 30 * DAY_MS

# Relative, of what Black-76 gives; in price units, for values near 0; and relative to forward and
# strike, whose difference a value is: some units in the last place of a double, 2**-53.
_RELATIVE: Final = 1e-12
_ABSOLUTE: Final = 1e-6
_CANCELLED: Final = 2.0**-48

Number = Fraction | float


@dataclass(frozen=True, slots=True)
class Scenario:
    """A move of the price, in quarters of its range, and of volatility: down, none or up."""

    quarters: int
    volatility: int
    tail: bool


SCENARIOS: Final = tuple(
    Scenario(quarters, volatility, tail)
    for tail in (False, True)
    for quarters in ((-4, 4) if tail else range(-4, 5))
    for volatility in (-1, 0, 1)
)


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a value lies before it is rounded; a point where it is known exactly."""

    lowest: Number
    highest: Number

    @classmethod
    def around(cls, value: float, tolerance: float) -> Interval:
        """All that is within the tolerance."""
        return cls(value - tolerance, value + tolerance)


@dataclass(frozen=True, slots=True)
class Values:
    """Of one unit: now, then in each scenario; and the gain for a move by the whole price.

    That move is the least range in price where it is more than the price.
    """

    values: tuple[Interval, ...]
    delta: Interval


def price_after(underlying: UnderlyingRecord, scenario: Scenario, price: int) -> Fraction:
    """The price in a scenario, in price units.

    By a part of the price, and no further down than to a hundredth of it; or, on an underlying with
    a least range in price, by the larger of both, whatever the sign of the price.
    """
    multiple = underlying.tail_multiple if scenario.tail else PPM
    part = underlying.price_range * scenario.quarters * multiple // (4 * PPM)
    if not underlying.price_range_min:
        return Fraction(price * max(PRICE_LEAST_PPM, PPM + part), PPM)
    least = Fraction(underlying.price_range_min * multiple * abs(scenario.quarters), 4 * PPM)
    distance = max(Fraction(abs(price * part), PPM), least)
    return price + (distance if scenario.quarters > 0 else -distance)


def check_risk_arrays(inputs: MarginInputs, findings: Findings) -> None:
    """Every published integer is what a contract is worth, rounded as it should be."""
    contracts, arrays = inputs.specification.contracts, inputs.risk.contracts
    findings.equal("risk arrays, version", MARGIN_VERSION, inputs.risk.version)
    if len(arrays) != len(contracts):
        findings.add("risk arrays, contracts", len(contracts), len(arrays))
        return
    valuation = Valuation(inputs)
    for contract, array in zip(contracts, arrays, strict=True):
        part = risk_part(contract)
        with findings.watch(part):
            require_lengths(part, array)
            _check_array(part, valuation.values(contract), array, findings)


def risk_part(contract: ContractRecord) -> str:
    """How findings call the risk array of a contract."""
    return f"risk array of {contract.name}"


def require_lengths(part: str, array: RiskArrayRecord) -> None:
    """Check that a risk array has a value for now and for each scenario.

    Raises:
        Unsound: it has not.
    """
    for what, values in (("low", array.low), ("high", array.high)):
        if len(values) != VALUES:
            raise Unsound(f"{part}, {what}", f"{VALUES} values", len(values))


def _check_array(part: str, expected: Values, array: RiskArrayRecord, findings: Findings) -> None:
    pairs = zip(expected.values, array.low, array.high, strict=True)
    for index, (value, low, high) in enumerate(pairs):
        for what, rounded, got in (("low", math.floor, low), ("high", math.ceil, high)):
            least, most = rounded(value.lowest), rounded(value.highest)
            if not least <= got <= most:
                findings.add(f"{part}, {what} {index}", _between(least, most), got)
        if not 0 <= high - low <= 1:
            findings.add(f"{part}, high {index}", _between(low, low + 1), high)
    half = Fraction(1, 2)
    least = math.ceil(Fraction(expected.delta.lowest) - half)
    most = math.floor(Fraction(expected.delta.highest) + half)
    if not least <= array.delta <= most:
        findings.add(f"{part}, delta", _between(least, most), array.delta)


def _between(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"


class Valuation:
    """Values the contracts of a specification at the numbers of a market."""

    def __init__(self, inputs: MarginInputs) -> None:
        self._quotes = Quotes(inputs)
        self._horizon_ms = inputs.specification.horizon_ms
        self._underlyings = {u.name: u for u in inputs.specification.underlyings}
        self._curves: Kept[tuple[list[float], list[float]]] = Kept()

    def values(self, contract: ContractRecord) -> Values:
        """What one unit is worth; nothing at all where it has expired.

        Raises:
            Unsound: what the contract is valued at is missing or out of range.
        """
        if self._quotes.expired(contract):
            return Values((Interval(0, 0),) * VALUES, Interval(0, 0))
        underlying = self._underlyings.get(contract.underlying)
        if underlying is None:
            part = f"specification, contract {contract.name}, underlying"
            raise Unsound(part, "one of the specification", contract.underlying)
        if contract.kind in OPTIONS:
            return self._option(contract, underlying)
        price = self._quotes.price(contract)
        moved = [price_after(underlying, scenario, price) for scenario in SCENARIOS]
        delta = max(abs(price), underlying.price_range_min)
        values = tuple(Interval(value, value) for value in (Fraction(price), *moved))
        return Values(values, Interval(delta, delta))

    def _option(self, contract: ContractRecord, underlying: UnderlyingRecord) -> Values:
        part = f"specification, contract {contract.name}"
        if contract.strike is None or contract.strike < 1:
            raise Unsound(f"{part}, strike", "above 0", contract.strike)
        quoted = self._quotes.expiry(contract)
        left_ms = quoted.expiry_ms - self._quotes.time_ms
        if left_ms > YEARS_MAX * YEAR_MS:
            raise Unsound(f"{part}, expiry_ms", f"within {YEARS_MAX} years", quoted.expiry_ms)
        forward, rate = quoted.forward.value(), quoted.rate.value() / PPM
        call, strike = contract.kind == "call", contract.strike
        volatility = self._volatility(contract.underlying, quoted, _log_ratio(strike, forward))
        now = _Black76(call, forward, strike, volatility, left_ms / YEAR_MS, rate)
        later = max(left_ms - self._horizon_ms, 0) / YEAR_MS
        values = [now.value()]
        for scenario in SCENARIOS:
            moved = price_after(underlying, scenario, forward)
            if moved <= 0:
                expected = "above 0 in every scenario, for there are options"
                raise Unsound(f"{part}, price", expected, f"{float(moved)}")
            changed = volatility * _volatility_factor(underlying, scenario, left_ms)
            values.append(_Black76(call, float(moved), strike, changed, later, rate).value())
        return Values(tuple(values), now.delta())

    def _volatility(self, underlying: str, expiry: ExpiryFeeds, moneyness: float) -> float:
        """Total variance linear in time between expiries, volatility constant beyond them."""
        smiles = self._quotes.smiles(underlying)
        right = bisect_right(smiles, expiry.expiry_ms, key=lambda smile: smile.expiry_ms)
        after = smiles[min(right, len(smiles) - 1)]
        before = smiles[max(right - 1, 0)]
        if before is after or before.expiry_ms == expiry.expiry_ms:
            return math.sqrt(self._variance(underlying, before, moneyness))
        start = self._quotes.time_ms
        first, second = before.expiry_ms - start, after.expiry_ms - start
        share = (expiry.expiry_ms - before.expiry_ms) / (second - first)
        total = (1 - share) * first * self._variance(underlying, before, moneyness)
        total += share * second * self._variance(underlying, after, moneyness)
        return math.sqrt(total / (expiry.expiry_ms - start))

    def _variance(self, underlying: str, smile: ExpiryFeeds, moneyness: float) -> float:
        name = (underlying, smile.expiry_ms)
        nodes, variances = self._curves(name, lambda: _curve(smile))
        return _interpolated(nodes, variances, moneyness)


def _curve(smile: ExpiryFeeds) -> tuple[list[float], list[float]]:
    """Log-moneyness and variance of a year at each strike."""
    forward = smile.forward.value()
    nodes = [_log_ratio(strike, forward) for strike in smile.strikes]
    return nodes, [(feed.value() / PPM) ** 2 for feed in smile.volatilities]


def _interpolated(nodes: Sequence[float], variances: Sequence[float], moneyness: float) -> float:
    """Variance of a year: linear in log-moneyness between strikes, constant beyond them."""
    right = bisect_right(nodes, moneyness)
    if right in (0, len(nodes)):
        return variances[max(right - 1, 0)]
    share = (moneyness - nodes[right - 1]) / (nodes[right] - nodes[right - 1])
    return (1 - share) * variances[right - 1] + share * variances[right]


def _volatility_factor(underlying: UnderlyingRecord, scenario: Scenario, left_ms: int) -> float:
    """Volatility in a scenario, as a part of that now: less moves the longer there is left."""
    counted = min(max(left_ms, _VOLATILITY_TIME_MS / 9), _VOLATILITY_TIME_MS * 4)
    scale = math.sqrt(_VOLATILITY_TIME_MS / counted)
    if scenario.volatility > 0:
        return 1 + scale * underlying.volatility_up / PPM
    if scenario.volatility < 0:
        return max(VOLATILITY_LEAST, 1 - scale * underlying.volatility_down / PPM)
    return 1.0


def _log_ratio(numerator: float, denominator: float) -> float:
    """Logarithm of a ratio, accurate also where the two are nearly equal."""
    difference = numerator - denominator
    if abs(difference) < denominator / 2:
        return math.log1p(difference / denominator)
    return math.log(numerator / denominator)


@dataclass(frozen=True, slots=True)
class _Black76:
    """An option on a forward, prices in price units; `volatility` and `rate` of a year."""

    call: bool
    forward: float
    strike: float
    volatility: float
    years: float
    rate: float

    def value(self) -> Interval:
        """What it is worth."""
        deviation = self.volatility * math.sqrt(self.years)
        discount = math.exp(-self.rate * self.years)
        intrinsic = self.forward - self.strike if self.call else self.strike - self.forward
        # by parity both options have the time value of the one that is out of the money
        time_value = _out_of_the_money(self.forward, self.strike, deviation) if deviation else 0.0
        value = discount * (max(intrinsic, 0.0) + time_value)
        tolerance = _RELATIVE * time_value + self._rounding() * (self.forward + self.strike)
        around = Interval.around(value, discount * tolerance + _ABSOLUTE)
        return Interval(max(around.lowest, 0), around.highest)

    def delta(self) -> Interval:
        """Discounted delta times the forward."""
        deviation = self.volatility * math.sqrt(self.years)
        scale = math.exp(-self.rate * self.years) * self.forward
        d1 = -_log_ratio(self.strike, self.forward) / deviation + deviation / 2
        probability = _normal(d1) if self.call else -_normal(-d1)
        # a logarithm is off by units in the last place of 1, and divided by the deviation
        density = math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
        tolerance = self._rounding() + _CANCELLED * density / deviation
        tolerance += _RELATIVE * abs(probability)
        return Interval.around(scale * probability, scale * tolerance + _ABSOLUTE)

    def _rounding(self) -> float:
        """Relative error of a discounted price: that of the exponent becomes one of the factor."""
        return _CANCELLED * (1 + abs(self.rate) * self.years)


def _out_of_the_money(forward: float, strike: float, deviation: float) -> float:
    """Undiscounted price of the put below the forward, or of the call above it."""
    d1 = -_log_ratio(strike, forward) / deviation + deviation / 2
    d2 = d1 - deviation
    if strike < forward:
        price = strike * _normal(-d2) - forward * _normal(-d1)
    else:
        price = forward * _normal(d1) - strike * _normal(d2)
    return max(price, 0.0)


def _normal(x: float) -> float:
    """Distribution function of the normal law; accurate to the last places in the lower tail."""
    return math.erfc(-x / math.sqrt(2)) / 2
