"""What is in the vault when a batch is committed: booked, and held against the reservations."""

from hypothesis import given
from hypothesis import strategies as st

from darkpool.margin.accounts.account import Coverage
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.house import HOUSE
from darkpool.margin.accounts.vault_flows import Committed, Shortfall
from darkpool.protocol.terms import BondTerms
from darkpool.units import AccountId, Cash, Lots, PriceUnits, Side
from tests.support.margin_accounts import count_committed
from tests.support.one_unit import (
    ANN,
    AT_ONE,
    AUCTIONS,
    BOB,
    CID,
    MARGIN,
    ONE,
    SPECIFICATION,
    funded,
)

BOND = BondTerms(Cash(10), 0, CID)


def reserving(amount: int = 100) -> PortfolioAccounts:
    """Ann and Bob hold a bond of 10, and 20 and 30 for intents."""
    accounts = funded(amount)
    for account in (ANN, BOB):
        accounts.hold_bond(account, BOND, MARGIN)
        for auction, cap in zip(AUCTIONS, (20, 30), strict=True):
            accounts.reserve(account, auction, Lots(cap), AT_ONE, MARGIN)
    return accounts


def standing_against(accounts: PortfolioAccounts, account: AccountId) -> int:
    return accounts.cash(account) - accounts.withdrawable(account, MARGIN)


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 200))
def test_an_account_is_uncovered_if_it_does_not_cover_everything(
    ann: int, bob: int, cid: int
) -> None:
    accounts = reserving()
    vault = {ANN: Cash(ann), BOB: Cash(bob), CID: Cash(cid)}
    committed = count_committed(accounts, vault, MARGIN)
    with_intents = {ANN: Cash(ann), BOB: Cash(bob)}
    expected = {k: Shortfall(Cash(60), there) for k, there in with_intents.items() if there < 60}
    assert committed.uncovered == expected
    moved = {ANN: ann - 100, BOB: bob - 100, CID: cid}
    assert committed.net_deposits == {name: change for name, change in moved.items() if change}
    for account, there in vault.items():
        assert accounts.cash(account) == there
        none = account in committed.uncovered or account == CID
        assert standing_against(accounts, account) == (0 if none else 60)
    accounts.verify_conservation()
    assert count_committed(accounts, vault, MARGIN) == Committed({}, {})


def test_who_is_not_in_the_vault_any_more_has_a_balance_of_nothing() -> None:
    accounts = reserving()
    committed = count_committed(accounts, {BOB: Cash(100)}, MARGIN)
    assert committed == Committed({ANN: Cash(-100)}, {ANN: Shortfall(Cash(60), Cash(0))})
    assert set(accounts.accounts()) == {ANN, BOB, *HOUSE}
    assert accounts.listed() == (ANN, BOB)
    accounts.verify_conservation()


def test_margin_of_positions_covers_no_intent() -> None:
    accounts = reserving()
    for account, side in ((ANN, Side.BUY), (BOB, Side.SELL)):
        accounts.fill(account, AUCTIONS[0], side, Lots(20), ONE)
    vault = {ANN: Cash(60), BOB: Cash(59)}
    committed = count_committed(accounts, vault, MARGIN)
    assert committed.uncovered == {BOB: Shortfall(Cash(40), Cash(39))}
    assert standing_against(accounts, BOB) == 20
    assert standing_against(accounts, ANN) == 60
    committed = count_committed(accounts, {ANN: Cash(60), BOB: Cash(19)}, MARGIN)
    assert committed == Committed({BOB: Cash(-40)}, {})
    assert accounts.cash(BOB) == 19, "what has left is booked, whatever stood against it"
    accounts.verify_conservation()


def test_a_bond_is_there_in_cash_and_not_in_gains() -> None:
    """Bob's contract has gained 40 that are not paid out yet."""
    accounts = funded(100)
    accounts.hold_bond(BOB, BOND, MARGIN)
    accounts.reserve(BOB, AUCTIONS[0], Lots(20), AT_ONE, MARGIN)
    accounts.trade(BOB, ANN, 1, 40, PriceUnits(0))
    accounts.trade(BOB, ANN, 1, -40, ONE)
    assert accounts.coverage(BOB, MARGIN) == Coverage(Cash(30), Cash(140))
    committed = count_committed(accounts, {ANN: Cash(100), BOB: Cash(9)}, MARGIN)
    assert committed.uncovered == {BOB: Shortfall(Cash(10), Cash(9))}
    accounts.verify_conservation()


def test_a_bond_without_an_intent_leaves_with_the_deposit() -> None:
    accounts = PortfolioAccounts(SPECIFICATION)
    accounts.deposit(CID, Cash(15))
    accounts.hold_bond(CID, BOND, MARGIN)
    count_committed(accounts, {CID: Cash(3)}, MARGIN)
    assert accounts.withdrawable(CID, MARGIN) == 3
    accounts.verify_conservation()


def test_what_was_charged_stays_charged() -> None:
    """A charge moves cash between accounts; deposits and withdrawals it is not."""
    accounts, fine = reserving(), BondTerms(Cash(10), 500_000, CID)
    accounts.charge_bond(ANN, fine.charge(), CID)
    vault = {ANN: Cash(100), BOB: Cash(100)}
    assert count_committed(accounts, vault, MARGIN) == Committed({}, {})
    assert accounts.cash(CID) == 5
    committed = count_committed(accounts, {**vault, CID: Cash(-5)}, MARGIN)
    assert committed == Committed({CID: Cash(-5)}, {})
    assert accounts.cash(CID) == 0
    accounts.verify_conservation()


def test_an_account_that_holds_nothing_has_no_balance() -> None:
    accounts = PortfolioAccounts(SPECIFICATION)
    assert accounts.listed() == ()
    accounts.hold_bond(ANN, BondTerms(Cash(0), 0, CID), MARGIN)
    accounts.reserve(ANN, AUCTIONS[0], Lots(0), AT_ONE, MARGIN)
    assert accounts.charge_bond(ANN, Cash(0), CID) == 0, "a bond of nothing is one"
    assert accounts.listed() == (ANN, CID)
