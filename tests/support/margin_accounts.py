"""Three people who trade the example contracts with one another."""

from collections.abc import Mapping

from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.vault_flows import Committed, book_vault, release_uncovered
from darkpool.margin.market.instruments import Contract
from darkpool.margin.model.caps import PriceRange
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.units import (
    AccountId,
    AuctionId,
    Cash,
    InstrumentName,
    Interval,
    Lots,
    PriceUnits,
    Side,
)
from tests.support.margin_houses import margin_at, specification

SPECIFICATION = specification()


CONTRACTS = tuple(SPECIFICATION.contracts.values())


ALICE, BOB, CAROL = (AccountId(name) for name in ("alice", "bob", "carol"))


PEOPLE = (ALICE, BOB, CAROL)


ONE = 10**6


def named(name: str) -> Contract:
    return SPECIFICATION.contracts[InstrumentName(name)]


PERP, FUTURE = named("BTC-PERP"), named("BTC-MAR")


CALL, PUT = named("BTC-MAR-60000-C"), named("BTC-MAR-60000-P")


NOW = margin_at(100)


def auction(contract: Contract, interval: int) -> AuctionId:
    return AuctionId(contract.identifier, Interval(interval))


def grid(contract: Contract, margin: PortfolioMargin = NOW) -> PriceRange:
    worth = int(margin.value_of_lots()[CONTRACTS.index(contract)]) // contract.multiplier
    return PriceRange(PriceUnits(worth * 98 // 100), PriceUnits(worth * 102 // 100 + 1))


def house(*cash: int) -> PortfolioAccounts:
    accounts = PortfolioAccounts(SPECIFICATION)
    for account, amount in zip(PEOPLE, cash, strict=False):
        accounts.deposit(account, Cash(amount * ONE))
    return accounts


def traded(
    accounts: PortfolioAccounts,
    contract: Contract,
    buyer: AccountId,
    seller: AccountId,
    lots: int,
    price: int,
    interval: int = 1,
    margin: PortfolioMargin = NOW,
) -> None:
    key, cap = auction(contract, interval), Lots(lots)
    for account in (buyer, seller):
        accounts.reserve(account, key, cap, grid(contract, margin), margin)
    accounts.fill(buyer, key, Side.BUY, Lots(lots), PriceUnits(price))
    accounts.fill(seller, key, Side.SELL, Lots(lots), PriceUnits(price))
    accounts.verify_conservation()


def count_committed(
    accounts: PortfolioAccounts, vault: Mapping[AccountId, Cash], margin: PortfolioMargin
) -> Committed:
    """Book what the vault holds and release what is uncovered, as a commitment does."""
    return Committed(book_vault(accounts, vault), release_uncovered(accounts, margin))
