"""One account under portfolio margin."""

from __future__ import annotations

from dataclasses import dataclass, field

from darkpool.margin.model.caps import LiveIntent, in_order
from darkpool.units import AuctionId


@dataclass(slots=True)
class Account:
    """Cash, and by the place of a contract in its specification what is held of it.

    Attributes:
        net: lots bought less lots sold.
        cost: what they cost since variation was settled last.
        entry: what the open lots cost when they were taken, which ranks gains and moves no money.
        live: intents that may still fill, by auction.
        paid: deposits less withdrawals.
        bond: cash that is held besides, None while there is no bond.
        tokens: millionths of each token of collateral.
    """

    cash: int = 0
    net: dict[int, int] = field(default_factory=dict)
    cost: dict[int, int] = field(default_factory=dict)
    entry: dict[int, int] = field(default_factory=dict)
    live: dict[AuctionId, LiveIntent] = field(default_factory=dict)
    paid: int = 0
    bond: int | None = None
    tokens: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Cash with the bond; below zero it is owed."""
        return self.cash + (self.bond or 0)

    def release_bond(self) -> None:
        """What is left of the bond is cash again."""
        self.cash, self.bond = self.total, None

    @property
    def is_flat(self) -> bool:
        """Whether nothing is held, live or unsettled: no position, token or intent."""
        kept = (self.net, self.cost, self.tokens)
        return not self.live and not any(any(held.values()) for held in kept)

    def intents(self) -> list[LiveIntent]:
        """Live intents in the order in which margin is computed for them."""
        return in_order(self.live.values())

    def trade(self, place: int, lots: int, cost: int) -> None:
        """Add lots that were bought or, below zero, sold, and what they cost in cash units."""
        before = self.net.get(place, 0)
        after, entry = before + lots, self.entry.get(place, 0)
        if before * lots >= 0:
            entry += cost
        elif before * after >= 0:
            entry = entry * after // before
        else:
            entry = cost * after // lots
        self.net[place], self.entry[place] = after, entry
        self.cost[place] = self.cost.get(place, 0) + cost

    def close(self, place: int) -> tuple[int, int]:
        """Take a position out; returns its lots and its cost."""
        self.entry.pop(place, None)
        return self.net.pop(place, 0), self.cost.pop(place, 0)
