import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from darkpool.errors import (
    DuplicateReservation,
    InsufficientMargin,
    NotConserved,
    OutOfBounds,
    UnknownReservation,
)
from darkpool.limits import CASH_MAX
from darkpool.margin.bond import BondTerms
from darkpool.margin.ledger import MarginLedger
from darkpool.margin.positions import Position
from darkpool.margin.terms import MarginTerms
from darkpool.units import (
    AccountId,
    AuctionId,
    Cash,
    InstrumentId,
    Interval,
    Lots,
    PriceUnits,
    Side,
    account_id,
)

ALICE = account_id("0x" + "a1" * 20)
BOB = account_id("0x" + "b2" * 20)
INSTRUMENT = InstrumentId(b"\x01" * 32)
AUCTION = AuctionId(INSTRUMENT, Interval(1))
LATER = AuctionId(INSTRUMENT, Interval(2))
# A tenth of 10: one cash unit a lot.
TERMS = MarginTerms(rate_ppm=100_000, multiplier=1, worst_price=PriceUnits(10))


def funded(amount: int) -> MarginLedger:
    ledger = MarginLedger()
    for account in (ALICE, BOB):
        ledger.credit(account, Cash(amount))
    return ledger


def cash(ledger: MarginLedger, account: AccountId) -> tuple[int, int, int]:
    held = ledger.collateral(account)
    assert (held.withdrawable, held.encumbered) == (
        held.free,
        held.reserved + held.posted + held.bond,
    )
    return held.free, held.reserved, held.posted


def test_margin_is_reserved_for_the_cap_and_posted_for_the_fill() -> None:
    ledger = funded(100)
    assert ledger.reserve(ALICE, AUCTION, TERMS, Lots(50)).amount == 50
    assert cash(ledger, ALICE) == (50, 50, 0)
    ledger.post(ALICE, AUCTION, Side.BUY, Lots(20), PriceUnits(9))
    assert cash(ledger, ALICE) == (80, 0, 20)
    assert ledger.positions(ALICE) == {INSTRUMENT: Position(20, Cash(180), Cash(20))}


def test_an_order_without_a_fill_gets_everything_back() -> None:
    ledger = funded(100)
    ledger.reserve(ALICE, AUCTION, TERMS, Lots(50))
    ledger.release(ALICE, AUCTION)
    assert cash(ledger, ALICE) == (100, 0, 0)
    assert ledger.positions(ALICE) == {}


def test_a_reservation_needs_free_cash() -> None:
    ledger = funded(100)
    ledger.reserve(ALICE, AUCTION, TERMS, Lots(60))
    with pytest.raises(InsufficientMargin) as caught:
        ledger.reserve(ALICE, LATER, TERMS, Lots(41))
    assert (caught.value.required, caught.value.available) == (41, 40)
    assert cash(ledger, ALICE) == (40, 60, 0)
    ledger.reserve(ALICE, LATER, TERMS, Lots(40))
    with pytest.raises(InsufficientMargin):
        MarginLedger().reserve(ALICE, AUCTION, TERMS, Lots(1))


def test_a_reservation_ends_once() -> None:
    ledger = funded(100)
    with pytest.raises(UnknownReservation):
        ledger.release(ALICE, AUCTION)
    ledger.reserve(ALICE, AUCTION, TERMS, Lots(1))
    with pytest.raises(DuplicateReservation):
        ledger.reserve(ALICE, AUCTION, TERMS, Lots(1))
    with pytest.raises(UnknownReservation):
        ledger.release(BOB, AUCTION)
    ledger.post(ALICE, AUCTION, Side.SELL, Lots(1), PriceUnits(9))
    with pytest.raises(UnknownReservation):
        ledger.post(ALICE, AUCTION, Side.SELL, Lots(1), PriceUnits(9))
    with pytest.raises(UnknownReservation):
        ledger.release(ALICE, AUCTION)


