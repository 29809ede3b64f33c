"""The quantities of the market, each a type of its own: a wrong unit is a type error.

Scalars are `NewType`s of `int`, `str` and `bytes`: they cost nothing at run time and move into
NumPy arrays as they are; arithmetic gives a bare `int`, so a new unit has to be named again.

Money is exact. A price is an integer number of price units, 10**-6 of the quote currency; an
amount of cash is an integer number of cash units, 10**-6 of the same currency (one unit of a token
with six decimals). Price times lots times contract multiplier is therefore an amount of cash,
without rounding. `Decimal` appears where people write or read a price, and nowhere else.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from enum import IntEnum
from operator import index
from typing import Any, Final, NewType, Self, TypeVar

from eth_utils.address import is_checksum_address, is_hex_address, to_checksum_address

from crypto.signing.messages import instrument_id
from darkpool.errors import (
    InvalidAccount,
    InvalidGrid,
    InvalidPrice,
    NoBucket,
    OutOfBounds,
    WrongType,
    shortened,
)
from darkpool.limits import (
    CAP_BUCKETS_LOTS,
    DECIMAL_DIGITS_MAX,
    INSTRUMENT_NAME_MAX_CHARACTERS,
    ORDER_SIZE_MAX_LOTS,
    PRICE_DECIMALS,
    PRICE_MAX_UNITS,
    TICKS_MAX,
)

Tick = NewType("Tick", int)
"""Index of a price on its grid, 0 for the lowest."""

Lots = NewType("Lots", int)
"""A size; the smallest tradable quantity is one."""

PriceUnits = NewType("PriceUnits", int)
"""A price, in 10**-6 of the quote currency; may be negative."""

Cash = NewType("Cash", int)
"""An amount of money, in 10**-6 of the currency that collateral is held in."""

AccountId = NewType("AccountId", str)
"""The 20-byte address of an account, in EIP-55 mixed case; made by `account_id`."""

OwnerId = NewType("OwnerId", str)
"""Who stands behind accounts: an address, in EIP-55 mixed case. An account is its own owner unless
an auction's terms say otherwise."""

AccountLabel = NewType("AccountLabel", str)
"""What an order file calls an account."""

InstrumentName = NewType("InstrumentName", str)
"""What people call an instrument."""

InstrumentId = NewType("InstrumentId", bytes)
"""The 32 bytes that stand for an instrument in signed messages and on the chain."""

Interval = NewType("Interval", int)
"""Number of an auction in its series: there is one for each instrument at each interval."""


Kind = TypeVar("Kind")

NUMBER_MAX: Final = (1 << 64) - 1
"""Largest interval, nonce or time: signed messages have 64 bits for each."""

INSTRUMENT_BYTES: Final = 32
ADDRESS_BYTES: Final = 20

FIRST_INTERVAL: Final = Interval(1)
"""The first of a series; 0 stands for none."""


def integer(quantity: str, value: object) -> int:
    """A whole number as Python's own, whichever library's it is; truth values are none.

    Raises:
        WrongType: it is no whole number.
    """
    if not isinstance(value, bool):
        with suppress(TypeError):
            return index(value)  # type: ignore[arg-type]  # that is what is being asked
    raise WrongType(quantity, "a whole number", value)


def within(quantity: str, lowest: int, highest: int, value: object) -> int:
    """A whole number within its bounds, both of which are allowed.

    Raises:
        WrongType: it is no whole number.
        OutOfBounds: it is outside.
    """
    number = integer(quantity, value)
    if not lowest <= number <= highest:
        raise OutOfBounds(quantity, lowest, highest, number)
    return number


def octets(subject: str, length: int, value: object) -> bytes:
    """So many bytes.

    Raises:
        WrongType: no bytes.
        OutOfBounds: more or fewer.
    """
    if not isinstance(value, bytes):
        raise WrongType(subject, f"{length} bytes", value)
    # what a class of its own says of itself does not count
    exact = bytes(memoryview(value))
    within(f"bytes of {subject}", length, length, len(exact))
    return exact


