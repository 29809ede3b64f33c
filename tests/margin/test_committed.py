"""What is in the vault when a batch is committed: booked, and held against the reservations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpool.errors import InsufficientMargin
from darkpool.margin.bond import BondTerms
from darkpool.margin.committed import Committed, Shortfall, count_committed
from darkpool.margin.ledger import MarginLedger
from darkpool.margin.terms import MarginTerms
from darkpool.units import (
    AuctionId,
    Cash,
    InstrumentId,
    Interval,
    Lots,
    PriceUnits,
    Side,
    account_id,
)

ANN, BOB, CID = (account_id("0x" + pair * 20) for pair in ("a1", "b2", "c3"))
BOND = BondTerms(Cash(10), 0, CID)
TERMS = MarginTerms(1_000_000, 1, PriceUnits(1))
AUCTIONS = [AuctionId(InstrumentId(bytes([k]) * 32), Interval(1)) for k in range(2)]


def reserving(amount: int = 100) -> MarginLedger:
    """Ann and Bob hold a bond of 10, and 20 and 30 for intents."""
    ledger = MarginLedger()
    for account in (ANN, BOB):
        ledger.credit(account, Cash(amount))
        ledger.hold_bond(account, BOND)
        for auction, cap in zip(AUCTIONS, (20, 30), strict=True):
            ledger.reserve(account, auction, TERMS, Lots(cap))
    return ledger


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 200))
def test_an_account_is_short_if_it_does_not_cover_everything(ann: int, bob: int, cid: int) -> None:
    ledger = reserving()
    vault = {ANN: Cash(ann), BOB: Cash(bob), CID: Cash(cid)}
    found = count_committed(ledger, vault)
    with_intents = {ANN: Cash(ann), BOB: Cash(bob)}
    expected = {k: Shortfall(Cash(60), there) for k, there in with_intents.items() if there < 60}
    assert found.short == expected
    moved = {ANN: ann - 100, BOB: bob - 100, CID: cid}
    assert found.net_deposits == {name: change for name, change in moved.items() if change}
    for account, there in vault.items():
        held = ledger.collateral(account)
        assert held.free + held.encumbered == there
        assert held.encumbered == (0 if account in found.short or account == CID else 60)
    ledger.verify_conservation()
    assert count_committed(ledger, vault) == Committed({}, {})


def test_who_is_not_in_the_vault_any_more_has_a_balance_of_nothing() -> None:
    ledger = reserving()
    found = count_committed(ledger, {BOB: Cash(100)})
    assert found == Committed({ANN: Cash(-100)}, {ANN: Shortfall(Cash(60), Cash(0))})
    assert ledger.accounts() == (ANN, BOB)
    ledger.verify_conservation()


def test_margin_of_positions_covers_no_intent() -> None:
    ledger = reserving()
    for account, side in ((ANN, Side.BUY), (BOB, Side.SELL)):
        ledger.post(account, AUCTIONS[0], side, Lots(20), PriceUnits(1))
    vault = {ANN: Cash(60), BOB: Cash(59)}
    found = count_committed(ledger, vault)
    assert found.short == {BOB: Shortfall(Cash(40), Cash(39))}
    assert ledger.collateral(BOB).posted == 20
    assert ledger.collateral(ANN).encumbered == 60
    with pytest.raises(InsufficientMargin):
        count_committed(ledger, {ANN: Cash(60), BOB: Cash(19)})


def test_a_bond_without_an_intent_leaves_with_the_deposit() -> None:
    ledger = MarginLedger()
    ledger.credit(CID, Cash(15))
    ledger.hold_bond(CID, BOND)
    count_committed(ledger, {CID: Cash(3)})
    assert ledger.collateral(CID).free == 3
    ledger.verify_conservation()


def test_what_was_charged_stays_charged() -> None:
    """A charge moves cash between accounts of the ledger; deposits and withdrawals it is not."""
    ledger, fine = reserving(), BondTerms(Cash(10), 500_000, CID)
    ledger.charge_bond(ANN, fine.charge(), CID)
    vault = {ANN: Cash(100), BOB: Cash(100)}
    assert count_committed(ledger, vault) == Committed({}, {})
    assert ledger.collateral(CID).free == 5
    found = count_committed(ledger, {ANN: Cash(100), BOB: Cash(100), CID: Cash(-5)})
    assert found == Committed({CID: Cash(-5)}, {})
    assert ledger.collateral(CID).free == 0
    ledger.verify_conservation()


def test_whoever_holds_nothing_has_no_balance() -> None:
    ledger = MarginLedger()
    ledger.hold_bond(ANN, BondTerms(Cash(0), 0, CID))
    assert ledger.accounts() == ()
