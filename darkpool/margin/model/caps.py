"""The largest public cap of a sealed intent: the most that can go wrong with it is covered.

Side and size of an intent are hidden, so it may fill with any size up to its cap, on either side,
at any price of its grid. An account passes if its equity less its initial margin is not negative in
every such case, combined with every case of its other live intents.

Equity less margin is a concave function of the lots that fill: an intent that fills x lots adds
x times (value less worst price of that side), whose slope falls where x changes its sign, and the
requirement is convex (`darkpool.margin.model.portfolio`). Over a box a concave function is least at
a corner. So it is enough to look at fills of whole caps on either side, at the worst price of that
side. The box grows with the cap, so the search over buckets is a bisection.

An example: a future on one unit is worth 61,000 and a lot of it needs 12,291.50 of initial margin.
An intent for it has a cap of 5 lots and a grid from 60,000 to 62,000. Five lots bought at 62,000
lose 5,000 and need 61,457.50, and so do five lots sold at 60,000: a flat account needs 66,457.50.
An account that is long five lots needs 61,457.50 for these. The sale would close them, but the
purchase would make them ten: the account needs 122,915 + 5,000 = 127,915, as if nothing was hedged.

Corners double with each intent. So only some intents are combined in every way, and each of the
others adds what it can cost by itself. That is never too little: the requirement is sub-additive
but for concentration, which is charged in full there, and values of positions, rounded against the
account, add up to no less together.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Final

import numpy as np

from darkpool.errors import OutOfBounds
from darkpool.limits import CAP_BUCKETS_LOTS
from darkpool.margin.errors import BeyondMargin, NoPrice
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.margin.model.scenarios import Integers
from darkpool.units import Cash, Lots, PriceUnits

CORNERS_INTENTS_MAX: Final = 4
"""Live intents whose fills are combined in every way: with 4 of them, in 16."""


NOT_COMPUTED: Final = (OutOfBounds, NoPrice)
"""What is raised for positions that margin is not computed for.

All cash of such an account stands against them: nothing of it is free, for a withdrawal, a bond or
an intent, until margin is computed again.
"""


@dataclass(frozen=True, slots=True)
class PriceRange:
    """The lowest and the highest price of a grid."""

    lowest: PriceUnits
    highest: PriceUnits


@dataclass(frozen=True, slots=True)
class LiveIntent:
    """What is public of an intent, for an account's margin.

    Attributes:
        contract_index: its index among the contracts that margin is computed for.
        cap: the largest size.
        prices: of its grid.
        multiplier: of the contract.
    """

    contract_index: int
    cap: Lots
    prices: PriceRange
    multiplier: int

    def cost(self, lots: int) -> int:
        """What a fill costs at its worst price, cash units; lots below zero are sold."""
        return lots * (self.prices.highest if lots > 0 else self.prices.lowest) * self.multiplier


def in_order(live: Iterable[LiveIntent]) -> list[LiveIntent]:
    """Live intents by contract, then by cap, so that every party combines the same of many."""
    return sorted(live, key=lambda intent: (intent.contract_index, intent.cap))


@dataclass(frozen=True, slots=True, eq=False)
class Holdings:
    """What an account has.

    Attributes:
        cash: cash units.
        cost: what its positions cost, cash units.
        net: lots bought less lots sold, by contract.
        tokens: millionths of a token, by its name.
    """

    cash: Cash
    cost: Cash
    net: Integers
    tokens: Mapping[str, int] = field(default_factory=dict)


def equity(margin: PortfolioMargin, holdings: Holdings) -> Cash:
    """The cash, what tokens count for and what positions are worth, less what they cost.

    Raises:
        NoPrice: a token whose underlying has no price.
    """
    collateral = holdings.cash + margin.collateral(holdings.tokens)
    return Cash(collateral - holdings.cost + margin.value(holdings.net))


def is_computed(margin: PortfolioMargin, holdings: Holdings) -> bool:
    """Whether margin is computed for positions."""
    try:
        margin.require_computed(np.abs(holdings.net))
    except NOT_COMPUTED:
        return False
    return True


@contextmanager
def within_margin() -> Iterator[None]:
    """Refuses a change of accounts for positions beyond what margin is computed for.

    Raises:
        BeyondMargin: in place of OutOfBounds.
    """
    try:
        yield
    except OutOfBounds as error:
        raise BeyondMargin(error.subject, error.highest, error.got) from error


def surplus(margin: PortfolioMargin, holdings: Holdings, live: Sequence[LiveIntent] = ()) -> int:
    """Equity less initial margin in the worst case of the live intents, cash units.

    Raises:
        OutOfBounds: positions that are beyond what margin is computed for, or would be once every
            live intent has filled on their side.
        NoPrice: positions that have expired and are not settled.
    """
    sizes = np.abs(holdings.net)
    for intent in live:
        sizes[intent.contract_index] += intent.cap
    margin.require_computed(sizes)
    combined, others = live[-CORNERS_INTENTS_MAX:], live[:-CORNERS_INTENTS_MAX]
    signs = product((1, -1), repeat=len(combined))
    worst = min(_at_corner(margin, holdings, combined, corner) for corner in signs)
    return worst - sum(_alone(margin, holdings, intent) for intent in others)


def _alone(margin: PortfolioMargin, holdings: Holdings, intent: LiveIntent) -> int:
    """The most that an intent can cost, whatever else fills.

    Never below zero, because it may not fill at all.
    """
    needs = []
    for lots in (intent.cap, -intent.cap):
        net = np.zeros_like(holdings.net)
        net[intent.contract_index] = lots
        required = margin.requirement(net, concentrated=True).initial
        needs.append(intent.cost(lots) - margin.value(net) + required)
    return max(0, *needs)


def _at_corner(
    margin: PortfolioMargin, holdings: Holdings, live: Sequence[LiveIntent], signs: Sequence[int]
) -> int:
    net, cost = holdings.net.copy(), int(holdings.cost)
    for intent, sign in zip(live, signs, strict=True):
        net[intent.contract_index] += sign * intent.cap
        cost += intent.cost(sign * intent.cap)
    filled = replace(holdings, cost=Cash(cost), net=net)
    return equity(margin, filled) - margin.requirement(net).initial


def largest_cap(
    margin: PortfolioMargin,
    holdings: Holdings,
    intent: LiveIntent,
    live: Sequence[LiveIntent] = (),
) -> Lots:
    """The largest bucket that `intent` may have as its cap, up to its own; 0 if none.

    Raises:
        OutOfBounds: positions beyond what margin is computed for, without the intent.
    """
    if surplus(margin, holdings, live) < 0:
        return Lots(0)

    def fails(cap: int) -> bool:
        try:
            return surplus(margin, holdings, [*live, replace(intent, cap=Lots(cap))]) < 0
        except OutOfBounds:
            return True

    # a cap that fails makes every larger one fail: its box lies within theirs
    buckets = [cap for cap in CAP_BUCKETS_LOTS if cap <= intent.cap]
    passing = bisect_left(buckets, True, key=fails)
    return Lots(buckets[passing - 1] if passing else 0)
