"""A venue that settles on a node of its own process, and an audit that asks that node."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from crypto.ring.params import TEST_INSECURE_SMALL
from darkpool.auction.listing import OutrightListing
from darkpool.auction.terms import VenueTerms
from darkpool.chain.client import Chain, DeploymentTerms
from darkpool.chain.reader import RecordedVenue
from darkpool.protocol.terms import Pricing
from darkpool.record.reader import Record
from darkpool.simulation.local_venue import ACCOUNTS_MAX
from darkpool.simulation.order_file import parse_orders
from darkpool.simulation.venue import Places, VenueSetting, run_orders
from darkpool.units import InstrumentName, PriceGrid, account_bytes, account_of
from darkpool.verification.audit import audit
from darkpool.verification.report import AuditReport, Verdict

GRID = PriceGrid(Decimal("0.25"), Decimal(4805), 16)
TERMS = VenueTerms(OutrightListing(GRID, 100_000, 50), Pricing.UNIFORM)
ORDERS = (
    b"account,side,size,limit,request\nann,buy,5,4806,\nbob,sell,3,4804.5,\ncid,sell,7,4805,\n"
    b"dan,buy,1,4803,1000\n"
)


def failed(report: AuditReport) -> list[str]:
    return [check.name for check in report.checks if not check.ok]


def test_an_auction_on_a_node_and_its_audit(anvil_url: str, tmp_path: Path) -> None:
    orders = parse_orders(ORDERS, "orders", GRID, InstrumentName("ES"))
    place = tmp_path / "record"
    result = run_orders(
        orders,
        TERMS,
        VenueSetting(
            TEST_INSECURE_SMALL,
            lambda: Chain.connect(anvil_url),
            Places(place),
            lambda _step, _done, _total: None,
        ),
    )
    venue = Record.load(place).summary.venue
    report = audit(place, RecordedVenue(Chain.connect(anvil_url), venue), quick=True)
    assert report.ok, report.checks
    (chain,) = [check for check in report.checks if check.name == "chain"]
    assert chain.verdict is Verdict.HOLDS
    (dan,) = result.withdrawals
    assert dan.granted == dan.claimed == 1000 * 10**6
    assert not result.not_claimed

    other = Chain.connect(anvil_url)
    found = other.follow(account_of(venue.settlement))
    owner = other.account
    deployed = other.deploy(
        DeploymentTerms(
            keypers=found.keypers,
            key_id=found.key_id,
            circuits=found.circuits,
            deposit_min=found.vaults[0].deposit_min,
            accounts_max=ACCOUNTS_MAX,
            fund=owner,
            treasury=owner,
            rescuer=owner,
        )
    )
    elsewhere = replace(
        venue, settlement=account_bytes(deployed.settlement), vault=account_bytes(deployed.vault)
    )
    # the same committee, but nothing was ever committed here
    assert failed(audit(place, RecordedVenue(other, elsewhere), quick=True)) == ["chain"]
    nothing = replace(venue, settlement=bytes(20))
    assert failed(audit(place, RecordedVenue(other, nothing), quick=True)) == ["chain"]
    gone = RecordedVenue(Chain.embedded(), venue)
    assert failed(audit(place, gone, quick=True)) == ["chain"]
