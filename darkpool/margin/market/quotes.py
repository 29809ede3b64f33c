"""A market whose every number comes from a feed: names, values, and what is published of them.

The feeds of an underlying are `BTC/index` and `BTC/perpetual`, and for an expiry in Unix
milliseconds `BTC/1774512000000/forward`, `.../rate` and `.../volatility/60000000000`, the last with
a strike in price units. Prices are in price units, rates and volatilities in parts per million.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Final

from darkpool.limits import PRICE_DECIMALS
from darkpool.margin.errors import InvalidFile, Problem
from darkpool.margin.market.feeds import FeedBounds, FeedTerms, PriceFeeds
from darkpool.margin.market.forms import PRICE_MAX
from darkpool.margin.market.instruments import Specification, unix_ms
from darkpool.margin.market.market import (
    BACHELIER,
    ExpiryForm,
    ExpiryPrices,
    Forward,
    Market,
    MarketForm,
    UnderlyingMarket,
    UnderlyingPrices,
    half_of_last_digit,
)
from darkpool.margin.valuation.black import VOLATILITY_HIGHEST
from darkpool.record.margin_forms import (
    MARGIN_VERSION,
    ExpiryRecord,
    MarketRecord,
    QuoteRecord,
    QuotesRecord,
    ReportRecord,
)
from darkpool.units import PPM, PriceUnits, account_bytes, price_units

_PRICE_MAX_UNITS: Final = PRICE_MAX * 10**PRICE_DECIMALS
_STEPS_OF_A_RANGE: Final = 4
_RATE: Final = FeedBounds(-PPM, PPM, step_min=10_000)
_VOLATILITY: Final = FeedBounds(1, int(VOLATILITY_HIGHEST) * PPM, step_min=20_000)


def numbers_of(source: str, form: MarketForm) -> dict[str, int]:
    """Every number of a market, by the name of its feed.

    Raises:
        InvalidFile: a volatility of more than six decimals.
    """
    numbers: dict[str, int] = {}
    for index, underlying in enumerate(form.underlyings):
        numbers |= _prices_of(underlying)
        for number, expiry in enumerate(underlying.expiries):
            for strike, text in enumerate(expiry.volatilities):
                if Decimal(text) * PPM % 1:
                    path = f"underlyings[{index}].expiries[{number}].volatilities[{strike}]"
                    raise InvalidFile(source, [Problem(path, "at most six decimals", text)])
            numbers |= _expiry_numbers(underlying.name, expiry)
    return numbers


def _prices_of(underlying: UnderlyingPrices) -> dict[str, int]:
    prices = {"index": underlying.index, "perpetual": underlying.perpetual}
    return {
        f"{underlying.name}/{kind}": price_units(Decimal(text))
        for kind, text in prices.items()
        if text is not None
    }


def _expiry_numbers(underlying: str, expiry: ExpiryForm) -> dict[str, int]:
    stem = f"{underlying}/{unix_ms(expiry.expiry)}"
    strikes = [price_units(Decimal(text)) for text in expiry.strikes]
    volatilities = [int(Decimal(text) * PPM) for text in expiry.volatilities]
    return {
        f"{stem}/forward": price_units(Decimal(expiry.forward)),
        f"{stem}/rate": expiry.rate,
    } | {
        f"{stem}/volatility/{strike}": volatility
        for strike, volatility in zip(strikes, volatilities, strict=True)
    }


def bounds_of(
    names: Iterable[str], specification: Specification | None = None
) -> dict[str, FeedBounds]:
    """What the number of each feed may be.

    A price is above zero, but where its underlying has a `price_range_min`. There it may always
    move by a quarter of that, which is a step of the scenarios: a part of a price near zero is next
    to nothing.
    """
    known = {} if specification is None else specification.underlyings
    ranges = {name: underlying.least_range for name, underlying in known.items()}
    return {name: _bounds(name, ranges) for name in names}


def _bounds(name: str, ranges: Mapping[str, PriceUnits]) -> FeedBounds:
    stem, _, last = name.rpartition("/")
    if stem.endswith("/volatility") and last.isdigit():
        return _VOLATILITY
    if last == "rate":
        return _RATE
    underlying = stem.rpartition("/")[0] if last == "forward" else stem
    least_range = ranges.get(underlying, 0)
    if least_range == 0:
        return FeedBounds(1, _PRICE_MAX_UNITS)
    return FeedBounds(-_PRICE_MAX_UNITS, _PRICE_MAX_UNITS, least_range // _STEPS_OF_A_RANGE)


def feeds_of(form: MarketForm, underlying: str) -> Iterator[str]:
    """Names of the feeds of an underlying."""
    chosen = tuple(prices for prices in form.underlyings if prices.name == underlying)
    yield from numbers_of("market", form.model_copy(update={"underlyings": chosen}))


def market_record(
    form: MarketForm, feeds: PriceFeeds, terms: FeedTerms, now_ms: int
) -> MarketRecord:
    """A market with the numbers that its feeds say, each with the reports that it came from.

    Raises:
        UnknownFeed: a number that no reporter has reported.
    """

    def quote(name: str) -> QuoteRecord:
        number = feeds.taken(name, now_ms)
        reports = [
            ReportRecord(report.message.value, report.message.observed_at, report.signature)
            for report in number.reports
        ]
        return QuoteRecord(number.value, tuple(reports))

    return MarketRecord(
        MARGIN_VERSION,
        unix_ms(form.time),
        tuple(account_bytes(reporter) for reporter in terms.reporters),
        terms.false_max,
        terms.age_max_ms,
        tuple(_quotes(underlying, quote) for underlying in form.underlyings),
    )


def _quotes(underlying: UnderlyingPrices, quote: Callable[[str], QuoteRecord]) -> QuotesRecord:
    name = underlying.name
    expiries = []
    for expiry in underlying.expiries:
        expiry_ms = unix_ms(expiry.expiry)
        strikes = tuple(price_units(Decimal(text)) for text in expiry.strikes)
        forward, rate = quote(f"{name}/{expiry_ms}/forward"), quote(f"{name}/{expiry_ms}/rate")
        smile = tuple(quote(f"{name}/{expiry_ms}/volatility/{strike}") for strike in strikes)
        expiries.append(ExpiryRecord(expiry_ms, forward, rate, strikes, smile))
    perpetual = None if underlying.perpetual is None else quote(f"{name}/perpetual")
    return QuotesRecord(name, quote(f"{name}/index"), perpetual, tuple(expiries))


def market_of(record: MarketRecord) -> Market:
    """The market that margin is computed at.

    Raises:
        InvalidFile: its surfaces have arbitrage, or volatilities and a forward at or below zero.
    """
    problems = [
        Problem(
            f"{quotes.name}/{expiry.expiry_ms}/forward",
            BACHELIER,
            f"{expiry.forward.value} price units",
        )
        for quotes in record.underlyings
        for expiry in quotes.expiries
        if expiry.strikes and expiry.forward.value <= 0
    ]
    if problems:
        raise InvalidFile("market", problems)
    underlyings = {
        quotes.name: UnderlyingMarket.of(
            record.time_ms,
            PriceUnits(quotes.index.value),
            None if quotes.perpetual is None else PriceUnits(quotes.perpetual.value),
            [_expiry_prices(expiry) for expiry in quotes.expiries],
        )
        for quotes in record.underlyings
    }
    return Market("market", record.time_ms, underlyings)


def _expiry_prices(expiry: ExpiryRecord) -> ExpiryPrices:
    return ExpiryPrices(
        expiry.expiry_ms,
        Forward(PriceUnits(expiry.forward.value), expiry.rate.value),
        tuple(PriceUnits(strike) for strike in expiry.strikes),
        tuple(volatility.value / PPM for volatility in expiry.volatilities),
        half_of_last_digit([_shortest(volatility.value) for volatility in expiry.volatilities]),
    )


def _shortest(ppm: int) -> Decimal:
    """Parts per million as a number without zeros at its end."""
    return (Decimal(ppm) / PPM).normalize()
