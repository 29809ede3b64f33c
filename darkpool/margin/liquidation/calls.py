"""Margin calls: which accounts have to pay in or are liquidated, told once when it changes.

An account whose equity does not cover initial margin is called. One whose equity does not cover
maintenance margin is liquidated until it covers initial margin again: were liquidation to end any
earlier, the next small move would start it anew.

A call ends no live intent. Each was covered in its worst case when it was reserved, and its side is
sealed, so that no party sees whether it would add risk or take some away. New intents are refused
by `PortfolioAccounts.reserve` while initial margin is not covered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from darkpool.margin.model.engine import Standing
from darkpool.units import AccountId


class Change(StrEnum):
    """What becomes of an account."""

    CALLED = "margin call"
    MET = "margin call met"
    LIQUIDATED = "liquidation begins"
    RESTORED = "liquidation over"


@dataclass(frozen=True, slots=True)
class MarginCall:
    """A change of where an account stands, and the numbers that brought it."""

    change: Change
    standing: Standing


class MarginCalls:
    """Which accounts are called or in liquidation."""

    def __init__(self) -> None:
        self._called: set[AccountId] = set()
        self._liquidated: set[AccountId] = set()

    def called(self) -> tuple[AccountId, ...]:
        """Accounts with an open margin call, in ascending order."""
        return tuple(sorted(self._called))

    def in_liquidation(self) -> tuple[AccountId, ...]:
        """Accounts in liquidation, in ascending order."""
        return tuple(sorted(self._liquidated))

    def update(self, standings: Iterable[Standing]) -> tuple[MarginCall, ...]:
        """Take over where accounts stand; returns what changed, by account.

        Accounts that are not among them stay as they were.
        """
        changes = ((self._change(standing), standing) for standing in standings)
        changed = [
            MarginCall(change, standing) for change, standing in changes if change is not None
        ]
        return tuple(sorted(changed, key=lambda call: call.standing.account))

    def _change(self, standing: Standing) -> Change | None:
        account = standing.account
        if standing.equity < standing.maintenance:
            if account in self._liquidated:
                return None
            self._called.discard(account)
            self._liquidated.add(account)
            return Change.LIQUIDATED
        if standing.equity < standing.initial:
            if account in self._liquidated or account in self._called:
                return None
            self._called.add(account)
            return Change.CALLED
        if account in self._liquidated:
            self._liquidated.remove(account)
            return Change.RESTORED
        if account in self._called:
            self._called.remove(account)
            return Change.MET
        return None
