"""The specification and the market of docs/margin, which the tests of portfolio margin share."""

from pathlib import Path

from darkpool.margin.contracts import Specification, read_specification
from darkpool.margin.market import Market, read_market

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "margin"
SPECIFICATION = (EXAMPLES / "contracts.toml").read_text(encoding="utf-8")
MARKET = (EXAMPLES / "market.json").read_text(encoding="utf-8")


def specification() -> Specification:
    return read_specification("contracts.toml", SPECIFICATION)


def market() -> Market:
    return read_market("market.json", MARKET)
