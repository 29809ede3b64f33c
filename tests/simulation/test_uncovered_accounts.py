"""Accounts that take collateral back before the batch is committed: they stand aside alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from crypto.signing.ecdsa import address_of
from darkpool.auction.instruments import Instruments
from darkpool.batching.participation import Missing
from darkpool.chain.client import Chain
from darkpool.chain.evidence import AccountFlow
from darkpool.chain.reader import RecordedVenue
from darkpool.margin.accounts.vault_flows import Shortfall
from darkpool.margin.model.intent_margin import IntentMargin
from darkpool.protocol.terms import BondTerms
from darkpool.record.reader import Record
from darkpool.simulation import venue as venue_module
from darkpool.simulation.clients import LocalClients
from darkpool.simulation.order_file import Order
from darkpool.simulation.result import VenueResult
from darkpool.simulation.venue import Places
from darkpool.units import AccountId, AccountLabel, Cash, Interval, Tick, account_bytes, account_id
from darkpool.verification.audit import audit
from darkpool.verification.evidence import Anchor
from darkpool.verification.report import Verdict
from tests.support.attacked_auctions import TERMS, require_twin_of_the_rest
from tests.support.audits import failed
from tests.support.one_process import run_here
from tests.support.records import orders_of

ETHER = 10**18
SPARE = Cash(1000)
"""What every account pays in beyond what its intents need."""
TAKER, OTHER = AccountLabel("client-3"), AccountLabel("client-6")
STRANGER_KEY = b"\x55" * 32


def account_of(key: bytes) -> AccountId:
    return account_id("0x" + address_of(key).hex())


@dataclass
class OwnVenue:
    """A chain, its clients' keys, and what they paid in."""

    chain: Chain = field(default_factory=Chain.embedded)
    keys: dict[AccountLabel, bytes] = field(default_factory=dict)
    paid: dict[AccountId, Cash] = field(default_factory=dict)

    def account(self, label: AccountLabel) -> AccountId:
        return account_of(self.keys[label])

    def leave_in(self, key: bytes, amount: int) -> None:
        """Take the whole deposit of a key's account back, and pay so much in again."""
        self.chain.fund_gas(account_of(key), ETHER)
        self.chain.reclaim(key)
        if amount:
            self.chain.fund_and_deposit({account_of(key): amount})

    def run(
        self, orders: Sequence[Order], record: Path, at_close: Callable[[], None]
    ) -> VenueResult:
        """Run an auction in which something happens before its batch is committed."""

        def progress(step: str, _done: int, _total: int) -> None:
            if step == "close":
                at_close()

        return run_here(orders, TERMS, lambda: self.chain, Places(record), progress)


@pytest.fixture
def venue(monkeypatch: pytest.MonkeyPatch) -> OwnVenue:
    made = OwnVenue()

    class Known(LocalClients):
        """Clients whose keys the test knows, and who pay in a little more than they need."""

        def deposits(self, margin: IntentMargin, bond: BondTerms) -> dict[AccountId, Cash]:
            made.keys |= self._keys
            paid = super().deposits(margin, bond)
            made.paid |= {account: Cash(amount + SPARE) for account, amount in paid.items()}
            return dict(made.paid)

    monkeypatch.setattr(venue_module, "LocalClients", Known)
    return made


def audited(venue: OwnVenue, directory: Path) -> dict[str, str]:
    """The checks that fail, of a whole audit that asks the chain as well."""
    summary = Record.load(directory).summary
    anchor = Anchor(summary.venue.settlement, summary.committee.addresses, summary.reporter)
    return failed(audit(directory, RecordedVenue(venue.chain, summary.venue), anchor=anchor))


def without(orders: Sequence[Order], *labels: AccountLabel) -> list[Order]:
    return [order for order in orders if order.account not in labels]


def own_rows(orders: Sequence[Order], *labels: AccountLabel) -> set[int]:
    return {order.row for order in orders if order.account in labels}


def balances(directory: Path, account: AccountId) -> list[tuple[int, int]]:
    summary = Record.load(directory).summary
    return [
        (balance.withdrawable, balance.encumbered)
        for held in (summary.before, summary.after)
        for balance in held
        if balance.account == account_bytes(account)
    ]


def test_one_that_takes_everything_back_stops_nobody_else(venue: OwnVenue, tmp_path: Path) -> None:
    orders = orders_of("AB", 3)
    result = venue.run(orders, tmp_path / "record", lambda: venue.leave_in(venue.keys[TAKER], 0))
    assert {left.row for left in result.left_out} == own_rows(orders, TAKER)
    taker = venue.account(TAKER)
    needed = venue.paid[taker] - SPARE
    reasons = [(left.missing, left.required, left.available) for left in result.left_out]
    assert reasons == 2 * [(Missing.OWN_COLLATERAL, needed, 0)]
    assert not result.taken_out
    assert result.fills
    require_twin_of_the_rest(without(orders, TAKER), result)
    assert balances(tmp_path / "record", taker) == 2 * [(0, 0)]
    assert audited(venue, tmp_path / "record") == {}


