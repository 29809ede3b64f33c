"""The oil example of docs/margin: prices on both sides of zero, and at it."""

import json
from typing import Any

from darkpool.margin.market.instruments import Specification, SpecificationForm, read_specification
from darkpool.margin.market.market import MarketForm
from tests.support.margin_houses import EXAMPLES

OIL = EXAMPLES / "oil"
CONTRACTS = (OIL / "contracts.toml").read_text(encoding="utf-8")
MARKET = (OIL / "market.json").read_text(encoding="utf-8")


def oil() -> Specification:
    return read_specification("contracts.toml", CONTRACTS)


def oil_with(**parameters: Any) -> Specification:
    """The same with other parameters of its underlying."""
    data = oil().form.model_dump(mode="json")
    data["underlyings"][0] |= parameters
    return Specification(SpecificationForm.model_validate(data))


def oil_at(may: str, june: str, perpetual: str) -> MarketForm:
    """The market with these prices of May, June and of the perpetual swap."""
    data: Any = json.loads(MARKET)
    prices = data["underlyings"][0]
    prices["expiries"][0]["forward"], prices["expiries"][1]["forward"] = may, june
    prices["perpetual"] = prices["index"] = perpetual
    return MarketForm.model_validate(data)
