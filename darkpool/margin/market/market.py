"""Prices that margin is computed at: an index, forwards and volatilities for each underlying.

Prices are exact; volatilities are decimal text, so that every party reads the same number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AwareDatetime, Field, model_validator
from pydantic_core import from_json

from darkpool.errors import DarkpoolError
from darkpool.limits import PRICE_DECIMALS
from darkpool.margin.errors import InvalidFile, NoPrice, Problem
from darkpool.margin.market.forms import DecimalText, Form, Name, validated
from darkpool.margin.market.instruments import Contract, Kind, unix_ms
from darkpool.margin.market.surface import YEAR_MS, Smile, VolatilitySurface
from darkpool.margin.valuation.black import VOLATILITY_HIGHEST, OptionValues, black_76
from darkpool.margin.valuation.elementary import log_ratio
from darkpool.units import PPM, PriceUnits, price_units

PRICE_MAX: Final = 10**9
"""Highest price of an underlying: in price units it is still exact as a binary64 number."""

_UNITS_PER_ONE: Final = 10**PRICE_DECIMALS
_LONGEST: Final = timedelta(days=36_500)
_Rate = Annotated[int, Field(strict=True, ge=-1_000_000, le=1_000_000)]


class ExpiryForm(Form):
    """A forward, and volatilities if options are quoted for that time.

    `rate` discounts until then: parts per million a year, continuously compounded.
    """

    expiry: AwareDatetime
    forward: DecimalText
    rate: _Rate = 0
    strikes: tuple[DecimalText, ...] = ()
    volatilities: tuple[DecimalText, ...] = ()

    @model_validator(mode="after")
    def _is_a_smile(self) -> Self:
        _price(self.forward)
        strikes = [_price(strike) for strike in self.strikes]
        if any(high <= low for low, high in pairwise(strikes)):
            raise ValueError("strikes in ascending order")
        if len(strikes) != len(self.volatilities):
            raise ValueError("a volatility for each strike")
        if any(not 0 < float(text) <= VOLATILITY_HIGHEST for text in self.volatilities):
            raise ValueError(f"volatilities above 0 and up to {VOLATILITY_HIGHEST:g}")
        return self

    @property
    def prices(self) -> ExpiryPrices:
        """The same as numbers."""
        return ExpiryPrices(
            unix_ms(self.expiry),
            Forward(_price(self.forward), self.rate),
            tuple(_price(strike) for strike in self.strikes),
            tuple(float(text) for text in self.volatilities),
        )


class UnderlyingPrices(Form):
    """What is known of an underlying; `perpetual` is the mark of its perpetual swaps."""

    name: Name
    index: DecimalText
    perpetual: DecimalText | None = None
    expiries: tuple[ExpiryForm, ...] = ()

    @model_validator(mode="after")
    def _rises(self) -> Self:
        _price(self.index)
        if self.perpetual is not None:
            _price(self.perpetual)
        if any(b.expiry <= a.expiry for a, b in pairwise(self.expiries)):
            raise ValueError("expiries in ascending order")
        return self


class MarketForm(Form):
    """The file as a whole."""

    version: Literal[1]
    time: AwareDatetime
    underlyings: Annotated[tuple[UnderlyingPrices, ...], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _is_of_one_time(self) -> Self:
        if unix_ms(self.time) < 0:
            raise ValueError("a time after 1970")
        names = [underlying.name for underlying in self.underlyings]
        if len(set(names)) < len(names):
            raise ValueError("each underlying once")
        for underlying in self.underlyings:
            if any(expiry.expiry <= self.time for expiry in underlying.expiries):
                raise ValueError(f"expiries of {underlying.name} after the time of the market")
            if any(expiry.expiry - self.time > _LONGEST for expiry in underlying.expiries):
                raise ValueError(f"expiries of {underlying.name} within {_LONGEST.days} days")
        return self


def _price(text: str) -> PriceUnits:
    try:
        units = price_units(Decimal(text))
    except DarkpoolError as error:
        raise ValueError(str(error)) from None
    if not 0 < units <= PRICE_MAX * _UNITS_PER_ONE:
        raise ValueError(f"prices above 0 and up to {PRICE_MAX}")
    return units


@dataclass(frozen=True, slots=True)
class Forward:
    """A price for a time, in price units, and the rate until then in parts per million a year."""

    price: PriceUnits
    rate_ppm: int


@dataclass(frozen=True, slots=True)
class OptionInputs:
    """What an option's value follows from: prices in the currency, years, and rates a year."""

    is_call: bool
    forward: float
    strike: float
    volatility: float
    expiry_years: float
    rate: float

    def values(self) -> OptionValues:
        """Value and sensitivities for one unit of the underlying."""
        return black_76(
            self.is_call,
            self.forward,
            self.strike,
            self.volatility,
            self.expiry_years,
            self.rate,
        )


@dataclass(frozen=True, slots=True)
class ExpiryPrices:
    """The forward for an expiry, and volatilities a year at strikes in ascending order."""

    expiry_ms: int
    forward: Forward
    strikes: tuple[PriceUnits, ...]
    volatilities: tuple[float, ...]

    @property
    def smile(self) -> Smile:
        """The volatilities, with prices in the currency."""
        strikes = tuple(strike / _UNITS_PER_ONE for strike in self.strikes)
        forward = self.forward.price / _UNITS_PER_ONE
        return Smile(self.expiry_ms, forward, strikes, self.volatilities)


