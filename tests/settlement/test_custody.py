"""Over any number of intervals everybody can leave with everything that is theirs."""

from __future__ import annotations

import pytest

from darkpool.margin.accounts.house import INSURANCE_FUND
from darkpool.protocol.flows import Flow, FlowKind
from darkpool.settlement.claims import FUND, RETIRED, TREASURY
from darkpool.settlement.custody import CashVault, Custody, SettledBalances
from darkpool.settlement.grants import GrantTerms, grant_requests
from darkpool.units import AccountId, Cash, account_bytes, account_of
from tests.support.margin_houses import margin_at
from tests.support.margin_lives import ALICE, BOB, CAROL, ONE, house, named, traded
from tests.support.margin_lives import TREASURY as TREASURER
from tests.support.vault_lives import DEPOSIT_MIN, VaultLife

VAULT = account_of(b"\x11" * 20)
SWAP = named("BTC-PERP")
HAPPENS = {
    *("settled", "void", "granted", "paid", "returned", "left", "covered", "shared"),
    *("longs paid", "shorts paid", "funded before a void", "charged", "charged who has nothing"),
    *("uncovered", "charged of the bond"),
    *("future expired future", "call expired above", "call expired below"),
    *("put expired above", "put expired below", "covered after an expiry"),
}
PRICE = 61_000 * ONE


def custody(cash: dict[AccountId, int]) -> Custody:
    """Accounts with deposits that one settlement has counted."""
    made = Custody(CashVault(VAULT, TREASURER, DEPOSIT_MIN), house({}))
    flow(made, *((FlowKind.DEPOSIT, account, amount * ONE) for account, amount in cash.items()))
    made.credit()
    made.settle(margin_at(100), {})
    return made


def flow(made: Custody, *told: tuple[FlowKind, AccountId, int]) -> None:
    first = made.flows.last + 1
    made.flows.add(
        Flow(index, kind, VAULT, account, amount)
        for index, (kind, account, amount) in enumerate(told, start=first)
    )


def leaf(settled: SettledBalances, account: AccountId) -> tuple[int, int]:
    for own in settled.leaves:
        if own.account == account_bytes(account):
            return own.exit_value, own.claimable
    return 0, 0


def test_an_account_without_positions_is_granted_in_full() -> None:
    made = custody({ALICE: 100})
    flow(made, (FlowKind.REQUEST, ALICE, 2**90))
    settled = made.settle(margin_at(100), {})
    assert leaf(settled, ALICE) == (0, 100 * ONE)


def test_a_request_lapses_for_what_it_is_not_granted() -> None:
    made = custody({ALICE: 100, BOB: 50_000})
    traded(made.accounts, SWAP, ALICE, BOB, 1, PRICE)
    flow(made, (FlowKind.REQUEST, ALICE, 100 * ONE))
    made.settle(margin_at(100), {})
    assert made.claims.granted.get(ALICE, 0) < 100 * ONE
    later = made.settle(margin_at(100), {})
    assert later.granted == {}


@pytest.mark.parametrize(
    ("left", "granted"),
    [(0, 0), (1, 1), (DEPOSIT_MIN - 1, DEPOSIT_MIN - 1), (DEPOSIT_MIN, 0), (DEPOSIT_MIN + 1, 0)],
)
def test_an_account_without_positions_keeps_the_least_deposit_or_nothing(
    left: int, granted: int
) -> None:
    made = custody({ALICE: 100})
    flow(made, (FlowKind.REQUEST, ALICE, 100 * ONE - left))
    settled = made.settle(margin_at(100), {})
    assert leaf(settled, ALICE) == (left - granted, 100 * ONE - left + granted)


def test_who_asks_for_nothing_or_has_positions_keeps_what_it_has() -> None:
    made = custody({ALICE: 10, BOB: 50_000, CAROL: 50_000})
    traded(made.accounts, SWAP, BOB, CAROL, 1, PRICE)
    made.settle(margin_at(100), {})
    free = made.free[BOB]
    asked = [(FlowKind.REQUEST, ALICE, 0), (FlowKind.REQUEST, BOB, free - 1)]
    flow(made, *asked)
    assert made.settle(margin_at(100), {}).granted == {BOB: free - 1}


