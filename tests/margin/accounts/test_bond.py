from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpool.errors import OutOfBounds
from darkpool.limits import CASH_MAX
from darkpool.margin.accounts.account import Coverage
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.errors import InsufficientMargin, MarginError, NoBond
from darkpool.protocol.terms import BondTerms
from darkpool.units import AccountId, Cash, Lots, Side
from tests.support.one_unit import ANN, AT_ONE, AUCTIONS, BOB, CID, MARGIN, ONE, funded

BOND = BondTerms(Cash(100), 250_001, CID)


def held(accounts: PortfolioAccounts, account: AccountId) -> tuple[int, int | None]:
    """What could be withdrawn, and the bond."""
    return accounts.withdrawable(account, MARGIN), accounts.bond(account)


def test_a_bond_is_held_once_and_is_free_in_the_end() -> None:
    accounts = funded(150)
    for _ in range(3):
        accounts.hold_bond(ANN, BOND, MARGIN)
        assert held(accounts, ANN) == (50, 100)
    assert accounts.cash(ANN) == 150
    accounts.verify_conservation()
    accounts.release_bonds()
    accounts.release_bonds()
    assert held(accounts, ANN) == (150, None)


def test_bond_and_margin_are_covered_together() -> None:
    accounts = funded(150)
    accounts.reserve(ANN, AUCTIONS[0], Lots(51), AT_ONE, MARGIN)
    with pytest.raises(InsufficientMargin) as caught:
        accounts.hold_bond(ANN, BOND, MARGIN)
    assert (caught.value.required, caught.value.available) == (100, 99)
    assert accounts.bond(ANN) is None
    accounts.hold_bond(BOB, BOND, MARGIN)
    with pytest.raises(InsufficientMargin) as caught:
        accounts.reserve(BOB, AUCTIONS[0], Lots(51), AT_ONE, MARGIN)
    assert (caught.value.required, caught.value.available) == (51, 50)
    accounts.reserve(BOB, AUCTIONS[0], Lots(50), AT_ONE, MARGIN)
    assert accounts.coverage(BOB, MARGIN) == Coverage(Cash(150), Cash(150))


def test_a_charge_is_rounded_up_and_goes_to_the_treasury() -> None:
    accounts = funded(150)
    accounts.hold_bond(ANN, BOND, MARGIN)
    assert BOND.charge() == 26
    assert accounts.charge_bond(ANN, BOND.charge(), CID) == 26
    assert held(accounts, ANN) == (50, 74)
    assert held(accounts, CID) == (26, None)
    assert held(accounts, BOB) == (150, None)
    accounts.verify_conservation()


def test_a_charge_takes_no_more_than_there_is_and_then_the_bond_has_to_be_filled_up() -> None:
    accounts = funded(150)
    accounts.hold_bond(ANN, BOND, MARGIN)
    assert accounts.charge_bond(ANN, Cash(80), CID) == 80
    assert accounts.charge_bond(ANN, Cash(80), CID) == 20
    assert accounts.charge_bond(ANN, Cash(80), CID) == 0
    assert held(accounts, ANN) == (50, 0)
    with pytest.raises(InsufficientMargin) as caught:
        accounts.hold_bond(ANN, BOND, MARGIN)
    assert (caught.value.required, caught.value.available) == (100, 50)
    accounts.deposit(ANN, Cash(50))
    accounts.hold_bond(ANN, BOND, MARGIN)
    assert held(accounts, ANN) == (0, 100)
    accounts.verify_conservation()


def test_who_holds_no_bond_is_not_charged() -> None:
    accounts = funded(150)
    with pytest.raises(NoBond):
        accounts.charge_bond(ANN, Cash(1), CID)
    accounts.hold_bond(ANN, BOND, MARGIN)
    with pytest.raises(OutOfBounds):
        accounts.charge_bond(ANN, Cash(-1), CID)
    accounts.release_bonds()
    with pytest.raises(NoBond):
        accounts.charge_bond(ANN, Cash(1), CID)
    assert held(accounts, ANN) == (150, None)


def test_a_treasury_that_trades_is_charged_like_others_and_paid_it() -> None:
    accounts = funded(150)
    accounts.hold_bond(ANN, BOND, MARGIN)
    assert accounts.charge_bond(ANN, Cash(30), ANN) == 30
    assert held(accounts, ANN) == (80, 70)
    accounts.verify_conservation()


def test_everything_that_an_account_has_reserved_ends_at_once() -> None:
    accounts = funded(150)
    for account in (ANN, BOB):
        accounts.hold_bond(account, BondTerms(Cash(10), 0, CID), MARGIN)
        for auction in AUCTIONS:
            accounts.reserve(account, auction, Lots(20), AT_ONE, MARGIN)
    accounts.fill(ANN, AUCTIONS[0], Side.BUY, Lots(5), ONE)
    accounts.release_account(ANN)
    assert held(accounts, ANN) == (145, None)
    assert held(accounts, BOB) == (100, 10)
    accounts.release_account(ANN)
    accounts.release_account(CID)
    assert CID not in accounts.accounts()


@given(st.integers(0, CASH_MAX), st.integers(0, 1_000_000))
def test_the_charge_is_the_exact_part_rounded_against_the_account(amount: int, ppm: int) -> None:
    charge = BondTerms(Cash(amount), ppm, CID).charge()
    assert charge == ceil(Fraction(amount) * ppm / 1_000_000)
    assert charge <= amount


@pytest.mark.parametrize(("amount", "ppm"), [(-1, 0), (CASH_MAX + 1, 0), (1, -1), (1, 1_000_001)])
def test_terms_have_bounds(amount: int, ppm: int) -> None:
    with pytest.raises(OutOfBounds):
        BondTerms(Cash(amount), ppm, CID)


STEPS = st.tuples(
    st.sampled_from(["hold", "charge", "end", "reserve", "release", "trade"]),
    st.sampled_from([ANN, BOB]),
    st.integers(0, 120),
)


@given(st.lists(STEPS, max_size=30))
def test_cash_is_conserved_and_caps_and_bonds_are_covered(
    steps: list[tuple[str, AccountId, int]],
) -> None:
    accounts, auction = funded(150), AUCTIONS[0]
    for kind, account, amount in steps:
        try:
            if kind == "hold":
                accounts.hold_bond(account, BOND, MARGIN)
            elif kind == "charge":
                accounts.charge_bond(account, Cash(amount), CID)
            elif kind == "end":
                accounts.release_bonds()
            elif kind == "reserve":
                accounts.reserve(account, auction, Lots(amount), AT_ONE, MARGIN)
            elif kind == "release":
                accounts.release(account, auction)
            elif all(accounts.reservations(holder) for holder in (ANN, BOB)):
                lots = min(live.cap for holder in (ANN, BOB) for live in accounts.intents(holder))
                for holder, side in ((ANN, Side.BUY), (BOB, Side.SELL)):
                    accounts.fill(holder, auction, side, Lots(lots), ONE)
        except (MarginError, OutOfBounds):
            pass
        accounts.verify_conservation()
        assert sum(accounts.cash(holder) for holder in (ANN, BOB, CID)) == 300
        for holder in (ANN, BOB):
            coverage = accounts.coverage(holder, MARGIN)
            assert coverage.required <= coverage.available
            assert (accounts.bond(holder) or 0) <= BOND.amount
