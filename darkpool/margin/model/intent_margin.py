"""Margin of the intents of one interval: its prices, and the grids that they may fill on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from darkpool.errors import OutOfBounds
from darkpool.margin.errors import BeyondMargin, TradingHalted, UnknownContract
from darkpool.margin.market.instruments import Specification
from darkpool.margin.market.quotes import market_of
from darkpool.margin.model.caps import Holdings, LiveIntent, surplus
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.margin.model.scenarios import lot_risk
from darkpool.record.margin_forms import MarginInputs, MarketRecord
from darkpool.units import Cash, InstrumentId, InstrumentName, Lots, PriceGrid, PriceUnits, Tick


class IntentMargin:
    """What intents need at the prices that an interval opened with.

    Args:
        grids: of the instruments that are traded.
        halted: which feeds of an underlying nobody may rely on now, and why.

    Attributes:
        portfolio: margin of the contracts of the specification, in their order.
        inputs: what is published of contracts and prices.

    Raises:
        UnknownContract: an instrument that the specification does not have.
        NoPrice: one that has expired, or a contract without a price.
        OutOfBounds: a lot that is worth more than margin is computed for.
        InvalidFile: surfaces of the market that have arbitrage.
    """

    def __init__(
        self,
        specification: Specification,
        market: MarketRecord,
        grids: Mapping[InstrumentId, PriceGrid],
        halted: Callable[[str], Mapping[str, str]],
    ) -> None:
        contracts = tuple(specification.contracts.values())
        prices = market_of(market)
        risk = lot_risk(specification, prices, contracts)
        self.portfolio = PortfolioMargin(specification, risk)
        self.inputs = MarginInputs(specification.record, market, risk.record())
        self._halted = halted
        self._grids = dict(grids)
        contract_indexes = {
            contract.identifier: contract_index for contract_index, contract in enumerate(contracts)
        }
        for instrument in grids:
            if instrument not in contract_indexes:
                raise UnknownContract("one of the specification", f"0x{instrument.hex()}")
            prices.of(contracts[contract_indexes[instrument]])
        self._contract_indexes = contract_indexes
        self._contracts = contracts
        underlyings = {contracts[contract_indexes[instrument]].underlying for instrument in grids}
        self._halted_at_open = {name: dict(halted(name)) for name in sorted(underlyings)}
        self._alone: dict[tuple[InstrumentId, Lots], Cash] = {}

    @property
    def names(self) -> dict[InstrumentId, InstrumentName]:
        """Names of the instruments that are traded."""
        return {name: self._contracts[self._contract_indexes[name]].name for name in self._grids}

    def prices(self, instrument: InstrumentId) -> tuple[PriceUnits, PriceUnits]:
        """The lowest and the highest price of an instrument's grid."""
        grid = self._grids[instrument]
        return grid.units_of(Tick(0)), grid.units_of(Tick(grid.ticks - 1))

    def require_open(self, instrument: InstrumentId) -> None:
        """Check that new risk may be taken on an instrument.

        Raises:
            TradingHalted: a number of its underlying is stale or disputed, or was when the interval
                opened, whose prices these are.
        """
        underlying = self._contracts[self._contract_indexes[instrument]].underlying
        if halts := self._halted_at_open[underlying] | dict(self._halted(underlying)):
            raise TradingHalted(underlying, halts)

    def intent(self, instrument: InstrumentId, cap: Lots) -> LiveIntent:
        """What is public of an intent."""
        contract_index = self._contract_indexes[instrument]
        return LiveIntent(
            contract_index,
            cap,
            *self.prices(instrument),
            self._contracts[contract_index].multiplier,
        )

    def alone(self, instrument: InstrumentId, cap: Lots) -> Cash:
        """What an intent needs by itself, in an account that has nothing else.

        Raises:
            BeyondMargin: more than margin is computed for.
        """
        key = (instrument, cap)
        if key not in self._alone:
            self._alone[key] = self.together([self.intent(instrument, cap)])
        return self._alone[key]

    def together(self, live: list[LiveIntent]) -> Cash:
        """What some intents of an account that has nothing else need.

        Raises:
            BeyondMargin: more than margin is computed for.
        """
        nothing = Holdings(Cash(0), Cash(0), np.zeros(len(self._contracts), dtype=np.int64))
        try:
            return Cash(max(0, -surplus(self.portfolio, nothing, live)))
        except OutOfBounds as error:
            raise BeyondMargin(error.quantity, error.highest, error.got) from error
