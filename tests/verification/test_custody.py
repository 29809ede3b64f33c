"""The auditor's way from one settlement to the next is the engine's, to the byte."""

from __future__ import annotations

from copy import deepcopy

import pytest

from darkpool.margin.accounts.house import BAD_DEBT, INSURANCE_FUND
from darkpool.settlement.custody import SettledBalances
from darkpool.protocol.flows import Flow
from darkpool.protocol.leaves import encode_leaves
from darkpool.units import AccountId, account_bytes
from darkpool.verification.custody import FlowEvent, Settled, head_of, waiting
from darkpool.verification.errors import Unsound
from darkpool.verification.variation import Balances
from tests.support.margin_lives import TREASURY as TREASURER
from tests.support.vault_lives import VAULT, VaultLife
from tests.verification.test_variation import model_at, told


def event(flow: Flow) -> FlowEvent:
    vault, account = account_bytes(flow.vault), account_bytes(flow.account)
    return FlowEvent(flow.index, int(flow.kind), vault, account, flow.amount, flow.number)


class AuditedLife(VaultLife):
    """A life in which an auditor goes along: from flows, trades and prices alone."""

    def __init__(self, seed: int) -> None:
        self.flows: list[Flow] = []
        self.settled_flows = 0
        self.state = Settled(
            Balances({}, account_bytes(INSURANCE_FUND), account_bytes(BAD_DEBT)),
            account_bytes(TREASURER),
        )
        super().__init__(seed)

    def flow(self, kind, account, amount, number=0) -> None:  # type: ignore[no-untyped-def]
        index = self.custody.flows.last + 1
        super().flow(kind, account, amount, number)
        self.flows.append(Flow(index, kind, VAULT, account, amount, number))

    def before_settlement(self, paid: dict[AccountId, int]) -> None:
        """The auditor takes the trades as given: accounts as they are before variation."""
        state = deepcopy(self.state)
        events = [event(flow) for flow in self.flows]
        assert head_of(events) == self.custody.flows.head
        asked = waiting(events[self.settled_flows :], account_bytes(VAULT))
        state.count(asked.deposits)
        traded = told(self.custody.accounts, self.custody.debts)
        assert traded.debts == state.balances.debts
        for name, account in traded.accounts.items():
            # trades move no cash, so all cash is what was counted
            assert state.balances.of(name).cash == account.cash
        state.balances = traded
        by_name = {account_bytes(name): amount for name, amount in paid.items()}
        self.expected = state.settle(asked.requests, by_name, model_at(self.share))
        self.next_state = state

    def after_settlement(self, settled: SettledBalances) -> None:
        assert encode_leaves([self.expected]) == encode_leaves([settled.leaves])
        self.state = self.next_state
        self.settled_flows = len(self.flows)


@pytest.mark.parametrize("seeds", [range(25), pytest.param(range(10_000), marks=pytest.mark.slow)])
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