def require_kind(subject: str, kind: type[Kind], value: object) -> Kind:
    """A value of a kind.

    Raises:
        WrongType: it is of another.
    """
    if not isinstance(value, kind):
        raise WrongType(subject, kind.__name__, value)
    return value


def require_mapping(subject: str, value: object) -> Mapping[Any, Any]:
    """A mapping; anything else raises `WrongType`."""
    if not isinstance(value, Mapping):
        raise WrongType(subject, "a mapping", value)
    return value


class Side(IntEnum):
    """The side of an order, numbered as in signed messages."""

    BUY = 0
    SELL = 1

    @property
    def label(self) -> str:
        """The word for it in files: `buy` or `sell`."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class AuctionId:
    """The one auction of an instrument at an interval.

    Raises:
        WrongType, OutOfBounds: another kind of number than messages have.
    """

    instrument: InstrumentId
    interval: Interval

    def __post_init__(self) -> None:
        interval = Interval(within("interval", 0, (1 << 64) - 1, self.interval))
        object.__setattr__(self, "interval", interval)

    def __str__(self) -> str:
        return f"interval {self.interval} of instrument 0x{self.instrument.hex()}"


def account_id(text: str) -> AccountId:
    """Read an address: 0x and 40 hexadecimal digits, one case throughout or EIP-55 mixed case.

    Raises:
        WrongType: no text.
        InvalidAccount: it is no address, or its mixed case is not the checksum of EIP-55.
    """
    require_kind("account", str, text)
    if not (text.isascii() and text.startswith("0x") and is_hex_address(text)):
        raise InvalidAccount("0x and 40 hexadecimal digits", repr(text[:60]))
    digits = text[2:]
    mixed_case = digits.lower() != digits and digits.upper() != digits
    if mixed_case and not is_checksum_address(text):
        raise InvalidAccount(f"the EIP-55 spelling {to_checksum_address(text)}", text)
    return AccountId(to_checksum_address(text))


def account_of(address: bytes) -> AccountId:
    """Return the account at an address of 20 bytes.

    Raises:
        WrongType, OutOfBounds: other than 20 bytes.
    """
    return account_id(f"0x{octets('account', ADDRESS_BYTES, address).hex()}")


def in_address_order(accounts: Iterable[AccountId]) -> list[AccountId]:
    """Accounts in ascending order of their 20 bytes, which that of their mixed case is not."""
    return sorted(accounts, key=str.lower)


def account_bytes(account: AccountId) -> bytes:
    """Return the 20 bytes of an address."""
    return bytes.fromhex(account[2:])


def cap_bucket(size: Lots) -> Lots:
    """Return the public cap of an order: the smallest of `CAP_BUCKETS_LOTS` that covers its size.

    Raises:
        WrongType: the size is no whole number.
        OutOfBounds: the size is negative, or above the largest bucket.
    """
    lots = within("size in lots", 0, ORDER_SIZE_MAX_LOTS, size)
    return Lots(CAP_BUCKETS_LOTS[bisect_left(CAP_BUCKETS_LOTS, lots)])


_SMALLEST_BUCKET: Final = Lots(CAP_BUCKETS_LOTS[0])


def require_bucket(subject: str, cap: Lots, smallest: Lots = _SMALLEST_BUCKET) -> Lots:
    """A public cap that is one of `CAP_BUCKETS_LOTS`, and not below `smallest`.

    Raises:
        WrongType: it is no whole number.
        NoBucket: it is none of them; names all that are.
    """
    lots = integer(subject, cap)
    allowed = CAP_BUCKETS_LOTS[bisect_left(CAP_BUCKETS_LOTS, smallest) :]
    if lots not in allowed:
        expected = f"one of the buckets {', '.join(map(str, allowed))}"
        got = f"{lots} lots" if abs(lots) <= PRICE_MAX_UNITS else lots
        raise NoBucket(subject, expected, got)
    return Lots(lots)


_UNITS_PER_ONE: Final = 10**PRICE_DECIMALS
_EXACT: Final = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX)
"""Rounds nothing, whatever the caller's own context does."""


