"""Lives of accounts: they trade, pay funding, expire, default; no unit is ever lost."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from darkpool.errors import OutOfBounds
from darkpool.limits import CAP_BUCKETS_LOTS
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.defaults import (
    CloseOut,
    _sizes,
    bankruptcy_price,
    cover_debts,
    deleverage,
    deleveraging_order,
    share_bad_debt,
)
from darkpool.margin.accounts.house import BAD_DEBT, INSURANCE_FUND
from darkpool.margin.errors import (
    DuplicateReservation,
    InsufficientMargin,
    MarginError,
    UnknownContract,
    UnknownReservation,
)
from darkpool.margin.market.instruments import Contract
from darkpool.margin.market.payoffs import final_value, funding_for_a_unit
from darkpool.margin.model.caps import Holdings, surplus
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.protocol.refusals import RefusalCode
from darkpool.protocol.terms import BondTerms
from darkpool.units import (
    AuctionId,
    Cash,
    InstrumentId,
    Interval,
    Lots,
    PriceUnits,
    Side,
    account_of,
)
from tests.support.margin_accounts import (
    ALICE,
    BOB,
    CALL,
    CAROL,
    CONTRACTS,
    FUTURE,
    NOW,
    ONE,
    PEOPLE,
    PERP,
    PUT,
    auction,
    grid,
    house,
    named,
    traded,
)
from tests.support.margin_houses import margin_after_expiry, margin_at


def test_variation_is_paid_by_the_other_side() -> None:
    accounts = house(100_000, 100_000)
    traded(accounts, FUTURE, ALICE, BOB, 2, 61_000 * ONE)
    accounts.settle_variation(FUTURE.identifier, PriceUnits(61_500 * ONE))
    assert accounts.cash(ALICE) == 101_000 * ONE
    assert accounts.cash(BOB) == 99_000 * ONE
    assert accounts.holdings(ALICE).cost == 2 * 61_500 * ONE
    accounts.verify_conservation()


@pytest.mark.parametrize(
    ("contract", "price", "gain"), [(CALL, 65_000, 5_000), (CALL, 59_000, 0), (PUT, 59_000, 1_000)]
)
def test_options_expire_in_cash(contract: Contract, price: int, gain: int) -> None:
    accounts = house(100_000, 100_000)
    premium = grid(contract).lowest
    traded(accounts, contract, ALICE, BOB, 1, premium)
    accounts.expire(contract.identifier, PriceUnits(price * ONE))
    assert accounts.cash(ALICE) == 100_000 * ONE + gain * ONE - premium
    assert accounts.cash(ALICE) + accounts.cash(BOB) == 200_000 * ONE
    assert not accounts.holdings(ALICE).net.any()
    accounts.verify_conservation()


def test_longs_pay_funding_to_shorts() -> None:
    accounts = house(100_000, 100_000)
    traded(accounts, PERP, ALICE, BOB, 2, 60_000 * ONE)
    accounts.pay_funding(PERP.identifier, PriceUnits(7))
    assert accounts.cash(ALICE) == 100_000 * ONE - 14
    assert accounts.cash(BOB) == 100_000 * ONE + 14
    accounts.verify_conservation()


@pytest.mark.parametrize(
    ("mark", "hours", "paid"),
    [
        (100_100, 8, 100),
        (99_900, 8, -100),
        (100_100, 3, 37),
        (99_900, 3, -37),
        (200_000, 8, 500),
        (1, 8, -500),
        (200_000, 4, 250),
        (100_100, 0, 0),
        (100_100, 14 * 24, 100),
    ],
)
def test_funding_is_a_bounded_premium_pro_rata_of_a_period(
    mark: int, hours: int, paid: int
) -> None:
    asked = PriceUnits(mark), PriceUnits(100_000), hours * 3_600_000
    assert funding_for_a_unit(*asked) == paid


def test_final_values() -> None:
    assert final_value(FUTURE, PriceUnits(5)) == 5
    assert final_value(CALL, PriceUnits(60_001 * ONE)) == ONE
    assert final_value(PUT, PriceUnits(60_001 * ONE)) == 0


def test_what_stands_against_cash_is_not_withdrawn() -> None:
    accounts = house(100_000, 100_000)
    traded(accounts, FUTURE, ALICE, BOB, 2, 61_000 * ONE)
    free = accounts.withdrawable(ALICE, NOW)
    assert free == 100_000 * ONE - NOW.requirement(accounts.holdings(ALICE).net).initial
    with pytest.raises(InsufficientMargin):
        accounts.withdraw(ALICE, Cash(free + 1), NOW)
    accounts.withdraw(ALICE, free, NOW)
    assert accounts.withdrawable(ALICE, NOW) == 0
    # a gain that is not settled is not paid out
    assert accounts.withdrawable(BOB, margin_at(80)) <= 100_000 * ONE
    accounts.verify_conservation()


def test_refusals_change_nothing() -> None:
    accounts = house(100_000)
    key = auction(FUTURE, 1)
    accounts.reserve(ALICE, key, Lots(5), grid(FUTURE), NOW)
    with pytest.raises(DuplicateReservation):
        accounts.reserve(ALICE, key, Lots(5), grid(FUTURE), NOW)
    with pytest.raises(InsufficientMargin):
        accounts.reserve(ALICE, auction(FUTURE, 2), Lots(50), grid(FUTURE), NOW)
    with pytest.raises(OutOfBounds):
        accounts.reserve(ALICE, auction(FUTURE, 2), Lots(-1), grid(FUTURE), NOW)
    unknown = AuctionId(InstrumentId(b"\x01" * 32), Interval(1))
    with pytest.raises(UnknownContract):
        accounts.reserve(ALICE, unknown, Lots(1), grid(FUTURE), NOW)
    for size, price in ((0, 61_000), (6, 61_000), (5, 1), (5, 10**6)):
        with pytest.raises(OutOfBounds):
            accounts.fill(ALICE, key, Side.BUY, Lots(size), PriceUnits(price * ONE))
    with pytest.raises(UnknownReservation):
        accounts.release(BOB, key)
    with pytest.raises(UnknownContract):
        accounts.pay_funding(FUTURE.identifier, PriceUnits(1))
    with pytest.raises(UnknownContract):
        accounts.expire(PERP.identifier, PriceUnits(1))
    accounts.release(ALICE, key)
    assert accounts.withdrawable(ALICE, NOW) == 100_000 * ONE


def test_what_cannot_be_paid_is_a_named_debt() -> None:
    accounts = house(30_000, 100_000)
    accounts.deposit(INSURANCE_FUND, Cash(1_000 * ONE))
    traded(accounts, FUTURE, ALICE, BOB, 2, 61_000 * ONE)
    accounts.expire(FUTURE.identifier, PriceUnits(40_000 * ONE))
    assert accounts.cash(ALICE) == -12_000 * ONE
    assert cover_debts(accounts) == 11_000 * ONE
    assert accounts.cash(ALICE) == accounts.cash(INSURANCE_FUND) == 0
    assert accounts.cash(BAD_DEBT) == -11_000 * ONE
    accounts.verify_conservation()


def test_no_account_withdraws_while_a_debt_is_uncovered() -> None:
    accounts = house(30_000, 100_000, 50_001)
    traded(accounts, FUTURE, ALICE, BOB, 2, 61_000 * ONE)
    accounts.expire(FUTURE.identifier, PriceUnits(40_000 * ONE))
    assert accounts.withdrawable(BOB, NOW) == accounts.withdrawable(CAROL, NOW) == 0
    with pytest.raises(InsufficientMargin):
        accounts.withdraw(CAROL, Cash(1), NOW)
    assert cover_debts(accounts) == 12_000 * ONE
    assert accounts.withdrawable(BOB, NOW) == 0
    assert share_bad_debt(accounts) == 12_000 * ONE
    assert accounts.cash(BAD_DEBT) == 0
    for person in PEOPLE:
        accounts.withdraw(person, accounts.withdrawable(person, NOW), NOW)
        assert accounts.cash(person) == 0
    accounts.verify_conservation()


def changes_under(margin: PortfolioMargin, accounts: PortfolioAccounts) -> list[Callable[[], None]]:
    """What an account may ask for that margin has to allow."""
    bond = BondTerms(Cash(1), 1, account_of(bytes(20)))
    return [
        lambda: accounts.reserve(ALICE, auction(PERP, 7), Lots(1), grid(PERP), margin),
        lambda: accounts.hold_bond(ALICE, bond, margin),
        lambda: accounts.withdraw(ALICE, Cash(1), margin),
    ]


def test_positions_that_wait_for_their_final_settlement_hold_an_account_alone() -> None:
    accounts = house(100_000, 100_000, 100_000)
    traded(accounts, FUTURE, ALICE, BOB, 2, 61_000 * ONE)
    later = margin_after_expiry()
    for change in changes_under(later, accounts):
        with pytest.raises(MarginError) as caught:
            change()
        assert caught.value.code is RefusalCode.NO_PRICE
    accounts.withdraw(CAROL, Cash(1), later)
    accounts.verify_conservation()


def test_positions_beyond_what_margin_is_computed_for_hold_an_account_alone() -> None:
    accounts = house(100_000, 100_000, 100_000)
    many = 10**12
    for account, lots in ((ALICE, many), (BOB, -many)):
        accounts._open(account).trade(CONTRACTS.index(PERP), lots, lots * ONE)
    for change in changes_under(NOW, accounts):
        with pytest.raises(MarginError) as caught:
            change()
        assert caught.value.code is RefusalCode.BEYOND_MARGIN
    accounts.withdraw(CAROL, Cash(1), NOW)
    accounts.verify_conservation()


def test_what_has_expired_is_gone() -> None:
    accounts = house(100_000, 100_000)
    accounts.reserve(ALICE, auction(FUTURE, 1), Lots(1), grid(FUTURE), NOW)
    accounts.expire(FUTURE.identifier, PriceUnits(61_000 * ONE))
    assert accounts.withdrawable(ALICE, NOW) == 100_000 * ONE
    with pytest.raises(UnknownReservation):
        accounts.fill(ALICE, auction(FUTURE, 1), Side.BUY, Lots(1), PriceUnits(61_000 * ONE))
    with pytest.raises(UnknownContract):
        accounts.reserve(ALICE, auction(FUTURE, 2), Lots(1), grid(FUTURE), NOW)
    with pytest.raises(UnknownContract):
        accounts.expire(FUTURE.identifier, PriceUnits(50_000 * ONE))
    with pytest.raises(UnknownContract):
        accounts.settle_variation(FUTURE.identifier, PriceUnits(50_000 * ONE))


def test_a_loss_elsewhere_ruins_no_counterparty() -> None:
    """Closing out pays for a shortfall by the value of positions, not by the first to be closed."""
    accounts = house(60_000, 500_000, 15_000)
    ether = named("ETH-PERP")
    traded(accounts, FUTURE, ALICE, BOB, 3, 61_000 * ONE)
    traded(accounts, ether, CAROL, ALICE, 1, 3_000 * ONE)
    half = margin_at(50)
    for contract in (FUTURE, ether):
        price = bankruptcy_price(accounts, ALICE, contract.identifier, half)
        mark = int(half.value_of_lots()[CONTRACTS.index(contract)]) // contract.multiplier
        assert abs(price - mark) < mark // 2
        deleverage(accounts, ALICE, CloseOut(contract.identifier, Lots(3), price), half)
    accounts.settle_variation(FUTURE.identifier, PriceUnits(1))
    accounts.settle_variation(ether.identifier, PriceUnits(1))
    assert 0 <= accounts.cash(ALICE) < 100
    accounts.verify_conservation()


def test_a_position_has_one_size_on_either_side() -> None:
    """What is rounded against the holder of a side makes no share of a loss larger."""
    place = CONTRACTS.index(CALL)
    size = NOW.value_of(place, 5)
    assert NOW.value_of(place, -5) != -size
    for lots in (5, -5):
        net = np.zeros(len(CONTRACTS), dtype=np.int64)
        net[place] = lots
        assert _sizes(NOW, Holdings(Cash(0), Cash(0), net)) == {place: size}


def test_deleveraging_closes_the_most_profitable_first_at_bankruptcy() -> None:
    accounts = house(30_000, 60_000, 500_000)
    traded(accounts, FUTURE, ALICE, BOB, 1, 61_000 * ONE)
    traded(accounts, FUTURE, ALICE, CAROL, 1, 61_000 * ONE, interval=2)
    crash = margin_at(70)
    order = deleveraging_order(accounts, FUTURE.identifier, Side.SELL, crash)
    assert order == (BOB, CAROL)
    price = bankruptcy_price(accounts, ALICE, FUTURE.identifier, crash)
    assert price == 46_000 * ONE
    accounts.settle_variation(FUTURE.identifier, PriceUnits(42_700 * ONE))
    assert deleveraging_order(accounts, FUTURE.identifier, Side.SELL, crash) == (BOB, CAROL)
    closed = deleverage(accounts, ALICE, CloseOut(FUTURE.identifier, Lots(2), price), crash)
    assert closed == {BOB: 1, CAROL: 1}
    accounts.settle_variation(FUTURE.identifier, PriceUnits(42_700 * ONE))
    assert [accounts.cash(person) for person in PEOPLE] == [0, 75_000 * ONE, 515_000 * ONE]
    accounts.verify_conservation()


class Life:
    """A random life of three accounts and the fund, from a seed."""

    def __init__(self, seed: int) -> None:
        self.draw = np.random.default_rng(seed)
        self.accounts = house(*self.draw.integers(0, 300_000, 3).tolist())
        self.accounts.deposit(INSURANCE_FUND, Cash(int(self.draw.integers(0, 10**10))))
        self.share = 100
        self.interval = 0
        self.expired: list[Contract] = []
        self.seen: Counter[str] = Counter()

    @property
    def margin(self) -> PortfolioMargin:
        return margin_at(self.share)

    def number(self, low: int, high: int) -> int:
        return int(self.draw.integers(low, high + 1))

    def auction(self) -> None:
        """All may trade within caps; afterwards all that passed before still pass."""
        self.interval += 1
        contract = CONTRACTS[self.number(0, len(CONTRACTS) - 1)]
        if contract in self.expired:
            return
        key, prices = auction(contract, self.interval), grid(contract, self.margin)
        taken = []
        for account in PEOPLE:
            cap = Lots(CAP_BUCKETS_LOTS[self.number(0, 8)])
            try:
                self.accounts.reserve(account, key, cap, prices, self.margin)
            except MarginError:
                continue
            taken.append((account, cap))
        price = PriceUnits(self.number(prices.lowest, prices.highest))
        if len(taken) >= 2 and self.number(0, 3):
            (buyer, first), (seller, second) = taken.pop(), taken.pop(0)
            size = Lots(self.number(1, min(first, second)))
            self.accounts.fill(buyer, key, Side.BUY, size, price)
            self.accounts.fill(seller, key, Side.SELL, size, price)
            self.seen["trades"] += 1
            for account in (buyer, seller):
                assert surplus(self.margin, self.accounts.holdings(account)) >= 0
        for account, _ in taken:
            self.accounts.release(account, key)

    def move(self) -> None:
        self.share = min(160, max(50, self.share + 5 * self.number(-3, 3)))

    def settle(self) -> None:
        for contract in CONTRACTS:
            if contract not in self.expired:
                price = grid(contract, self.margin).lowest
                self.accounts.settle_variation(contract.identifier, price)
        self.seen["debts"] += cover_debts(self.accounts) > 0
        if self.number(0, 1):
            share_bad_debt(self.accounts)

    def fund(self) -> None:
        self.accounts.pay_funding(PERP.identifier, PriceUnits(self.number(-(10**8), 10**8)))

    def expire(self) -> None:
        dated = [contract for contract in CONTRACTS if contract.expiry_ms is not None]
        contract = dated[self.number(0, len(dated) - 1)]
        if contract in self.expired:
            return
        self.expired.append(contract)
        price = PriceUnits(self.number(1, 10**11))
        self.accounts.expire(contract.identifier, price)

    def withdraw(self) -> None:
        account = PEOPLE[self.number(0, 2)]
        free = self.accounts.withdrawable(account, self.margin)
        self.accounts.withdraw(account, Cash(self.number(0, free)), self.margin)

    def liquidate(self) -> None:
        """An account below maintenance margin is deleveraged."""
        for account in PEOPLE:
            held = self.accounts.holdings(account)
            equity = held.cash - held.cost + self.margin.value(held.net)
            if equity >= self.margin.requirement(held.net).maintenance:
                continue
            self.seen["liquidations"] += 1
            for index in np.flatnonzero(held.net).tolist():
                contract, lots = CONTRACTS[index].identifier, Lots(abs(int(held.net[index])))
                price = bankruptcy_price(self.accounts, account, contract, self.margin)
                close_out = CloseOut(contract, lots, price)
                closed = deleverage(self.accounts, account, close_out, self.margin)
                self.seen["deleveraged"] += len(closed)

    def run(self, steps: int) -> None:
        acts = [self.auction] * 4 + [self.move] * 2
        acts += [self.settle, self.fund, self.expire, self.withdraw, self.liquidate]
        for _ in range(steps):
            acts[self.number(0, len(acts) - 1)]()
            self.accounts.verify_conservation()
        for contract in CONTRACTS:
            if contract in self.expired:
                continue
            close = self.accounts.expire
            if contract.expiry_ms is None:
                close = self.accounts.settle_variation
            close(contract.identifier, PriceUnits(self.number(1, 10**11)))
        self.accounts.verify_conservation()


def lived(seeds: range, steps: int) -> Counter[str]:
    seen: Counter[str] = Counter()
    for seed in seeds:
        life = Life(seed)
        life.run(steps)
        seen += life.seen
    return seen


def test_no_unit_is_lost_in_some_lives() -> None:
    seen = lived(range(200), 40)
    assert seen["trades"] >= 300
    assert min(seen["debts"], seen["liquidations"], seen["deleveraged"]) >= 3, seen


@pytest.mark.slow
def test_no_unit_is_lost_in_ten_thousand_lives() -> None:
    assert lived(range(1_000, 11_000), 40)["trades"] > 10_000