@pytest.mark.parametrize(("size", "price"), [(0, 9), (-1, 9), (51, 9), (1, 11), (1, -11)])
def test_a_fill_beyond_what_was_reserved_changes_nothing(size: int, price: int) -> None:
    ledger = funded(100)
    ledger.reserve(ALICE, AUCTION, TERMS, Lots(50))
    with pytest.raises(OutOfBounds):
        ledger.post(ALICE, AUCTION, Side.BUY, Lots(size), PriceUnits(price))
    assert cash(ledger, ALICE) == (50, 50, 0)
    assert ledger.positions(ALICE) == {}


def test_margin_stays_with_a_position_that_a_later_fill_reduces() -> None:
    ledger = funded(100)
    for auction, side in ((AUCTION, Side.BUY), (LATER, Side.SELL)):
        ledger.reserve(ALICE, auction, TERMS, Lots(10))
        ledger.post(ALICE, auction, side, Lots(10), PriceUnits(9 if side is Side.BUY else 4))
    assert ledger.positions(ALICE) == {INSTRUMENT: Position(0, Cash(50), Cash(20))}
    assert cash(ledger, ALICE) == (80, 0, 20)


@pytest.mark.parametrize("amount", [-1, CASH_MAX])
def test_a_deposit_outside_its_bounds_is_refused(amount: int) -> None:
    ledger = funded(1)
    with pytest.raises(OutOfBounds):
        ledger.credit(ALICE, Cash(amount))
    assert cash(ledger, ALICE) == (1, 0, 0)
    ledger.verify_conservation()


def test_a_withdrawal_is_from_free_cash_alone() -> None:
    ledger = funded(100)
    ledger.reserve(ALICE, AUCTION, TERMS, Lots(60))
    with pytest.raises(InsufficientMargin) as caught:
        ledger.debit(ALICE, Cash(41))
    assert (caught.value.required, caught.value.available) == (41, 40)
    with pytest.raises(OutOfBounds):
        ledger.debit(ALICE, Cash(-1))
    with pytest.raises(InsufficientMargin):
        ledger.debit(account_id("0x" + "c3" * 20), Cash(1))
    assert cash(ledger, ALICE) == (40, 60, 0)
    ledger.debit(ALICE, Cash(40))
    ledger.debit(BOB, Cash(100))
    assert cash(ledger, ALICE) == (0, 60, 0)
    assert cash(ledger, BOB) == (0, 0, 0)
    assert ledger.accounts() == (ALICE, BOB)
    ledger.verify_conservation()


def test_everything_that_an_account_has_reserved_ends_at_once() -> None:
    ledger = funded(100)
    ledger.hold_bond(ALICE, BondTerms(Cash(10), 0, BOB))
    for auction in (AUCTION, LATER):
        ledger.reserve(ALICE, auction, TERMS, Lots(20))
        ledger.reserve(BOB, auction, TERMS, Lots(20))
    ledger.post(ALICE, AUCTION, Side.BUY, Lots(5), PriceUnits(9))
    ledger.release_account(ALICE)
    assert cash(ledger, ALICE) == (95, 0, 5)
    assert cash(ledger, BOB) == (60, 40, 0)
    with pytest.raises(UnknownReservation):
        ledger.release(ALICE, LATER)
    ledger.release_account(ALICE)
    ledger.release_account(account_id("0x" + "c3" * 20))
    assert cash(ledger, ALICE) == (95, 0, 5)
    assert ledger.accounts() == (ALICE, BOB)


def test_one_side_of_a_trade_alone_is_not_conserved() -> None:
    ledger = funded(100)
    for account in (ALICE, BOB):
        ledger.reserve(account, AUCTION, TERMS, Lots(5))
    ledger.post(ALICE, AUCTION, Side.BUY, Lots(5), PriceUnits(9))
    with pytest.raises(NotConserved):
        ledger.verify_conservation()
    ledger.post(BOB, AUCTION, Side.SELL, Lots(5), PriceUnits(8))
    with pytest.raises(NotConserved) as caught:
        ledger.verify_conservation()
    assert caught.value.quantity.startswith("cost")


