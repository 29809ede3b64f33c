"""Portfolio files: what an account holds."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from darkpool.limits import CASH_DECIMALS
from darkpool.margin.errors import InvalidFile, Problem
from darkpool.margin.market.forms import (
    Form,
    Name,
    Text,
    Version,
    decimals_of,
    entries,
    number,
    parsed_json,
    require_once,
    validated,
    wrong,
)
from darkpool.margin.market.instruments import Contract, Specification
from darkpool.margin.model.caps import Holdings
from darkpool.margin.model.portfolio import TOKEN_UNITS
from darkpool.units import Cash, InstrumentName, require_kind

LOTS_MAX: Final = 10**12
"""Lots of one position."""

CASH_BELOW: Final = 10**19
"""An amount of cash is less than this in absolute terms, in the currency."""

TOKENS_BELOW: Final = 10**13
"""An amount of a token is less than this, in tokens."""


def _cash(text: str) -> str:
    if abs(_amount(text)) >= CASH_BELOW:
        raise wrong(f"an amount above -{CASH_BELOW} and below {CASH_BELOW}", text)
    return text


def _tokens(text: str) -> str:
    if not 0 <= _amount(text) < TOKENS_BELOW:
        raise wrong(f"an amount of tokens from 0 to below {TOKENS_BELOW}", text)
    return text


def _amount(text: str) -> Decimal:
    amount = number(text)
    if decimals_of(amount) > CASH_DECIMALS:
        raise wrong(f"at most {CASH_DECIMALS} decimals", text)
    return amount


_CashText = Annotated[Text, AfterValidator(_cash)]


class PositionForm(Form):
    """A position; `cost` is what its trades cost less what they brought."""

    contract: Name
    lots: Annotated[int, Field(strict=True, ge=-LOTS_MAX, le=LOTS_MAX)]
    cost: _CashText


class TokenForm(Form):
    """Collateral besides cash, in tokens."""

    token: Name
    amount: Annotated[Text, AfterValidator(_tokens)]


class PortfolioForm(Form):
    """The file as a whole; `cash` is collateral, all amounts but tokens are in the currency."""

    version: Version
    cash: _CashText
    collateral: Annotated[tuple[TokenForm, ...], entries(TokenForm, 1000)] = ()
    positions: Annotated[tuple[PositionForm, ...], entries(PositionForm, 100_000)] = ()

    @model_validator(mode="after")
    def _has_everything_once(self) -> Self:
        held = enumerate(self.positions)
        require_once("contract", [(one.contract, ("positions", k, "contract")) for k, one in held])
        tokens = enumerate(self.collateral)
        require_once("token", [(one.token, ("collateral", k, "token")) for k, one in tokens])
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Portfolio:
    """Contracts, and what is held of them in their order."""

    contracts: tuple[Contract, ...]
    holdings: Holdings


def cash_units(text: str) -> Cash:
    """An amount of at most six decimals, exactly."""
    return Cash(int(Decimal(text).scaleb(CASH_DECIMALS)))


def read_portfolio(source: str, text: str, specification: Specification) -> Portfolio:
    """Read a portfolio file.

    Raises:
        WrongType: no text, or no specification.
        InvalidFile: no JSON, not a portfolio, or a contract or token that the specification does
            not have.
    """
    require_kind("specification", Specification, specification)
    form = validated(PortfolioForm, source, parsed_json(source, text))
    problems = [
        Problem(f"positions[{index}].contract", "one of the specification", position.contract)
        for index, position in enumerate(form.positions)
        if position.contract not in specification.contracts
    ]
    known = {token.token for token in specification.form.collateral}
    problems += [
        Problem(f"collateral[{index}].token", "one of the specification", token.token)
        for index, token in enumerate(form.collateral)
        if token.token not in known
    ]
    if problems:
        raise InvalidFile(source, problems)
    contracts = tuple(
        specification.contracts[InstrumentName(position.contract)] for position in form.positions
    )
    cost = Cash(sum(cash_units(position.cost) for position in form.positions))
    net = np.array([position.lots for position in form.positions], dtype=np.int64)
    tokens = {held.token: int(Decimal(held.amount) * TOKEN_UNITS) for held in form.collateral}
    return Portfolio(contracts, Holdings(cash_units(form.cash), cost, net, tokens))
