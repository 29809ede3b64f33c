"""What accounts were granted for withdrawal: sums that only grow, and one leaf for who has left.

The vault pays an account what it was ever granted less what it was ever paid, under any root. So a
grant is never taken back, and the sum over all accounts never shrinks. An account with nothing left
has no leaf: its grants move to the retired leaf, which nobody can claim, and back when it returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from darkpool.errors import OutOfBounds
from darkpool.limits import CASH_MAX
from darkpool.units import AccountId, account_of

RETIRED = account_of(bytes(19) + b"\x01")
FUND = account_of(bytes(19) + b"\x02")
TREASURY = account_of(bytes(19) + b"\x03")
"""Accounts below 2**16 stand in the trees for what no client owns; the vaults know these three."""


@dataclass(slots=True)
class Claims:
    """Grants of one vault, in token units.

    Attributes:
        granted: all that was ever granted to accounts that have a leaf; no entry is zero.
        left: all that was ever granted to accounts that have none now; together the retired leaf.
    """

    granted: dict[AccountId, int] = field(default_factory=dict)
    left: dict[AccountId, int] = field(default_factory=dict)

    @property
    def retired(self) -> int:
        """What the retired leaf holds."""
        return sum(self.left.values())

    @property
    def total(self) -> int:
        """All that was ever granted."""
        return sum(self.granted.values()) + self.retired

    def grant(self, account: AccountId, amount: int) -> None:
        """Add to what an account was granted.

        Raises:
            OutOfBounds: a negative amount, or one above `CASH_MAX`.
        """
        if not 0 <= amount <= CASH_MAX:
            raise OutOfBounds("grant in token units", 0, CASH_MAX, amount)
        if amount:
            self.granted[account] = self.granted.get(account, 0) + amount

    def prune(
        self,
        accounts: Iterable[AccountId],
        owned: Mapping[AccountId, int],
        paid: Mapping[AccountId, int],
    ) -> None:
        """Retire who owns nothing and was paid everything, and take back who owns something again.

        `owned` is what accounts own besides their grants; `paid` what the vault had paid them at
        the commitment, zero for who is not in it.
        """
        for account in accounts:
            everything = self.granted.get(account, 0) + self.left.get(account, 0)
            is_out = not owned.get(account, 0) and everything == paid.get(account, 0)
            for book in (self.granted, self.left):
                book.pop(account, None)
            if everything:
                (self.left if is_out else self.granted)[account] = everything
