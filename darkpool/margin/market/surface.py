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
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from darkpool.margin.errors import Problem
from darkpool.margin.valuation.black import black_76
from darkpool.margin.valuation.elementary import log_ratio

YEAR_MS: Final = 365 * 86_400_000
"""A year of 365 days: time to expiry is counted in these."""

_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Smile:
    """Volatilities of one expiry at strikes in ascending order.

    Attributes:
        expiry_ms: Unix milliseconds.
        forward: price for that time, in the unit of the strikes.
        volatilities: a year, 1.0 being 100 percent.
    """

    expiry_ms: int
    forward: float
    strikes: tuple[float, ...]
    volatilities: tuple[float, ...]

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

    def arbitrage(self) -> list[Problem]:
        """What is wrong with it: butterflies within an expiry, calendars between two."""
        problems = []
        for index, smile in enumerate(self.smiles):
            years = (smile.expiry_ms - self.time_ms) / YEAR_MS
            problems += _butterflies(f"expiries[{index}]", smile, years)
            if index:
                problems += self._calendars(index)
        return problems

    def _calendars(self, index: int) -> list[Problem]:
        before, after = self.smiles[index - 1], self.smiles[index]
        nodes = sorted(
            log_ratio(k, smile.forward) for smile in (before, after) for k in smile.strikes
        )
        for node in nodes:
            first, second = self._variance(before, node), self._variance(after, node)
            if second < first * (1 - _TOLERANCE):
                expected = f"total variance of at least {first:.6g}, that of the expiry before"
                return [
                    Problem(
                        f"expiries[{index}].volatilities",
                        f"{expected}, at log-moneyness {node:.4g}",
                        f"{second:.6g}",
                    )
                ]
        return []


def _butterflies(path: str, smile: Smile, years: float) -> list[Problem]:
    """Undiscounted calls must fall in the strike, by at most its change, and be convex in it."""
    strikes = smile.strikes
    prices = black_76(True, smile.forward, strikes, smile.volatilities, years).price.tolist()
    points = [(0.0, smile.forward), *zip(strikes, prices, strict=True)]
    slopes = _slopes(points)
    limits = [-1.0, *slopes]
    for index, (before, slope) in enumerate(zip(limits, slopes, strict=False)):
        if slope < before - _TOLERANCE or slope > _TOLERANCE:
            expected = "call prices that fall ever slower in the strike"
            strike, volatility = strikes[index], smile.volatilities[index]
            got = f"volatility {volatility:g} at strike {strike:g}"
            return [Problem(f"{path}.volatilities[{index}]", expected, got)]
    return []


def _slopes(points: Sequence[tuple[float, float]]) -> list[float]:
    return [(high - low) / (right - left) for (left, low), (right, high) in pairwise(points)]
