"""What happens to accounts between two settlements, and what justifies each of it.

Contracts expire, longs of perpetual swaps pay shorts, and accounts are charged for what a void
interval found. Nobody chooses any of it: it follows from the markets of the intervals whose batches
were committed since the last settlement, whose numbers a quorum of reporters signed, and from what
keypers signed of void intervals.

It counts when an interval settles. One that ends void books nothing, but what its market made due
stays due at the prices of that market: else whoever can make an interval void could choose among
several settlement prices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

from darkpool.canonical_json import Bound, Shape, Width
from darkpool.errors import OutOfBounds
from darkpool.limits import CASH_MAX, PRICE_MAX_UNITS
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.errors import NoPrice
from darkpool.margin.market.instruments import Contract
from darkpool.margin.market.payoffs import funding_for_a_unit
from darkpool.protocol.terms import BondTerms
from darkpool.record.margin_forms import MarketRecord, QuotesRecord
from darkpool.units import (
    INSTRUMENT_BYTES,
    NUMBER_MAX,
    AccountId,
    Cash,
    InstrumentId,
    Interval,
    PriceUnits,
    in_address_order,
)

_Account = Annotated[AccountId, Shape(r"0x[0-9A-Fa-f]{40}", "0x and 40 hexadecimal digits")]
_Instrument = Annotated[InstrumentId, Width(INSTRUMENT_BYTES)]
_Interval = Annotated[Interval, Bound(NUMBER_MAX)]
_Price = Annotated[PriceUnits, Bound(PRICE_MAX_UNITS, -PRICE_MAX_UNITS)]
_Amount = Annotated[Cash, Bound(CASH_MAX)]
_NO_PERPETUAL: Final = "a mark of perpetual swaps"


@dataclass(frozen=True, slots=True)
class Expiry:
    """A contract settles in cash: its expiry is not later than the market of `interval`.

    The price is the index of the underlying in that market, which is the first after the expiry.
    """

    interval: _Interval
    instrument: _Instrument
    price: _Price


@dataclass(frozen=True, slots=True)
class Funding:
    """Longs of a perpetual swap pay `for_a_unit` of the underlying to shorts.

    It follows from mark and index in the market of `interval`, and from the time since the market
    before it.
    """

    interval: _Interval
    instrument: _Instrument
    for_a_unit: _Price


@dataclass(frozen=True, slots=True)
class VoidCharge:
    """What an account's rejected intents in the void `interval` cost it, as the bond has it.

    The transcript that keypers signed of that interval says which intents were at fault. What the
    account does not have when the next settlement counts its flows is not charged.
    """

    interval: _Interval
    account: _Account
    amount: _Amount


@dataclass(frozen=True, slots=True)
class Between:
    """All that is due since a settlement, in the order in which it is booked.

    Attributes:
        market_ms: time of the last market that was looked at, Unix ms; 0 before the first.
        expiries: by interval, then instrument.
        fundings: by interval, then instrument.
        charges: by interval, then account.
    """

    market_ms: int = 0
    expiries: tuple[Expiry, ...] = ()
    fundings: tuple[Funding, ...] = ()
    charges: tuple[VoidCharge, ...] = ()


def due_between(
    accounts: PortfolioAccounts, before: Between, interval: Interval, market: MarketRecord
) -> Between:
    """What is due when an interval settles: what void ones left, and what its own market makes due.

    An expiry or a funding is due for a contract with open positions. `accounts` are those of the
    last settlement, and `before` is what void intervals since then left.

    Raises:
        OutOfBounds: the market is earlier than the one before it.
        NoPrice: it has no index or mark for such a contract.
    """
    if not before.market_ms <= market.time_ms <= NUMBER_MAX:
        subject = "time of the market in Unix ms"
        raise OutOfBounds(subject, before.market_ms, NUMBER_MAX, market.time_ms)
    quotes = {each.name: each for each in market.underlyings}
    priced = {expiry.instrument for expiry in before.expiries}
    expiries, fundings = list(before.expiries), list(before.fundings)
    for contract in _open(accounts):
        instrument = contract.identifier
        if contract.expiry_ms is None:
            paid = _funding(contract, quotes, market.time_ms - before.market_ms)
            if paid:
                fundings.append(Funding(interval, instrument, paid))
        elif contract.expiry_ms <= market.time_ms and instrument not in priced:
            price = PriceUnits(_quotes(contract, quotes).index.value)
            expiries.append(Expiry(interval, instrument, price))
    return Between(market.time_ms, tuple(expiries), tuple(fundings), before.charges)


def void_charges(
    interval: Interval, rejected: Iterable[AccountId], bond: BondTerms
) -> tuple[VoidCharge, ...]:
    """What a void interval's rejected intents cost; `rejected` has the account of each of them.

    All intents of an account cost no more than the bond, as in an interval that settles.
    """
    intents = Counter(rejected)
    amounts = {a: min(int(bond.amount), n * bond.charge()) for a, n in intents.items()}
    return tuple(
        VoidCharge(interval, account, Cash(amounts[account]))
        for account in in_address_order(amounts)
        if amounts[account]
    )


def _open(accounts: PortfolioAccounts) -> list[Contract]:
    """Contracts with positions, by their 32 bytes."""
    held = [c for k, c in enumerate(accounts.contracts) if accounts.is_unsettled(k)]
    return sorted(held, key=lambda contract: contract.identifier)


def _quotes(contract: Contract, quotes: dict[str, QuotesRecord]) -> QuotesRecord:
    found = quotes.get(contract.underlying)
    if found is None:
        raise NoPrice(contract.name, f"prices of {contract.underlying}")
    return found


def _funding(contract: Contract, quotes: dict[str, QuotesRecord], elapsed_ms: int) -> PriceUnits:
    found = _quotes(contract, quotes)
    if found.perpetual is None:
        raise NoPrice(contract.name, _NO_PERPETUAL)
    mark, index = PriceUnits(found.perpetual.value), PriceUnits(found.index.value)
    return funding_for_a_unit(mark, index, elapsed_ms)
