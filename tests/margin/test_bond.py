from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpool.errors import InsufficientMargin, NoBond, OutOfBounds
from darkpool.limits import CASH_MAX
from darkpool.margin.bond import BondTerms
from darkpool.margin.ledger import Collateral, MarginLedger
from darkpool.margin.terms import MarginTerms
from darkpool.units import AccountId, AuctionId, Cash, InstrumentId, Interval, Lots, PriceUnits

ANN, BOB, TREASURY = (AccountId(f"0x{digit * 40}") for digit in "123")
BOND = BondTerms(Cash(100), 250_001, TREASURY)


def funded(amount: int = 150) -> MarginLedger:
    ledger = MarginLedger()
    for account in (ANN, BOB):
        ledger.credit(account, Cash(amount))
    return ledger


def held(free: int, bond: int) -> Collateral:
    return Collateral(Cash(free), Cash(0), Cash(0), Cash(bond))


def test_a_bond_is_held_once_and_is_free_in_the_end() -> None:
    ledger = funded()
    for _ in range(3):
        ledger.hold_bond(ANN, BOND)
        assert ledger.collateral(ANN) == held(50, 100)
    assert ledger.collateral(ANN).encumbered == 100
    ledger.verify_conservation()
    ledger.release_bonds()
    ledger.release_bonds()
    assert ledger.collateral(ANN) == held(150, 0)


def test_bond_and_margin_are_covered_together() -> None:
    ledger = funded()
    auction = AuctionId(InstrumentId(bytes(32)), Interval(1))
    terms = MarginTerms(1_000_000, 1, PriceUnits(1))
    ledger.reserve(ANN, auction, terms, Lots(51))
    with pytest.raises(InsufficientMargin) as caught:
        ledger.hold_bond(ANN, BOND)
    assert (caught.value.required, caught.value.available) == (100, 99)
    assert ledger.collateral(ANN).bond == 0
    ledger.hold_bond(BOB, BOND)
    with pytest.raises(InsufficientMargin):
        ledger.reserve(BOB, auction, terms, Lots(51))


def test_a_charge_is_rounded_up_and_goes_to_the_treasury() -> None:
    ledger = funded()
    ledger.hold_bond(ANN, BOND)
    assert BOND.charge() == 26
    assert ledger.charge_bond(ANN, BOND.charge(), TREASURY) == 26
    assert ledger.collateral(ANN) == held(50, 74)
    assert ledger.collateral(TREASURY) == held(26, 0)
    assert ledger.collateral(BOB) == held(150, 0)
    ledger.verify_conservation()


def test_a_charge_takes_no_more_than_there_is_and_then_the_bond_has_to_be_filled_up() -> None:
    ledger = funded()
    ledger.hold_bond(ANN, BOND)
    assert ledger.charge_bond(ANN, Cash(80), TREASURY) == 80
    assert ledger.charge_bond(ANN, Cash(80), TREASURY) == 20
    assert ledger.charge_bond(ANN, Cash(80), TREASURY) == 0
    assert ledger.collateral(ANN) == held(50, 0)
    with pytest.raises(InsufficientMargin) as caught:
        ledger.hold_bond(ANN, BOND)
    assert (caught.value.required, caught.value.available) == (100, 50)
    ledger.credit(ANN, Cash(50))
    ledger.hold_bond(ANN, BOND)
    assert ledger.collateral(ANN) == held(0, 100)
    ledger.verify_conservation()


def test_who_holds_no_bond_is_not_charged() -> None:
    ledger = funded()
    with pytest.raises(NoBond):
        ledger.charge_bond(ANN, Cash(1), TREASURY)
    ledger.hold_bond(ANN, BOND)
    with pytest.raises(OutOfBounds):
        ledger.charge_bond(ANN, Cash(-1), TREASURY)
    ledger.release_bonds()
    with pytest.raises(NoBond):
        ledger.charge_bond(ANN, Cash(1), TREASURY)
    assert ledger.collateral(ANN) == held(150, 0)


def test_a_treasury_that_trades_is_charged_like_others_and_paid_it() -> None:
    ledger = funded()
    ledger.hold_bond(ANN, BOND)
    assert ledger.charge_bond(ANN, Cash(30), ANN) == 30
    assert ledger.collateral(ANN) == held(80, 70)
    ledger.verify_conservation()


def test_a_treasury_can_hold_no_more_than_there_is_money() -> None:
    ledger = funded()
    ledger.credit(TREASURY, Cash(CASH_MAX - 5))
    ledger.hold_bond(ANN, BOND)
    with pytest.raises(OutOfBounds):
        ledger.charge_bond(ANN, Cash(6), TREASURY)
    assert ledger.collateral(ANN) == held(50, 100)
    assert ledger.charge_bond(ANN, Cash(5), TREASURY) == 5


@given(st.integers(0, CASH_MAX), st.integers(0, 1_000_000))
def test_the_charge_is_the_exact_part_rounded_against_the_account(amount: int, ppm: int) -> None:
    charge = BondTerms(Cash(amount), ppm, TREASURY).charge()
    assert charge == ceil(Fraction(amount) * ppm / 1_000_000)
    assert charge <= amount


@pytest.mark.parametrize(("amount", "ppm"), [(-1, 0), (CASH_MAX + 1, 0), (1, -1), (1, 1_000_001)])
def test_terms_have_bounds(amount: int, ppm: int) -> None:
    with pytest.raises(OutOfBounds):
        BondTerms(Cash(amount), ppm, TREASURY)


STEPS = st.tuples(st.sampled_from("hcr"), st.sampled_from([ANN, BOB]), st.integers(0, 120))


@given(st.lists(STEPS, max_size=30))
def test_cash_is_conserved_to_the_unit(steps: list[tuple[str, AccountId, int]]) -> None:
    ledger = funded()
    for kind, account, amount in steps:
        try:
            if kind == "h":
                ledger.hold_bond(account, BOND)
            elif kind == "c":
                ledger.charge_bond(account, Cash(amount), TREASURY)
            else:
                ledger.release_bonds()
        except (InsufficientMargin, NoBond):
            pass
        ledger.verify_conservation()
        total = sum(
            ledger.collateral(a).withdrawable + ledger.collateral(a).encumbered
            for a in (ANN, BOB, TREASURY)
        )
        assert total == 300
        assert ledger.collateral(account).bond <= BOND.amount
