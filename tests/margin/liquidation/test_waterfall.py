"""What becomes of lots in liquidation that no auction took, by hand and in random lives."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpool.errors import OutOfBounds
from darkpool.limits import CASH_MAX
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.defaults import cover_debts
from darkpool.margin.accounts.house import BAD_DEBT, INSURANCE_FUND
from darkpool.margin.errors import InvalidParties
from darkpool.margin.liquidation.liquidator import shared_out
from darkpool.margin.liquidation.plan import LiquidationTerms, Maker
from darkpool.margin.liquidation.waterfall import Resolution, Step, Waterfall, resolve
from darkpool.margin.model.caps import Holdings, PriceRange, equity, surplus
from darkpool.units import AccountId, AuctionId, Cash, Interval, Lots, PriceUnits, Side
from tests.support.margin_houses import margin_after_expiry, margin_at
from tests.support.margin_lives import (
    ALICE,
    BOB,
    FIRST,
    LIQUIDATOR,
    ONE,
    SECOND,
    TERMS,
    house,
    life,
    named,
    to_close,
    traded,
)

NOW = margin_at(100)
PERP, FUTURE = named("BTC-PERP"), named("BTC-MAR")
ALONE = LiquidationTerms(LIQUIDATOR, 100_000, 500_000)


def test_accounts_above_maintenance_margin_are_left_alone() -> None:
    accounts = house({ALICE: 20_000, BOB: 500_000})
    traded(accounts, FUTURE, ALICE, BOB, 1, 61_000 * ONE)
    assert resolve(accounts, ALICE, TERMS, NOW) == Resolution(ALICE, (), Cash(0))
    with pytest.raises(InvalidParties, match=INSURANCE_FUND):
        resolve(accounts, INSURANCE_FUND, TERMS, NOW)


def test_what_may_still_fill_is_waited_for() -> None:
    accounts = house({ALICE: 20_000, BOB: 500_000})
    auction = AuctionId(FUTURE.identifier, Interval(1))
    grid = PriceRange(PriceUnits(60_990 * ONE), PriceUnits(61_010 * ONE))
    accounts.reserve(ALICE, auction, Lots(1), grid, NOW)
    with pytest.raises(OutOfBounds, match="live intents"):
        resolve(accounts, ALICE, TERMS, NOW)
    accounts.transfer(ALICE, BOB, Cash(30_000 * ONE))
    assert cover_debts(accounts) == 0
    accounts.release(ALICE, auction)
    assert cover_debts(accounts) == 10_000 * ONE


def test_a_hedged_account_owes_nothing_because_of_a_default() -> None:
    """Variation is settled of every contract, and so the one leg pays for the other."""
    cash = {ALICE: 20_000, BOB: 900_000, FIRST: 100_000}
    accounts = house(cash)
    traded(accounts, FUTURE, ALICE, BOB, 1, 61_000 * ONE)
    traded(accounts, FUTURE, FIRST, BOB, 5, 61_000 * ONE)
    traded(accounts, PERP, BOB, FIRST, 5, 60_020 * ONE)
    resolution = resolve(accounts, ALICE, ALONE, margin_at(50))
    assert resolution.transfers
    accounts.verify_conservation()
    assert accounts.cash(FIRST) >= 0


def test_makers_take_over_by_their_shares_as_far_as_they_pass() -> None:
    cash = {ALICE: 100_000, BOB: 500_000, FIRST: 40_000, SECOND: 200_000}
    accounts = house(cash)
    traded(accounts, FUTURE, ALICE, BOB, 10, 61_000 * ONE)
    margin = margin_at(98)
    resolution = resolve(accounts, ALICE, TERMS, margin)
    assert {(transfer.step, transfer.taker) for transfer in resolution.transfers} == {
        (Step.MAKER, FIRST),
        (Step.MAKER, SECOND),
    }
    taken = {transfer.taker: transfer.size for transfer in resolution.transfers}
    size = resolution.transfers[0].order.size
    assert sum(taken.values()) == size
    assert taken[FIRST] == min(3, size - size // 3)
    for account in (ALICE, FIRST, SECOND):
        assert surplus(margin, accounts.holdings(account)) >= 0
    contract_index = accounts.contract_index(FUTURE.identifier)
    more = accounts.holdings(FIRST).net.copy()
    more[contract_index] += 1
    worse = Holdings(accounts.holdings(FIRST).cash, accounts.holdings(FIRST).cost, more)
    assert taken[FIRST] == 2 or surplus(margin, worse) < 0 or taken[FIRST] == size - size // 3
    accounts.verify_conservation()


def test_who_waits_for_a_settlement_takes_nothing_over_and_stops_no_liquidation() -> None:
    """Maker and fund hold a future that has expired; the other maker takes what there is."""
    accounts = house({ALICE: 20_000, BOB: 900_000, FIRST: 100_000, SECOND: 300_000})
    traded(accounts, PERP, ALICE, BOB, 1, 60_020 * ONE)
    accounts.transfer(ALICE, BOB, Cash(15_000 * ONE))
    contract_index = accounts.contract_index(FUTURE.identifier)
    for account in (FIRST, INSURANCE_FUND):
        accounts.trade(account, BOB, contract_index, 1, PriceUnits(61_000 * ONE))
    resolution = resolve(accounts, ALICE, TERMS, margin_after_expiry())
    assert [transfer.taker for transfer in resolution.transfers] == [SECOND]
    alone = Waterfall(accounts, ALICE, margin_after_expiry())
    order = resolution.transfers[0].order
    assert alone._room(INSURANCE_FUND, order, Cash(CASH_MAX)) == 0
    accounts.verify_conservation()


def test_an_insolvent_account_is_closed_and_its_debt_named() -> None:
    """A counterparty's loss has a bound; the fund pays what that leaves, the rest is bad debt."""
    accounts = house({ALICE: 20_000, BOB: 500_000, INSURANCE_FUND: 2_000})
    traded(accounts, FUTURE, ALICE, BOB, 1, 61_000 * ONE)
    margin = margin_at(50)
    resolution = resolve(accounts, ALICE, ALONE, margin)
    (transfer,) = resolution.transfers
    # the mark is 30,500; half of 15.5 % more is the bound, and at bankruptcy it were 41,000
    assert (transfer.step, transfer.taker, transfer.size) == (Step.DELEVERAGED, BOB, 1)
    assert transfer.price == 32_863_750_000
    assert resolution.unpaid == (41_000 - 2_000) * ONE - 32_863_750_000
    assert accounts.cash(BAD_DEBT) == -resolution.unpaid
    assert accounts.cash(ALICE) == accounts.cash(INSURANCE_FUND) == 0
    assert accounts.cash(BOB) == 500_000 * ONE + 61_000 * ONE - 32_863_750_000
    accounts.verify_conservation()


