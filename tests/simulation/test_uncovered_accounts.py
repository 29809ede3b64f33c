"""Accounts that take collateral back before the batch is committed: they stand aside alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from crypto.signing.ecdsa import address_of
from darkpool.auction.instruments import Instruments
from darkpool.batching.participation import Missing
from darkpool.chain.client import Chain
from darkpool.chain.reader import RecordedVenue
from darkpool.margin.accounts.vault_flows import Shortfall
from darkpool.margin.model.intent_margin import IntentMargin
from darkpool.protocol.flows import FlowKind
from darkpool.protocol.terms import BondTerms
from darkpool.record.reader import Record
from darkpool.simulation import venue as venue_module
from darkpool.simulation.clients import LocalClients
from darkpool.simulation.order_file import Order
from darkpool.simulation.result import VenueResult
from darkpool.simulation.venue import Places
from darkpool.units import AccountId, AccountLabel, Cash, Tick, account_bytes, account_id
from darkpool.verification.audit import audit
from darkpool.verification.evidence import Anchor
from darkpool.verification.report import Verdict
from tests.support.attacked_auctions import TERMS, require_twin_of_the_rest
from tests.support.audits import failed
from tests.support.cash import cash_after, counted_deposits
from tests.support.one_process import run_here
from tests.support.records import orders_of

ETHER = 10**18
NOTICE_S = 86_400
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

    def leave_in(self, amounts: Mapping[bytes, int]) -> None:
        """Take back whole deposits of accounts of some keys, and pay so much in again."""
        deposits = [flow for flow in self.chain.flows() if flow.kind is FlowKind.DEPOSIT]
        own = {key: [f for f in deposits if f.account == account_of(key)] for key in amounts}
        for key, flows in own.items():
            self.chain.fund_gas(account_of(key), ETHER)
            for flow in flows:
                self.chain.give_notice(key, flow.index)
        tester = self.chain._tester
        assert tester is not None
        tester.time_travel(self.chain.time() + NOTICE_S)
        for key, flows in own.items():
            for flow in flows:
                self.chain.take_back(key, flow.index, account_of(key))
        left = {account_of(key): amount for key, amount in amounts.items() if amount}
        if left:
            self.chain.fund_and_deposit(left)

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


def counted_and_left(directory: Path, account: AccountId) -> tuple[int, int]:
    """What the interval counts of an account's deposits, and its cash after the settlement."""
    summary, name = Record.load(directory).summary, account_bytes(account)
    return counted_deposits(summary).get(name, 0), cash_after(summary).get(name, 0)


def test_one_that_takes_everything_back_stops_nobody_else(venue: OwnVenue, tmp_path: Path) -> None:
    orders = orders_of("AB", 3)
    result = venue.run(orders, tmp_path / "record", lambda: venue.leave_in({venue.keys[TAKER]: 0}))
    assert {left.row for left in result.left_out} == own_rows(orders, TAKER)
    taker = venue.account(TAKER)
    needed = venue.paid[taker] - SPARE
    reasons = [(left.missing, left.required, left.available) for left in result.left_out]
    assert reasons == 2 * [(Missing.OWN_COLLATERAL, needed, 0)]
    assert not result.taken_out
    assert result.fills
    require_twin_of_the_rest(without(orders, TAKER), result)
    assert counted_and_left(tmp_path / "record", taker) == (0, 0)
    assert audited(venue, tmp_path / "record") == {}


def test_what_is_missing_decides_to_the_unit(venue: OwnVenue, tmp_path: Path) -> None:
    """One keeps exactly what its intents need, another a unit less; a stranger takes all back."""
    orders = orders_of("AB", 4)
    stranger = account_of(STRANGER_KEY)

    def move() -> None:
        taker, other = venue.account(TAKER), venue.account(OTHER)
        venue.chain.fund_and_deposit({stranger: 7})
        venue.leave_in(
            {
                venue.keys[TAKER]: venue.paid[taker] - SPARE - 1,
                venue.keys[OTHER]: venue.paid[other] - SPARE,
                STRANGER_KEY: 0,
            }
        )

    result = venue.run(orders, tmp_path / "record", move)
    assert {left.row for left in result.left_out} == own_rows(orders, TAKER)
    taker = venue.account(TAKER)
    needed = venue.paid[taker] - SPARE
    assert {(left.required, left.available) for left in result.left_out} == {(needed, needed - 1)}
    require_twin_of_the_rest(without(orders, TAKER), result)
    assert counted_and_left(tmp_path / "record", taker) == (needed - 1, needed - 1)
    other = venue.account(OTHER)
    counted, left = counted_and_left(tmp_path / "record", other)
    assert counted == venue.paid[other] - SPARE
    assert left > 0
    assert counted_and_left(tmp_path / "record", stranger) == (0, 0)
    assert audited(venue, tmp_path / "record") == {}


def test_if_all_take_their_collateral_back_nothing_is_opened(
    venue: OwnVenue, tmp_path: Path
) -> None:
    orders = orders_of("A", 3)[:4]

    def take() -> None:
        venue.leave_in(dict.fromkeys(venue.keys.values(), 0))

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
    venue.run(orders, tmp_path / "record", lambda: venue.leave_in({venue.keys[TAKER]: 0}))
    found = audited(venue, tmp_path / "record")
    assert list(found) == ["circuits"]
    assert "ciphertext of shape" in found["circuits"]


def test_an_audit_without_a_chain_names_uncovered_accounts_on_the_records_word(
    venue: OwnVenue, tmp_path: Path
) -> None:
    venue.run(
        orders_of("A", 3), tmp_path / "record", lambda: venue.leave_in({venue.keys[TAKER]: 0})
    )
    (chain,) = [check for check in audit(tmp_path / "record").checks if check.name == "chain"]
    assert chain.verdict is Verdict.NOT_CHECKED
    assert venue.account(TAKER) in chain.detail
