"""A venue that begins anew from its last state goes on as if it had never stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from darkpool.canonical_json import from_json, to_json
from darkpool.margin.accounts.positions import Position
from darkpool.settlement.between import Between
from darkpool.settlement.custody import SettledBalances
from darkpool.settlement.flows import FlowBook
from darkpool.settlement.state import AccountState, custody_of, state_root, states_of
from darkpool.units import AccountId, Cash, InstrumentId, account_of
from tests.support.margin_lives import SPECIFICATION
from tests.support.vault_lives import VaultLife


class ForgetfulLife(VaultLife):
    """After every settlement all is forgotten but the states, the flows and the market's time.

    After a void it is all but the states, the flows that wait, and the bytes of what is due.
    """

    def after_void(self, rejected: list[AccountId]) -> None:
        del rejected
        before = self.custody
        kept = from_json(to_json(before.between), Between, "between")
        assert kept == before.between
        states = states_of(before)
        self.custody = custody_of(before.vault, SPECIFICATION, states, before.flows, kept)

    def after_settlement(self, settled: SettledBalances) -> None:
        del settled
        states, before = states_of(self.custody), self.custody
        flows = FlowBook(before.flows.last, before.flows.head)
        between = Between(self.market.time_ms)
        self.custody = custody_of(before.vault, SPECIFICATION, states, flows, between)
        assert states_of(self.custody) == states
        assert self.custody.free == {a: f for a, f in before.free.items() if a in self.custody.free}


@pytest.mark.parametrize("seeds", [range(12), pytest.param(range(5_000), marks=pytest.mark.slow)])
def test_a_venue_that_begins_anew_goes_on_the_same(seeds: range) -> None:
    for seed in seeds:
        lives = VaultLife(seed), ForgetfulLife(seed)
        for life in lives:
            life.run(30)
        whole, anew = lives
        roots = {state_root(states_of(c.custody), c.custody.between.market_ms) for c in lives}
        assert len(roots) == 1
        assert whole.vault.leaves == anew.vault.leaves
        assert whole.seen == anew.seen
        anew.leave()


def test_the_root_binds_every_field_of_every_account() -> None:
    held = {InstrumentId(b"\x01" * 32): Position(1, Cash(2), Cash(3))}
    state = AccountState(account_of(b"\x21" * 20), 5, 6, 7, False, 8, held)
    other = AccountState(account_of(b"\x22" * 20), 5, 6, 7, False, 8, {})
    changed = [
        replace(state, account=account_of(b"\x20" * 20)),
        replace(state, cash=6),
        replace(state, debt=7),
        replace(state, granted=8),
        replace(state, is_pruned=True),
        replace(state, free=9),
        replace(state, positions={}),
        replace(state, positions={InstrumentId(b"\x01" * 32): Position(1, Cash(2), Cash(4))}),
    ]
    roots = {state_root([one, other], 9) for one in (state, *changed)}
    roots |= {state_root([state], 9), state_root([other, state], 9), state_root([], 9)}
    roots |= {state_root([state, other], 10), state_root([], 10)}
    assert len(roots) == len(changed) + 6
