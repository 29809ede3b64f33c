"""The forms of what margin is computed from: contracts, prices, and risk arrays of a lot of each.

The three files are part of every record, and the keypers sign one digest of them with the terms.
Rates and parts are in parts per million unless they say otherwise; times are Unix milliseconds.
docs/margin.md says how margin follows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from darkpool.canonical_json import Bound, to_json
from darkpool.limits import PRICE_MAX_UNITS
from darkpool.record.kinds import Address, Name, Price, Signature

MARGIN_VERSION: Final = 2
VALUES: Final = 34
"""Entries of a risk array: the value now, and in each of 33 scenarios."""

Ppm = Annotated[int, Bound(10**8)]
Kind = Literal["future", "perpetual", "call", "put"]


@dataclass(frozen=True, slots=True)
class UnderlyingRecord:
    """Risk parameters of an underlying.

    `concentration_from` is in cash units, and `price_range_min` in price units.
    """

    name: Name
    price_range: Ppm
    tail_multiple: Ppm
    tail_weight: Ppm
    volatility_up: Ppm
    volatility_down: Ppm
    basis: Ppm
    short_option: Ppm
    concentration_from: int
    concentration: Ppm
    price_range_min: Price


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """Underlyings whose joint risk is believed by a part."""

    name: Name
    underlyings: tuple[Name, ...]
    offset: Ppm


@dataclass(frozen=True, slots=True)
class CollateralRecord:
    """A token that counts as collateral without its `haircut`, for `most` cash units at most."""

    token: Name
    underlying: Name
    haircut: Ppm
    most: int


@dataclass(frozen=True, slots=True)
class ContractRecord:
    """A contract; `tick_size` and `strike` in price units, None where its kind has none."""

    name: Name
    kind: Kind
    underlying: Name
    multiplier: int
    tick_size: Price
    expiry_ms: int | None
    strike: Price | None


@dataclass(frozen=True, slots=True)
class SpecificationRecord:
    """`contracts.json`: what can be traded, and how risk is measured; `initial` is a multiple."""

    version: int
    name: Name
    initial: Ppm
    horizon_ms: int
    underlyings: tuple[UnderlyingRecord, ...]
    groups: tuple[GroupRecord, ...]
    collateral: tuple[CollateralRecord, ...]
    contracts: tuple[ContractRecord, ...]


@dataclass(frozen=True, slots=True)
class ReportRecord:
    """What one reporter signed: an EIP-712 `PriceReport`, whose feed is told by its place."""

    value: Annotated[int, Bound(PRICE_MAX_UNITS, -PRICE_MAX_UNITS)]
    observed_at: int
    signature: Signature


@dataclass(frozen=True, slots=True)
class QuoteRecord:
    """A number of the market, and the reports whose lower median it is."""

    value: Annotated[int, Bound(PRICE_MAX_UNITS, -PRICE_MAX_UNITS)]
    reports: tuple[ReportRecord, ...]


@dataclass(frozen=True, slots=True)
class ExpiryRecord:
    """Numbers of an underlying for one expiry; a volatility for each strike, in ppm.

    Feeds: `{underlying}/{expiry_ms}/forward`, `.../rate`, `.../volatility/{strike}`.
    """

    expiry_ms: int
    forward: QuoteRecord
    rate: QuoteRecord
    strikes: tuple[Price, ...]
    volatilities: tuple[QuoteRecord, ...]


@dataclass(frozen=True, slots=True)
class QuotesRecord:
    """Numbers of an underlying; feeds `{underlying}/index` and `{underlying}/perpetual`."""

    name: Name
    index: QuoteRecord
    perpetual: QuoteRecord | None
    expiries: tuple[ExpiryRecord, ...]


@dataclass(frozen=True, slots=True)
class MarketRecord:
    """`market.json`: all numbers that margin is computed at.

    Attributes:
        time_ms: when contracts are valued.
        reporters: who may report.
        false_max: how many of them may be false: a number needs reports of twice as many and one.
        age_max_ms: age of a report that counts; the reports of one number are apart in time by no
            more than that and what clocks may differ by.
    """

    version: int
    time_ms: int
    reporters: tuple[Address, ...]
    false_max: int
    age_max_ms: int
    underlyings: tuple[QuotesRecord, ...]


@dataclass(frozen=True, slots=True)
class RiskArrayRecord:
    """What one unit of a contract is worth in price units: now, then in the 33 scenarios.

    `low` is rounded down and `high` up; `delta` is the gain for a move of the underlying by its
    whole price, or by `price_range_min` where that is more, to the nearest. All of an expired
    contract are zero.
    """

    low: tuple[Price, ...]
    high: tuple[Price, ...]
    delta: Price


@dataclass(frozen=True, slots=True)
class RiskArraysFile:
    """`risk.json`: of each contract of the specification, in its order."""

    version: int
    contracts: tuple[RiskArrayRecord, ...]


@dataclass(frozen=True, slots=True)
class MarginInputs:
    """All that margin of an auction follows from, besides balances, caps and fills."""

    specification: SpecificationRecord
    market: MarketRecord
    risk: RiskArraysFile

    def parts(self) -> tuple[SpecificationRecord, MarketRecord, RiskArraysFile]:
        """The files, in the order of their names."""
        return self.specification, self.market, self.risk

    def versions(self) -> tuple[int, int, int]:
        """Of the files."""
        return self.specification.version, self.market.version, self.risk.version

    def digest(self) -> bytes:
        """The 32 bytes that stand for them in what keypers sign: SHA-256 of the files' SHA-256."""
        files = (hashlib.sha256(to_json(part)).digest() for part in self.parts())
        return hashlib.sha256(b"".join(files)).digest()
