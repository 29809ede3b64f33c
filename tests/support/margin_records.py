"""What is published of margin, signed by reporters or by none, and changes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import Any

from crypto.signing.ecdsa import address_of, sign
from crypto.signing.eip712 import Domain
from crypto.signing.messages import PriceReport, instrument_id
from darkpool.limits import REFERENCE_AHEAD_MAX_MS
from darkpool.margin.market.instruments import Specification, unix_ms
from darkpool.margin.market.market import ExpiryForm, Market, MarketForm
from darkpool.margin.model.scenarios import lot_risk
from darkpool.record.margin_forms import (
    MARGIN_VERSION,
    ExpiryRecord,
    MarginInputs,
    MarketRecord,
    QuoteRecord,
    QuotesRecord,
    ReportRecord,
)
from darkpool.units import price_units
from darkpool.verification.prices import PPM
from tests.support.margin_houses import MARKET, specification

DOMAIN = Domain(31_337, bytes(range(20)))


KEYS = tuple(bytes([number]) * 32 for number in range(1, 5))


STRANGER = bytes([9]) * 32


TIME_MS = 1_795_564_800_000


AGE_MAX_MS = 60_000


TOGETHER_MS = AGE_MAX_MS + REFERENCE_AHEAD_MAX_MS


Quoting = Callable[[str, int], QuoteRecord]


def report(name: str, value: int, key: bytes, at: int = TIME_MS) -> ReportRecord:
    digest = PriceReport(instrument_id(name), value, at).digest(DOMAIN)
    return ReportRecord(value, at, sign(digest, key))


@cache
def signed(name: str, value: int) -> QuoteRecord:
    """Four reports around a value, as far apart in time as they may be."""
    values, times = (value + 2, value - 1, value, value + 1), (0, 30_000, TOGETHER_MS, 1)
    reports = zip(values, KEYS, times, strict=True)
    return QuoteRecord(value, tuple(report(name, v, k, TIME_MS + t) for v, k, t in reports))


def unsigned(_: str, value: int) -> QuoteRecord:
    return QuoteRecord(value, ())


def units(text: str) -> int:
    return price_units(Decimal(text))


def market_record(form: MarketForm, quote: Quoting) -> MarketRecord:
    def expiry_record(name: str, expiry: ExpiryForm) -> ExpiryRecord:
        expiry_ms = unix_ms(expiry.expiry)
        path, strikes = f"{name}/{expiry_ms}", tuple(units(strike) for strike in expiry.strikes)
        return ExpiryRecord(
            expiry_ms,
            quote(f"{path}/forward", units(expiry.forward)),
            quote(f"{path}/rate", expiry.rate),
            strikes,
            tuple(
                quote(f"{path}/volatility/{strike}", int(Decimal(volatility) * PPM))
                for strike, volatility in zip(strikes, expiry.volatilities, strict=True)
            ),
        )

    underlyings = tuple(
        QuotesRecord(
            u.name,
            quote(f"{u.name}/index", units(u.index)),
            None if u.perpetual is None else quote(f"{u.name}/perpetual", units(u.perpetual)),
            tuple(expiry_record(u.name, expiry) for expiry in u.expiries),
        )
        for u in form.underlyings
    )
    reporters = tuple(address_of(key) for key in KEYS)
    return MarketRecord(MARGIN_VERSION, unix_ms(form.time), reporters, 1, AGE_MAX_MS, underlyings)


def inputs_of(chosen: Specification, form: MarketForm, quote: Quoting = unsigned) -> MarginInputs:
    """What the engine publishes of a specification and a market."""
    risk = lot_risk(chosen, Market.from_form("market", form), tuple(chosen.contracts.values()))
    return MarginInputs(chosen.record, market_record(form, quote), risk.record())


def changed(value: Any, path: str, change: Callable[[Any], Any]) -> Any:
    """The same value but for what a path of fields and places leads to."""
    if not path:
        return change(value)
    first, _, rest = path.partition(".")
    if isinstance(value, tuple):
        place = int(first)
        return (*value[:place], changed(value[place], rest, change), *value[place + 1 :])
    return replace(value, **{first: changed(getattr(value, first), rest, change)})


def put(new: Any) -> Callable[[Any], Any]:
    return lambda _: new


def add(number: int) -> Callable[[Any], Any]:
    return lambda value: value + number


HONEST = inputs_of(specification(), MarketForm.model_validate_json(MARKET), signed)
