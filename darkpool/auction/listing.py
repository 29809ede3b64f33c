"""What a venue lists: contracts, the market that they are valued at, and their price grids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, Protocol

from darkpool.errors import InvalidGrid, InvalidPrice, WrongType
from darkpool.limits import CONTRACT_MULTIPLIER_MAX, MARGIN_RATE_ONE_PPM, PRICE_DECIMALS
from darkpool.margin.errors import InvalidMarginRange, UnknownContract
from darkpool.margin.market.forms import PRICE_MAX, validated
from darkpool.margin.market.instruments import Contract, Specification, SpecificationForm
from darkpool.margin.market.market import Market, MarketForm
from darkpool.margin.model.scenarios import lot_risk
from darkpool.units import (
    InstrumentName,
    PriceGrid,
    PriceUnits,
    Tick,
    integer,
    price_decimal,
    price_units,
    require_kind,
    within,
)

MARGIN_RATE_DEFAULT_PPM: Final = 100_000


@dataclass(frozen=True, slots=True)
class Listed:
    """What some instruments are: contracts of a specification, with prices and grids."""

    specification: Specification
    market: MarketForm
    grids: Mapping[InstrumentName, PriceGrid]


class Listing(Protocol):
    """Knows what can be traded."""

    def of(self, names: Iterable[InstrumentName]) -> Listed:
        """What is published of the instruments that are traded in an interval.

        Raises:
            WrongType: no names; a text is one name, and not several.
            BadInput: there is no such listing, or none of these instruments.
        """


def chosen(names: Iterable[InstrumentName]) -> list[InstrumentName]:
    """Each name once, in the order of their first mention."""
    if isinstance(names, str):
        raise WrongType("instruments", "names of instruments", names)
    try:
        listed = list(names)
    except TypeError:
        raise WrongType("instruments", "names of instruments", names) from None
    return list(dict.fromkeys(InstrumentName(require_kind("name", str, one)) for one in listed))


@dataclass(frozen=True, slots=True)
class OutrightListing:
    """Every instrument is a perpetual swap on an underlying of its own, at one reference price.

    Margin is a part of the value: `margin_rate_ppm` is the price range, with no other charges and
    no offsets. `margin_range` is the same range in price: the larger of the two counts. Where it is
    not given and the grid has a price at or below zero, it is the way from the reference price to
    the farther end of the grid.

    Raises:
        WrongType: a field of another kind.
        OutOfBounds: a rate or multiplier that no contract has.
        InvalidGrid: a reference price that no underlying has.
        InvalidMarginRange: a range that no underlying has, or none where the grid needs one.
    """

    grid: PriceGrid
    margin_rate_ppm: int = MARGIN_RATE_DEFAULT_PPM
    multiplier: int = 1
    margin_range: Decimal | None = None

    def __post_init__(self) -> None:
        require_kind("grid", PriceGrid, self.grid)
        subject, whole = "margin rate in parts per million", MARGIN_RATE_ONE_PPM
        rate_ppm = within(subject, 0, whole, self.margin_rate_ppm)
        object.__setattr__(self, "margin_rate_ppm", rate_ppm)
        multiplier = within("contract multiplier", 1, CONTRACT_MULTIPLIER_MAX, self.multiplier)
        object.__setattr__(self, "multiplier", multiplier)
        if not -PRICE_MAX <= self.grid.reference <= PRICE_MAX:
            expected = f"{-PRICE_MAX} to {PRICE_MAX}"
            raise InvalidGrid("reference price", expected, f"{self.grid.reference:f}")
        if not 0 <= self._least_range <= PRICE_MAX * 10**PRICE_DECIMALS:
            shown = f"{price_decimal(self._least_range):f}"
            raise InvalidMarginRange(f"0 to {PRICE_MAX}", shown)
        if self._least_range == 0 and self.grid.reference <= 0:
            expected = "above 0, for the reference price is not"
            raise InvalidMarginRange(expected, "0")

    @property
    def _least_range(self) -> PriceUnits:
        """The range in price that is covered at least, in price units; 0 for none."""
        if self.margin_range is not None:
            try:
                return price_units(self.margin_range)
            except InvalidPrice as error:
                raise InvalidMarginRange(str(error.expected), str(error.got)) from None
        lowest, highest = self.grid.units_of(Tick(0)), self.grid.units_of(Tick(self.grid.ticks - 1))
        middle = self.grid.units_of(self.grid.reference_tick)
        farther = max(middle - lowest, highest - middle, self.grid.tick_units)
        return PriceUnits(farther if lowest <= 0 else 0)

    def of(self, names: Iterable[InstrumentName]) -> Listed:
        """Contracts, prices and grids of some instruments.

        Raises:
            WrongType: see `Listing`.
            InvalidFile: no name, or one that no instrument has.
        """
        traded, price = chosen(names), f"{self.grid.reference:f}"
        data = {
            "version": 1,
            "name": "outright",
            "initial": MARGIN_RATE_ONE_PPM,
            "horizon_ms": 0,
            "underlyings": [self._underlying(name) for name in traded],
            "contracts": [
                {
                    "name": name,
                    "kind": "perpetual",
                    "underlying": name,
                    "multiplier": self.multiplier,
                    "tick_size": f"{self.grid.tick_size:f}",
                }
                for name in traded
            ],
        }
        quotes = [{"name": name, "index": price, "perpetual": price} for name in traded]
        market = {"version": 1, "time": datetime.now(UTC), "underlyings": quotes}
        return Listed(
            Specification(validated(SpecificationForm, "outright contracts", data)),
            validated(MarketForm, "outright market", market),
            dict.fromkeys(traded, self.grid),
        )

    def _underlying(self, name: InstrumentName) -> dict[str, Any]:
        nothing = ("tail_weight", "volatility_up", "volatility_down", "basis", "short_option")
        return {
            "name": name,
            "price_range": self.margin_rate_ppm,
            "price_range_min": f"{price_decimal(self._least_range):f}",
            "tail_multiple": MARGIN_RATE_ONE_PPM,
            "concentration_from": 0,
            "concentration": 0,
            **dict.fromkeys(nothing, 0),
        }


@dataclass(frozen=True)
class ContractListing:
    """Contracts of a specification; each grid lies around what its contract is worth.

    Raises:
        WrongType: a field of another kind.
    """

    specification: Specification
    market: MarketForm
    ticks: int

    def __post_init__(self) -> None:
        require_kind("specification", Specification, self.specification)
        require_kind("market", MarketForm, self.market)
        object.__setattr__(self, "ticks", integer("ticks", self.ticks))

    @cached_property
    def grids(self) -> dict[InstrumentName, PriceGrid]:
        """Of all contracts that have not expired.

        The reference is the value rounded down to a price unit, then to the nearest multiple of the
        contract's tick size, halves up.

        Raises:
            InvalidGrid: there is no grid of so many ticks.
            InvalidFile, NoPrice, OutOfBounds: see `Market` and `lot_risk`.
        """
        market = Market.from_form("market", self.market)
        contracts = tuple(self.specification.contracts.values())
        values = lot_risk(self.specification, market, contracts).low[:, 0].tolist()
        return {
            contract.name: self._grid(contract, value)
            for contract, value in zip(contracts, values, strict=True)
            if not market.has_expired(contract)
        }

    def _grid(self, contract: Contract, value: int) -> PriceGrid:
        step = contract.tick_size
        reference = (value + step // 2) // step * step
        try:
            return PriceGrid.of_units(step, reference, self.ticks)
        except InvalidGrid as error:
            what = f"{error.subject} of {contract.name}"
            raise InvalidGrid(what, error.expected, error.got) from None

    def of(self, names: Iterable[InstrumentName]) -> Listed:
        """The whole specification and market, and the grids of some contracts.

        Raises:
            WrongType: see `Listing`.
            UnknownContract: one that is not in the specification, or has expired.
            InvalidGrid, InvalidFile, NoPrice, OutOfBounds: see `grids`.
        """
        traded = chosen(names)
        for name in traded:
            if name not in self.grids:
                raise UnknownContract("one of the specification that has not expired", name)
        grids = {name: self.grids[name] for name in traded}
        return Listed(self.specification, self.market, grids)
