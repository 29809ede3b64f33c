"""A venue that begins anew from its last state goes on as if it had never stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from darkpool.settlement.custody import SettledBalances
from darkpool.settlement.flows import FlowBook
from darkpool.settlement.state import AccountState, custody_of, state_root, states_of
from darkpool.units import InstrumentId, account_of
from tests.support.margin_lives import SPECIFICATION
from tests.support.vault_lives import VaultLife


class ForgetfulLife(VaultLife):
    """After every settlement all is forgotten but the states and the flows."""

    def after_settlement(self, settled: SettledBalances) -> None:
        del settled
        states = states_of(self.custody)
        flows = FlowBook(self.custody.flows.last, self.custody.flows.head)
        before = self.custody
        self.custody = custody_of(before.vault, SPECIFICATION, states, flows)
        assert states_of(self.custody) == states
        assert self.custody.free == {a: f for a, f in before.free.items() if a in self.custody.free}


@pytest.mark.parametrize("seeds", [range(25), pytest.param(range(5_000), marks=pytest.mark.slow)])
def test_a_venue_that_begins_anew_goes_on_the_same(seeds: range) -> None:
    for seed in seeds:
        lives = VaultLife(seed), ForgetfulLife(seed)
        for life in lives:
            life.run(30)
        whole, anew = lives
        assert state_root(states_of(whole.custody)) == state_root(states_of(anew.custody))
        assert whole.vault.leaves == anew.vault.leaves
        assert whole.seen == anew.seen
        anew.leave()


def test_the_root_binds_every_field_of_every_account() -> None:
    from darkpool.margin.accounts.positions import Position
    from darkpool.units import Cash

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
    roots = {state_root([one, other]) for one in (state, *changed)}
    roots |= {state_root([state]), state_root([other, state]), state_root([])}
    assert len(roots) == len(changed) + 4
