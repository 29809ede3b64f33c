"""What the spine refuses, and whose money it counts."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from crypto.signing.eip712 import Domain
from darkpool.auction.instruments import Instrument
from darkpool.auction.interval import _require_within_caps
from darkpool.auction.listing import OutrightListing
from darkpool.auction.terms import VenueTerms
from darkpool.chain.client import Chain
from darkpool.chain.reader import RecordedVenue
from darkpool.client.leaving import balances_of
from darkpool.crossing.errors import ImplausibleOpening
from darkpool.errors import InvalidGrid
from darkpool.fills.fills import FilledLots
from darkpool.protocol.references import SignedReference
from darkpool.protocol.terms import Pricing
from darkpool.record.reader import Record
from darkpool.simulation.order_file import parse_orders
from darkpool.simulation.venue import Places
from darkpool.units import (
    FIRST_INTERVAL,
    AccountId,
    InstrumentId,
    InstrumentName,
    Lots,
    PriceGrid,
    account_bytes,
)
from darkpool.verification.audit import audit
from darkpool.verification.evidence import Anchor
from tests.support.cash import cash_after, counted_deposits
from tests.support.one_process import run_here
from tests.support.reference_prices import NO_MATERIAL, REPORTER, terms_on

GRID = PriceGrid(Decimal("0.25"), Decimal(4805), 32)
ORDERS = b"account,side,size,limit\nann,buy,5,4806\nbob,sell,3,4804.5\ncid,sell,7,4805\n"
STRANGER = AccountId("0x" + "07" * 20)


def test_grids_of_one_interval_are_equally_long() -> None:
    other, domain = PriceGrid(Decimal("0.25"), Decimal(4805), 16), Domain(1, bytes(20))
    references: dict[InstrumentId, SignedReference] = {}
    for name, grid in ((b"\1" * 32, GRID), (b"\2" * 32, other)):
        references |= REPORTER.sign(grid, [InstrumentId(name)], FIRST_INTERVAL, domain)
    terms = terms_on(GRID, [InstrumentId(b"\1" * 32)], FIRST_INTERVAL, domain, NO_MATERIAL)
    with pytest.raises(InvalidGrid, match="16, 32"):
        replace(terms, references=references)


def test_no_fill_is_above_its_cap() -> None:
    sealed = SimpleNamespace(caps=[Lots(5), Lots(2)])
    instrument = Instrument(InstrumentId(bytes(32)), sealed)  # type: ignore[arg-type]
    _require_within_caps(instrument, FilledLots(np.array([5, 0]), np.array([0, 2])))
    for bought, sold in (([6, 0], [0, 2]), ([5, 0], [0, 3])):
        with pytest.raises(ImplausibleOpening):
            _require_within_caps(instrument, FilledLots(np.array(bought), np.array(sold)))


def test_a_late_deposit_of_anybody_has_a_balance(tmp_path: Path) -> None:
    chain = Chain.embedded()

    def pay_late(step: str, _done: int, _total: int) -> None:
        if step == "close":
            chain.fund_and_deposit({STRANGER: 1000})

    orders = parse_orders(ORDERS, "orders", GRID, InstrumentName("ES"))
    terms = VenueTerms(OutrightListing(GRID, 100_000, 50), Pricing.UNIFORM)
    places = Places(record=tmp_path / "record")
    run_here(orders, terms, lambda: chain, places, pay_late)
    summary = Record.load(tmp_path / "record").summary
    for owned in (counted_deposits(summary), cash_after(summary)):
        assert owned[account_bytes(STRANGER)] == 1000
    (balance,) = balances_of(chain, STRANGER)
    assert (balance.claimable, balance.everything, balance.deposits) == (0, 1000, ())
    anchor = Anchor(summary.venue.settlement, summary.committee.addresses)
    report = audit(tmp_path / "record", RecordedVenue(chain, summary.venue), anchor=anchor)
    assert report.ok
    assert {check.verdict.value for check in report.checks} == {"holds"}