def test_a_request_for_nothing_is_granted_nothing() -> None:
    made = custody({ALICE: 10})
    terms = GrantTerms({}, 20 * ONE)
    assert grant_requests(made.accounts, {ALICE: Cash(0)}, terms, margin_at(100)) == {}


def test_a_grant_that_is_not_taken_keeps_its_leaf_however_small() -> None:
    made = custody({ALICE: 100, BOB: 100})
    flow(made, (FlowKind.REQUEST, ALICE, 100 * ONE))
    made.settle(margin_at(100), {})
    for _ in range(3):
        settled = made.settle(margin_at(100), {ALICE: 100 * ONE - 1})
        assert leaf(settled, ALICE) == (0, 100 * ONE)


def test_an_account_with_positions_gets_what_was_free_at_two_marks() -> None:
    made = custody({ALICE: 50_000, BOB: 50_000})
    traded(made.accounts, SWAP, ALICE, BOB, 1, PRICE)
    flow(made, (FlowKind.REQUEST, ALICE, 50_000 * ONE))
    assert made.settle(margin_at(100), {}).granted == {}
    free = made.free[ALICE]
    flow(made, (FlowKind.REQUEST, ALICE, 50_000 * ONE))
    assert made.copy().settle(margin_at(110), {}).granted == {ALICE: free}
    fallen = made.copy().settle(margin_at(95), {}).granted
    assert 0 < fallen[ALICE] < free


def test_who_was_paid_everything_has_no_leaf_until_it_returns() -> None:
    made = custody({ALICE: 100, BOB: 1})
    flow(made, (FlowKind.REQUEST, ALICE, 100 * ONE))
    assert leaf(made.settle(margin_at(100), {}), ALICE) == (0, 100 * ONE)
    gone = made.settle(margin_at(100), {ALICE: 100 * ONE})
    assert leaf(gone, ALICE) == (0, 0)
    assert leaf(gone, RETIRED) == (0, 100 * ONE)
    flow(made, (FlowKind.DEPOSIT, ALICE, 5))
    made.credit()
    back = made.settle(margin_at(100), {ALICE: 100 * ONE})
    assert leaf(back, ALICE) == (5, 100 * ONE)
    assert leaf(back, RETIRED) == (0, 0)


def test_the_house_stands_under_the_accounts_that_the_vault_knows() -> None:
    made = custody({ALICE: 100, INSURANCE_FUND: 7, TREASURER: 3})
    settled = made.settle(margin_at(100), {})
    assert leaf(settled, FUND) == (7 * ONE, 0)
    assert leaf(settled, TREASURY) == (3 * ONE, 0)
    assert leaf(settled, INSURANCE_FUND) == leaf(settled, TREASURER) == (0, 0)


def test_who_was_covered_pays_out_of_its_next_deposit() -> None:
    made = custody({ALICE: 1, BOB: 50_000, CAROL: 50_000})
    traded(made.accounts, SWAP, ALICE, BOB, 1, PRICE)
    settled = made.settle(margin_at(90), {})
    owed = settled.variation.covered[ALICE]
    assert leaf(settled, ALICE) == (0, 0)
    flow(made, (FlowKind.DEPOSIT, ALICE, owed - 1))
    assert made.credit() == {ALICE: owed - 1}
    assert (made.accounts.cash(ALICE), made.debts) == (owed - 1, {ALICE: owed})
    assert made.commit(margin_at(90)).net_deposits == {}
    assert (made.accounts.cash(ALICE), made.debts) == (0, {ALICE: 1})


@pytest.mark.parametrize("seeds", [range(25), pytest.param(range(10_000), marks=pytest.mark.slow)])
def test_any_life_of_intervals_lets_everybody_leave(seeds: range) -> None:
    seen: dict[str, int] = {}
    for seed in seeds:
        life = VaultLife(seed)
        life.run(30)
        life.leave()
        for name, times in life.seen.items():
            seen[name] = seen.get(name, 0) + times
    assert set(seen) >= HAPPENS
    assert min(seen.values()) > 0