def test_the_fund_takes_over_as_far_as_it_can_carry() -> None:
    accounts = house({ALICE: 100_000, BOB: 500_000, INSURANCE_FUND: 12_500})
    traded(accounts, FUTURE, ALICE, BOB, 10, 61_000 * ONE)
    margin = margin_at(97)
    resolution = resolve(accounts, ALICE, ALONE, margin)
    steps = {transfer.step: transfer.size for transfer in resolution.transfers}
    assert steps.keys() == {Step.FUND, Step.DELEVERAGED}
    assert surplus(margin, accounts.holdings(INSURANCE_FUND)) >= 0
    assert surplus(margin, accounts.holdings(ALICE)) >= 0
    assert resolution.unpaid == 0
    accounts.verify_conservation()


def test_what_the_fund_holds_against_an_account_it_takes_back() -> None:
    """If no other account has the other side the fund closes, whatever it can carry."""
    accounts = house({ALICE: 20_000, INSURANCE_FUND: 1})
    traded(accounts, FUTURE, ALICE, INSURANCE_FUND, 1, 61_000 * ONE)
    margin = margin_at(50)
    resolution = resolve(accounts, ALICE, ALONE, margin)
    assert {transfer.taker for transfer in resolution.transfers} == {INSURANCE_FUND}
    assert equity(margin, accounts.holdings(ALICE)) == 0
    assert not accounts.holdings(INSURANCE_FUND).net.any()
    accounts.verify_conservation()