@dataclass(frozen=True, slots=True)
class UnderlyingMarket:
    """Prices of one underlying.

    Attributes:
        index: its price.
        perpetual: the mark of its perpetual swaps, if it is known.
        forwards: by expiry in Unix milliseconds.
        surface: its volatilities, if any are known.
    """

    index: PriceUnits
    perpetual: PriceUnits | None
    forwards: Mapping[int, Forward]
    surface: VolatilitySurface | None

    @classmethod
    def of(
        cls,
        time_ms: int,
        index: PriceUnits,
        perpetual: PriceUnits | None,
        expiries: Sequence[ExpiryPrices],
    ) -> Self:
        """Prices as seen at a time, before all expiries, which ascend."""
        smiles = tuple(expiry.smile for expiry in expiries if expiry.strikes)
        surface = VolatilitySurface(time_ms, smiles) if smiles else None
        forwards = {expiry.expiry_ms: expiry.forward for expiry in expiries}
        return cls(index, perpetual, forwards, surface)

    def forward(self, contract: Contract) -> Forward:
        """The price that a contract's value follows; a perpetual swap has no rate.

        Raises:
            NoPrice: see there.
        """
        if contract.expiry_ms is None:
            if self.perpetual is None:
                raise NoPrice(contract.name, "a mark of perpetual swaps")
            return Forward(self.perpetual, 0)
        forward = self.forwards.get(contract.expiry_ms)
        if forward is None:
            raise NoPrice(contract.name, "a forward for its expiry")
        return forward

    def volatility(self, contract: Contract) -> float:
        """The volatility of an option.

        Raises:
            NoPrice: there are no volatilities.
        """
        if self.surface is None or contract.strike is None or contract.expiry_ms is None:
            raise NoPrice(contract.name, "volatilities of its underlying")
        moneyness = log_ratio(float(contract.strike), float(self.forward(contract).price))
        return self.surface.volatility(contract.expiry_ms, moneyness)


class Market:
    """All prices at one time.

    Attributes:
        time_ms: Unix milliseconds.
        underlyings: by name.

    Raises:
        InvalidFile: a surface has arbitrage.
    """

    def __init__(
        self, source: str, time_ms: int, underlyings: Mapping[str, UnderlyingMarket]
    ) -> None:
        self.time_ms = time_ms
        self.underlyings = underlyings
        problems = [
            Problem(f"underlyings[{index}].{problem.path}", problem.expected, problem.got)
            for index, underlying in enumerate(underlyings.values())
            if underlying.surface is not None
            for problem in underlying.surface.arbitrage()
        ]
        if problems:
            raise InvalidFile(source, problems)

    @classmethod
    def from_form(cls, source: str, form: MarketForm) -> Self:
        """The market of a file.

        Raises:
            InvalidFile: see the class.
        """
        time_ms = unix_ms(form.time)
        underlyings = {
            prices.name: UnderlyingMarket.of(
                time_ms,
                _price(prices.index),
                None if prices.perpetual is None else _price(prices.perpetual),
                [expiry.prices for expiry in prices.expiries],
            )
            for prices in form.underlyings
        }
        return cls(source, time_ms, underlyings)

    def of(self, contract: Contract) -> UnderlyingMarket:
        """The market of a contract's underlying.

        Raises:
            NoPrice: it has none, or the contract has expired.
        """
        underlying = self.underlyings.get(contract.underlying)
        if underlying is None:
            raise NoPrice(contract.name, f"prices of {contract.underlying}")
        if self.has_expired(contract):
            raise NoPrice(contract.name, "a time before its expiry")
        return underlying

    def option(self, contract: Contract) -> OptionInputs:
        """What an option's value follows from.

        Raises:
            NoPrice: see `of` and `UnderlyingMarket`.
        """
        prices = self.of(contract)
        forward = prices.forward(contract)
        return OptionInputs(
            contract.kind is Kind.CALL,
            forward.price / _UNITS_PER_ONE,
            (contract.strike or 0) / _UNITS_PER_ONE,
            prices.volatility(contract),
            self.years_left(contract),
            forward.rate_ppm / PPM,
        )

    def has_expired(self, contract: Contract) -> bool:
        """Whether a contract's expiry is not later than the market."""
        return contract.expiry_ms is not None and contract.expiry_ms <= self.time_ms

    def years_left(self, contract: Contract, later_ms: int = 0) -> float:
        """Time to a dated contract's expiry, or to `later_ms` before it; not below 0."""
        if contract.expiry_ms is None:
            return 0.0
        return max(0, contract.expiry_ms - self.time_ms - later_ms) / YEAR_MS


def read_market(source: str, text: str) -> Market:
    """Read a market file.

    Raises:
        InvalidFile: no JSON, not a market, or a surface with arbitrage; names what is at fault.
    """
    return Market.from_form(source, read_market_form(source, text))


def read_market_form(source: str, text: str) -> MarketForm:
    """Read a market file as it stands, its surfaces unchecked.

    Raises:
        InvalidFile: no JSON, or not a market; names what is at fault.
    """
    return validated(MarketForm, source, parsed_json(source, text))


def parsed_json(source: str, text: str) -> Any:
    """Parse a JSON file.

    Raises:
        InvalidFile: it is none, or nested too deep.
    """
    try:
        return from_json(text)
    except ValueError as error:
        raise InvalidFile(source, [Problem("file", "JSON", str(error)[:100])]) from None