def price_units(price: Decimal) -> PriceUnits:
    """Convert a price of at most six decimals to price units, exactly.

    Raises:
        WrongType: no `Decimal`; a float stands for another number than it shows.
        InvalidPrice: not a finite number, more than six decimals, or an absolute value above
            `PRICE_MAX_UNITS`.
    """
    require_kind("price", Decimal, price)
    if not price.is_finite():
        raise InvalidPrice("a finite number", shortened(price))
    sign, digits, exponent = price.as_tuple()
    if not any(digits):
        return PriceUnits(0)
    if not isinstance(exponent, int) or price.adjusted() + PRICE_DECIMALS > len(
        str(PRICE_MAX_UNITS)
    ):
        raise InvalidPrice(f"at most {PRICE_MAX_UNITS // _UNITS_PER_ONE}", shortened(price))
    shift = exponent + PRICE_DECIMALS
    # no power of ten is computed of an exponent that the caller chose
    kept = digits[: max(0, len(digits) + shift)] if shift < 0 else digits
    if any(digits[len(kept) :]):
        shown = f"{price:f}" if exponent >= -DECIMAL_DIGITS_MAX else str(price)
        raise InvalidPrice(f"at most {PRICE_DECIMALS} decimals", shortened(shown))
    units = int("".join(map(str, kept))) * 10 ** max(0, shift)
    if units > PRICE_MAX_UNITS:
        raise InvalidPrice(f"at most {PRICE_MAX_UNITS // _UNITS_PER_ONE}", shortened(price))
    return PriceUnits(-units if sign else units)


def price_decimal(units: PriceUnits) -> Decimal:
    """Convert price units to the price they stand for, exactly.

    Raises:
        WrongType: no whole number.
    """
    return Decimal(integer("price units", units)).scaleb(-PRICE_DECIMALS, _EXACT)


def _shortest_decimal(units: int) -> Decimal:
    """The price of some units with as few decimals as it has."""
    places = PRICE_DECIMALS
    while places and units % 10 == 0:
        units, places = units // 10, places - 1
    return Decimal(units).scaleb(-places, _EXACT)


