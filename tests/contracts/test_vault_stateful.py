"""Any order of deposits, batches and withdrawals: the vault holds exactly what it owes.

The model keeps each account's deposits with the interval after which they came, and an honest
operator's balances. It knows nothing of how the vault tells settled deposits from unsettled ones.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from darkpool.protocol.results import BalanceLeaf
from tests.support.venue_contracts import VenueContracts, balances

TIMEOUT_S = 86_400
ABANDONMENT_S = 30 * 86_400
ACCOUNTS = 2
accounts = st.integers(0, ACCOUNTS - 1)
amounts = st.integers(1, 1000)


class VaultMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.venue = VenueContracts()
        self.venue.fund(10**6)
        self.names = self.venue.accounts[:ACCOUNTS]
        self.later: list[list[tuple[int, int]]] = [[] for _ in self.names]
        self.flows: list[tuple[int, int]] = []
        self.leaves: list[BalanceLeaf] = []
        self.free = [0] * ACCOUNTS
        self.encumbered = [0] * ACCOUNTS
        self.committed = 0
        self.open_batch = 0
        self.expired = False
        self.halted = False

    @property
    def paying(self) -> bool:
        return self.halted or not self.open_batch or self.expired

    def unsettled(self, account: int) -> int:
        return sum(amount for amount, _ in self.later[account])

    @precondition(lambda self: not self.halted)
    @rule(account=accounts, amount=amounts)
    def deposit(self, account: int, amount: int) -> None:
        self.venue.send(self.venue.vault.functions.deposit(amount), self.names[account])
        self.credited(account, amount)

    @precondition(lambda self: not self.halted)
    @rule(shares=st.lists(st.tuples(accounts, amounts), min_size=1, max_size=4))
    def deposit_many(self, shares: list[tuple[int, int]]) -> None:
        names = [self.names[account] for account, _ in shares]
        function = self.venue.vault.functions.deposit_many(names, [amount for _, amount in shares])
        self.venue.send(function)
        for account, amount in shares:
            self.credited(account, amount)

    def credited(self, account: int, amount: int) -> None:
        self.later[account].append((amount, self.committed))
        self.flows.append((amount, self.committed))

    @precondition(lambda self: not self.halted and not self.open_batch)
    @rule(gap=st.integers(1, 3))
    def commit(self, gap: int) -> None:
        self.committed += gap
        self.venue.commit(self.committed)
        self.open_batch, self.expired = self.committed, False

    @precondition(lambda self: not self.halted and self.open_batch and not self.expired)
    @rule(
        transfers=st.lists(st.tuples(accounts, accounts, amounts), max_size=4),
        posted=st.lists(st.integers(0, 4), min_size=ACCOUNTS, max_size=ACCOUNTS),
    )
    def settle(self, transfers: list[tuple[int, int, int]], posted: list[int]) -> None:
        total = [f + e for f, e in zip(self.free, self.encumbered, strict=True)]
        for account, deposits in enumerate(self.later):
            total[account] += sum(a for a, after in deposits if after < self.open_batch)
            self.later[account] = [d for d in deposits if d[1] >= self.open_batch]
        for loser, winner, amount in transfers:
            paid = min(amount, total[loser])
            total[loser] -= paid
            total[winner] += paid
        self.encumbered = [
            held * quarters // 4 for held, quarters in zip(total, posted, strict=True)
        ]
        self.free = [held - e for held, e in zip(total, self.encumbered, strict=True)]
        assert sum(total) == sum(a for a, after in self.flows if after < self.open_batch)
        self.leaves = balances(
            dict(zip(self.names, self.free, strict=True)),
            dict(zip(self.names, self.encumbered, strict=True)),
        )
        self.venue.settle(self.open_batch, self.leaves)
        self.open_batch = 0

    @precondition(lambda self: self.open_batch and not self.expired)
    @rule()
    def let_the_batch_expire(self) -> None:
        self.venue.pass_time(TIMEOUT_S)
        self.expired = True

    @precondition(lambda self: self.open_batch and self.expired)
    @rule()
    def void(self) -> None:
        self.venue.send(self.venue.settlement.functions.void(self.open_batch))
        self.open_batch = 0

    @precondition(lambda self: self.leaves)
    @rule(account=accounts, amount=amounts)
    def withdraw(self, account: int, amount: int) -> None:
        available = self.free[account] + (self.encumbered[account] if self.halted else 0)
        if not self.paying:
            with self.venue.refuses("paused"):
                self.venue.take(self.leaves, self.names[account], amount)
        elif amount > available:
            with self.venue.refuses("balance"):
                self.venue.take(self.leaves, self.names[account], amount)
        else:
            self.venue.take(self.leaves, self.names[account], amount)
            self.flows.append((-amount, self.committed))
            self.free[account] -= amount

    @rule(account=accounts)
    def reclaim(self, account: int) -> None:
        function = self.venue.vault.functions.reclaim()
        if not self.paying or not self.unsettled(account):
            with self.venue.refuses("zero amount" if self.paying else "paused"):
                self.venue.send(function, self.names[account])
        else:
            self.venue.send(function, self.names[account])
            self.flows.append((-self.unsettled(account), self.committed))
            self.later[account] = []

    @precondition(lambda self: not self.halted)
    @rule(sure=st.integers(0, 9))
    def equivocate(self, sure: int) -> None:
        if sure:
            return
        pair = [
            (root, 1, self.venue.batch_signatures(1, root, 1, self.venue.keys[:1])[0])
            for root in (b"\1" * 32, b"\2" * 32)
        ]
        self.venue.send(self.venue.settlement.functions.report_equivocation(1, *pair))
        self.halted = True

    @invariant()
    def the_vault_holds_what_it_owes(self) -> None:
        vault = self.venue.vault.functions
        unsettled = [self.unsettled(account) for account in range(ACCOUNTS)]
        assert [vault.reclaimable(name).call() for name in self.names] == unsettled
        assert vault.reclaimable_total().call() == sum(unsettled)
        owed = sum(self.free) + sum(self.encumbered) + sum(unsettled)
        assert self.venue.held() == owed == sum(amount for amount, _ in self.flows)

    @invariant()
    def everyone_can_leave_whole(self) -> None:
        here = self.venue.tester.take_snapshot()
        if not self.paying:
            self.venue.pass_time(TIMEOUT_S)
        self.take_all([0] * ACCOUNTS if self.halted else self.encumbered)
        if not self.halted:
            assert self.venue.held() == sum(self.encumbered)
            self.venue.pass_time(ABANDONMENT_S)
            self.venue.send(self.venue.settlement.functions.declare_abandoned())
            self.take_all(self.free, reclaim=False)
        assert self.venue.held() == 0
        self.venue.tester.revert_to_snapshot(here)

    def take_all(self, left: list[int], *, reclaim: bool = True) -> None:
        for account, name in enumerate(self.names):
            amount = self.free[account] + self.encumbered[account] - left[account]
            if amount:
                self.venue.take(self.leaves, name, amount)
            if reclaim and self.unsettled(account):
                self.venue.send(self.venue.vault.functions.reclaim(), name)


def run(examples: int) -> None:
    run_state_machine_as_test(
        VaultMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=16,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_vault_owes_no_more_than_it_holds_and_pays_all_it_owes() -> None:
    run(examples=8)


@pytest.mark.slow
def test_the_same_over_many_more_histories() -> None:
    run(examples=80)
