"""The table of docs/margin.md that compares five portfolios, computed again."""

import numpy as np
import pytest

from darkpool.margin.market.instruments import Contract
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.margin.model.scenarios import lot_risk
from darkpool.units import InstrumentName
from tests.support.margin_houses import EXAMPLES, market, specification
from tests.support.other_margin_rules import Others

PORTFOLIOS = {
    "outright": {"BTC-PERP": 10},
    "calendar": {"BTC-MAR": -10, "BTC-JUN": 10},
    "straddle": {"BTC-MAR-60000-C": -10, "BTC-MAR-60000-P": -10},
    "covered call": {"BTC-PERP": 10, "BTC-MAR-90000-C": -10},
    "cross-underlying hedge": {"BTC-PERP": 10, "ETH-PERP": -20},
}


def rows() -> dict[str, list[str]]:
    """The table's cells by the name of the portfolio."""
    table = {}
    for line in (EXAMPLES.parent / "margin.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if cells[0].split(":")[0] in PORTFOLIOS and len(cells) == 9:
            table[cells[0].split(":")[0]] = cells[1:]
    return table


def shown(amount: float | None) -> str:
    return "-" if amount is None else f"{round(amount):,}"


@pytest.mark.parametrize("name", PORTFOLIOS)
def test_the_table_is_what_the_rules_give(name: str) -> None:
    terms, prices = specification(), market()
    held: dict[Contract, int] = {
        terms.contracts[InstrumentName(contract)]: lots
        for contract, lots in PORTFOLIOS[name].items()
    }
    ours = PortfolioMargin(terms, lot_risk(terms, prices, tuple(held)))
    required = ours.requirement(np.array(list(held.values())))
    others = Others(terms, prices)
    derive = others.derive(held) or (None, None)
    paradex = others.paradex(held) or (None, None)
    cells = [required.maintenance / 1e6, required.initial / 1e6]
    cells += [others.span(held), others.tims(held), *derive, *paradex]
    assert rows()[name] == [shown(cell) for cell in cells]
