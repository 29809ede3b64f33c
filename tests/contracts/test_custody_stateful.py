"""Any history of deposits, notices, batches, voids, claims and endings equals a plain model of it.

The model keeps lists: every deposit, every flow, every root with its leaves. It knows nothing of
packed words and snapshots. Balances are drawn at random: any that the sums allow, so a corrupt
quorum is among the histories.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
from web3.contract.contract import ContractFunction

from crypto.signing.sum_tree import SumLeaf
from tests.support.custody_contracts import DAY_S, CustodyContracts, leaves_of

HOUR_S = 3_600
CLOSING = 2**64 - 1
ACCOUNTS = 3
accounts = st.integers(0, ACCOUNTS - 1)
amounts = st.integers(1, 1000)
shares = st.lists(st.integers(0, 1000), min_size=2 * ACCOUNTS, max_size=2 * ACCOUNTS)


@dataclass
class Deposit:
    account: int
    amount: int
    noticed_at: int | None = None
    is_returned: bool = False


@dataclass
class Batch:
    interval: int
    flows: int
    counted: int
    at: int
    is_open: bool = True


@dataclass
class Model:
    """What the contracts should say, in lists."""

    started_at: int
    deposits: dict[int, Deposit] = field(default_factory=dict)
    flows: int = 0
    batch: Batch | None = None
    must_be_empty: bool = False
    committed: int = 0
    settled: int = 0
    settled_flows: int = 0
    settled_at: int = 0
    counted: int = 0
    roots: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    paid: list[int] = field(default_factory=lambda: [0] * ACCOUNTS)
    waiting: list[tuple[int, int]] = field(default_factory=list)
    """Index and time of each request that no settlement has answered."""
    declared_at: int | None = None

    def net(self) -> int:
        return sum(d.amount for d in self.deposits.values() if not d.is_returned)

    def unsettled(self) -> int:
        return self.net() - self.counted

    def is_live(self, now: int) -> bool:
        return self.batch is not None and self.batch.is_open and now < self.batch.at + HOUR_S

    def is_due(self, now: int) -> bool:
        oldest = min((at for _, at in self.waiting), default=now)
        silent = now >= max(self.started_at, self.settled_at) + 14 * DAY_S
        return self.declared_at is not None or silent or now >= oldest + 7 * DAY_S

    def exits_open(self, now: int) -> bool:
        if self.declared_at is None:
            return False
        return CLOSING in self.roots or now >= self.declared_at + DAY_S

    def last(self) -> list[tuple[int, int]]:
        return self.roots.get(self.settled, [(0, 0)] * ACCOUNTS)

    def totals(self) -> tuple[int, int]:
        return sum(e for e, _ in self.last()), sum(c for _, c in self.last())


def split(parts: list[int], total: int, claims_least: list[int]) -> list[tuple[int, int]]:
    """Balances that share a total; nobody's claims fall below what they were."""
    rest = total - sum(claims_least)
    weight = sum(parts) or 1
    given = [rest * part // weight for part in parts]
    return [(given[2 * i], claims_least[i] + given[2 * i + 1]) for i in range(ACCOUNTS)]


class CustodyMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.venue = CustodyContracts()
        self.venue.fund(10**6)
        self.names = self.venue.accounts[:ACCOUNTS]
        self.model = Model(self.venue.standing()["settled_at"])

    def at(self) -> int:
        """When the last transaction was."""
        return int(self.venue.web3.eth.get_block("latest")["timestamp"])

    def leaves(self, interval: int) -> list[SumLeaf]:
        pairs = self.model.roots[interval]
        return leaves_of({name: pairs[i] for i, name in enumerate(self.names)})

    @property
    def is_declared(self) -> bool:
        return self.model.declared_at is not None

    @rule(account=accounts, amount=amounts)
    def deposit(self, account: int, amount: int) -> None:
        if self.model.is_due(self.venue.now()):
            with self.venue.refuses("winding down"):
                self.venue.deposit(self.names[account], amount)
            return
        number = self.venue.deposit(self.names[account], amount)
        self.model.flows += 1
        assert number == self.model.flows
        self.model.deposits[number] = Deposit(account, amount)

    @precondition(lambda self: not self.is_declared)
    @rule(account=accounts)
    def request(self, account: int) -> None:
        self.venue.send(self.venue.vault.functions.request(1), self.names[account])
        self.model.flows += 1
        self.model.waiting.append((self.model.flows, self.at()))

    @precondition(lambda self: self.model.deposits and not self.is_declared)
    @rule(data=st.data())
    def notice(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.model.deposits)))
        deposit = self.model.deposits[number]
        function = self.venue.vault.functions.give_notice(number)
        if reason := self.reason_against(number, deposit, noticing=True):
            with self.venue.refuses(reason):
                self.venue.send(function, self.names[deposit.account])
            return
        self.venue.send(function, self.names[deposit.account])
        deposit.noticed_at = self.at()
        self.model.flows += 1
        self.model.waiting.append((self.model.flows, self.at()))

    @precondition(lambda self: self.model.deposits)
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.model.deposits)))
        deposit = self.model.deposits[number]
        name = self.names[deposit.account]
        function = self.venue.vault.functions.take_back(number, name)
        if reason := self.reason_against(number, deposit, noticing=False):
            with self.venue.refuses(reason):
                self.venue.send(function, name)
            return
        before = self.venue.held(name)
        self.venue.send(function, name)
        assert self.venue.held(name) - before == deposit.amount
        deposit.is_returned = True
        self.model.flows += 1

    def reason_against(self, number: int, deposit: Deposit, noticing: bool) -> str:
        now, model = self.venue.now(), self.model
        if deposit.is_returned:
            return "deposit"
        if number <= model.settled_flows:
            return "settled"
        if noticing:
            return "noticed" if deposit.noticed_at is not None else ""
        if self.is_declared:
            return ""
        if deposit.noticed_at is None or now < deposit.noticed_at + DAY_S:
            return "too early"
        assert model.batch is None or model.batch.at <= now
        if model.is_live(now) and model.batch is not None and number <= model.batch.flows:
            return "batch open"
        return ""

    @rule(gap=st.integers(1, 3), empty=st.booleans())
    def commit(self, gap: int, empty: bool) -> None:
        interval, model = self.model.committed + gap, self.model
        count = 0 if empty or model.must_be_empty else 1
        reason = "winding down" if model.is_due(self.venue.now()) else ""
        if not reason and model.batch is not None and model.batch.is_open:
            reason = "batch open"
        if reason:
            with self.venue.refuses(reason):
                self.venue.commit(interval, count)
            return
        self.venue.commit(interval, count)
        model.committed = interval
        model.batch = Batch(interval, model.flows, model.net(), self.at())

    @precondition(lambda self: self.model.batch is not None and self.model.batch.is_open)
    @rule(parts=shares, too_much=st.booleans())
    def settle(self, parts: list[int], too_much: bool) -> None:
        model, batch = self.model, self.model.batch
        assert batch is not None
        least = [claims for _, claims in model.last()]
        pairs = split(parts, batch.counted, least)
        if too_much:
            short = batch.counted - sum(e + c for e, c in pairs)
            pairs[0] = (pairs[0][0] + short + 1, pairs[0][1])
        leaves = leaves_of({name: pairs[i] for i, name in enumerate(self.names)})
        if not model.is_live(self.venue.now()):
            with self.venue.refuses("too late"):
                self.venue.settle(leaves)
            return
        if too_much:
            with self.venue.refuses("counted"):
                self.venue.settle(leaves)
            return
        self.venue.settle(leaves)
        batch.is_open = False
        model.must_be_empty = False
        model.settled, model.settled_flows = batch.interval, batch.flows
        model.settled_at, model.counted = self.at(), batch.counted
        model.roots[batch.interval] = pairs
        model.waiting = [w for w in model.waiting if w[0] > batch.flows]

    @precondition(lambda self: self.model.batch is not None and self.model.batch.is_open)
    @rule()
    def void(self) -> None:
        batch = self.model.batch
        assert batch is not None
        function = self.venue.settlement.functions.void(batch.interval)
        if self.model.is_live(self.venue.now()):
            with self.venue.refuses("too early"):
                self.venue.send(function)
            return
        self.venue.send(function)
        batch.is_open, self.model.must_be_empty = False, True

    @rule(seconds=st.sampled_from([600, HOUR_S, DAY_S, 3 * DAY_S]))
    def pass_time(self, seconds: int) -> None:
        self.venue.pass_time(seconds)

    @rule()
    def declare(self) -> None:
        function, now = self.venue.settlement.functions.declare(), self.venue.now()
        reason = ""
        if self.is_declared:
            reason = "ended"
        elif not self.model.is_due(now):
            reason = "too early"
        elif self.model.is_live(now):
            reason = "batch open"
        if reason:
            with self.venue.refuses(reason):
                self.venue.send(function)
            return
        self.venue.send(function)
        self.model.declared_at = self.at()
        if self.model.batch is not None:
            self.model.batch.is_open = False

    @precondition(lambda self: self.is_declared and CLOSING not in self.model.roots)
    @rule(parts=shares)
    def close(self, parts: list[int]) -> None:
        model = self.model
        pairs = split(parts, model.counted, [claims for _, claims in model.last()])
        leaves = leaves_of({name: pairs[i] for i, name in enumerate(self.names)})
        function = self.venue.close_function(self.venue.closing_of(leaves))
        assert model.declared_at is not None
        if self.venue.now() >= model.declared_at + DAY_S:
            with self.venue.refuses("too late"):
                self.venue.send(function)
            return
        self.venue.send(function)
        model.roots[CLOSING] = pairs
        model.settled = CLOSING

    @precondition(lambda self: self.model.roots)
    @rule(data=st.data(), account=accounts)
    def claim(self, data: st.DataObject, account: int) -> None:
        model, name = self.model, self.names[account]
        interval = data.draw(st.sampled_from(sorted(model.roots)))
        function = self.venue.claim_function(interval, self.leaves(interval), name)
        given = model.roots[interval][account][1]
        owed = sum(model.totals()) - sum(model.paid)
        here = min(self.venue.held() - model.unsettled(), owed)
        self.paid(function, account, given, model.totals()[1], here)

    @precondition(lambda self: self.model.roots)
    @rule(account=accounts)
    def leave(self, account: int) -> None:
        model, name = self.model, self.names[account]
        function = self.venue.leave_function(self.leaves(model.settled), name)
        if not model.exits_open(self.venue.now()):
            with self.venue.refuses("exits"):
                self.venue.send(function, name)
            return
        here = self.venue.held() - model.unsettled()
        self.paid(function, account, sum(model.last()[account]), sum(model.totals()), here)

    def paid(
        self, function: ContractFunction, account: int, given: int, limit: int, here: int
    ) -> None:
        model, name = self.model, self.names[account]
        amount = given - model.paid[account]
        if amount <= 0 or sum(model.paid) + amount > limit:
            with self.venue.refuses("nothing to pay" if amount <= 0 else "total"):
                self.venue.send(function, name)
            return
        share = amount * here // (sum(model.totals()) - sum(model.paid))
        before = self.venue.held(name)
        self.venue.send(function, name)
        assert self.venue.held(name) - before == share >= amount
        model.paid[account] += amount

    @invariant()
    def contract_and_model_agree(self) -> None:
        model, standing = self.model, self.venue.standing()
        exits, claims = model.totals()
        assert self.venue.totals() == (
            model.settled,
            exits,
            claims,
            sum(model.paid),
            model.counted,
            model.unsettled(),
        )
        assert standing["flows"] == model.flows
        assert standing["is_open"] == (model.batch is not None and model.batch.is_open)
        assert standing["must_be_empty"] == model.must_be_empty
        assert self.venue.settlement.functions.is_due().call() == model.is_due(self.at())

    @invariant()
    def the_vault_holds_all_that_it_owes(self) -> None:
        owed = sum(self.model.totals()) - sum(self.model.paid)
        assert self.venue.held() >= owed + self.model.unsettled()
        assert sum(self.model.totals()) <= self.model.counted

    def teardown(self) -> None:
        """Everybody leaves with everything, without a key of the operator or of a keyper."""
        model = self.model
        if not self.is_declared:
            self.venue.pass_time(14 * DAY_S + HOUR_S)
            self.declare()
        assert self.is_declared
        self.venue.pass_time(DAY_S)
        for number, deposit in model.deposits.items():
            if number > model.settled_flows and not deposit.is_returned:
                name = self.names[deposit.account]
                self.venue.send(self.venue.vault.functions.take_back(number, name), name)
        for account, (exit_value, claims) in enumerate(model.last()):
            if exit_value + claims > model.paid[account]:
                name = self.names[account]
                self.venue.leave(self.leaves(model.settled), name)
                model.paid[account] = exit_value + claims
        if sum(model.totals()) == sum(model.paid) and sum(model.totals()) > 0:
            assert self.venue.held() <= model.counted - sum(model.totals())


@pytest.mark.parametrize("examples", [15, pytest.param(1_500, marks=pytest.mark.slow)])
def test_any_history_equals_the_model(examples: int) -> None:
    run_state_machine_as_test(
        CustodyMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
