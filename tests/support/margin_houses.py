"""The specification and the market of docs/margin, which the tests of portfolio margin share."""

import json
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

from darkpool.margin.market.instruments import Specification, read_specification
from darkpool.margin.market.market import Market, read_market
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.margin.model.scenarios import lot_risk

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "margin"
SPECIFICATION = (EXAMPLES / "contracts.toml").read_text(encoding="utf-8")
MARKET = (EXAMPLES / "market.json").read_text(encoding="utf-8")


def specification() -> Specification:
    return read_specification("contracts.toml", SPECIFICATION)


def market() -> Market:
    return read_market("market.json", MARKET)


@lru_cache(maxsize=64)
def market_at(share_percent: int) -> bytes:
    """A market file with all prices at a share of those of the houses."""
    data: Any = json.loads(MARKET)
    for underlying in data["underlyings"]:
        for holder in (underlying, *underlying["expiries"]):
            for field in ("index", "perpetual", "forward"):
                if field in holder:
                    price = Fraction(holder[field]) * share_percent / 100
                    holder[field] = f"{float(price):.6f}"
        for expiry in underlying["expiries"]:
            expiry["strikes"], expiry["volatilities"] = expiry["strikes"][1:2], ["0.6"]
    return json.dumps(data).encode()


@lru_cache(maxsize=64)
def margin_at(share_percent: int) -> PortfolioMargin:
    """Margin of all contracts of the houses at that market."""
    terms, moved = specification(), read_market("moved.json", market_at(share_percent).decode())
    return PortfolioMargin(terms, lot_risk(terms, moved, tuple(terms.contracts.values())))


@lru_cache(maxsize=1)
def later_market() -> bytes:
    """A market file later than all expiries of the houses, with the prices of their market."""
    data: Any = json.loads(MARKET)
    data["time"] = "2035-01-01T00:00:00Z"
    for underlying in data["underlyings"]:
        underlying["expiries"] = []
    return json.dumps(data).encode()


@lru_cache(maxsize=1)
def margin_after_expiry() -> PortfolioMargin:
    """Margin of all contracts of the houses at that market."""
    terms, later = specification(), read_market("later.json", later_market().decode())
    return PortfolioMargin(terms, lot_risk(terms, later, tuple(terms.contracts.values())))
