"""Random lives of a vault and its venue: flows, intervals, voids, claims, and the end."""

from __future__ import annotations

from collections import Counter

import numpy as np

from crypto.signing.sum_tree import SumLeaf
from darkpool.margin.liquidation.plan import mark
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.protocol.flows import Flow, FlowKind
from darkpool.settlement.claims import FUND, RETIRED, TREASURY
from darkpool.settlement.custody import CashVault, Custody, SettledBalances
from darkpool.units import AccountId, PriceUnits, account_bytes, account_of
from tests.support.margin_houses import margin_at
from tests.support.margin_lives import ALICE, BOB, CAROL, CONTRACTS, FIRST, ONE, house
from tests.support.margin_lives import TREASURY as TREASURER

VAULT = account_of(b"\x11" * 20)
PEOPLE = (ALICE, BOB, CAROL, FIRST)
HOUSE_LEAVES = {account_bytes(account) for account in (RETIRED, FUND, TREASURY)}


class Vault:
    """What the contract does, in three numbers an account: paid in, paid out, and the last root."""

    def __init__(self) -> None:
        self.held = self.net = self.counted = 0
        self.paid: dict[AccountId, int] = {}
        self.leaves: tuple[SumLeaf, ...] = ()

    def settle(self, leaves: tuple[SumLeaf, ...], counted: int) -> None:
        exits, claims = sum(x.exit_value for x in leaves), sum(x.claimable for x in leaves)
        assert claims >= sum(x.claimable for x in self.leaves)
        assert exits + claims <= counted
        self.leaves, self.counted = leaves, counted

    def claim(self, account: AccountId, everything: bool = False) -> int:
        exits, claims = self._leaf(account)
        amount = claims + exits * everything - self.paid.get(account, 0)
        if amount <= 0:
            return 0
        limit = sum(x.claimable + x.exit_value * everything for x in self.leaves)
        assert sum(self.paid.values()) + amount <= limit
        self.pay(account, amount)
        self.paid[account] = self.paid.get(account, 0) + amount
        return amount

    def pay(self, account: AccountId, amount: int) -> None:
        assert amount <= self.held, account
        self.held -= amount

    def _leaf(self, account: AccountId) -> tuple[int, int]:
        for leaf in self.leaves:
            if leaf.account == account_bytes(account):
                return leaf.exit_value, leaf.claimable
        return 0, 0


class VaultLife:
    """A venue that counts, trades, settles or voids, beside the vault that pays."""

    def __init__(self, seed: int) -> None:
        self.draw = np.random.default_rng(seed)
        self.custody = Custody(CashVault(VAULT, TREASURER), house({}))
        self.vault = Vault()
        self.waiting: dict[int, Flow] = {}
        self.share = 100
        self.seen: Counter[str] = Counter()
        for account in PEOPLE:
            self.flow(FlowKind.DEPOSIT, account, self.number(1, 90_000) * ONE)

    def number(self, low: int, high: int) -> int:
        return int(self.draw.integers(low, high + 1))

    @property
    def margin(self) -> PortfolioMargin:
        return margin_at(self.share)

    def flow(self, kind: FlowKind, account: AccountId, amount: int, number: int = 0) -> None:
        made = Flow(self.custody.flows.last + 1, kind, VAULT, account, amount, number)
        self.custody.flows.add([made])
        if kind is FlowKind.DEPOSIT:
            self.waiting[made.index] = made
            self.vault.held += amount
            self.vault.net += amount

    def run(self, steps: int) -> None:
        acts = [self.deposit, self.request, self.notice, self.claim] + [self.interval] * 3
        for _ in range(steps):
            acts[self.number(0, len(acts) - 1)]()
            assert self.vault.held == self.vault.net - sum(self.vault.paid.values())

    def deposit(self) -> None:
        self.flow(FlowKind.DEPOSIT, PEOPLE[self.number(0, 3)], self.number(1, 10_000 * ONE))

    def request(self) -> None:
        self.flow(FlowKind.REQUEST, PEOPLE[self.number(0, 3)], self.number(0, 60_000 * ONE))

    def notice(self) -> None:
        """Some deposits are noticed; some of these are returned at once, as after a day."""
        if self.waiting:
            deposit = self.waiting[sorted(self.waiting)[self.number(0, len(self.waiting) - 1)]]
            told = (deposit.account, deposit.amount, deposit.index)
            self.flow(FlowKind.NOTICE, *told)
            if self.number(0, 1):
                self.flow(FlowKind.RETURN, *told)
                self.vault.pay(deposit.account, deposit.amount)
                self.vault.net -= deposit.amount
                del self.waiting[deposit.index]
                self.seen["returned"] += 1

    def claim(self) -> None:
        self.seen["paid"] += self.vault.claim(PEOPLE[self.number(0, 3)]) > 0

    def interval(self) -> None:
        """Commit, perhaps trade, then settle what was counted, or void it as if it never was."""
        before, committed = self.custody.copy(), self.vault.net
        paid = dict(self.vault.paid)
        known = dict(self.waiting)
        self.custody.credit()
        for _ in range(self.number(0, 2)):
            self.trade()
        self.share = min(150, max(60, self.share + 5 * self.number(-4, 4)))
        if self.number(0, 3) == 0:
            self.custody = before
            self.seen["void"] += 1
            return
        self.claim()
        self.before_settlement(paid)
        settled = self.custody.settle(self.margin, paid)
        self.after_settlement(settled)
        self.vault.settle(settled.leaves, committed)
        self.waiting = {number: f for number, f in self.waiting.items() if number not in known}
        everything = sum(leaf.exit_value + leaf.claimable for leaf in settled.leaves)
        assert everything == committed
        assert all(leaf.exit_value >= 0 for leaf in settled.leaves)
        self.seen["settled"] += 1
        self.seen["granted"] += bool(settled.granted)
        self.seen["covered"] += bool(settled.variation.covered)
        self.seen["shared"] += settled.variation.shared > 0

    def before_settlement(self, paid: dict[AccountId, int]) -> None:
        """For a test to look at everything."""

    def after_settlement(self, settled: SettledBalances) -> None:
        """For a test to look at everything."""

    def trade(self) -> None:
        """Two take opposite sides, near the mark, with no look at their margin."""
        index = self.number(0, len(CONTRACTS) - 1)
        worth = mark(self.margin, CONTRACTS, index, 1)
        price = PriceUnits(worth * self.number(97, 103) // 100)
        buyer, seller = self.draw.permutation(len(PEOPLE))[:2]
        self.custody.accounts.trade(PEOPLE[buyer], PEOPLE[seller], index, self.number(1, 3), price)

    def leave(self) -> None:
        """The venue is gone: deposits go back, and every leaf is paid whole."""
        for deposit in self.waiting.values():
            self.vault.pay(deposit.account, deposit.amount)
            self.vault.net -= deposit.amount
        for account in PEOPLE:
            self.vault.claim(account, everything=True)
        for leaf in self.vault.leaves:
            if leaf.account in HOUSE_LEAVES and leaf.account != account_bytes(RETIRED):
                self.vault.pay(RETIRED, leaf.exit_value)
        assert self.vault.held == 0
        self.seen["left"] += 1
