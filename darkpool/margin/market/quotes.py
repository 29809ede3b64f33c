"""A market whose every number comes from a feed: names, values, and what is published of them.

The feeds of an underlying are `BTC/index` and `BTC/perpetual`, and for an expiry in Unix
milliseconds `BTC/1774512000000/forward`, `.../rate` and `.../volatility/60000000000`, the last with
a strike in price units. Prices are in price units, rates and volatilities in parts per million.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from darkpool.limits import PRICE_DECIMALS
from darkpool.margin.errors import InvalidFile, Problem
from darkpool.margin.market.feeds import FeedBounds, FeedTerms, PriceFeeds
from darkpool.margin.market.forms import validated
from darkpool.margin.market.instruments import unix_ms
from darkpool.margin.market.market import PRICE_MAX, Market, MarketForm, UnderlyingPrices
from darkpool.margin.valuation.black import VOLATILITY_HIGHEST
from darkpool.record.margin_forms import (
    MARGIN_VERSION,
    ExpiryRecord,
    MarketRecord,
    QuoteRecord,
    QuotesRecord,
    ReportRecord,
)
from darkpool.units import PPM, PriceUnits, account_bytes, price_decimal, price_units

NUMBERS_MAX: Final = 50_000
"""Numbers of a market: with the reports of each, a record can still be read."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PRICE: Final = FeedBounds(1, PRICE_MAX * 10**PRICE_DECIMALS)
_RATE: Final = FeedBounds(-PPM, PPM, step_min=10_000)
_VOLATILITY: Final = FeedBounds(1, int(VOLATILITY_HIGHEST) * PPM, step_min=20_000)


def numbers_of(source: str, form: MarketForm) -> dict[str, int]:
    """Every number of a market, by the name of its feed.

    Raises:
        InvalidFile: a volatility of more than six decimals, or more than `NUMBERS_MAX` numbers.
    """
    found: dict[str, int] = {}
    for place, underlying in enumerate(form.underlyings):
        found |= _prices_of(underlying)
        for number, expiry in enumerate(underlying.expiries):
            stem = f"{underlying.name}/{unix_ms(expiry.expiry)}"
            found[f"{stem}/forward"] = price_units(Decimal(expiry.forward))
            found[f"{stem}/rate"] = expiry.rate
            for k, (strike, text) in enumerate(
                zip(expiry.strikes, expiry.volatilities, strict=True)
            ):
                parts = Decimal(text) * PPM
                if parts != int(parts):
                    path = f"underlyings[{place}].expiries[{number}].volatilities[{k}]"
                    raise InvalidFile(source, [Problem(path, "at most six decimals", text)])
                found[f"{stem}/volatility/{price_units(Decimal(strike))}"] = int(parts)
    if len(found) > NUMBERS_MAX:
        got = f"{len(found)} numbers"
        raise InvalidFile(source, [Problem("underlyings", f"at most {NUMBERS_MAX} numbers", got)])
    return found


def _prices_of(underlying: UnderlyingPrices) -> dict[str, int]:
    prices = {"index": underlying.index, "perpetual": underlying.perpetual}
    return {
        f"{underlying.name}/{kind}": price_units(Decimal(text))
        for kind, text in prices.items()
        if text is not None
    }


def bounds_of(names: Mapping[str, int]) -> dict[str, FeedBounds]:
    """What the number of each feed may be."""
    return {name: _bounds(name) for name in names}


def _bounds(name: str) -> FeedBounds:
    *_, above, last = name.split("/")
    if above == "volatility" and last.isdigit():
        return _VOLATILITY
    return _RATE if last == "rate" else _PRICE


def feeds_of(form: MarketForm, underlying: str) -> Iterator[str]:
    """Names of the feeds of an underlying."""
    chosen = tuple(one for one in form.underlyings if one.name == underlying)
    yield from numbers_of("market", form.model_copy(update={"underlyings": chosen}))


def market_record(
    form: MarketForm, feeds: PriceFeeds, terms: FeedTerms, now_ms: int
) -> MarketRecord:
    """A market with the numbers that its feeds say, each with the reports that it came from.

    Raises:
        UnknownFeed: a number that nobody has reported.
    """

    def quote(name: str) -> QuoteRecord:
        value, reports = feeds.taken(name, now_ms)
        messages = [(report.message, report.signature) for report in reports]
        signed = (ReportRecord(m.value, m.observed_at, signature) for m, signature in messages)
        return QuoteRecord(value, tuple(signed))

    return MarketRecord(
        MARGIN_VERSION,
        unix_ms(form.time),
        tuple(account_bytes(reporter) for reporter in terms.reporters),
        terms.false_max,
        terms.age_max_ms,
        tuple(
            QuotesRecord(
                underlying.name,
                quote(f"{underlying.name}/index"),
                None if underlying.perpetual is None else quote(f"{underlying.name}/perpetual"),
                tuple(
                    ExpiryRecord(
                        expiry_ms := unix_ms(expiry.expiry),
                        quote(f"{underlying.name}/{expiry_ms}/forward"),
                        quote(f"{underlying.name}/{expiry_ms}/rate"),
                        strikes := tuple(price_units(Decimal(text)) for text in expiry.strikes),
                        tuple(
                            quote(f"{underlying.name}/{expiry_ms}/volatility/{strike}")
                            for strike in strikes
                        ),
                    )
                    for expiry in underlying.expiries
                ),
            )
            for underlying in form.underlyings
        ),
    )


def market_of(record: MarketRecord) -> Market:
    """The market that margin is computed at.

    Raises:
        InvalidFile: its surfaces have arbitrage.
    """
    underlyings = [
        {
            "name": quotes.name,
            "index": _price_text(quotes.index),
            "perpetual": None if quotes.perpetual is None else _price_text(quotes.perpetual),
            "expiries": [
                {
                    "expiry": _moment(expiry.expiry_ms),
                    "forward": _price_text(expiry.forward),
                    "rate": expiry.rate.value,
                    "strikes": [f"{price_decimal(PriceUnits(k)):f}" for k in expiry.strikes],
                    "volatilities": [f"{Decimal(v.value) / PPM:f}" for v in expiry.volatilities],
                }
                for expiry in quotes.expiries
            ],
        }
        for quotes in record.underlyings
    ]
    data = {"version": 1, "time": _moment(record.time_ms), "underlyings": underlyings}
    return Market("market", validated(MarketForm, "market", data))


def _price_text(quote: QuoteRecord) -> str:
    return f"{price_decimal(PriceUnits(quote.value)):f}"


def _moment(unix_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=unix_ms)