def test_the_fund_closes_what_no_account_is_against_though_it_cannot_carry_it() -> None:
    """The fund's side is one leg of a hedge, which it would rather keep."""
    accounts = house({ALICE: 10_000, BOB: 500_000, INSURANCE_FUND: 5_000})
    traded(accounts, FUTURE, ALICE, INSURANCE_FUND, 1, 61_000 * ONE)
    traded(accounts, PERP, INSURANCE_FUND, BOB, 1, 60_020_500_000)
    (transfer,) = resolve(accounts, ALICE, ALONE, margin_at(98)).transfers
    assert (transfer.step, transfer.taker, transfer.size) == (Step.FUND, INSURANCE_FUND, 1)
    assert surplus(margin_at(98), accounts.holdings(INSURANCE_FUND)) < 0
    accounts.verify_conservation()


def test_a_maker_takes_over_no_more_than_it_signed_up_for() -> None:
    """Four lots, and none of its own position."""
    accounts = house({ALICE: 500_000, BOB: 500_000, FIRST: 10**7})
    traded(accounts, FUTURE, ALICE, BOB, 10, 61_000 * ONE)
    order = to_close(Side.SELL, 9, 60_500 * ONE)
    limits = NOW.requirement(accounts.holdings(ALICE).net).initial * 4 // 10
    makers = (Maker(ALICE, 5, Cash(10**15)), Maker(FIRST, 1, Cash(limits)))
    (transfer,) = Waterfall(accounts, ALICE, NOW).assign(order, makers)
    assert (transfer.taker, transfer.size, transfer.price) == (FIRST, 4, 60_500 * ONE)
    accounts.verify_conservation()


def test_what_the_fund_owes_is_bad_debt_once_it_holds_nothing() -> None:
    accounts = house({BOB: 500_000, INSURANCE_FUND: 1_000})
    traded(accounts, FUTURE, INSURANCE_FUND, BOB, 1, 61_000 * ONE)
    accounts.settle_variation(FUTURE.identifier, PriceUnits(50_000 * ONE))
    assert cover_debts(accounts) == 0
    traded(accounts, FUTURE, BOB, INSURANCE_FUND, 1, 50_000 * ONE)
    accounts.settle_variation(FUTURE.identifier, PriceUnits(50_000 * ONE))
    assert cover_debts(accounts) == 10_000 * ONE
    assert accounts.cash(BAD_DEBT) == -10_000 * ONE
    accounts.verify_conservation()


@given(
    st.integers(0, 1_000),
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 300)), max_size=5),
)
def test_lots_are_shared_out_by_weight_and_room(lots: int, makers: list[tuple[int, int]]) -> None:
    names = [AccountId(str(index)) for index in range(len(makers))]
    shares = {name: share for name, (share, _) in zip(names, makers, strict=True)}
    room = {name: most for name, (_, most) in zip(names, makers, strict=True)}
    taken = shared_out(lots, shares, room)
    assert sum(taken.values()) == min(lots, sum(room.values()))
    assert all(0 <= taken[name] <= room[name] for name in names)
    left = [name for name in names if taken[name] < room[name]]
    # a maker with room left has got no less for its share than others, up to a lot a round
    for maker in left:
        for other in names:
            rounds = len(names)
            assert (taken[maker] + rounds) * shares[other] >= (taken[other] - rounds) * shares[
                maker
            ]


def lived(seeds: range, steps: int) -> Counter[str]:
    seen: Counter[str] = Counter()
    for seed in seeds:
        going = life(seed)
        going.run(steps)
        seen += going.seen
    return seen


STEPS_SEEN = (Step.MAKER.name, Step.FUND.name, Step.DELEVERAGED.name, "given up", "bad debt")


def test_some_lives_are_liquidated_as_they_should(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every transfer of a waterfall conserves lots and cost by itself."""

    trade = PortfolioAccounts.trade

    def checked(accounts: PortfolioAccounts, *arguments: object) -> None:
        trade(accounts, *arguments)  # type: ignore[arg-type]
        accounts.verify_conservation()

    monkeypatch.setattr(PortfolioAccounts, "trade", checked)
    seen = lived(range(100), 40)
    assert min(seen[name] for name in STEPS_SEEN) >= 3, seen


@pytest.mark.slow
def test_ten_thousand_lives_are_liquidated_as_they_should() -> None:
    seen = lived(range(1_000, 11_000), 40)
    assert min(seen[name] for name in STEPS_SEEN) >= 200, seen
    assert seen["converted"] >= 20, seen
