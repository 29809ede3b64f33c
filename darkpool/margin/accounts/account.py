"""One account under portfolio margin: what it has, and every way in which that changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from darkpool.margin.accounts.positions import Position
from darkpool.margin.model.caps import LiveIntent, in_order
from darkpool.units import AccountId, AuctionId, Cash


@dataclass(frozen=True, slots=True)
class Coverage:
    """What an account's live intents need besides its positions, with its bond, and what it has.

    The account covers them if `required` is at most `available`.
    """

    required: Cash
    available: Cash


@dataclass(slots=True)
class Account:
    """Cash, positions, live intents and collateral; its methods alone change them.

    Attributes:
        positions: by contract index.
        live: intents that may still fill, by auction.
        paid: deposits less withdrawals.
        bond: cash that is held apart, None while there is no bond.
        tokens: millionths of each token of collateral; none of them is zero.
    """

    cash: int = 0
    positions: dict[int, Position] = field(default_factory=dict)
    live: dict[AuctionId, LiveIntent] = field(default_factory=dict)
    paid: int = 0
    bond: int | None = None
    tokens: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Cash with the bond; below zero the account owes it."""
        return self.cash + (self.bond or 0)

    @property
    def is_flat(self) -> bool:
        """Whether the account has no position, no unsettled cost, no token and no live intent."""
        held = any(position.net or position.cost for position in self.positions.values())
        return not (held or self.live or self.tokens)

    def position(self, contract_index: int) -> Position:
        """The position in a contract, which may be nothing."""
        return self.positions.get(contract_index, Position())

    def intents(self) -> list[LiveIntent]:
        """Live intents in the order in which margin is computed for them."""
        return in_order(self.live.values())

    def pay_in(self, amount: int) -> None:
        """Book a deposit or, below zero, a withdrawal."""
        self.cash += amount
        self.paid += amount

    def credit(self, amount: int) -> None:
        """Add to the cash what another account pays or, below zero, gets."""
        self.cash += amount

    def hold_bond(self, amount: int) -> None:
        """Move cash to the bond."""
        self.cash -= amount
        self.bond = (self.bond or 0) + amount

    def charge_bond(self, amount: int) -> None:
        """Take an amount from the bond."""
        self.bond = (self.bond or 0) - amount

    def return_bond(self, held: int | None) -> None:
        """Make what is above an earlier bond cash again; None is no bond."""
        self.cash, self.bond = self.total - (held or 0), held

    def release_bond(self) -> None:
        """End the bond: what is left of it is cash again."""
        self.cash, self.bond = self.total, None

    def reserve(self, auction: AuctionId, intent: LiveIntent) -> None:
        """Add a live intent."""
        self.live[auction] = intent

    def release(self, auctions: Iterable[AuctionId]) -> None:
        """End the live intents of some auctions."""
        for auction in tuple(auctions):
            del self.live[auction]

    def trade(self, contract_index: int, lots: int, cost: int) -> None:
        """Add lots that were bought or, below zero, sold, and what they cost in cash units."""
        self.positions[contract_index] = self.position(contract_index).traded(lots, cost)

    def settle(self, contract_index: int, value: int) -> None:
        """Pay out what a position gained since it was settled last, at a lot's value."""
        position = self.position(contract_index)
        worth = position.net * value
        self.cash += worth - position.cost
        if position.net:
            self.positions[contract_index] = replace(position, cost=Cash(worth))
        else:
            self.positions.pop(contract_index, None)

    def expire(self, contract_index: int, value: int) -> None:
        """Settle a position at a lot's final value, and end live intents for its contract."""
        self.settle(contract_index, value)
        self.positions.pop(contract_index, None)
        self.release(
            a for a, intent in self.live.items() if intent.contract_index == contract_index
        )

    def add_tokens(self, token: str, amount: int) -> None:
        """Add millionths of a token or, below zero, take them."""
        self.tokens[token] = self.tokens.get(token, 0) + amount
        if not self.tokens[token]:
            del self.tokens[token]


Entries = Mapping[AccountId, Account]
"""Accounts by their addresses."""

NO_ENTRIES: Final[Entries] = MappingProxyType({})
