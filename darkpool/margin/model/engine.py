"""Continuous risk: all accounts as arrays, revalued whenever a price changes.

Positions of an account in one underlying are a segment. A new price of an underlying changes its
contracts' values, the segments that hold them, and the accounts of those; nothing else is computed
again, and what comes out is what a computation of everything gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from darkpool.errors import OutOfBounds
from darkpool.margin.errors import NoPrice
from darkpool.margin.market.instruments import Specification
from darkpool.margin.market.market import Market
from darkpool.margin.model.caps import Holdings
from darkpool.margin.model.portfolio import EXPOSURE_MAX, PortfolioMargin
from darkpool.margin.model.revaluation import (
    COUNT,
    ContractRisk,
    Positions,
    RiskTerms,
    Segments,
    SegmentSums,
    combine,
    value_segments,
)
from darkpool.margin.model.scenarios import Integers, LotRisk, lot_risk
from darkpool.units import AccountId, Cash, PriceUnits

_FLOAT_ERROR: Final = 2.0**-32
"""More than the sum of an account's exposures in floats can be wrong by, as a part of it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an account stands, in cash units."""

    account: AccountId
    equity: Cash
    maintenance: Cash
    initial: Cash


class RiskEngine:
    """Margin of many accounts under one specification.

    Args:
        accounts: what each holds; `net` is by contract of the specification, in its order.

    Raises:
        NoPrice: the market lacks a price of a contract of the specification, or a position is in
            one that has expired and is not settled.
        OutOfBounds: a lot, or an account's positions, larger than margin is computed for.
    """

    def __init__(
        self,
        specification: Specification,
        market: Market,
        accounts: Mapping[AccountId, Holdings],
    ) -> None:
        self._specification = specification
        self._contracts = tuple(specification.contracts.values())
        self._names = list(specification.underlyings)
        self._accounts = list(accounts)
        self._cash = [holdings.cash - holdings.cost for holdings in accounts.values()]
        tokens = enumerate(holdings.tokens for holdings in accounts.values())
        self._tokens = {index: held for index, held in tokens if any(held.values())}
        self._collateral = [0] * len(self._accounts)
        self._prices: dict[str, PriceUnits] = {}
        self._of_contract = np.array([self._names.index(c.underlying) for c in self._contracts])
        nets = [holdings.net for holdings in accounts.values()]
        count = len(self._contracts)
        self._arrange(np.stack(nets) if nets else np.zeros((0, count), dtype=np.int64))
        self._terms = _risk_terms(specification)
        self._largest = np.zeros(count, dtype=np.int64)
        segments = self._segments.underlyings.size
        self._sums = SegmentSums(
            np.zeros((segments, 4), dtype=np.int64),
            np.zeros((segments, COUNT), dtype=np.int64),
        )
        self._out = np.zeros((len(self._accounts), 3), dtype=np.int64)
        self.reprice(market)

    def _arrange(self, net: Integers) -> None:
        """Positions by account, underlying and expiry; segments; whose they are."""
        keys = [(c.underlying, c.expiry_ms is None, c.expiry_ms or 0) for c in self._contracts]
        numbers = {key: number for number, key in enumerate(sorted(set(keys)))}
        expiries = np.array([numbers[key] for key in keys])
        order = np.lexsort((expiries, self._of_contract))
        account, column = np.nonzero(net[:, order])
        held = order[column]
        underlying = self._of_contract[held]
        edges = np.flatnonzero((np.diff(account) != 0) | (np.diff(underlying) != 0)) + 1
        firsts = np.concatenate([[0], edges]) if account.size else np.zeros(0, dtype=np.int64)
        self._positions = Positions(np.append(firsts, account.size), held, net[account, held])
        self._owners = account[firsts]
        starts = np.searchsorted(self._owners, np.arange(len(self._accounts) + 1))
        self._segments = Segments(starts, underlying[firsts])
        count = len(self._contracts)
        self._risk = ContractRisk(
            np.zeros((4, count), dtype=np.int64),
            np.zeros((2, count, COUNT), dtype=np.int64),
            expiries,
        )

    def reprice(self, market: Market, underlyings: Iterable[str] | None = None) -> None:
        """Take over a market's prices of some underlyings, or of all.

        All or nothing: where it raises, everything stays as it was.

        Raises:
            NoPrice: the market lacks a price.
            OutOfBounds: see the class.
        """
        names = self._names if underlyings is None else list(underlyings)
        for name in names:
            if name not in self._names:
                raise NoPrice(name, "an underlying of the specification")
        moved = np.array([self._names.index(name) for name in names], dtype=np.int64)
        indexes = np.flatnonzero(np.isin(self._of_contract, moved))
        lots = lot_risk(self._specification, market, [self._contracts[i] for i in indexes])
        for expired in indexes[np.isin(indexes, self._positions.contracts) & lots.expired].tolist():
            raise NoPrice(self._contracts[expired].name, "its final settlement")
        prices = self._prices | {
            token.token: lots.tokens[token.token]
            for token in self._specification.form.collateral
            if token.underlying in names
        }
        margin = PortfolioMargin(self._specification, replace(lots, tokens=prices))
        collateral = {index: margin.collateral(held) for index, held in self._tokens.items()}
        risk, largest = self._with_lots(lots, indexes), self._largest.copy()
        largest[indexes] = lots.largest
        self._require_bounded(largest)
        self._risk, self._largest, self._prices = risk, largest, prices
        for index, amount in collateral.items():
            self._collateral[index] = amount
        segments = np.flatnonzero(np.isin(self._segments.underlyings, moved))
        value_segments(segments, self._positions, self._risk, self._sums)
        owners = np.unique(self._owners[segments])
        combine(owners, self._segments, self._sums, self._terms, self._out)

    def _with_lots(self, lots: LotRisk, indexes: Integers) -> ContractRisk:
        """The risk of all contracts, with that of some of them from `lots`."""
        options = np.array([contract.kind.is_option for contract in lots.contracts], dtype=np.bool_)
        values, changes = self._risk.values.copy(), self._risk.changes.copy()
        rows = lots.value_low, lots.value_high, lots.delta, lots.underlying * options
        values[:, indexes] = np.stack(rows)
        changes[0, indexes], changes[1, indexes] = lots.change_low, lots.change_high
        return self._risk._replace(values=values, changes=changes)

    def _require_bounded(self, largest: Integers) -> None:
        """Check in floats, and again in integers where they cannot tell."""
        positions = self._positions
        each = np.abs(positions.lots).astype(np.float64) * largest[positions.contracts]
        segments = np.add.reduceat(each, positions.starts[:-1]) if each.size else each
        exposure = np.bincount(self._owners, segments, len(self._accounts))
        for owner in np.flatnonzero(exposure > EXPOSURE_MAX * (1 - _FLOAT_ERROR)).tolist():
            first, last = positions.starts[self._segments.starts[owner : owner + 2]].tolist()
            held = positions.contracts[first:last]
            pairs = zip(positions.lots[first:last].tolist(), largest[held].tolist(), strict=True)
            exact = sum(abs(lots) * change for lots, change in pairs)
            if exact > EXPOSURE_MAX:
                what = f"exposure of {self._accounts[owner]} in cash units"
                raise OutOfBounds(what, 0, EXPOSURE_MAX, exact)

    def standings(self) -> list[Standing]:
        """Where all accounts stand, in the order given."""
        return [self.standing(index) for index in range(len(self._accounts))]

    def standing(self, index: int) -> Standing:
        """Where an account stands, by its index among those that were given."""
        maintenance, initial, value = self._out[index].tolist()
        equity = Cash(self._cash[index] + self._collateral[index] + value)
        return Standing(self._accounts[index], equity, Cash(maintenance), Cash(initial))

    def below_maintenance(self) -> list[Standing]:
        """Accounts whose equity does not cover maintenance margin, in the order given."""
        equity = np.array(self._cash, dtype=object) + self._collateral + self._out[:, 2]
        return [self.standing(int(i)) for i in np.flatnonzero(equity < self._out[:, 0])]


def _risk_terms(specification: Specification) -> RiskTerms:
    form = specification.form
    parameters = [
        [t.tail_weight, t.basis, t.short_option, t.concentration_from, t.concentration]
        for t in form.underlyings
    ]
    group_of = {name: k for k, group in enumerate(form.groups) for name in group.underlyings}
    return RiskTerms(
        np.array(parameters),
        np.array([group_of.get(name, -1) for name in specification.underlyings]),
        np.array([group.offset for group in form.groups], dtype=np.int64),
        form.initial,
    )
