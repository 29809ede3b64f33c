"""What the published rules of others charge for a portfolio, as far as they can be computed.

- SPAN (CME): sixteen scenarios, with the ranges of our specification, because its parameters come
  in files; a tiered spread charge is taken as our basis charge, a spread credit as our offset.
- TIMS (OCC): ten prices up to the range, nothing else.
- Derive: 23 scenarios and contingencies of its second version (Lyra V2 parameters), without what
  it adds for forwards, for oracles and for a currency that loses its peg. One market an account.
- Paradex: 24 weighted scenarios or the minimum for delta, each underlying by itself, without its
  provisions for fees and for the funding of the next hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from darkpool.margin.market.instruments import Contract, Kind, Specification
from darkpool.margin.market.market import Market
from darkpool.margin.valuation.black import black_76

UNITS = PPM = 10**6
DERIVE_SCENARIOS = [
    (20, 1),
    *((price, volatility) for price in range(15, -20, -5) for volatility in (1, 0, -1)),
    (-20, 1),
]
DERIVE_UP, DERIVE_DOWN, DERIVE_POWER = 0.6, 0.3, 0.13
DERIVE_PERPETUAL, DERIVE_OPTION, DERIVE_INITIAL = 0.03, 0.02, 1.25
SPAN_EXTREME, SPAN_COVER = 3, 0.33
PARADEX_UP, PARADEX_DOWN = 0.4, -0.22
PARADEX_SCENARIOS = [
    *((price, PARADEX_UP, 1.0) for price in (0.16, -0.16)),
    *((percent / 100, v, 1.0) for percent in range(-12, 16, 4) for v in (PARADEX_UP, PARADEX_DOWN)),
    *((-0.66, PARADEX_UP, 0.24), (-0.33, PARADEX_UP, 0.48), (0.5, PARADEX_UP, 0.32)),
    *((1.0, PARADEX_UP, 0.16), (2.0, PARADEX_UP, 0.08), (3.0, PARADEX_UP, 0.0533)),
    *((4.0, PARADEX_UP, 0.04), (5.0, PARADEX_UP, 0.032)),
]
PARADEX_NET, PARADEX_HEDGED = 0.02, 0.01


@dataclass(frozen=True)
class Others:
    """Charges in the currency for a portfolio, lots by contract."""

    specification: Specification
    market: Market

    def value(
        self, contract: Contract, price: float = 1.0, volatility: float = 1.0, later_ms: int = 0
    ) -> float:
        prices = self.market.of(contract)
        forward = prices.forward(contract)
        if contract.strike is None:
            return forward.price / UNITS * price
        found = black_76(
            contract.kind is Kind.CALL,
            forward.price / UNITS * price,
            contract.strike / UNITS,
            prices.volatility(contract) * volatility,
            self.market.years_left(contract, later_ms),
            forward.rate_ppm / PPM,
        )
        return float(found.price[0])

    def loss(
        self,
        held: Mapping[Contract, int],
        price: float,
        volatility: float = 1.0,
        later_ms: int = 0,
    ) -> float:
        return -sum(
            lots
            * contract.multiplier
            * (self.value(contract, price, volatility, later_ms) - self.value(contract))
            for contract, lots in held.items()
        )

    def by_underlying(self, held: Mapping[Contract, int]) -> dict[str, dict[Contract, int]]:
        found: dict[str, dict[Contract, int]] = {}
        for contract, lots in held.items():
            found.setdefault(contract.underlying, {})[contract] = lots
        return found

    def span(self, held: Mapping[Contract, int]) -> float:
        """Scanning risk and spread charge, or the minimum for short options, less the credit."""
        scans, total = {}, 0.0
        for name, part in self.by_underlying(held).items():
            terms = self.specification.underlyings[name]
            width, horizon = terms.price_range / PPM, self.specification.form.horizon_ms
            moved = terms.volatility_up / PPM
            losses = [
                self.loss(part, 1 + width * third / 3, 1 + sign * moved, horizon)
                for third in range(-3, 4)
                for sign in (-1, 1)
            ]
            extreme = width * SPAN_EXTREME
            losses += [SPAN_COVER * self.loss(part, 1 + s * extreme, 1, horizon) for s in (-1, 1)]
            scans[name] = max(0.0, *losses)
            futures = {c: n for c, n in part.items() if not c.kind.is_option}
            values = [n * c.multiplier * self.value(c) for c, n in futures.items()]
            opposite = min(sum(v for v in values if v > 0), -sum(v for v in values if v < 0))
            short = sum(
                -n * c.multiplier * self.market.of(c).forward(c).price / UNITS
                for c, n in part.items()
                if c.kind.is_option and n < 0
            )
            spread = 2 * opposite * terms.basis / PPM
            total += max(scans[name] + spread, short * terms.short_option / PPM)
        for group in self.specification.form.groups:
            legs = [scans[name] for name in group.underlyings if name in scans]
            if len(legs) > 1:
                total -= group.offset / PPM * 2 * min(legs)
        return total

    def tims(self, held: Mapping[Contract, int]) -> float:
        total = 0.0
        for name, part in self.by_underlying(held).items():
            width = self.specification.underlyings[name].price_range / PPM
            moves = np.concatenate([np.arange(-5, 0), np.arange(1, 6)]) / 5 * width
            total += max(0.0, *(self.loss(part, 1 + move) for move in moves.tolist()))
        return total

    def derive(self, held: Mapping[Contract, int]) -> tuple[float, float] | None:
        """Maintenance and initial margin; None with dated futures, which it does not list."""
        if any(contract.kind is Kind.FUTURE for contract in held):
            return None
        total = 0.0
        for part in self.by_underlying(held).values():
            losses = [self._derive_loss(part, *scenario) for scenario in DERIVE_SCENARIOS]
            strikes: dict[tuple[int | None, int | None], int] = {}
            for contract, lots in part.items():
                if contract.kind.is_option:
                    key = contract.expiry_ms, contract.strike
                    strikes[key] = strikes.get(key, 0) + lots * contract.multiplier
            spot = self.market.underlyings[next(iter(part)).underlying].index / UNITS
            perpetual = sum(
                abs(lots) * contract.multiplier
                for contract, lots in part.items()
                if contract.kind is Kind.PERPETUAL
            )
            short = sum(-lots for lots in strikes.values() if lots < 0)
            total += max(0.0, *losses)
            total += spot * (DERIVE_PERPETUAL * perpetual + DERIVE_OPTION * short)
        return total, total * DERIVE_INITIAL

    def _derive_loss(self, part: Mapping[Contract, int], percent: int, direction: int) -> float:
        total = 0.0
        for contract, lots in part.items():
            scale = 1.0
            if contract.kind.is_option:
                days = self.market.years_left(contract) * 365
                scale = (30 / days) ** DERIVE_POWER
            size = DERIVE_UP if direction > 0 else -DERIVE_DOWN
            volatility = 1 + abs(direction) * size * scale
            total += self.loss({contract: lots}, 1 + percent / 100, volatility)
        return total

    def paradex(self, held: Mapping[Contract, int]) -> tuple[float, float] | None:
        """Maintenance and initial margin; None with dated futures, which it does not list."""
        if any(contract.kind is Kind.FUTURE for contract in held):
            return None
        total = 0.0
        for name, part in self.by_underlying(held).items():
            losses = [
                weight * self._paradex_loss(part, price, volatility)
                for price, volatility, weight in PARADEX_SCENARIOS
            ]
            deltas = [lots * c.multiplier * self._delta(c) for c, lots in part.items()]
            net, gross = abs(sum(deltas)), sum(map(abs, deltas))
            spot = self.market.underlyings[name].index / UNITS
            least = (PARADEX_NET * net + PARADEX_HEDGED * (gross - net) / 2) * spot
            total += max(least, *losses)
        return total / 2, total

    def _paradex_loss(self, part: Mapping[Contract, int], price: float, volatility: float) -> float:
        total = 0.0
        for contract, lots in part.items():
            days = max(1.0, self.market.years_left(contract) * 365)
            moved = 1 + volatility * (30 / days) ** (0.3 if days < 30 else 0.13)
            total += self.loss({contract: lots}, 1 + price, moved)
        return total

    def _delta(self, contract: Contract) -> float:
        if not contract.kind.is_option:
            return 1.0
        return float(self.market.option(contract).values().delta[0])
