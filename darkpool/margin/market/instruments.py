"""What can be traded, and the risk parameters that margin is computed by: the specification.

A specification is a TOML file, of a version, and is published whole with every auction; the hash
that keypers sign with the terms covers it. Everything that is
cash-settled has one multiplier: a contract on `multiplier` units of its underlying gains that many
cash units for a price unit.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Final, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from crypto.signing.messages import instrument_id
from darkpool.errors import DarkpoolError
from darkpool.limits import CONTRACT_MULTIPLIER_MAX
from darkpool.margin.errors import InvalidFile, Problem
from darkpool.margin.market.forms import DecimalText, Form, Multiple, Name, Share, validated
from darkpool.record.margin_forms import (
    MARGIN_VERSION,
    CollateralRecord,
    ContractRecord,
    GroupRecord,
    SpecificationRecord,
    UnderlyingRecord,
)
from darkpool.units import PPM, InstrumentId, InstrumentName, PriceUnits, price_units

_MULTIPLIER = Annotated[int, Field(strict=True, ge=1, le=CONTRACT_MULTIPLIER_MAX)]
_CASH = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)]
_PART: Final = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')[ \t]*"""
_LONG_KEY: Final = re.compile(rf"(?:{_PART}\.[ \t]*){{8}}")


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
    tick_size: DecimalText
    expiry: AwareDatetime | None = None
    strike: DecimalText | None = None

    @model_validator(mode="after")
    def _has_what_its_kind_has(self) -> Self:
        if (self.expiry is None) != (self.kind is Kind.PERPETUAL):
            raise ValueError("an expiry, but for a perpetual swap")
        if self.expiry is not None and unix_ms(self.expiry) < 0:
            raise ValueError("an expiry after 1970")
        if (self.strike is None) == self.kind.is_option:
            raise ValueError("a strike for an option and for nothing else")
        if self.strike is not None and _price(self.strike, "strike") <= 0:
            raise ValueError("a strike above zero")
        if _price(self.tick_size, "tick size") <= 0:
            raise ValueError("a tick size above zero")
        return self


def _price(text: str, what: str) -> PriceUnits:
    try:
        return price_units(Decimal(text))
    except (ArithmeticError, DarkpoolError):
        raise ValueError(f"a decimal number of at most six decimals as {what}") from None


class UnderlyingForm(Form):
    """Risk parameters of an underlying, all in parts per million but for `concentration_from`.

    Attributes:
        price_range: the largest move of the price that is covered in full, relative to it.
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
    underlyings: Annotated[tuple[Name, ...], Field(min_length=2)]
    offset: Share


class SpecificationForm(Form):
    """The file as a whole.

    Attributes:
        initial: initial margin as a multiple of maintenance margin.
        horizon_ms: time to close out: option values in scenarios are that much later.
    """

    version: Literal[1]
    name: Name
    initial: Annotated[int, Field(strict=True, ge=PPM, le=10 * PPM)]
    horizon_ms: Annotated[int, Field(strict=True, ge=0, le=30 * 86_400_000)]
    underlyings: Annotated[tuple[UnderlyingForm, ...], Field(min_length=1, max_length=1000)]
    groups: tuple[GroupForm, ...] = ()
    collateral: Annotated[tuple[CollateralForm, ...], Field(max_length=1000)] = ()
    contracts: Annotated[tuple[ContractForm, ...], Field(min_length=1, max_length=100_000)]

    @model_validator(mode="after")
    def _names_fit_together(self) -> Self:
        known = {underlying.name for underlying in self.underlyings}
        _once("underlying", (underlying.name for underlying in self.underlyings))
        _once("group", (group.name for group in self.groups))
        _once("contract", (contract.name for contract in self.contracts))
        _once("token", (token.token for token in self.collateral))
        _once("underlying of groups", (name for g in self.groups for name in g.underlyings))
        used = [name for group in self.groups for name in group.underlyings]
        used += [contract.underlying for contract in self.contracts]
        used += [token.underlying for token in self.collateral]
        for name in used:
            if name not in known:
                raise ValueError(f"one of the underlyings, not {name!r}")
        return self


def _once(what: str, names: Iterable[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(f"each {what} once, not {name!r} {count} times")


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
                _price(contract.tick_size, "tick size"),
                None if contract.expiry is None else unix_ms(contract.expiry),
                None if contract.strike is None else _price(contract.strike, "strike"),
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
            tuple(UnderlyingRecord(**u.model_dump()) for u in form.underlyings),
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


def unix_ms(moment: datetime) -> int:
    """Milliseconds since 1970, exactly; parts of a millisecond are cut off."""
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 1000 + moment.microsecond // 1000


def read_specification(source: str, text: str) -> Specification:
    """Read a specification file.

    Raises:
        InvalidFile: no TOML, or not a specification; names every field at fault.
    """
    if _LONG_KEY.search(text):
        # the parser needs memory for the square of a key's parts
        raise InvalidFile(source, [Problem("file", "keys of few parts", "a key of many")])
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidFile(source, [Problem("file", "TOML", str(error)[:100])]) from None
    return Specification(validated(SpecificationForm, source, data))