@dataclass(frozen=True, slots=True)
class PriceGrid:
    """The only prices there are: `ticks` of them, `tick_size` apart, around a reference.

    The reference price is that of tick `ticks // 2`, so a grid of an even number of ticks has one
    more below it than above. It is a whole multiple of the tick size, and so is every price. Prices
    may be zero or negative.

    Raises:
        WrongType: ticks that are no whole number, or prices that are no `Decimal`.
        InvalidGrid: the tick size is not above zero, the reference is no multiple of it, there are
            fewer than 1 or more than `TICKS_MAX` ticks, or a price has more than six decimals or
            lies beyond `PRICE_MAX_UNITS`.
    """

    tick_size: Decimal
    reference: Decimal
    ticks: int

    def __post_init__(self) -> None:
        ticks = integer("ticks of a price grid", self.ticks)
        object.__setattr__(self, "ticks", ticks)
        if not 1 <= ticks <= TICKS_MAX:
            raise InvalidGrid("ticks", f"1 to {TICKS_MAX}", ticks)
        step = _grid_units("tick size", self.tick_size)
        middle = _grid_units("reference price", self.reference)
        object.__setattr__(self, "tick_size", _plainly(self.tick_size, step))
        object.__setattr__(self, "reference", _plainly(self.reference, middle))
        if step <= 0:
            raise InvalidGrid("tick size", "a number above zero", str(self.tick_size))
        if middle % step:
            raise InvalidGrid(
                "reference price", f"a multiple of {self.tick_size}", str(self.reference)
            )
        if self.worst_price_units > PRICE_MAX_UNITS:
            expected = f"prices up to {PRICE_MAX_UNITS // _UNITS_PER_ONE}"
            raise InvalidGrid("ticks", expected, str(price_decimal(self.worst_price_units)))

    @classmethod
    def of_units(cls, tick_size: int, reference: int, ticks: int) -> Self:
        """The grid whose tick size and reference are given in price units.

        Raises:
            WrongType: a number that is no whole one.
            InvalidGrid: there is none.
        """
        step, middle = integer("tick size", tick_size), integer("reference price", reference)
        return cls(_shortest_decimal(step), _shortest_decimal(middle), ticks)

    @property
    def reference_tick(self) -> Tick:
        """The tick of the reference price."""
        return Tick(self.ticks // 2)

    @property
    def tick_units(self) -> PriceUnits:
        """Distance of neighbouring ticks."""
        return price_units(self.tick_size)

    @property
    def worst_price_units(self) -> PriceUnits:
        """Largest absolute price of the grid: no fill of either side has a larger notional."""
        lowest = self.units_of(Tick(0))
        highest = self.units_of(Tick(self.ticks - 1))
        return PriceUnits(max(abs(lowest), abs(highest)))

    def units_of(self, tick: Tick) -> PriceUnits:
        """The price of a tick, in price units.

        Raises:
            WrongType, OutOfBounds: the grid has no such tick.
        """
        offset = (within("tick", 0, self.ticks - 1, tick) - self.reference_tick) * self.tick_units
        return PriceUnits(price_units(self.reference) + offset)

    def price_of(self, tick: Tick) -> Decimal:
        """The price of a tick, written with the decimals of tick size or reference.

        Raises:
            WrongType, OutOfBounds: the grid has no such tick.
        """
        places = max(map(_places, (self.tick_size, self.reference)))
        units = self.units_of(tick) // 10 ** (PRICE_DECIMALS - places)
        return Decimal(units).scaleb(-places, _EXACT)

    def unbounded_tick_of(self, price: Decimal) -> int:
        """How many ticks a price lies above tick 0, which may be outside the grid.

        Raises:
            InvalidPrice: the price is no multiple of the tick size, or no price at all.
        """
        units = price_units(price)
        offset, rest = divmod(units - price_units(self.reference), self.tick_units)
        if rest:
            raise InvalidPrice(f"a multiple of {self.tick_size}", shortened(price))
        return self.reference_tick + offset

    def tick_of(self, price: Decimal) -> Tick:
        """The tick of a price.

        Raises:
            InvalidPrice: the grid does not have this price.
        """
        tick = self.unbounded_tick_of(price)
        if not 0 <= tick < self.ticks:
            lowest, highest = self.price_of(Tick(0)), self.price_of(Tick(self.ticks - 1))
            raise InvalidPrice(f"{lowest} to {highest}", shortened(price))
        return Tick(tick)


def _places(price: Decimal) -> int:
    """Digits behind the point."""
    exponent = price.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _plainly(price: Decimal, units: int) -> Decimal:
    """A price as it is written, unless no price is written like that: `0E-999999` or `1E+3`."""
    return price if 0 <= _places(price) <= PRICE_DECIMALS else _shortest_decimal(units)


def _grid_units(parameter: str, price: Decimal) -> PriceUnits:
    try:
        return price_units(price)
    except InvalidPrice as error:
        raise InvalidGrid(parameter, error.expected, error.got) from None


NAME_RULE: Final = (
    f"a name of 1 to {INSTRUMENT_NAME_MAX_CHARACTERS} characters, each a letter A to Z or a to z, "
    "a digit, or one of . _ / -"
)
"""The one rule for names of instruments, contracts, underlyings and tokens, in words."""

_NAME: Final = re.compile(rf"[A-Za-z0-9._/-]{{1,{INSTRUMENT_NAME_MAX_CHARACTERS}}}")


def is_name(text: str) -> bool:
    """Whether a text keeps to `NAME_RULE`."""
    return _NAME.fullmatch(text) is not None


PPM: Final = 1_000_000
"""The whole of something, in parts per million."""


def identifier(name: InstrumentName) -> InstrumentId:
    """The 32 bytes of an instrument; see `crypto.signing.messages.instrument_id`.

    Raises:
        InvalidMessageField: no text in Unicode.
    """
    return InstrumentId(instrument_id(name))
