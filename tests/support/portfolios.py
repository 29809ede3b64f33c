"""Portfolio margin of the example contracts, by name."""

import numpy as np

from darkpool.margin.market.instruments import Specification
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.margin.model.scenarios import Integers, lot_risk
from tests.support.margin_houses import market, specification

COUNT = len(specification().contracts)


def engine(changed: Specification | None = None) -> PortfolioMargin:
    terms = specification() if changed is None else changed
    return PortfolioMargin(terms, lot_risk(terms, market(), tuple(terms.contracts.values())))


ENGINE = engine()


def position(**lots: int) -> Integers:
    """Lots by contract name, with underscores for hyphens."""
    names = [name.replace("-", "_") for name in specification().contracts]
    net = np.zeros(COUNT, dtype=np.int64)
    for name, number in lots.items():
        net[names.index(name)] = number
    return net
