"""Continuous risk: all accounts as arrays, revalued whenever a price changes.

Positions of an account in one underlying are a segment. A new price of an underlying changes its
contracts' values, the segments that hold them, and the accounts of those; nothing else is computed
again, and what comes out is what a computation of everything gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from darkpool.errors import OutOfBounds
from darkpool.margin.errors import NoPrice
from darkpool.margin.market.instruments import Contract, Specification
from darkpool.margin.market.market import Market
from darkpool.margin.model.caps import Holdings
from darkpool.margin.model.portfolio import EXPOSURE_MAX, PortfolioMargin
from darkpool.margin.model.revaluation import COUNT, combine, value_segments
from darkpool.margin.model.scenarios import Integers, lot_risk
from darkpool.units import AccountId, Cash, PriceUnits


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
        nets = [holdings.net for holdings in accounts.values()]
        none = np.zeros((0, len(self._contracts)), dtype=np.int64)
        self._arrange(np.stack(nets) if nets else none)
        self._lay_down_terms()
        contracts = len(self._contracts)
        self._risk = np.zeros((4, contracts), dtype=np.int64)
        self._largest = np.zeros(contracts, dtype=np.int64)
        self._changes = np.zeros((2, contracts, COUNT), dtype=np.int64)
        self._sums = np.zeros((self._underlyings.size, 4), dtype=np.int64)
        self._losses = np.zeros((self._underlyings.size, COUNT), dtype=np.int64)
        self._out = np.zeros((len(self._accounts), 3), dtype=np.int64)
        self.reprice(market)

    def _arrange(self, net: Integers) -> None:
        """Positions by account, underlying and expiry; segments; whose they are."""
        keys = [(c.underlying, c.expiry_ms is None, c.expiry_ms or 0) for c in self._contracts]
        numbers = {key: number for number, key in enumerate(sorted(set(keys)))}
        self._expiries = np.array([numbers[key] for key in keys])
        of_contract = np.array([self._names.index(c.underlying) for c in self._contracts])
        order = np.lexsort((self._expiries, of_contract))
        account, place = np.nonzero(net[:, order])
        self._held = order[place]
        self._lots = net[account, self._held]
        underlying = of_contract[self._held]
        edges = np.flatnonzero((np.diff(account) != 0) | (np.diff(underlying) != 0)) + 1
        firsts = np.concatenate([[0], edges]) if account.size else np.zeros(0, dtype=np.int64)
        self._positions_from = np.append(firsts, account.size)
        self._underlyings = underlying[firsts]
        owners = account[firsts]
        self._segments_from = np.searchsorted(owners, np.arange(len(self._accounts) + 1))
        self._of_contract, self._owners = of_contract, owners

    def _lay_down_terms(self) -> None:
        form = self._specification.form
        self._terms = np.array(
            [
                [t.tail_weight, t.basis, t.short_option, t.concentration_from, t.concentration]
                for t in form.underlyings
            ]
        )
        group_of = {name: k for k, group in enumerate(form.groups) for name in group.underlyings}
        self._groups = np.array([group_of.get(name, -1) for name in self._names])
        self._offsets = np.array([group.offset for group in form.groups], dtype=np.int64)

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
        places = np.flatnonzero(np.isin(self._of_contract, moved))
        contracts: Sequence[Contract] = [self._contracts[place] for place in places]
        found = lot_risk(self._specification, market, contracts)
        held = np.isin(places, self._held)
        for place in places[held & found.expired].tolist():
            raise NoPrice(self._contracts[place].name, "its final settlement")
        prices = self._prices | {
            token.token: found.tokens[token.token]
            for token in self._specification.form.collateral
            if token.underlying in names
        }
        worth = PortfolioMargin(self._specification, replace(found, tokens=prices))
        collateral = {index: worth.collateral(held) for index, held in self._tokens.items()}
        risk, changes, largest = self._risk.copy(), self._changes.copy(), self._largest.copy()
        largest[places] = found.largest
        options = np.array([contract.kind.is_option for contract in contracts], dtype=np.bool_)
        rows = found.value_low, found.value_high, found.delta, found.underlying * options
        risk[:, places] = np.stack(rows)
        changes[0, places], changes[1, places] = found.change_low, found.change_high
        self._require_bounded(largest)
        self._risk, self._changes, self._largest = risk, changes, largest
        self._prices = prices
        for index, amount in collateral.items():
            self._collateral[index] = amount
        segments = np.flatnonzero(np.isin(self._underlyings, moved))
        value_segments(
            segments,
            self._positions_from,
            self._held,
            self._lots,
            self._risk,
            self._changes,
            self._expiries,
            self._sums,
            self._losses,
        )
        combine(
            np.unique(self._owners[segments]),
            self._segments_from,
            self._underlyings,
            self._sums,
            self._losses,
            self._terms,
            self._groups,
            self._offsets,
            self._specification.form.initial,
            self._out,
        )

    def _require_bounded(self, largest: Integers) -> None:
        """Check in floats, whose error is far below the room that is left."""
        each = np.abs(self._lots).astype(np.float64) * largest[self._held]
        segments = np.add.reduceat(each, self._positions_from[:-1]) if each.size else each
        exposure = np.bincount(self._owners, segments, len(self._accounts))
        if exposure.size and exposure.max() > EXPOSURE_MAX:
            worst = int(exposure.argmax())
            what = f"exposure of {self._accounts[worst]}"
            raise OutOfBounds(what, 0, EXPOSURE_MAX, int(exposure[worst]))

    def standing(self, index: int) -> Standing:
        """Where an account stands, by its index among those that were given."""
        maintenance, initial, value = self._out[index].tolist()
        equity = Cash(self._cash[index] + self._collateral[index] + value)
        return Standing(self._accounts[index], equity, Cash(maintenance), Cash(initial))

    def below_maintenance(self) -> list[Standing]:
        """Accounts whose equity does not cover maintenance margin, in the order given."""
        equity = np.array(self._cash, dtype=object) + self._collateral + self._out[:, 2]
        return [self.standing(int(i)) for i in np.flatnonzero(equity < self._out[:, 0])]
