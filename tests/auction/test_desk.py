"""The admission desk: what it refuses holds nothing, and stops no other submission."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from darkpool.admission.admit import Admission
from darkpool.auction.desk import Desk
from darkpool.auction.environment import Environment, OpenInterval
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.errors import ContractExpired, InsufficientMargin
from darkpool.protocol.intents import SealedSubmission, account_and_auction
from darkpool.protocol.refusals import NotCertified, RefusalCode
from darkpool.protocol.terms import BondTerms
from darkpool.simulation.no_record import NoRecord
from darkpool.units import AccountId, Cash, InstrumentId, Lots, PriceUnits, account_bytes
from tests.support.house import House
from tests.support.margin_accounts import FUTURE, NOW, ONE, PERP, SPECIFICATION, grid
from tests.support.margin_lives import ALICE, BOB, CAROL

BOND = BondTerms(Cash(10 * ONE), 1, CAROL)
CONTRACTS = {contract.identifier: contract for contract in (PERP, FUTURE)}


def submission(account: AccountId, instrument: InstrumentId, cap: int) -> SealedSubmission:
    sealed = SimpleNamespace(
        account=account_bytes(account), instrument=instrument, interval=1, cap=cap
    )
    return cast("SealedSubmission", SimpleNamespace(sealed=sealed))


@dataclass
class OwnAdmission:
    """Proves all that comes, by numbers; certifies what is not named in `uncertified`."""

    uncertified: set[AccountId] = field(default_factory=set)
    kept: dict[bytes, Any] = field(default_factory=dict)

    def prove(self, sent: SealedSubmission) -> Any:
        account, auction = account_and_auction(sent.sealed)
        digest = account_bytes(account) + auction.instrument
        return SimpleNamespace(sealed=sent.sealed, digest=digest)

    def certify(self, proven: Any) -> None:
        if account_and_auction(proven.sealed)[0] in self.uncertified:
            raise NotCertified("certificate", "at least 3 keypers to sign", 0)
        self.kept[proven.digest] = proven

    def holds(self, digest: bytes) -> bool:
        return digest in self.kept

    def close(self) -> tuple[dict[bytes, Any], tuple[()]]:
        return dict(self.kept), ()


def desk_of(house: House, accounts: PortfolioAccounts, admission: OwnAdmission) -> Desk:
    margin = SimpleNamespace(
        require_open=lambda _instrument: None,
        portfolio=NOW,
        names={instrument: contract.name for instrument, contract in CONTRACTS.items()},
        prices=lambda instrument: grid(CONTRACTS[instrument]),
    )
    environment = SimpleNamespace(evaluators=house.evaluators, arrivals=None)
    terms = SimpleNamespace(rules=SimpleNamespace(bond=BOND), grids=dict.fromkeys(CONTRACTS))
    desk = Desk(
        cast("Environment", environment),
        cast("OpenInterval", SimpleNamespace(margin=margin, terms=terms)),
        cast("Admission", admission),
        (accounts, NoRecord()),
    )
    # what becomes of ciphertexts is not looked at here
    desk._instruments = cast(
        "Any",
        SimpleNamespace(
            add=lambda _proven: None,
            cancel=lambda _digest: None,
            close=lambda kept, _publish: list(kept),
        ),
    )
    return desk


def funded(*amounts: int) -> PortfolioAccounts:
    accounts = PortfolioAccounts(SPECIFICATION)
    for account, amount in zip((ALICE, BOB), amounts, strict=True):
        accounts.deposit(account, Cash(amount * ONE))
    return accounts


def refusals(desk: Desk) -> list[Exception]:
    return [refusal.error for refusal in desk._refusals]


def test_a_refused_account_holds_no_bond(house: House) -> None:
    """Its cash is enough for the bond, and not for the intent."""
    accounts = funded(20, 100_000)
    desk = desk_of(house, accounts, OwnAdmission())
    desk.take(0, submission(ALICE, PERP.identifier, 1000))
    desk.take(1, submission(CAROL, PERP.identifier, 1))
    assert list(map(type, refusals(desk))) == 2 * [InsufficientMargin]
    assert accounts.bond(ALICE) is None
    assert accounts.withdrawable(ALICE, NOW) == 20 * ONE
    assert [one for one in accounts.accounts() if accounts.cash(one)] == [ALICE, BOB]
    batch = desk.close()
    assert [len(batch.refusals), len(batch.closed.intents)] == [2, 0]


def test_an_account_whose_last_intent_is_let_go_holds_no_bond(house: House) -> None:
    accounts, admission = funded(100_000, 100_000), OwnAdmission({ALICE})
    desk = desk_of(house, accounts, admission)
    desk.take(0, submission(ALICE, PERP.identifier, 1))
    assert accounts.bond(ALICE) is None
    admission.uncertified.clear()
    desk.take(1, submission(ALICE, FUTURE.identifier, 1))
    admission.uncertified.add(ALICE)
    desk.take(2, submission(ALICE, PERP.identifier, 1))
    assert accounts.bond(ALICE) == BOND.amount
    assert len(accounts.reservations(ALICE)) == 1


def test_an_expiry_while_the_interval_is_open_refuses_what_comes_for_it_alone(
    house: House,
) -> None:
    accounts = funded(100_000, 100_000)
    desk = desk_of(house, accounts, OwnAdmission())
    accounts.expire(FUTURE.identifier, PriceUnits(61_000 * ONE))
    desk.take(0, submission(ALICE, FUTURE.identifier, 1))
    desk.take(1, submission(ALICE, PERP.identifier, 1))
    (error,) = refusals(desk)
    assert isinstance(error, ContractExpired)
    assert error.code is RefusalCode.CONTRACT_EXPIRED
    assert [len(accounts.reservations(account)) for account in (ALICE, BOB)] == [1, 0]


def test_an_intent_that_an_expiry_ended_is_let_go_at_the_close(house: House) -> None:
    """It was reserved for and not certified; nothing was certified at all."""
    accounts, admission = funded(100_000, 100_000), OwnAdmission()
    desk = desk_of(house, accounts, admission)
    desk.take(0, submission(ALICE, FUTURE.identifier, 1))
    admission.kept.clear()
    accounts.expire(FUTURE.identifier, PriceUnits(61_000 * ONE))
    assert desk.close().closed.intents == ()
    assert accounts.bond(ALICE) is None


def test_nothing_is_committed_with_an_intent_that_an_expiry_ended(house: House) -> None:
    """It has to be in the batch, and no fill of it could be booked."""
    accounts = funded(100_000, 100_000)
    desk = desk_of(house, accounts, OwnAdmission())
    for number, instrument in enumerate((FUTURE.identifier, PERP.identifier)):
        desk.take(number, submission(ALICE, instrument, 1))
    accounts.expire(FUTURE.identifier, PriceUnits(61_000 * ONE))
    with pytest.raises(ContractExpired, match="BTC-MAR"):
        desk.close()


def test_caps_are_reserved_for(house: House) -> None:
    accounts = funded(100_000, 100_000)
    desk = desk_of(house, accounts, OwnAdmission())
    desk.take(0, submission(BOB, PERP.identifier, 2))
    (intent,) = accounts.reservations(BOB).values()
    assert intent.cap == Lots(2)
