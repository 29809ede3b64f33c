"""Two contracts worth one cash unit a lot, all of it margin: what has to be held is the cap."""

from decimal import Decimal

from darkpool.auction.listing import OutrightListing
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.market.market import Market
from darkpool.margin.model.caps import PriceRange
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.margin.model.scenarios import lot_risk
from darkpool.units import (
    AuctionId,
    Cash,
    InstrumentName,
    Interval,
    PriceGrid,
    PriceUnits,
    account_id,
)

ANN, BOB, CID = (account_id("0x" + pair * 20) for pair in ("a1", "b2", "c3"))
ONE = PriceUnits(1)
AT_ONE = PriceRange(ONE, ONE)
GRID = PriceGrid(Decimal("0.000001"), Decimal("0.000001"), 1)
_LISTED = OutrightListing(GRID, 1_000_000, 1).of([InstrumentName("A"), InstrumentName("B")])
SPECIFICATION = _LISTED.specification
CONTRACTS = tuple(SPECIFICATION.contracts.values())
MARGIN = PortfolioMargin(
    SPECIFICATION, lot_risk(SPECIFICATION, Market.from_form("market", _LISTED.market), CONTRACTS)
)
AUCTIONS = [AuctionId(contract.identifier, Interval(1)) for contract in CONTRACTS]


def funded(amount: int) -> PortfolioAccounts:
    """Ann and Bob have paid in so much each."""
    accounts = PortfolioAccounts(SPECIFICATION)
    for account in (ANN, BOB):
        accounts.deposit(account, Cash(amount))
    return accounts
