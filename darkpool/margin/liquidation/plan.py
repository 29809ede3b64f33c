"""Liquidation: which positions of an account are reduced, by how much, and at what price at worst.

No more is closed than brings equity back to initial margin.
`darkpool.margin.liquidation.liquidator` takes it to the next auction, and
`darkpool.margin.liquidation.waterfall` says what becomes of lots that are not taken there.

The reserve price of an order is the mark, moved against the account by a part of the maintenance
margin that one lot needs by itself: so a contract concedes by how much it can move, whatever its
price is, and since a lot of a single position frees at least what it needs by itself and concedes
at most half of that, closing it always helps. But it is never moved beyond the bankruptcy price,
so that what an account concedes it has.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Final

import numpy as np

from darkpool.errors import OutOfBounds
from darkpool.limits import CASH_MAX
from darkpool.margin.accounts.defaults import bankruptcy_price_of
from darkpool.margin.accounts.house import HOUSE
from darkpool.margin.errors import InvalidParties
from darkpool.margin.market.instruments import Contract
from darkpool.margin.model.caps import Holdings, equity
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.units import PPM, AccountId, Cash, InstrumentId, Lots, PriceUnits, Side

CONCESSION_MAX_PPM: Final = PPM // 2
"""With more, closing a lot could cost an account as much as it frees."""

SHARE_MAX: Final = 10**6


@dataclass(frozen=True, slots=True)
class Maker:
    """An account that has signed up to take over positions.

    Attributes:
        account: the maker's.
        share: its weight among the makers.
        initial_max: initial margin of all its positions, up to which it takes more of them.

    Raises:
        OutOfBounds: a share below 1 or above `SHARE_MAX`, or a negative amount.
    """

    account: AccountId
    share: int
    initial_max: Cash

    def __post_init__(self) -> None:
        if not 1 <= self.share <= SHARE_MAX:
            raise OutOfBounds("share of a maker", 1, SHARE_MAX, self.share)
        if not 0 <= self.initial_max <= CASH_MAX:
            raise OutOfBounds(
                "largest initial margin of a maker in cash units", 0, CASH_MAX, self.initial_max
            )


@dataclass(frozen=True, slots=True)
class LiquidationTerms:
    """How a venue liquidates; published.

    Attributes:
        liquidator: the account whose intents close positions of others.
        concession_ppm: how far a reserve price may be from the mark, as a part of the maintenance
            margin of one lot by itself.
        deleverage_ppm: the same part, of the most that a counterparty who is deleveraged gets less
            than the mark.
        makers: in the order in which lots that cannot be shared out go round.

    Raises:
        OutOfBounds: a part above its bound.
        InvalidParties: a maker twice; a liquidator that is one of the makers; or an account of the
            house among them.
    """

    liquidator: AccountId
    concession_ppm: int
    deleverage_ppm: int
    makers: tuple[Maker, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.concession_ppm <= CONCESSION_MAX_PPM:
            raise OutOfBounds("concession in ppm", 0, CONCESSION_MAX_PPM, self.concession_ppm)
        if not 0 <= self.deleverage_ppm <= PPM:
            raise OutOfBounds("deleveraging bound in ppm", 0, PPM, self.deleverage_ppm)
        named = [self.liquidator, *(maker.account for maker in self.makers), *HOUSE]
        if len(set(named)) < len(named):
            twice = next(account for account in named if named.count(account) > 1)
            raise InvalidParties("liquidator, makers and house", "each once", f"{twice} twice")


@dataclass(frozen=True, slots=True)
class LiquidationOrder:
    """What is to be closed of the position in one contract, at `reserve` or better."""

    contract_index: int
    instrument: InstrumentId
    side: Side
    size: Lots
    reserve: PriceUnits


def mark(
    margin: PortfolioMargin, contracts: Sequence[Contract], contract_index: int, lots: int
) -> PriceUnits:
    """What a unit of a contract is valued at for the holder of lots of that sign."""
    sign = 1 if lots > 0 else -1
    value = sign * margin.value_of(contract_index, sign)
    return PriceUnits(value // contracts[contract_index].multiplier)


def conceded(
    margin: PortfolioMargin,
    contracts: Sequence[Contract],
    contract_index: int,
    lots: int,
    part_ppm: int,
) -> PriceUnits:
    """The mark moved against the holder of lots of that sign, by a part of one lot's own margin.

    Rounded towards the mark; never below 0 where the contract cannot be worth less. A long lot of a
    contract on one unit that is marked at 61,000 and needs 9,455 by itself concedes 945.5 at a
    tenth: its price is 60,054.5, and 61,945.5 for a short lot.
    """
    sign = 1 if lots > 0 else -1
    alone = np.zeros(len(contracts), dtype=np.int64)
    alone[contract_index] = sign
    own = margin.requirement(alone).maintenance
    moved = own * part_ppm // (PPM * contracts[contract_index].multiplier)
    price = mark(margin, contracts, contract_index, sign) - sign * moved
    return PriceUnits(price if margin.can_fall_below_zero(contract_index) else max(0, price))


def liquidation_orders(
    margin: PortfolioMargin,
    holdings: Holdings,
    contracts: Sequence[Contract],
    terms: LiquidationTerms,
) -> tuple[LiquidationOrder, ...]:
    """What to close so that equity covers initial margin again if all fills at reserve prices.

    One position at a time, each at most once: the one whose lots free most initial margin for what
    they cost, and of it the fewest lots that are enough, or as many as help. Where no single
    position helps, because what is left is hedged, an equal part of all of them. Nothing if the
    account passes, and everything if nothing else is enough.

    Raises:
        OutOfBounds, NoPrice: see `PortfolioMargin.requirement`.
    """
    plan = _Plan(margin, holdings, contracts, terms)
    closed = tuple(0 for _ in contracts)
    untouched = list(plan.reserves)
    chosen: list[int] = []
    while plan.surplus(closed) < 0:
        steps = [step for index in untouched if (step := plan.step(closed, index)) is not None]
        if not steps:
            closed = plan.part_of_all(closed)
            chosen += untouched
            break
        best = max(steps, key=lambda step: (step.freed_for_cost, -step.contract_index))
        closed = _more(closed, best.contract_index, best.lots)
        untouched.remove(best.contract_index)
        chosen.append(best.contract_index)
    return tuple(
        LiquidationOrder(
            index,
            contracts[index].identifier,
            Side.SELL if holdings.net[index] > 0 else Side.BUY,
            Lots(closed[index]),
            plan.reserves[index].price,
        )
        for index in chosen
    )


@dataclass(frozen=True, slots=True)
class _Step:
    contract_index: int
    lots: int
    freed_for_cost: Fraction


@dataclass(frozen=True, slots=True)
class _Reserve:
    """The worst price of a position, and what closing one of its lots there costs."""

    price: PriceUnits
    lot_cost: int


_Closed = tuple[int, ...]
"""Lots closed so far, by contract."""


def _more(closed: _Closed, contract_index: int, lots: int) -> _Closed:
    after = closed[contract_index] + lots
    return (*closed[:contract_index], after, *closed[contract_index + 1 :])


class _Plan:
    """An account as it would be if lots of it were closed at reserve prices.

    Attributes:
        reserves: of each position, by contract index.
    """

    def __init__(
        self,
        margin: PortfolioMargin,
        holdings: Holdings,
        contracts: Sequence[Contract],
        terms: LiquidationTerms,
    ) -> None:
        self._margin = margin
        self._holdings = holdings
        self._contracts = contracts
        self._part_ppm = terms.concession_ppm
        self._equity = equity(margin, holdings)
        self._net: list[int] = holdings.net.tolist()
        held = np.flatnonzero(holdings.net).tolist()
        self.reserves = {contract_index: self._reserve(contract_index) for contract_index in held}

    def _reserve(self, contract_index: int) -> _Reserve:
        """The reserve price is between the mark and the bankruptcy price of the position."""
        multiplier, lots = self._contracts[contract_index].multiplier, self._net[contract_index]
        position = (self._margin, self._contracts, contract_index, lots)
        now, moved = mark(*position), conceded(*position, self._part_ppm)
        bankrupt = bankruptcy_price_of(self._margin, self._holdings, contract_index, multiplier)
        price = min(now, max(moved, bankrupt)) if lots > 0 else max(now, min(moved, bankrupt))
        return _Reserve(price, abs(now - price) * multiplier)

    def surplus(self, closed: _Closed) -> int:
        """Equity less initial margin, cash units, once lots are closed; exact."""
        pairs = zip(self._net, closed, strict=True)
        net = np.array([n - c if n > 0 else n + c for n, c in pairs], dtype=np.int64)
        cost = sum(closed[index] * reserve.lot_cost for index, reserve in self.reserves.items())
        return self._equity - cost - self._margin.requirement(net).initial

    def step(self, closed: _Closed, contract_index: int) -> _Step | None:
        """The fewest lots of a position that are enough, or as many as help; None if none do.

        Surplus is a concave function of the lots, rounded down to a unit: it rises until it is
        highest, and never again. A lot that adds less than a unit counts as one that does not help.
        """

        @cache
        def after(lots: int) -> int:
            return self.surplus(_more(closed, contract_index, lots))

        held = abs(self._net[contract_index])
        lots = bisect_left(range(held), True, key=lambda size: after(size + 1) <= after(size))
        if lots == 0:
            return None
        if after(lots) >= 0:
            lots = bisect_left(range(lots), True, key=lambda size: after(size) >= 0)
        cost = lots * self.reserves[contract_index].lot_cost
        freed = after(lots) - after(0) + cost
        return _Step(contract_index, lots, Fraction(freed, max(1, cost)))

    def part_of_all(self, closed: _Closed) -> _Closed:
        """Close an equal part of each position, rounded up to lots: a small one that is enough.

        Rounding may make a larger part pass less well than a smaller one, so it need not be the
        smallest; but it is enough, or all there is.
        """
        left = [abs(n) - c for n, c in zip(self._net, closed, strict=True)]
        whole = max(1, *left)

        def cut(part: int) -> _Closed:
            return tuple(c + -(-n * part // whole) for c, n in zip(closed, left, strict=True))

        enough = bisect_left(range(whole), True, key=lambda part: self.surplus(cut(part)) >= 0)
        return cut(enough)
