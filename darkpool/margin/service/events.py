"""Everything that can happen to the accounts of a venue, each as a type of its own.

An event names a change and its operands; `darkpool.margin.service.state` applies it. In the journal
an event is the name of its type on a line, then its canonical JSON: a type that is renamed, or a
field, makes a new version of the journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, get_args

from darkpool.canonical_json import Bound, Shape, Width, from_json, to_json
from darkpool.errors import InvalidAccount, MalformedRecord
from darkpool.limits import CASH_MAX, ORDER_SIZE_MAX_LOTS, PRICE_MAX_UNITS
from darkpool.margin.errors import MalformedEvent
from darkpool.units import AccountId, Cash, InstrumentId, Interval, Lots, PriceUnits, account_id

_Account = Annotated[AccountId, Shape(r"0x[0-9A-Fa-f]{40}", "0x and 40 hexadecimal digits")]
_Amount = Annotated[Cash, Bound(CASH_MAX)]
_Instrument = Annotated[InstrumentId, Width(32)]
_Price = Annotated[PriceUnits, Bound(PRICE_MAX_UNITS, -PRICE_MAX_UNITS)]
_Side = Annotated[int, Bound(1)]
"""As numbered by `Side`."""
_Size = Annotated[Lots, Bound(ORDER_SIZE_MAX_LOTS)]
_Token = Annotated[str, Shape(r"[ -~]{1,64}", "text of 1 to 64 printable ASCII characters")]
_TokenAmount = Annotated[int, Bound(CASH_MAX)]
"""Millionths of a token."""


@dataclass(frozen=True, slots=True)
class Deposit:
    """An account pays cash in."""

    account: _Account
    amount: _Amount


@dataclass(frozen=True, slots=True)
class Withdraw:
    """An account takes cash out."""

    account: _Account
    amount: _Amount


@dataclass(frozen=True, slots=True)
class DepositToken:
    """An account pays collateral in."""

    account: _Account
    token: _Token
    amount: _TokenAmount


@dataclass(frozen=True, slots=True)
class WithdrawToken:
    """An account takes collateral out."""

    account: _Account
    token: _Token
    amount: _TokenAmount


@dataclass(frozen=True, slots=True)
class HoldBond:
    """An account's bond is held, or filled up."""

    account: _Account


@dataclass(frozen=True, slots=True)
class ChargeBond:
    """An amount of an account's bond goes to the treasury."""

    account: _Account
    amount: _Amount


@dataclass(frozen=True, slots=True)
class ReleaseBonds:
    """All bonds end."""


@dataclass(frozen=True, slots=True)
class Reserve:
    """An intent is live, on a grid from the lowest to the highest price."""

    account: _Account
    instrument: _Instrument
    interval: Interval
    cap: _Size
    lowest: _Price
    highest: _Price


@dataclass(frozen=True, slots=True)
class Fill:
    """A live intent trades, and ends."""

    account: _Account
    instrument: _Instrument
    interval: Interval
    side: _Side
    size: _Size
    price: _Price


@dataclass(frozen=True, slots=True)
class Release:
    """A live intent ends without a fill."""

    account: _Account
    instrument: _Instrument
    interval: Interval


@dataclass(frozen=True, slots=True)
class ReleaseAccount:
    """All live intents of an account end, and its bond."""

    account: _Account


@dataclass(frozen=True, slots=True)
class PayFunding:
    """Longs of a perpetual swap pay a price for a unit of the underlying to shorts."""

    instrument: _Instrument
    price: _Price


@dataclass(frozen=True, slots=True)
class SettleVariation:
    """Gains and losses on a contract are paid, at a price."""

    instrument: _Instrument
    price: _Price


@dataclass(frozen=True, slots=True)
class Expire:
    """A dated contract settles at its final price."""

    instrument: _Instrument
    price: _Price


@dataclass(frozen=True, slots=True)
class TakePrices:
    """A market file has the prices that count from now on."""

    market: bytes


@dataclass(frozen=True, slots=True)
class UpdateCalls:
    """Margin calls follow where accounts stand at the last prices."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The liquidator gives a fill up to an account in liquidation."""

    account: _Account
    instrument: _Instrument
    side: _Side
    size: _Size
    price: _Price


@dataclass(frozen=True, slots=True)
class Resolve:
    """An account in liquidation goes through the waterfall."""

    account: _Account


@dataclass(frozen=True, slots=True)
class ConvertCollateral:
    """A buyer takes tokens of an account and pays what the account owes."""

    account: _Account
    buyer: _Account


@dataclass(frozen=True, slots=True)
class CoverDebts:
    """The insurance fund pays debts of accounts that hold nothing."""


@dataclass(frozen=True, slots=True)
class ShareBadDebt:
    """All accounts with cash pay bad debt."""


CollateralEvent = (
    Deposit | Withdraw | DepositToken | WithdrawToken | HoldBond | ChargeBond | ReleaseBonds
)
IntentEvent = Reserve | Fill | Release | ReleaseAccount
ContractEvent = PayFunding | SettleVariation | Expire
PriceEvent = TakePrices | UpdateCalls
DefaultEvent = GiveUp | Resolve | ConvertCollateral | CoverDebts | ShareBadDebt
Event = CollateralEvent | IntentEvent | ContractEvent | PriceEvent | DefaultEvent

_TYPES: Final[dict[bytes, type[Event]]] = {kind.__name__.encode(): kind for kind in get_args(Event)}


def event_bytes(event: Event) -> bytes:
    """An event as the journal has it."""
    return type(event).__name__.encode() + b"\n" + to_json(event)


def event_of(entry: bytes) -> Event:
    """Read an event back.

    Raises:
        MalformedEvent: no type of event, not exactly its operands, or one that is out of bounds.
    """
    line, _, operands = entry.partition(b"\n")
    name = ascii(line[:40].decode(errors="replace"))[1:-1]
    kind = _TYPES.get(line)
    if kind is None:
        raise MalformedEvent("type", "the name of a type of event", name)
    try:
        event = from_json(operands, kind, name)
        for account in (getattr(event, field, None) for field in ("account", "buyer")):
            if account is not None and account_id(account) != account:
                raise MalformedEvent(name, account_id(account), account)
    except (MalformedRecord, InvalidAccount) as error:
        raise MalformedEvent(error.subject, error.expected, error.got) from error
    return event
