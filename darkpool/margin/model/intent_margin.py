"""Margin of the intents of one interval: its prices, and the grids that they may fill on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from darkpool.errors import OutOfBounds
from darkpool.margin.errors import BeyondMargin, TradingHalted, UnknownContract
from darkpool.margin.market.instruments import Contract, Specification
from darkpool.margin.market.quotes import market_of
from darkpool.margin.model.caps import Holdings, LiveIntent, PriceRange, surplus
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.margin.model.scenarios import lot_risk
from darkpool.record.margin_forms import MarginInputs, MarketRecord
from darkpool.units import Cash, InstrumentId, InstrumentName, Lots, PriceGrid, Tick


@dataclass(frozen=True, slots=True)
class _Traded:
    """An instrument that is traded: its contract, and the grid that it trades on."""

    contract_index: int
    contract: Contract
    grid: PriceGrid


class IntentMargin:
    """What intents need at the prices that an interval opened with.

    Args:
        grids: of the instruments that are traded.
        halted: of an underlying, the feeds whose numbers do not count now, and why.

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
        self._traded: dict[InstrumentId, _Traded] = {}
        contract_indexes = {contract.identifier: index for index, contract in enumerate(contracts)}
        for instrument, grid in grids.items():
            index = contract_indexes.get(instrument)
            if index is None:
                raise UnknownContract("one of the specification", f"0x{instrument.hex()}")
            prices.of(contracts[index])
            self._traded[instrument] = _Traded(index, contracts[index], grid)
        underlyings = {traded.contract.underlying for traded in self._traded.values()}
        self._halted_at_open = {name: dict(halted(name)) for name in sorted(underlyings)}
        self._nothing = Holdings(Cash(0), Cash(0), np.zeros(len(contracts), dtype=np.int64))
        self._alone: dict[tuple[InstrumentId, Lots], Cash] = {}

    @property
    def names(self) -> dict[InstrumentId, InstrumentName]:
        """Names of the instruments that are traded."""
        return {instrument: traded.contract.name for instrument, traded in self._traded.items()}

    def prices(self, instrument: InstrumentId) -> PriceRange:
        """The lowest and the highest price of an instrument's grid."""
        grid = self._traded[instrument].grid
        return PriceRange(grid.units_of(Tick(0)), grid.units_of(Tick(grid.ticks - 1)))

    def require_open(self, instrument: InstrumentId) -> None:
        """Check that new risk may be taken on an instrument.

        Raises:
            TradingHalted: a number of its underlying is stale or disputed, or was when the interval
                opened, whose prices these are.
        """
        underlying = self._traded[instrument].contract.underlying
        if halts := self._halted_at_open[underlying] | dict(self._halted(underlying)):
            raise TradingHalted(underlying, halts)

    def intent(self, instrument: InstrumentId, cap: Lots) -> LiveIntent:
        """What is public of an intent."""
        traded, prices = self._traded[instrument], self.prices(instrument)
        return LiveIntent(traded.contract_index, cap, prices, traded.contract.multiplier)

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
        try:
            return Cash(max(0, -surplus(self.portfolio, self._nothing, live)))
        except OutOfBounds as error:
            raise BeyondMargin(error.subject, error.highest, error.got) from error
