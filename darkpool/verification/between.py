"""What is due between two settlements, computed apart from the engine from what records have.

docs/decisions/0024-between-settlements.md has the rules. Addresses are 20 bytes, instruments 32.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crypto.signing.messages import instrument_id
from darkpool.limits import FUNDING_PERIOD_MS, FUNDING_PREMIUM_MAX_PPM
from darkpool.record.margin_forms import ContractRecord, MarginInputs, QuotesRecord
from darkpool.verification.errors import Unsound
from darkpool.verification.prices import PPM
from darkpool.verification.variation import Balances


@dataclass(frozen=True, slots=True)
class Expiry:
    """A contract settles in cash at a price, by the market of an interval."""

    interval: int
    instrument: bytes
    price: int


@dataclass(frozen=True, slots=True)
class Funding:
    """Longs pay shorts for a unit of underlying, by the market of an interval."""

    interval: int
    instrument: bytes
    for_a_unit: int


@dataclass(frozen=True, slots=True)
class VoidCharge:
    """What a void interval's rejected intents cost an account."""

    interval: int
    account: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class Between:
    """All that is due since a settlement, and the time of the last market, 0 before the first."""

    market_ms: int = 0
    expiries: tuple[Expiry, ...] = ()
    fundings: tuple[Funding, ...] = ()
    charges: tuple[VoidCharge, ...] = ()


def due_between(
    balances: Balances, before: Between, interval: int, inputs: MarginInputs
) -> Between:
    """What void intervals left, and what the market of an interval makes due of open positions.

    Raises:
        Unsound: the market is earlier than the last one, or lacks a number that is needed.
    """
    market = inputs.market
    if market.time_ms < before.market_ms:
        raise Unsound("market, time", f"at least {before.market_ms}", market.time_ms)
    quotes = {each.name: each for each in market.underlyings}
    # a contract has one settlement price, that of the first market after its expiry
    settled = {expiry.instrument for expiry in before.expiries}
    contracts = {instrument_id(c.name): c for c in inputs.specification.contracts}
    expiries, fundings = [], []
    for instrument in sorted(_open(balances)):
        contract = _known(contracts, instrument)
        if contract.kind == "perpetual":
            found = _quotes(contract, quotes)
            amount = _funding(found, market.time_ms - before.market_ms)
            if amount != 0:
                fundings.append(Funding(interval, instrument, amount))
        elif instrument not in settled and _has_expired(contract, market.time_ms):
            expiries.append(Expiry(interval, instrument, _quotes(contract, quotes).index.value))
    return Between(
        market.time_ms,
        before.expiries + tuple(expiries),
        before.fundings + tuple(fundings),
        before.charges,
    )


def void_charges(
    interval: int, rejected: Iterable[bytes], bond: int, charge_ppm: int
) -> tuple[VoidCharge, ...]:
    """Charges of the accounts of rejected intents, each once for every intent, up to the bond."""
    left: dict[bytes, int] = {}
    for name in rejected:
        held = left.get(name, bond)
        left[name] = held - min(held, -(-bond * charge_ppm // PPM))
    return tuple(
        VoidCharge(interval, name, bond - left[name]) for name in sorted(left) if left[name] < bond
    )


def book_prices(balances: Balances, due: Between, inputs: MarginInputs) -> None:
    """Pay expiries and funding; an account may owe cash afterwards.

    Raises:
        Unsound: a contract that is not in the specification.
    """
    contracts = {instrument_id(c.name): c for c in inputs.specification.contracts}
    for account in balances.accounts.values():
        for expiry in due.expiries:
            position = account.positions.pop(expiry.instrument, None)
            if position is not None:
                contract = _known(contracts, expiry.instrument)
                worth = _payoff(contract, expiry.price) * contract.multiplier
                account.cash += position.net * worth - position.cost
        for funding in due.fundings:
            position = account.positions.get(funding.instrument)
            if position is not None:
                size = _known(contracts, funding.instrument).multiplier
                account.cash -= position.net * size * funding.for_a_unit


def book_charges(balances: Balances, due: Between, treasury: bytes) -> None:
    """Take charges to the treasury, from each account no more than it has."""
    for charge in due.charges:
        found = balances.accounts.get(charge.account)
        paid = 0 if found is None else max(0, min(charge.amount, found.cash))
        if found is not None and paid:
            found.cash -= paid
            balances.of(treasury).cash += paid


def _open(balances: Balances) -> set[bytes]:
    """Instruments in which an account has lots, or a cost that variation did not settle."""
    return {
        instrument
        for account in balances.accounts.values()
        for instrument, position in account.positions.items()
        if position.net or position.cost
    }


def _known(contracts: dict[bytes, ContractRecord], instrument: bytes) -> ContractRecord:
    contract = contracts.get(instrument)
    if contract is None:
        part = f"position in 0x{instrument.hex()}"
        raise Unsound(part, "a contract of the specification", "none")
    return contract


def _has_expired(contract: ContractRecord, time_ms: int) -> bool:
    return contract.expiry_ms is not None and contract.expiry_ms <= time_ms


def _quotes(contract: ContractRecord, quotes: dict[str, QuotesRecord]) -> QuotesRecord:
    found = quotes.get(contract.underlying)
    if found is None:
        raise Unsound(f"market, quote {contract.underlying}/index", "one", "none")
    return found


def _payoff(contract: ContractRecord, price: int) -> int:
    """What a unit pays at a final price: a future that price, an option what it is in the money."""
    if contract.strike is None:
        return price
    if contract.kind == "call":
        return max(0, price - contract.strike)
    return max(0, contract.strike - price)


def _funding(quotes: QuotesRecord, elapsed_ms: int) -> int:
    """Mark less index, bounded, for the time that passed but a period at most; towards zero."""
    if quotes.perpetual is None:
        raise Unsound(f"market, quote {quotes.name}/perpetual", "one", "none")
    premium = quotes.perpetual.value - quotes.index.value
    most = abs(quotes.index.value) * FUNDING_PREMIUM_MAX_PPM // PPM
    counted = min(abs(premium), most) * min(elapsed_ms, FUNDING_PERIOD_MS)
    paid = counted // FUNDING_PERIOD_MS
    return paid if premium > 0 else -paid
