"""Portfolio margin once more, by the formulas of docs/margin.md, in exact and 50-digit numbers."""

import math
from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import mpmath as mp

from darkpool.margin.market.instruments import Contract, Kind, Specification
from darkpool.margin.market.market import Market

PPM = 10**6
YEAR_MS = 365 * 86_400_000
SCENARIOS = [
    (quarters, volatility, tail)
    for tail, moves in ((False, range(-4, 5)), (True, (-4, 4)))
    for quarters in moves
    for volatility in (-1, 0, 1)
]


def option_value(option: Contract, price: Any, volatility: Any, years: Any, rate: Any) -> Any:
    strike = mp.mpf(option.strike)
    sign = 1 if option.kind is Kind.CALL else -1
    if years == 0:
        return max(mp.mpf(0), sign * (price - strike))
    total = volatility * mp.sqrt(years)
    d1 = mp.log(price / strike) / total + total / 2
    undiscounted = price * mp.ncdf(sign * d1) - strike * mp.ncdf(sign * (d1 - total))
    return sign * mp.exp(-rate * years) * undiscounted


class Twin:
    def __init__(self, specification: Specification, market: Market) -> None:
        self.form = specification.form
        self.terms = {terms.name: terms for terms in specification.form.underlyings}
        self.market = market

    def values(self, contract: Contract) -> list[Any]:
        """Values of a lot, now and in each scenario, cash units before rounding."""
        terms = self.terms[contract.underlying]
        forward = self.market.of(contract).forward(contract)
        shares = [self.price_share(terms, *scenario) for scenario in SCENARIOS]
        if not contract.kind.is_option:
            return [Fraction(forward.price), *(forward.price * share for share in shares)]
        left = mp.mpf((contract.expiry_ms or 0) - self.market.time_ms) / YEAR_MS
        later = max(mp.mpf(0), left - mp.mpf(self.form.horizon_ms) / YEAR_MS)
        volatility = mp.mpf(self.market.of(contract).volatility(contract))
        rate = mp.mpf(forward.rate_ppm) / PPM
        price = mp.mpf(forward.price)
        values = [option_value(contract, price, volatility, left, rate)]
        month = mp.mpf(30) / 365
        scale = mp.sqrt(month / min(max(left, month / 9), month * 4))
        for share, (_, direction, _) in zip(shares, SCENARIOS, strict=True):
            up, down = mp.mpf(terms.volatility_up) / PPM, mp.mpf(terms.volatility_down) / PPM
            factor = {-1: max(mp.mpf("0.25"), 1 - scale * down), 0: 1, 1: 1 + scale * up}[direction]
            moved = price * share.numerator / share.denominator
            values.append(option_value(contract, moved, volatility * factor, later, rate))
        return values

    @staticmethod
    def price_share(terms: Any, quarters: int, _volatility: int, tail: bool) -> Fraction:
        multiple = Fraction(terms.tail_multiple, PPM) if tail else 1
        move = Fraction(terms.price_range * quarters, 4) * multiple
        return max(Fraction(1, 100), Fraction(PPM + math.floor(move), PPM))

    def requirement(self, net: Mapping[Contract, int]) -> tuple[int, int]:
        """Maintenance and initial margin."""
        losses: dict[str, list[Fraction]] = defaultdict(lambda: [Fraction(0)] * len(SCENARIOS))
        short = Fraction(0)
        deltas: dict[tuple[str, int | None], Fraction] = defaultdict(Fraction)
        for contract, lots in net.items():
            terms = self.terms[contract.underlying]
            now, *then = self.values(contract)
            for index, value in enumerate(then):
                if lots > 0:
                    change = math.floor(value) - math.ceil(now)
                else:
                    change = math.ceil(value) - math.floor(now)
                losses[contract.underlying][index] -= lots * change * contract.multiplier
            price = self.market.of(contract).forward(contract).price
            if contract.kind.is_option and lots < 0:
                value = Fraction(price * contract.multiplier * terms.short_option, PPM)
                short -= lots * value
            deltas[contract.underlying, contract.expiry_ms] += (
                lots * self.delta(contract, price) * contract.multiplier
            )
        weighted = {
            name: [
                loss * (Fraction(self.terms[name].tail_weight, PPM) if tail else 1)
                for loss, (_, _, tail) in zip(parts, SCENARIOS, strict=True)
            ]
            for name, parts in losses.items()
        }
        own = {name: max(Fraction(0), *parts) for name, parts in weighted.items()}
        scan = sum(own.values(), Fraction(0))
        for group in self.form.groups:
            members = [name for name in group.underlyings if name in own]
            apart = sum((own[name] for name in members), Fraction(0))
            columns = zip(*(weighted[name] for name in members), strict=True)
            together = max([Fraction(0), *(sum(column, Fraction(0)) for column in columns)])
            scan -= Fraction(group.offset, PPM) * (apart - together)
        total = max(scan, short)
        sums: dict[str, Fraction] = defaultdict(Fraction)
        for (name, _), delta in deltas.items():
            total += Fraction(self.terms[name].basis, PPM) * abs(delta)
            sums[name] += delta
        for name, delta in sums.items():
            excess = max(Fraction(0), abs(delta) - self.terms[name].concentration_from)
            total += Fraction(self.terms[name].concentration, PPM) * excess
        return math.ceil(total), math.ceil(total * Fraction(self.form.initial, PPM))

    def delta(self, contract: Contract, price: int) -> int:
        if not contract.kind.is_option:
            return price
        left = mp.mpf((contract.expiry_ms or 0) - self.market.time_ms) / YEAR_MS
        volatility = mp.mpf(self.market.of(contract).volatility(contract))
        total = volatility * mp.sqrt(left)
        d1 = mp.log(mp.mpf(price) / contract.strike) / total + total / 2
        rate = mp.mpf(self.market.of(contract).forward(contract).rate_ppm) / PPM
        probability = mp.ncdf(d1) if contract.kind is Kind.CALL else -mp.ncdf(-d1)
        return int(mp.nint(mp.exp(-rate * left) * probability * price))
