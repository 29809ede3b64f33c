"""Margin calls and liquidations are told once, in the order of accounts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpool.margin.accounts.house import HOUSE
from darkpool.margin.liquidation.calls import Change, MarginCall, MarginCalls
from darkpool.margin.model.caps import equity as equity_of
from darkpool.margin.model.engine import Standing
from darkpool.margin.service.events import TakePrices, UpdateCalls
from darkpool.margin.service.state import Called
from darkpool.units import AccountId, Cash
from tests.support.margin_houses import margin_at, market_at
from tests.support.margin_lives import ALICE, BOB, CAROL, life

MAINTENANCE, INITIAL = 100, 130
FINE, CALLED, LIQUIDATED = 130, 129, 99


def standing(equity: int, account: AccountId = ALICE) -> Standing:
    return Standing(account, Cash(equity), Cash(MAINTENANCE), Cash(INITIAL))


@pytest.mark.parametrize(
    ("equities", "changes"),
    [
        ((FINE, FINE), [None, None]),
        ((CALLED, 100, FINE), [Change.CALLED, None, Change.MET]),
        ((CALLED, LIQUIDATED, 0), [Change.CALLED, Change.LIQUIDATED, None]),
        ((LIQUIDATED, FINE, CALLED), [Change.LIQUIDATED, Change.RESTORED, Change.CALLED]),
        # an account that is only back above maintenance margin stays in liquidation
        ((LIQUIDATED, CALLED, LIQUIDATED, FINE), [Change.LIQUIDATED, None, None, Change.RESTORED]),
    ],
)
def test_changes_are_told_once(equities: tuple[int, ...], changes: list[Change | None]) -> None:
    calls = MarginCalls()
    for equity, change in zip(equities, changes, strict=True):
        expected = () if change is None else (MarginCall(change, standing(equity)),)
        assert calls.update([standing(equity)]) == expected


def test_changes_come_by_account_and_others_stay() -> None:
    calls = MarginCalls()
    calls.update([standing(CALLED, CAROL), standing(LIQUIDATED, BOB)])
    assert (calls.called(), calls.in_liquidation()) == ((CAROL,), (BOB,))
    changed = calls.update([standing(FINE, CAROL), standing(CALLED, ALICE)])
    assert [(c.standing.account, c.change) for c in changed] == [
        (ALICE, Change.CALLED),
        (CAROL, Change.MET),
    ]
    assert (calls.called(), calls.in_liquidation()) == ((ALICE,), (BOB,))


@given(st.lists(st.tuples(st.sampled_from([ALICE, BOB]), st.integers(90, 140)), max_size=30))
def test_what_is_told_and_what_is_open_agree(steps: list[tuple[AccountId, int]]) -> None:
    calls, told = MarginCalls(), dict.fromkeys([ALICE, BOB], "fine")
    after = {
        Change.CALLED: "called",
        Change.LIQUIDATED: "liquidated",
        Change.MET: "fine",
        Change.RESTORED: "fine",
    }
    for account, equity in steps:
        for call in calls.update([standing(equity, account)]):
            assert told[account] != after[call.change]
            told[account] = after[call.change]
        assert calls.called() == tuple(a for a in (ALICE, BOB) if told[a] == "called")
        assert calls.in_liquidation() == tuple(a for a in (ALICE, BOB) if told[a] == "liquidated")
        assert (told[account] == "fine") == (equity >= INITIAL)


def test_calls_are_those_of_a_fresh_computation() -> None:
    """While prices alone change the engine of a state is kept, and priced again."""
    going = life(7)
    going.begin()
    for _ in range(20):
        going.auction()
    state, calls, seen = going.state, MarginCalls(), set()
    own = sorted(set(state.accounts.accounts()) - set(HOUSE))
    for share in (100, 80, 90, 85, 95, 100, 110, 105, 120, 100, 60, 100):
        state.apply(TakePrices(market_at(share)))
        margin, standings = margin_at(share), []
        for account in own:
            held = state.accounts.holdings(account)
            needed = margin.requirement(held.net)
            worth = equity_of(margin, held)
            standings.append(Standing(account, worth, needed.maintenance, needed.initial))
        told = calls.update(standings)
        assert state.apply(UpdateCalls()) == Called(told)
        seen |= {call.change for call in told}
    assert seen == set(Change)
