"""Random lives of a vault and its venue: flows, intervals, expiries, funding, voids, the end."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import numpy as np

from crypto.signing.sum_tree import SumLeaf
from darkpool.margin.accounts.house import INSURANCE_FUND
from darkpool.margin.errors import MarginError
from darkpool.margin.liquidation.plan import mark
from darkpool.protocol.flows import Flow, FlowKind
from darkpool.settlement.between import Between, due_between, void_charges
from darkpool.settlement.claims import FUND, RETIRED, TREASURY
from darkpool.settlement.custody import CashVault, Custody, SettledBalances
from darkpool.units import (
    AccountId,
    Cash,
    Interval,
    PriceUnits,
    account_bytes,
    account_of,
    in_address_order,
)
from tests.support.margin_lives import ALICE, BOB, BOND, CAROL, CONTRACTS, FIRST, ONE, house
from tests.support.margin_lives import SECOND as POOR
from tests.support.margin_lives import TREASURY as TREASURER
from tests.support.moving_markets import DAY_MS, HOUR_MS, MARCH_MS, MovingMarket

VAULT = account_of(b"\x11" * 20)
DEPOSIT_MIN = 50 * ONE
PEOPLE = (ALICE, BOB, CAROL, FIRST)
EVERYBODY = (*PEOPLE, POOR)
HOUSE_LEAVES = {account_bytes(account) for account in (RETIRED, FUND, TREASURY)}
PREMIUMS = (-200, -7, 0, 7, 200)
STEPS_MS = (0, 1, HOUR_MS, 5 * HOUR_MS + 7, 9 * HOUR_MS, DAY_MS)


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
    """A venue that counts, trades, settles or voids, beside the vault that pays.

    Attributes:
        custody: after the last settlement; `work` is the copy of an interval that is on.
        trades: of that interval: buyer, seller, contract index, lots, price.
        bonded, uncovered, charged: who held a bond then, who lost it at the commitment, and what
            others were charged of it.
    """

    def __init__(self, seed: int) -> None:
        self.draw = np.random.default_rng(seed)
        self.custody = Custody(CashVault(VAULT, TREASURER, DEPOSIT_MIN), house({}))
        self.work: Custody | None = None
        self.vault = Vault()
        self.waiting: dict[int, Flow] = {}
        self.interval_number = Interval(0)
        self.trades: list[tuple[AccountId, AccountId, int, int, PriceUnits]] = []
        self.bonded: set[AccountId] = set()
        self.uncovered: set[AccountId] = set()
        self.charged: dict[AccountId, Cash] = {}
        self.seen: Counter[str] = Counter()
        start = MARCH_MS - self.number(1, 3) * DAY_MS
        self.market = MovingMarket(100, 0, start)
        for account in PEOPLE:
            self.flow(FlowKind.DEPOSIT, account, self.number(50, 90_000) * ONE)

    def number(self, low: int, high: int) -> int:
        return int(self.draw.integers(low, high + 1))

    def flow(self, kind: FlowKind, account: AccountId, amount: int, number: int = 0) -> None:
        made = Flow(self.custody.flows.last + 1, kind, VAULT, account, amount, number)
        for custody in (self.custody, self.work):
            if custody is not None:
                custody.flows.add([made])
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
        """The poor one pays in little, which often goes back before a settlement counts it."""
        if self.number(0, 5) == 0:
            self.flow(FlowKind.DEPOSIT, POOR, self.number(DEPOSIT_MIN, 300 * ONE))
            return
        amount = self.number(DEPOSIT_MIN, 10_000 * ONE)
        self.flow(FlowKind.DEPOSIT, PEOPLE[self.number(0, 3)], amount)

    def request(self) -> None:
        """For anything, for nearly all, or for all."""
        account = EVERYBODY[self.number(0, 4)]
        cash, kind = int(self.custody.accounts.cash(account)), self.number(0, 2)
        near = max(0, cash - self.number(0, 2 * DEPOSIT_MIN))
        amount = (self.number(0, 60_000 * ONE), near, cash)[kind]
        self.flow(FlowKind.REQUEST, account, amount)

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
        self.seen["paid"] += self.vault.claim(EVERYBODY[self.number(0, 4)]) > 0

    def move(self) -> None:
        """Prices move, and hours pass; at times a quarter of a year does."""
        share = min(150, max(60, self.market.share + 5 * self.number(-4, 4)))
        step = STEPS_MS[self.number(0, len(STEPS_MS) - 1)] if self.number(0, 19) else 91 * DAY_MS
        premium = PREMIUMS[self.number(0, len(PREMIUMS) - 1)]
        self.market = MovingMarket(share, premium, self.market.time_ms + step)

    def interval(self) -> None:
        """Open, commit, perhaps trade, then settle, or end void as if nothing was counted."""
        self.interval_number = Interval(self.interval_number + 1)
        self.move()
        market = self.market.inputs.market
        before = self.custody
        due = due_between(before.accounts, before.between, self.interval_number, market)
        work = self.work = before.copy()
        work.apply_between(due)
        work.credit()
        for _ in range(self.number(0, 2)):
            [self.deposit, self.request, self.notice][self.number(0, 2)]()
        committed, paid, known = self.vault.net, dict(self.vault.paid), dict(self.waiting)
        self.bonded = self.hold_bonds(work)
        self.uncovered = set(work.commit(self.market.margin).uncovered)
        self.trades, self.charged = [], self.charge(work)
        for _ in range(self.number(0, 4)):
            self.trade(work)
        self.work = None
        if self.number(0, 3) == 0:
            self.void(due)
            return
        self.claim()
        self.before_settlement(due, paid)
        settled = work.settle(self.market.margin, paid)
        self.custody = work
        self.after_settlement(settled)
        self.vault.settle(settled.leaves, committed)
        self.waiting = {number: f for number, f in self.waiting.items() if number not in known}
        everything = sum(leaf.exit_value + leaf.claimable for leaf in settled.leaves)
        assert everything == committed
        assert all(leaf.exit_value >= 0 for leaf in settled.leaves)
        self.note(before, due, settled)

    def void(self, due: Between) -> None:
        """Some accounts are found at fault, with or without anything that they could be charged."""
        rejected = [EVERYBODY[self.number(0, 4)] for _ in range(self.number(0, 5))]
        self.custody.void(due, void_charges(self.interval_number, rejected, BOND))
        self.after_void(rejected)
        self.seen["void"] += 1

    def note(self, before: Custody, due: Between, settled: SettledBalances) -> None:
        contracts = {contract.identifier: contract for contract in CONTRACTS}
        for expiry in due.expiries:
            strike = contracts[expiry.instrument].strike
            worth = "future" if strike is None else "above" if expiry.price > strike else "below"
            kind = contracts[expiry.instrument].kind
            self.seen[f"{kind} expired {worth}"] += 1
            self.seen["expired before a void"] += expiry.interval < self.interval_number
        for funding in due.fundings:
            self.seen["longs paid" if funding.for_a_unit > 0 else "shorts paid"] += 1
            self.seen["funded before a void"] += funding.interval < self.interval_number
        for charge in due.charges:
            has = before.accounts.cash(charge.account)
            self.seen["charged who has nothing" if not has else "charged"] += 1
        self.seen["settled"] += 1
        self.seen["uncovered"] += bool(self.uncovered)
        self.seen["charged of the bond"] += bool(self.charged)
        self.seen["granted"] += bool(settled.granted)
        self.seen["covered"] += bool(settled.variation.covered)
        self.seen["covered after an expiry"] += bool(settled.variation.covered and due.expiries)
        self.seen["shared"] += settled.variation.shared > 0

    def hold_bonds(self, work: Custody) -> set[AccountId]:
        """Some accounts hold the bond that intents need; who cannot holds none."""
        bonded = set()
        for account in EVERYBODY:
            if self.number(0, 2) == 0:
                with suppress(MarginError):
                    work.accounts.hold_bond(account, BOND, self.market.margin)
                    bonded.add(account)
        return bonded

    def charge(self, work: Custody) -> dict[AccountId, Cash]:
        """Some intents of this interval are rejected."""
        passed = in_address_order(self.bonded - self.uncovered)
        rejected = [account for account in passed if self.number(0, 3) == 0]
        charge, treasury = BOND.charge(), work.vault.treasury
        return {a: work.accounts.charge_bond(a, charge, treasury) for a in rejected}

    def before_settlement(self, due: Between, paid: dict[AccountId, int]) -> None:
        """For a test to look at everything."""

    def after_settlement(self, settled: SettledBalances) -> None:
        """For a test to look at everything."""

    def after_void(self, rejected: list[AccountId]) -> None:
        """For a test to look at everything."""

    def trade(self, work: Custody) -> None:
        """Two take opposite sides, near the mark, with no look at their margin; the fund too."""
        index = self.number(0, len(CONTRACTS) - 1)
        if self.market.margin.has_expired(index):
            return
        worth = mark(self.market.margin, CONTRACTS, index, 1)
        price = PriceUnits(worth * self.number(97, 103) // 100)
        traders = (*PEOPLE, INSURANCE_FUND) if self.number(0, 7) == 0 else PEOPLE
        buyer, seller = (traders[k] for k in self.draw.permutation(len(traders))[:2])
        lots = self.number(1, 3)
        work.accounts.trade(buyer, seller, index, lots, price)
        self.trades.append((buyer, seller, index, lots, price))

    def leave(self) -> None:
        """The venue is gone: deposits go back, and every leaf is paid whole."""
        for deposit in self.waiting.values():
            self.vault.pay(deposit.account, deposit.amount)
            self.vault.net -= deposit.amount
        for account in EVERYBODY:
            self.vault.claim(account, everything=True)
        for leaf in self.vault.leaves:
            if leaf.account in HOUSE_LEAVES and leaf.account != account_bytes(RETIRED):
                self.vault.pay(RETIRED, leaf.exit_value)
        assert self.vault.held == 0
        self.seen["left"] += 1
