"""The auditor's way from one settlement to the next is the engine's, to the byte."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import astuple

import pytest

from darkpool.margin.accounts.house import BAD_DEBT, INSURANCE_FUND
from darkpool.protocol.flows import Flow, FlowKind
from darkpool.protocol.leaves import encode_leaves
from darkpool.settlement.between import Between
from darkpool.settlement.custody import Custody, SettledBalances
from darkpool.settlement.state import state_root as engine_root
from darkpool.settlement.state import states_of
from darkpool.units import AccountId, account_bytes, account_of
from darkpool.verification import between as auditor
from darkpool.verification.accounts import Position, surplus
from darkpool.verification.custody import FlowEvent, Settled, head_of, waiting
from darkpool.verification.errors import Unsound
from darkpool.verification.leaves import leaves_of, state_root
from darkpool.verification.variation import Balances
from tests.support.margin_lives import BOND, CONTRACTS
from tests.support.margin_lives import TREASURY as TREASURER
from tests.support.vault_lives import DEPOSIT_MIN, VAULT, VaultLife
from tests.verification.test_variation import contents, told


def event(flow: Flow) -> FlowEvent:
    vault, account = account_bytes(flow.vault), account_bytes(flow.account)
    return FlowEvent(flow.index, int(flow.kind), vault, account, flow.amount, flow.number)


def by_bytes(due: Between) -> auditor.Between:
    """What the engine says is due, as the auditor holds it."""
    return auditor.Between(
        due.market_ms,
        tuple(auditor.Expiry(*astuple(each)) for each in due.expiries),
        tuple(auditor.Funding(*astuple(each)) for each in due.fundings),
        tuple(
            auditor.VoidCharge(each.interval, account_bytes(each.account), each.amount)
            for each in due.charges
        ),
    )


class AuditedLife(VaultLife):
    """A life in which an auditor goes along: from flows, trades, rejections and markets alone."""

    def __init__(self, seed: int) -> None:
        self.flows: list[Flow] = []
        self.settled_flows = 0
        house = Balances({}, account_bytes(INSURANCE_FUND), account_bytes(BAD_DEBT))
        self.state = Settled(house, account_bytes(TREASURER), DEPOSIT_MIN)
        super().__init__(seed)

    def flow(self, kind: FlowKind, account: AccountId, amount: int, number: int = 0) -> None:
        index = self.custody.flows.last + 1
        super().flow(kind, account, amount, number)
        self.flows.append(Flow(index, kind, VAULT, account, amount, number))

    def before_settlement(self, due: Between, paid: dict[AccountId, int]) -> None:
        state, inputs = deepcopy(self.state), self.market.inputs
        events = [event(flow) for flow in self.flows]
        assert head_of(events) == self.custody.flows.head
        asked = waiting(events[self.settled_flows :], account_bytes(VAULT))
        found = auditor.due_between(state.balances, state.between, self.interval_number, inputs)
        assert found == by_bytes(due)
        state.count(found, asked.deposits, inputs)
        assert self.uncovered == {name for name in self.bonded if not self.covers(state, name)}
        for account, amount in self.charged.items():
            state.balances.of(account_bytes(account)).cash -= amount
            state.balances.of(state.treasury).cash += amount
        for buyer, seller, index, lots, price in self.trades:
            cost = lots * price * CONTRACTS[index].multiplier
            for name, sign in ((buyer, 1), (seller, -1)):
                held = state.balances.of(account_bytes(name)).positions
                position = held.setdefault(CONTRACTS[index].identifier, Position())
                position.trade(sign * lots, sign * cost)
        by_name = {account_bytes(name): amount for name, amount in paid.items()}
        self.expected = state.settle(asked.requests, by_name, self.market.model)
        self.next_state = state

    def covers(self, state: Settled, name: AccountId) -> bool:
        """Whether an account has its bond in cash and above its margin."""
        account = state.balances.of(account_bytes(name))
        left = surplus(self.market.model, account)
        return left is not None and min(left, account.cash) >= BOND.amount

    def after_settlement(self, settled: SettledBalances) -> None:
        leaves = leaves_of(self.expected, account_bytes(TREASURER))
        assert encode_leaves([leaves]) == encode_leaves([settled.leaves])
        self.state = self.next_state
        self.settled_flows = len(self.flows)
        require_same(self.state, self.custody)
        states = states_of(self.custody)
        market_ms = self.custody.between.market_ms
        assert state_root(self.expected, market_ms) == engine_root(states, market_ms)

    def after_void(self, rejected: list[AccountId]) -> None:
        inputs, interval = self.market.inputs, self.interval_number
        names = [account_bytes(name) for name in rejected]
        due = auditor.due_between(self.state.balances, self.state.between, interval, inputs)
        charges = auditor.void_charges(interval, names, BOND.amount, BOND.charge_ppm)
        self.state.void(due, charges)
        require_same(self.state, self.custody)


def require_same(state: Settled, custody: Custody) -> None:
    """All that the auditor holds between two settlements is what the engine holds."""
    mine, engines = contents(state.balances), contents(told(custody.accounts, custody.debts))
    assert {n: a for n, a in mine[0].items() if a != (0, {})} == {
        n: a for n, a in engines[0].items() if a != (0, {})
    }
    assert mine[1] == engines[1]
    assert state.between == by_bytes(custody.between)
    assert state.free == {account_bytes(name): free for name, free in custody.free.items()}
    granted = {**custody.claims.granted, **custody.claims.left}
    assert {account_of(name): amount for name, amount in state.granted.items() if amount} == granted


@pytest.mark.parametrize("seeds", [range(15), pytest.param(range(10_000), marks=pytest.mark.slow)])
def test_leaves_are_the_engines_over_random_lives(seeds: range) -> None:
    settled = 0
    for seed in seeds:
        life = AuditedLife(seed)
        life.run(30)
        settled += life.seen["settled"]
    assert settled > len(seeds)


def test_a_notice_or_a_return_of_no_waiting_deposit_is_unsound() -> None:
    vault, account = account_bytes(VAULT), b"\x05" * 20
    for kind in (3, 4):
        with pytest.raises(Unsound, match="deposit"):
            waiting([FlowEvent(9, kind, vault, account, 5, 3)], vault)
