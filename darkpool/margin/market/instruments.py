"""What can be traded, and the risk parameters that margin is computed by: the specification.

A specification is a TOML file, of a version, and is published whole with every auction; the hash
that keypers sign with the terms covers it. Everything that is
cash-settled has one multiplier: a contract on `multiplier` units of its underlying gains that many
cash units for a price unit.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from crypto.signing.messages import instrument_id
from darkpool.limits import CONTRACT_MULTIPLIER_MAX
from darkpool.margin.errors import InvalidFile, Problem
from darkpool.margin.market.forms import (
    DistanceText,
    Form,
    Moment,
    Multiple,
    Name,
    PositivePriceText,
    Share,
    Version,
    entries,
    price_of,
    require_once,
    require_text,
    validated,
    wrong,
)
from darkpool.record.margin_forms import (
    MARGIN_VERSION,
    CollateralRecord,
    ContractRecord,
    GroupRecord,
    SpecificationRecord,
    UnderlyingRecord,
)
from darkpool.units import PPM, InstrumentId, InstrumentName, PriceUnits

_MULTIPLIER = Annotated[int, Field(strict=True, ge=1, le=CONTRACT_MULTIPLIER_MAX)]
_CASH = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)]
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_BARE: Final = "(?<![A-Za-z0-9_-])[A-Za-z0-9_-]++"
_PART: Final = rf"""(?:{_BARE}|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_NAMES: Final = re.compile(r"\((?:'[^']*+',? ?)++\)")
_LONG_KEY: Final = re.compile(rf"(?:{_PART}\.[ \t]*+){{8}}")
"""Takes time in proportion to the text: it starts once in a word, and goes back over none."""


class Kind(StrEnum):
    """What a contract pays."""

    FUTURE = "future"
    PERPETUAL = "perpetual"
    CALL = "call"
    PUT = "put"

    @property
    def is_option(self) -> bool:
        """Whether it is exercised or not."""
        return self in (Kind.CALL, Kind.PUT)


class ContractForm(Form):
    """A contract of the specification file; `expiry` and `strike` where its kind has them.

    Prices are multiples of `tick_size`.
    """

    name: Name
    kind: Kind
    underlying: Name
    multiplier: _MULTIPLIER
    tick_size: PositivePriceText
    expiry: Moment | None = None
    strike: PositivePriceText | None = None

    @model_validator(mode="after")
    def _has_what_its_kind_has(self) -> Self:
        if self.kind is Kind.PERPETUAL and self.expiry is not None:
            raise wrong("no expiry of a perpetual swap", self.expiry, "expiry")
        if self.kind is not Kind.PERPETUAL and self.expiry is None:
            raise wrong(f"an expiry of a {self.kind}", None, "expiry")
        if self.expiry is not None and not has_date(self.expiry):
            raise wrong("an expiry from 1970 to 9999", self.expiry, "expiry")
        if self.kind.is_option and self.strike is None:
            raise wrong(f"a strike of a {self.kind}", None, "strike")
        if not self.kind.is_option and self.strike is not None:
            raise wrong(f"no strike of a {self.kind}", self.strike, "strike")
        return self


class UnderlyingForm(Form):
    """Risk parameters of an underlying, in parts per million but for two that say what they are in.

    Attributes:
        price_range: the largest move of the price that is covered in full, relative to it.
        price_range_min: that move in price, at least. With more than 0 the price may be at or below
            zero.
        tail_multiple: extreme moves, as a multiple of `price_range`.
        tail_weight: the part of an extreme loss that is covered.
        volatility_up, volatility_down: relative moves of volatility at 30 days to expiry; others
            by the root of 30 days over the time left, between half and three times as much.
        basis: the charge on the net delta of each expiry.
        short_option: the least charge for a short option, on the value of its underlying.
        concentration_from: net delta in cash units up to which nothing is added.
        concentration: the charge on what is above.
    """

    name: Name
    price_range: Share
    tail_multiple: Annotated[int, Field(strict=True, ge=PPM, le=10 * PPM)]
    tail_weight: Share
    volatility_up: Multiple
    volatility_down: Annotated[int, Field(strict=True, ge=0, lt=PPM)]
    basis: Share
    short_option: Share
    concentration_from: _CASH
    concentration: Share
    price_range_min: DistanceText = "0"

    @cached_property
    def least_range(self) -> PriceUnits:
        """`price_range_min` in price units."""
        return price_of(self.price_range_min)


class CollateralForm(Form):
    """A token that counts as collateral, at the index of its underlying.

    Attributes:
        haircut: the part of its value that does not count.
        most: cash units that an account's tokens count for at most.
    """

    token: Name
    underlying: Name
    haircut: Share
    most: _CASH


class GroupForm(Form):
    """Underlyings that move together, and the part of their joint risk that is believed."""

    name: Name
    underlyings: Annotated[tuple[Name, ...], Field(min_length=2), entries(Name, 1000)]
    offset: Share


class SpecificationForm(Form):
    """The file as a whole.

    Attributes:
        initial: initial margin as a multiple of maintenance margin.
        horizon_ms: time to close out: option values in scenarios are that much later.
    """

    version: Version
    name: Name
    initial: Annotated[int, Field(strict=True, ge=PPM, le=10 * PPM)]
    horizon_ms: Annotated[int, Field(strict=True, ge=0, le=30 * 86_400_000)]
    underlyings: Annotated[
        tuple[UnderlyingForm, ...], Field(min_length=1), entries(UnderlyingForm, 1000)
    ]
    groups: Annotated[tuple[GroupForm, ...], entries(GroupForm, 1000)] = ()
    collateral: Annotated[tuple[CollateralForm, ...], entries(CollateralForm, 1000)] = ()
    contracts: Annotated[
        tuple[ContractForm, ...], Field(min_length=1), entries(ContractForm, 100_000)
    ]

    @model_validator(mode="after")
    def _names_fit_together(self) -> Self:
        fields = ("underlyings", "name"), ("groups", "name"), ("contracts", "name")
        for field, key in (*fields, ("collateral", "token")):
            entries = enumerate(getattr(self, field))
            places = [(getattr(entry, key), (field, index, key)) for index, entry in entries]
            require_once("name", places)
        grouped: list[tuple[str, _Path]] = [
            (name, ("groups", index, "underlyings", place))
            for index, group in enumerate(self.groups)
            for place, name in enumerate(group.underlyings)
        ]
        require_once("underlying of groups", grouped)
        used = [
            (c.underlying, _underlying_of("contracts", k)) for k, c in enumerate(self.contracts)
        ]
        tokens = [
            (t.underlying, _underlying_of("collateral", k)) for k, t in enumerate(self.collateral)
        ]
        known = {underlying.name: underlying for underlying in self.underlyings}
        for name, path in (*grouped, *used, *tokens):
            if name not in known:
                raise wrong("one of the underlyings", name, *path)
        for name, path in tokens:
            if known[name].least_range > 0:
                expected = (
                    "an underlying without price_range_min: its tokens are never worth less than 0"
                )
                raise wrong(expected, name, *path)
        return self


_Path = tuple[str | int, ...]


def _underlying_of(field: str, index: int) -> _Path:
    return field, index, "underlying"


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract; times are Unix milliseconds, `None` where its kind has none."""

    name: InstrumentName
    kind: Kind
    underlying: str
    multiplier: int
    tick_size: PriceUnits
    expiry_ms: int | None
    strike: PriceUnits | None

    @property
    def identifier(self) -> InstrumentId:
        """The 32 bytes that stand for it in signed messages and on the chain."""
        return InstrumentId(instrument_id(self.name))


class Specification:
    """Contracts and risk parameters, as laid down in a file.

    Attributes:
        form: the file's content.
        contracts: by name.
        underlyings: by name.
        record: the same as it is published.
    """

    def __init__(self, form: SpecificationForm) -> None:
        self.form = form
        self.underlyings = {underlying.name: underlying for underlying in form.underlyings}
        self.contracts = {
            InstrumentName(contract.name): Contract(
                InstrumentName(contract.name),
                contract.kind,
                contract.underlying,
                contract.multiplier,
                price_of(contract.tick_size),
                None if contract.expiry is None else unix_ms(contract.expiry),
                None if contract.strike is None else price_of(contract.strike),
            )
            for contract in form.contracts
        }

    @cached_property
    def record(self) -> SpecificationRecord:
        """What is published of it."""
        form = self.form
        return SpecificationRecord(
            MARGIN_VERSION,
            form.name,
            form.initial,
            form.horizon_ms,
            tuple(
                UnderlyingRecord(**u.model_dump() | {"price_range_min": u.least_range})
                for u in form.underlyings
            ),
            tuple(GroupRecord(**group.model_dump()) for group in form.groups),
            tuple(CollateralRecord(**token.model_dump()) for token in form.collateral),
            tuple(
                ContractRecord(
                    c.name,
                    c.kind.value,
                    c.underlying,
                    c.multiplier,
                    c.tick_size,
                    c.expiry_ms,
                    c.strike,
                )
                for c in self.contracts.values()
            ),
        )


def has_date(moment: datetime) -> bool:
    """Whether a time with its zone has a date in UTC from 1970 on: the last hours of 9999 may not.

    Times are told by that date.
    """
    return 0 <= unix_ms(moment) <= unix_ms(_LAST)


def unix_ms(moment: datetime) -> int:
    """Milliseconds since 1970, exactly; parts of a millisecond are cut off."""
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 1000 + moment.microsecond // 1000


def _told(error: Exception) -> str:
    """What the parser says, in words of this project where it speaks of Python."""
    if not isinstance(error, tomllib.TOMLDecodeError):
        deep = isinstance(error, RecursionError)
        return "lists or tables nested too deep" if deep else "a number of too many digits"
    names = _NAMES.sub(lambda found: ".".join(re.findall(r"'([^']*)'", found[0])), str(error))
    return names[:100]


def read_specification(source: str, text: str) -> Specification:
    """Read a specification file.

    Raises:
        WrongType: no text.
        InvalidFile: no TOML, or not a specification; names every field at fault.
    """
    require_text(source, text)
    if _LONG_KEY.search(text):
        # the parser needs memory for the square of a key's parts
        raise InvalidFile(source, [Problem("file", "keys of few parts", "a key of many")])
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidFile(source, [Problem("file", "TOML", _told(error))]) from None
    return Specification(validated(SpecificationForm, source, data))
