"""Fields of an order file: each reader takes the text of a field, and refuses what is none."""

import re
import unicodedata
from decimal import Decimal
from typing import Final

from darkpool.errors import InvalidPrice
from darkpool.limits import (
    ACCOUNT_LABEL_MAX_CHARACTERS,
    CASH_DECIMALS,
    DECIMAL_DIGITS_MAX,
    ORDER_SIZE_MAX_LOTS,
)
from darkpool.units import (
    NAME_RULE,
    AccountLabel,
    Cash,
    InstrumentName,
    Lots,
    PriceGrid,
    PriceUnits,
    Side,
    Tick,
    is_name,
    price_decimal,
)

REQUEST_MAX: Final = 10**30
"""Cash units: far above what an account can own, and sums of a file's rows are no overflow."""
PLAIN: Final = Lots(0)
"""The minimum of a plain order."""
NOTHING: Final = Cash(0)
"""The request of who asks for nothing."""
_SIDES: Final = {side.label: side for side in Side}
_SIZE: Final = re.compile(r"[0-9]+")
_LIMIT: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_AMOUNT: Final = re.compile(rf"[0-9]+(\.[0-9]{{1,{CASH_DECIMALS}}})?")
_QUOTED_MAX_CHARACTERS: Final = 60
_MARKET: Final = Decimal("Infinity")


class Refused(Exception):
    """A field that is not what its column has; `expected` and `got` say why."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(expected, got)
        self.expected = expected
        self.got = got


def quoted(text: str) -> str:
    """The text as it is shown in an error, cut where it is long."""
    if len(text) <= _QUOTED_MAX_CHARACTERS:
        return ascii(text)
    rest = len(text) - _QUOTED_MAX_CHARACTERS
    return f"{text[:_QUOTED_MAX_CHARACTERS]!a} and {rest} more characters"


def account_of_text(text: str) -> AccountLabel:
    """A name of an account.

    Raises:
        Refused: it is none.
    """
    if not 1 <= len(text) <= ACCOUNT_LABEL_MAX_CHARACTERS:
        expected = f"a name of 1 to {ACCOUNT_LABEL_MAX_CHARACTERS} characters"
        raise Refused(expected, quoted(text))
    if not text.isprintable() or text != text.strip():
        raise Refused("printable characters without space around them", quoted(text))
    if not unicodedata.is_normalized("NFC", text):
        # Two spellings that look the same would be two accounts.
        raise Refused("a name in Unicode's normal form C", quoted(text))
    return AccountLabel(text)


def name_of_text(text: str) -> InstrumentName:
    """A name of an instrument.

    Raises:
        Refused: it is none.
    """
    if not is_name(text):
        raise Refused(NAME_RULE, quoted(text))
    return InstrumentName(text)


def side_of_text(text: str) -> Side:
    """A side by its label.

    Raises:
        Refused: it is none.
    """
    side = _SIDES.get(text)
    if side is None:
        raise Refused(" or ".join(_SIDES), quoted(text))
    return side


def _require_short(text: str) -> None:
    if len(text) > DECIMAL_DIGITS_MAX:
        raise Refused(f"at most {DECIMAL_DIGITS_MAX} characters", quoted(text))


def size_of_text(text: str) -> Lots:
    """Whole lots.

    Raises:
        Refused: it is none.
    """
    _require_short(text)
    if not _SIZE.fullmatch(text):
        raise Refused("a whole number of lots, in digits", quoted(text))
    size = int(text)
    if not 1 <= size <= ORDER_SIZE_MAX_LOTS:
        raise Refused(f"1 to {ORDER_SIZE_MAX_LOTS} lots", quoted(text))
    return Lots(size)


def minimum_of_text(text: str, size: Lots) -> Lots:
    """A minimum of an order of so many lots; none for nothing.

    Raises:
        Refused: it is none.
    """
    if text == "":
        return PLAIN
    _require_short(text)
    if not _SIZE.fullmatch(text):
        raise Refused("a whole number of lots, in digits, or nothing", quoted(text))
    if not 1 <= int(text) <= size:
        raise Refused(f"1 to the size of {size} lots", quoted(text))
    return Lots(int(text))


def request_of_text(text: str) -> Cash:
    """An amount of the quote currency, as cash units; none for nothing.

    Raises:
        Refused: it is none.
    """
    if text == "":
        return NOTHING
    _require_short(text)
    if not _AMOUNT.fullmatch(text):
        expected = f"an amount above zero with at most {CASH_DECIMALS} decimals, or nothing"
        raise Refused(expected, quoted(text))
    amount = int(Decimal(text).scaleb(CASH_DECIMALS))
    if not 1 <= amount <= REQUEST_MAX:
        shown = price_decimal(PriceUnits(REQUEST_MAX))
        raise Refused(f"an amount above zero, up to {shown:f}", quoted(text))
    return Cash(amount)


def price_of_text(text: str) -> Decimal:
    """A price; infinite for nothing, which is a market order.

    Raises:
        Refused: it is none.
    """
    if text == "":
        return _MARKET
    _require_short(text)
    if not _LIMIT.fullmatch(text):
        expected = "a price, in digits with at most one point, or nothing"
        raise Refused(expected, quoted(text))
    return Decimal(text)


def limit_of_text(price: Decimal, text: str, side: Side, grid: PriceGrid) -> Tick:
    """The tick of a price on a grid, or the last one on the aggressive side.

    Raises:
        Refused: it is none.
    """
    highest = Tick(grid.ticks - 1)
    if price == _MARKET:
        return highest if side is Side.BUY else Tick(0)
    try:
        tick = grid.unbounded_tick_of(price)
    except InvalidPrice as error:
        raise Refused(str(error.expected), quoted(text)) from None
    if side is Side.BUY and tick < 0:
        raise Refused(f"a buy limit of {grid.price_of(Tick(0))} or more", quoted(text))
    if side is Side.SELL and tick > highest:
        raise Refused(f"a sell limit of {grid.price_of(highest)} or less", quoted(text))
    return Tick(min(max(tick, 0), highest))