class Auctions(RuleBasedStateMachine):
    """Any sequence of deposits, reservations and settled trades, against a second bookkeeping."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = MarginLedger()
        self.accounts = [account_id(f"0x{number:040x}") for number in range(1, 5)]
        self.credited = dict.fromkeys(self.accounts, 0)
        self.posted = dict.fromkeys(self.accounts, 0)
        self.open: dict[tuple[AccountId, AuctionId], tuple[MarginTerms, int]] = {}
        self.interval = 0

    @rule(number=st.integers(0, 3), amount=st.integers(0, 1000))
    def credit(self, number: int, amount: int) -> None:
        self.ledger.credit(self.accounts[number], Cash(amount))
        self.credited[self.accounts[number]] += amount

    @rule(number=st.integers(0, 3), amount=st.integers(0, 1000))
    def debit(self, number: int, amount: int) -> None:
        account = self.accounts[number]
        free = self.ledger.collateral(account).free
        if amount > free:
            with pytest.raises(InsufficientMargin):
                self.ledger.debit(account, Cash(amount))
        else:
            self.ledger.debit(account, Cash(amount))
            self.credited[account] -= amount

    @rule(
        number=st.integers(0, 3),
        instrument=st.integers(1, 2),
        rate=st.integers(0, 10**6),
        cap=st.integers(0, 200),
    )
    def reserve(self, number: int, instrument: int, rate: int, cap: int) -> None:
        account = self.accounts[number]
        auction = AuctionId(InstrumentId(bytes([instrument]) * 32), Interval(self.interval))
        terms = MarginTerms(rate, 3, PriceUnits(7))
        required = -(-7 * 3 * cap * rate // 10**6)
        reserved = sum(
            held.initial_margin(Lots(size))
            for (holder, _), (held, size) in self.open.items()
            if holder == account
        )
        available = self.credited[account] - self.posted[account] - reserved
        if (account, auction) in self.open:
            with pytest.raises(DuplicateReservation):
                self.ledger.reserve(account, auction, terms, Lots(cap))
        elif required > available:
            with pytest.raises(InsufficientMargin) as caught:
                self.ledger.reserve(account, auction, terms, Lots(cap))
            assert (caught.value.required, caught.value.available) == (required, available)
        else:
            self.ledger.reserve(account, auction, terms, Lots(cap))
            self.open[account, auction] = (terms, cap)

    @precondition(lambda self: len(self.open) >= 2)
    @rule(data=st.data())
    def trade(self, data: st.DataObject) -> None:
        buyer = data.draw(st.sampled_from(sorted(self.open, key=str)))
        others = [key for key in self.open if key[1] == buyer[1] and key != buyer]
        caps = {key: self.open[key][1] for key in (buyer, *others)}
        if not others or not caps[buyer] or not (seller_caps := caps[others[0]]):
            return
        size = Lots(data.draw(st.integers(1, min(caps[buyer], seller_caps))))
        price = PriceUnits(data.draw(st.integers(-7, 7)))
        for (account, auction), side in ((buyer, Side.BUY), (others[0], Side.SELL)):
            self.ledger.post(account, auction, side, size, price)
            terms, _ = self.open.pop((account, auction))
            self.posted[account] += terms.initial_margin(size)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        account, auction = data.draw(st.sampled_from(sorted(self.open, key=str)))
        self.ledger.release(account, auction)
        del self.open[account, auction]

    @rule()
    def next_auction(self) -> None:
        self.interval += 1

    @invariant()
    def value_is_conserved(self) -> None:
        self.ledger.verify_conservation()
        for account in self.accounts:
            held = self.ledger.collateral(account)
            assert min(held.free, held.reserved, held.posted) >= 0
            assert held.free + held.reserved + held.posted == self.credited[account]
            assert held.posted == self.posted[account]
            assert held.encumbered + held.withdrawable == self.credited[account]


TestAuctions = Auctions.TestCase
TestAuctions.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
