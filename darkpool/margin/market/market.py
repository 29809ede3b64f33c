"""Prices that margin is computed at: an index, forwards and volatilities for each underlying.

Prices are exact; volatilities are decimal text, so that every party reads the same number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from darkpool.limits import PRICE_DECIMALS
from darkpool.margin.errors import InvalidFile, NoPrice, Problem
from darkpool.margin.market.forms import (
    PRICE_MAX,
    Form,
    Moment,
    Name,
    PositivePriceText,
    PriceText,
    Text,
    Version,
    decimals_of,
    entries,
    number,
    parsed_json,
    price_of,
    require_once,
    validated,
    wrong,
)
from darkpool.margin.market.instruments import Contract, Kind, Specification, has_date, unix_ms
from darkpool.margin.market.surface import YEAR_MS, Smile, VolatilitySurface
from darkpool.margin.valuation.black import VOLATILITY_HIGHEST, OptionValues, black_76
from darkpool.margin.valuation.elementary import log_ratio
from darkpool.units import PPM, PriceUnits

VOLATILITY_DECIMALS: Final = 12
BACHELIER: Final = (
    "a price above 0 where options are valued: at or below zero they need the model of Bachelier, "
    "which is not built in"
)
"""What is expected of the price of an underlying with options."""

STRIKES_MAX: Final = 1000
"""Strikes of an expiry."""
EXPIRIES_MAX: Final = 1000
"""Expiries of an underlying."""
NUMBERS_MAX: Final = 50_000
"""Numbers of a market: with the reports of each, a record can still be read."""
_UNDERLYINGS: Final = "underlyings"
_UNITS_PER_ONE: Final = 10**PRICE_DECIMALS
_LONGEST: Final = timedelta(days=36_500)


def _volatility(text: str) -> str:
    level = number(text)
    if not 0 < level <= int(VOLATILITY_HIGHEST):
        raise wrong(f"a volatility above 0 and up to {VOLATILITY_HIGHEST:g}", text)
    if decimals_of(level) > VOLATILITY_DECIMALS:
        raise wrong(f"at most {VOLATILITY_DECIMALS} decimals", text)
    return text


_Volatility = Annotated[Text, AfterValidator(_volatility)]
_Rate = Annotated[int, Field(strict=True, ge=-1_000_000, le=1_000_000)]


class ExpiryForm(Form):
    """A forward, and volatilities if options are quoted for that time.

    `rate` discounts until then: parts per million a year, continuously compounded.
    """

    expiry: Moment
    forward: PriceText
    rate: _Rate = 0
    strikes: Annotated[tuple[PositivePriceText, ...], entries(PositivePriceText, STRIKES_MAX)] = ()
    volatilities: Annotated[tuple[_Volatility, ...], entries(_Volatility, STRIKES_MAX)] = ()

    @model_validator(mode="after")
    def _is_a_smile(self) -> Self:
        if self.strikes and price_of(self.forward) <= 0:
            raise wrong(BACHELIER, self.forward, "forward")
        for index, (low, high) in enumerate(pairwise(self.strikes), start=1):
            if price_of(high) <= price_of(low):
                raise wrong(f"a strike above {low}, the one before", high, "strikes", index)
        strikes, volatilities = len(self.strikes), len(self.volatilities)
        if strikes != volatilities:
            expected = f"a volatility for each strike, {strikes} of them"
            raise wrong(expected, str(volatilities), "volatilities")
        return self

    @property
    def prices(self) -> ExpiryPrices:
        """The same as numbers."""
        return ExpiryPrices(
            unix_ms(self.expiry),
            Forward(price_of(self.forward), self.rate),
            tuple(price_of(strike) for strike in self.strikes),
            tuple(float(text) for text in self.volatilities),
            half_of_last_digit([Decimal(text) for text in self.volatilities]),
        )


class UnderlyingPrices(Form):
    """What is known of an underlying; `perpetual` is the mark of its perpetual swaps."""

    name: Name
    index: PriceText
    perpetual: PriceText | None = None
    expiries: Annotated[tuple[ExpiryForm, ...], entries(ExpiryForm, EXPIRIES_MAX)] = ()

    @model_validator(mode="after")
    def _rises(self) -> Self:
        for index, (early, late) in enumerate(pairwise(self.expiries), start=1):
            if unix_ms(late.expiry) <= unix_ms(early.expiry):
                expected = f"an expiry after {early.expiry.isoformat()}, the one before"
                raise wrong(expected, late.expiry, "expiries", index, "expiry")
        return self

    @property
    def numbers(self) -> int:
        """How many prices, rates and volatilities there are."""
        smiles = sum(2 + len(expiry.strikes) for expiry in self.expiries)
        return 1 + (self.perpetual is not None) + smiles


class MarketForm(Form):
    """The file as a whole."""

    version: Version
    time: Moment
    underlyings: Annotated[
        tuple[UnderlyingPrices, ...], Field(min_length=1), entries(UnderlyingPrices, 1000)
    ]

    @model_validator(mode="after")
    def _is_of_one_time(self) -> Self:
        if not has_date(self.time):
            raise wrong("a time from 1970 to 9999", self.time, "time")
        if (numbers := sum(each.numbers for each in self.underlyings)) > NUMBERS_MAX:
            raise wrong(f"at most {NUMBERS_MAX} numbers", f"{numbers} numbers", _UNDERLYINGS)
        names = [(each.name, (_UNDERLYINGS, k, "name")) for k, each in enumerate(self.underlyings)]
        require_once("underlying", names)
        for index, underlying in enumerate(self.underlyings):
            for place, expiry in enumerate(underlying.expiries):
                path = (_UNDERLYINGS, index, "expiries", place, "expiry")
                if not has_date(expiry.expiry):
                    raise wrong("an expiry from 1970 to 9999", expiry.expiry, *path)
                if unix_ms(expiry.expiry) <= unix_ms(self.time):
                    expected = f"an expiry after {self.time.isoformat()}, the time of the market"
                    raise wrong(expected, expiry.expiry, *path)
                if expiry.expiry - self.time > _LONGEST:
                    raise wrong(f"an expiry within {_LONGEST.days} days", expiry.expiry, *path)
        return self


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
    """The forward for an expiry, and volatilities a year at strikes in ascending order.

    Attributes:
        rounding: how far a volatility may be from what it was before it was rounded to its digits.
    """

    expiry_ms: int
    forward: Forward
    strikes: tuple[PriceUnits, ...]
    volatilities: tuple[float, ...]
    rounding: float = 0.0

    @property
    def smile(self) -> Smile:
        """The volatilities, with prices in the currency."""
        strikes = tuple(strike / _UNITS_PER_ONE for strike in self.strikes)
        forward = self.forward.price / _UNITS_PER_ONE
        return Smile(self.expiry_ms, forward, strikes, self.volatilities, self.rounding)


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

    def arbitrage(self) -> list[Problem]:
        """What is wrong with its volatilities, by the place of their expiry."""
        return [] if self.surface is None else self.surface.arbitrage(list(self.forwards))

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
            Problem(f"{_UNDERLYINGS}[{index}].{problem.path}", problem.expected, problem.got)
            for index, underlying in enumerate(underlyings.values())
            for problem in underlying.arbitrage()
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
                price_of(prices.index),
                None if prices.perpetual is None else price_of(prices.perpetual),
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


def read_market(source: str, text: str, specification: Specification | None = None) -> Market:
    """Read a market file; without a specification all its prices have to be above zero.

    Raises:
        InvalidFile: no JSON, not a market, a surface with arbitrage, or a price at or below zero of
            an underlying that has no `price_range_min`; names what is at fault.
    """
    form = read_market_form(source, text)
    require_prices(source, form, specification)
    return Market.from_form(source, form)


def read_market_form(source: str, text: str) -> MarketForm:
    """Read a market file as it stands, its surfaces unchecked.

    Raises:
        WrongType: no text.
        InvalidFile: no JSON, or not a market; names what is at fault.
    """
    return validated(MarketForm, source, parsed_json(source, text))


def require_prices(source: str, form: MarketForm, specification: Specification | None) -> None:
    """Check that prices are above zero but where the specification covers a range in price.

    Raises:
        InvalidFile: names every price that is not.
    """
    known = {} if specification is None else specification.underlyings
    problems = []
    for index, prices in enumerate(form.underlyings):
        if prices.name in known and known[prices.name].least_range > 0:
            continue
        path = f"{_UNDERLYINGS}[{index}]"
        named = {f"{path}.index": prices.index, f"{path}.perpetual": prices.perpetual}
        for place, expiry in enumerate(prices.expiries):
            named[f"{path}.expiries[{place}].forward"] = expiry.forward
        expected = (
            f"a price above 0 and up to {PRICE_MAX} (at or below zero it needs price_range_min"
        )
        expected += f" of {prices.name} in the contracts)"
        problems += [
            Problem(field, expected, text)
            for field, text in named.items()
            if text is not None and price_of(text) <= 0
        ]
    if problems:
        raise InvalidFile(source, problems)


def half_of_last_digit(volatilities: Sequence[Decimal]) -> float:
    """How far numbers can be from what they were before they were rounded to their digits.

    The digits are those of the longest, because people drop zeros at the end.
    """
    return 0.5 * 10.0 ** -max((decimals_of(number) for number in volatilities), default=0)