def test_what_is_missing_decides_to_the_unit(venue: OwnVenue, tmp_path: Path) -> None:
    """One keeps exactly what its intents need, another a unit less; a stranger takes all back."""
    orders = orders_of("AB", 4)
    stranger = account_of(STRANGER_KEY)

    def move() -> None:
        taker, other = venue.account(TAKER), venue.account(OTHER)
        venue.leave_in(venue.keys[TAKER], venue.paid[taker] - SPARE - 1)
        venue.leave_in(venue.keys[OTHER], venue.paid[other] - SPARE)
        venue.chain.fund_and_deposit({stranger: 7})
        venue.leave_in(STRANGER_KEY, 0)

    result = venue.run(orders, tmp_path / "record", move)
    assert {left.row for left in result.left_out} == own_rows(orders, TAKER)
    taker = venue.account(TAKER)
    needed = venue.paid[taker] - SPARE
    assert {(left.required, left.available) for left in result.left_out} == {(needed, needed - 1)}
    require_twin_of_the_rest(without(orders, TAKER), result)
    assert balances(tmp_path / "record", taker) == 2 * [(needed - 1, 0)]
    other = venue.account(OTHER)
    held_before, held_after = balances(tmp_path / "record", other)
    assert held_before == (venue.paid[other] - SPARE, 0)
    assert sum(held_after) == sum(held_before)
    assert not balances(tmp_path / "record", stranger)
    assert audited(venue, tmp_path / "record") == {}


def test_if_all_take_their_collateral_back_nothing_is_opened(
    venue: OwnVenue, tmp_path: Path
) -> None:
    orders = orders_of("A", 3)[:4]

    def take() -> None:
        for key in venue.keys.values():
            venue.leave_in(key, 0)

    result = venue.run(orders, tmp_path / "record", take)
    assert len(result.left_out) == 4
    assert not result.fills
    assert {entry.purpose.split()[0] for entry in Record.load(tmp_path / "record").openings} <= {
        "shape"
    }
    assert audited(venue, tmp_path / "record") == {}


@pytest.mark.parametrize("lie", ["leaves a short account in", "leaves out one that is not short"])
def test_an_operator_that_chooses_who_stands_aside_is_found(
    lie: str, venue: OwnVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything is signed and settled; the circuits that the batch leads to are others."""
    honest = Instruments.set_aside_accounts
    # it buys at the lowest price, so that there is no fill that nothing is reserved for
    orders = [
        replace(order, limit=Tick(0)) if order.account == TAKER else order
        for order in orders_of("A", 3)
    ]

    def lying(books: Instruments, short: Mapping[AccountId, Shortfall]) -> None:
        assert set(short) == {venue.account(TAKER)}
        if lie == "leaves a short account in":
            return
        honest(books, {**short, venue.account(OTHER): Shortfall(Cash(1), Cash(0))})

    monkeypatch.setattr(Instruments, "set_aside_accounts", lying)
    venue.run(orders, tmp_path / "record", lambda: venue.leave_in(venue.keys[TAKER], 0))
    found = audited(venue, tmp_path / "record")
    assert list(found) == ["circuits"]
    assert "ciphertext of shape" in found["circuits"]


def test_an_operator_that_makes_an_account_uncovered_is_found_by_the_chain(
    venue: OwnVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Chain.flows_before

    def lying(chain: Chain, interval: Interval) -> dict[AccountId, AccountFlow]:
        flows, taker = honest(chain, interval), venue.account(TAKER)
        if chain.vault_terms().paying:
            return flows
        return {**flows, taker: replace(flows[taker], withdrawn=Cash(SPARE + 1))}

    monkeypatch.setattr(Chain, "flows_before", lying)
    orders = orders_of("A", 3)
    result = venue.run(orders, tmp_path / "record", lambda: None)
    assert {left.row for left in result.left_out} == own_rows(orders, TAKER)
    monkeypatch.undo()
    found = audited(venue, tmp_path / "record")
    assert list(found) == ["chain"]
    part = f"collateral before of {venue.account(TAKER)}"
    assert part in found["chain"]


def test_an_audit_without_a_chain_names_uncovered_accounts_on_the_records_word(
    venue: OwnVenue, tmp_path: Path
) -> None:
    venue.run(orders_of("A", 3), tmp_path / "record", lambda: venue.leave_in(venue.keys[TAKER], 0))
    (chain,) = [check for check in audit(tmp_path / "record").checks if check.name == "chain"]
    assert chain.verdict is Verdict.NOT_CHECKED
    assert venue.account(TAKER) in chain.detail
