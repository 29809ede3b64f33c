"""Markets of the houses that move: in price, in what perpetual swaps cost above it, and in time."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any

from darkpool.margin.market.market import Market, MarketForm
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.margin.model.scenarios import lot_risk
from darkpool.record.margin_forms import MarginInputs
from darkpool.verification.requirement import MarginModel
from tests.support.margin_houses import MARKET, specification
from tests.support.margin_records import inputs_of

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MARCH_MS, JUNE_MS = sorted(
    {c.expiry_ms for c in specification().contracts.values() if c.expiry_ms is not None}
)
_TIMES = ("2026-11-25T00:00:00Z", "2027-03-26T08:00:00Z", "2027-06-25T08:00:00Z")


@dataclass(frozen=True)
class MovingMarket:
    """Prices at a share of those of the houses, in percent; perpetual swaps cost a premium in bps.

    Contracts are valued as at the last expiry before `time_ms`: values are computed once then.
    """

    share: int
    premium: int
    time_ms: int

    @property
    def _phase(self) -> int:
        return phase_of(self.time_ms)

    @property
    def margin(self) -> PortfolioMargin:
        return _margin(self.share, self.premium, self._phase)

    @property
    def model(self) -> MarginModel:
        return _model(self.share, self.premium, self._phase)

    @property
    def inputs(self) -> MarginInputs:
        """What is published of it, unsigned."""
        inputs = _inputs(self.share, self.premium, self._phase)
        return replace(inputs, market=replace(inputs.market, time_ms=self.time_ms))


def phase_of(time_ms: int) -> int:
    """How many of the expiries of the houses are past."""
    return (time_ms >= MARCH_MS) + (time_ms >= JUNE_MS)


@cache
def form_at(share: int, premium: int, phase: int) -> MarketForm:
    data: Any = json.loads(MARKET)
    data["time"] = _TIMES[phase]
    for underlying in data["underlyings"]:
        left = [expiry for expiry in underlying["expiries"] if expiry["expiry"] > _TIMES[phase]]
        underlying["expiries"] = left
        for holder in (underlying, *left):
            for field in ("index", "forward"):
                if field in holder:
                    holder[field] = f"{float(Fraction(holder[field]) * share / 100):.6f}"
        mark = Fraction(underlying["index"]) * (10_000 + premium) / 10_000
        underlying["perpetual"] = f"{float(mark):.6f}"
        for expiry in left:
            expiry["strikes"], expiry["volatilities"] = expiry["strikes"][1:2], ["0.6"]
    return MarketForm.model_validate(data)


@cache
def _margin(share: int, premium: int, phase: int) -> PortfolioMargin:
    terms = specification()
    market = Market.from_form("moved.json", form_at(share, premium, phase))
    return PortfolioMargin(terms, lot_risk(terms, market, tuple(terms.contracts.values())))


@cache
def _inputs(share: int, premium: int, phase: int) -> MarginInputs:
    return inputs_of(specification(), form_at(share, premium, phase))


@cache
def _model(share: int, premium: int, phase: int) -> MarginModel:
    return MarginModel(_inputs(share, premium, phase))
