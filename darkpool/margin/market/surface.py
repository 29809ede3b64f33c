"""The volatility surface of an underlying: total variance, interpolated between quotes.

Total variance w = volatility^2 * time, at log-moneyness k = ln(strike / forward), is linear in k
between the strikes of an expiry and linear in time between expiries at the same k; volatility is
constant beyond the first and the last strike, before the first expiry and after the last. Linear
total variance in time has no calendar arbitrage if there is none at the expiries.
Source: J. Gatheral and A. Jacquier, "Arbitrage-free SVI volatility surfaces" (Quantitative Finance
2014), for the two conditions that are checked.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from darkpool.margin.errors import Problem
from darkpool.margin.valuation.black import VOLATILITY_HIGHEST, black_76
from darkpool.margin.valuation.elementary import log_ratio

YEAR_MS: Final = 365 * 86_400_000
"""A year of 365 days: time to expiry is counted in these."""

_TOLERANCE: Final = 1e-9
"""Relative error of a total variance."""
_PRICE_ERROR: Final = 1e-11
"""Relative error of a price: ten times that of `black_76`."""


@dataclass(frozen=True, slots=True)
class Smile:
    """Volatilities of one expiry at strikes in ascending order.

    Attributes:
        expiry_ms: Unix milliseconds.
        forward: price for that time, in the unit of the strikes.
        volatilities: a year, 1.0 being 100 percent.
        rounding: how far each of them may be from what it was before it was rounded.
    """

    expiry_ms: int
    forward: float
    strikes: tuple[float, ...]
    volatilities: tuple[float, ...]
    rounding: float = 0.0

    @property
    def lowest(self) -> Smile:
        """The same with the lowest volatilities that these can have been rounded from."""
        lowest = tuple(max(0.0, level - self.rounding) for level in self.volatilities)
        return replace(self, volatilities=lowest)

    @property
    def highest(self) -> Smile:
        """The same with the highest volatilities that these can have been rounded from."""
        highest = (min(VOLATILITY_HIGHEST, level + self.rounding) for level in self.volatilities)
        return replace(self, volatilities=tuple(highest))

    def volatility(self, moneyness: float) -> float:
        """Volatility at a log-moneyness."""
        nodes = [log_ratio(strike, self.forward) for strike in self.strikes]
        right = bisect_right(nodes, moneyness)
        if right == 0:
            return self.volatilities[0]
        if right == len(nodes):
            return self.volatilities[-1]
        low, high = nodes[right - 1], nodes[right]
        share = (moneyness - low) / (high - low)
        first, second = self.volatilities[right - 1], self.volatilities[right]
        return math.sqrt(first * first + share * (second * second - first * first))


@dataclass(frozen=True, slots=True)
class VolatilitySurface:
    """Smiles in ascending order of expiry, as seen at `time_ms`; all expire later."""

    time_ms: int
    smiles: tuple[Smile, ...]

    def volatility(self, expiry_ms: int, moneyness: float) -> float:
        """Volatility for an expiry later than `time_ms`."""
        expiries = [smile.expiry_ms for smile in self.smiles]
        right = bisect_right(expiries, expiry_ms)
        if right == 0:
            return self.smiles[0].volatility(moneyness)
        before = self.smiles[right - 1]
        if right == len(expiries) or before.expiry_ms == expiry_ms:
            return before.volatility(moneyness)
        after = self.smiles[right]
        years = (expiry_ms - self.time_ms) / YEAR_MS
        first, second = self._variance(before, moneyness), self._variance(after, moneyness)
        share = (expiry_ms - before.expiry_ms) / (after.expiry_ms - before.expiry_ms)
        return math.sqrt((first + share * (second - first)) / years)

    def _variance(self, smile: Smile, moneyness: float) -> float:
        volatility = smile.volatility(moneyness)
        return volatility * volatility * ((smile.expiry_ms - self.time_ms) / YEAR_MS)

    def arbitrage(self, expiries: Sequence[int] = ()) -> list[Problem]:
        """What is wrong with it: butterflies within an expiry, calendars between two.

        A quote stands for all numbers that round to it. What some of these allow is no arbitrage.
        `expiries` are those of the file, if it has more than those with a smile.
        """
        problems = []
        places = {expiry_ms: place for place, expiry_ms in enumerate(expiries)}
        for index, smile in enumerate(self.smiles):
            place = places.get(smile.expiry_ms, index)
            path = f"expiries[{place}].volatilities"
            problems += _butterflies(path, smile, (smile.expiry_ms - self.time_ms) / YEAR_MS)
            if index:
                problems += self._calendars(path, self.smiles[index - 1], smile)
        return problems

    def _calendars(self, path: str, before: Smile, after: Smile) -> list[Problem]:
        nodes = sorted(
            log_ratio(k, smile.forward) for smile in (before, after) for k in smile.strikes
        )
        lowest, highest = before.lowest, after.highest
        for node in nodes:
            first, second = self._variance(lowest, node), self._variance(highest, node)
            if second < first * (1 - _TOLERANCE):
                expected = f"total variance of at least {first:.6g}, that of the expiry before"
                where = f"{expected}, at log-moneyness {node:.4g}"
                return [Problem(path, where, f"{second:.6g}")]
        return []


def _butterflies(path: str, smile: Smile, years: float) -> list[Problem]:
    """Prices must be convex in the strike, from that of strike zero on, and calls must not rise.

    Of each three neighbours the outer ones are taken at their highest and the one between at its
    lowest. Where that one is below the forward the options are puts, else calls: they are worth the
    least, and so their rounding errors are least.
    """
    strikes, forward = (0.0, *smile.strikes), smile.forward

    def prices(levels: Smile, *, call: bool) -> list[float]:
        valued = black_76(call, forward, smile.strikes, levels.volatilities, years).price.tolist()
        return [forward if call else 0.0, *valued]

    puts = prices(smile.lowest, call=False), prices(smile.highest, call=False)
    calls = prices(smile.lowest, call=True), prices(smile.highest, call=True)
    for middle in range(1, len(smile.strikes)):
        low, high = calls if strikes[middle] >= forward else puts
        left, right = strikes[middle] - strikes[middle - 1], strikes[middle + 1] - strikes[middle]
        outer, inner = (high[middle - 1], high[middle + 1]), low[middle]
        bends = (outer[0] - inner) / left + (outer[1] - inner) / right
        slack = _PRICE_ERROR * ((outer[0] + inner) / left + (outer[1] + inner) / right)
        rises = calls[0][middle + 1] > calls[1][middle] * (1 + _PRICE_ERROR)
        if bends < -slack or rises:
            expected = "call prices that fall ever slower in the strike"
            got = f"volatility {smile.volatilities[middle]:g} at strike {strikes[middle + 1]:g}"
            return [Problem(f"{path}[{middle}]", expected, got)]
    return []
