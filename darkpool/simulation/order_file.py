"""Order files: the strict reader of the CSV that an auction starts from.

A file is UTF-8 text in the CSV of RFC 4180 with one header line: `account`, `side`, `size`, `limit`
and optionally `instrument`, `minimum` and `request`, in any order. One row is one order:

- `account`: a name of 1 to 64 printable characters; it may appear once for each instrument;
- `side`: `buy` or `sell`;
- `size`: whole lots, written with digits alone;
- `limit`: a price on the tick grid, written with digits, at most one point, and a leading minus if
  it is negative; empty for a market order;
- `instrument`: a name of 1 to 32 letters, digits and `._/-`, by the rule of all names
  (`darkpool.units.NAME_RULE`);
- `minimum`: whole lots from 1 to the size, for a minimum-fill order; empty for a plain one;
- `request`: an amount in the quote currency that the account asks back; amounts of its rows add up.

A limit beyond the grid on the aggressive side (a buy above the highest price, a sell below the
lowest) becomes the grid's last price on that side: the order trades at no worse a price than it
asked for, and the grid is the collar. A limit beyond the grid on the passive side could never trade
and is refused. A market order has the grid's last price on the aggressive side.

A row is counted as its line in the file: the header is line 1, the first order line 2.
"""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from darkpool.errors import WrongType
from darkpool.limits import (
    CAPS_SUM_MAX_LOTS,
    INSTRUMENTS_PER_VENUE_MAX,
    INTENTS_PER_AUCTION_MAX,
    ORDER_FILE_MAX_BYTES,
    ORDER_FILE_PROBLEMS_MAX,
    ORDER_SIZE_MAX_LOTS,
)
from darkpool.protocol.intents import LimitOrder
from darkpool.simulation.errors import InvalidOrder, InvalidOrderFile
from darkpool.simulation.order_fields import (
    NOTHING,
    PLAIN,
    REQUEST_MAX,
    Refused,
    account_of_text,
    limit_of_text,
    minimum_of_text,
    name_of_text,
    price_of_text,
    quoted,
    request_of_text,
    side_of_text,
    size_of_text,
)
from darkpool.simulation.text import NotText, text_of
from darkpool.units import (
    NUMBER_MAX,
    AccountLabel,
    Cash,
    InstrumentName,
    Lots,
    PriceGrid,
    Side,
    Tick,
    cap_bucket,
    require_kind,
    require_mapping,
    within,
)

HEADER_ROW: Final = 1
"""The line of the header; the first order is on the next."""
_COLUMNS: Final = ("account", "side", "size", "limit")
_INSTRUMENT_COLUMN: Final = "instrument"
_MINIMUM_COLUMN: Final = "minimum"
_REQUEST_COLUMN: Final = "request"

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Order:
    """One order of a file: `row` is its line, of which the header is 1.

    `minimum` is that of a minimum-fill order, 0 for a plain one; `request` is what the account asks
    back, in cash units.

    Raises:
        WrongType, OutOfBounds: a field of another kind, or that no order has.
        InvalidOrder: a name that no account or no instrument has.
    """

    row: int
    account: AccountLabel
    instrument: InstrumentName
    side: Side
    size: Lots
    limit: Tick
    minimum: Lots = PLAIN
    request: Cash = NOTHING

    def __post_init__(self) -> None:
        row = within("row", 0, NUMBER_MAX, self.row)
        wanted = LimitOrder(self.side, self.size, self.limit, self.minimum)
        within("size in lots", 1, ORDER_SIZE_MAX_LOTS, wanted.size)
        try:
            account_of_text(require_kind("account", str, self.account))
            name_of_text(require_kind("instrument", str, self.instrument))
        except Refused as refused:
            raise InvalidOrder(row, None, refused.expected, refused.got) from None
        request = within("request in cash units", 0, REQUEST_MAX, self.request)
        plain = {"row": row, "size": wanted.size, "limit": wanted.limit, "minimum": wanted.minimum}
        for name, value in {**plain, "request": request}.items():
            object.__setattr__(self, name, value)

    @property
    def limit_order(self) -> LimitOrder:
        """What its client wants."""
        return LimitOrder(self.side, self.size, self.limit, self.minimum)


def require_orders(orders: Sequence[Order]) -> Sequence[Order]:
    """Orders that can be run together.

    Raises:
        WrongType: no sequence of orders.
    """
    if not isinstance(orders, Sequence):
        raise WrongType("orders", "a sequence of orders", orders)
    for number, order in enumerate(orders):
        require_kind(f"order {number}", Order, order)
    return orders


def read_orders(
    path: Path,
    grids: PriceGrid | Mapping[InstrumentName, PriceGrid],
    default_instrument: InstrumentName,
) -> list[Order]:
    """Read an order file.

    One grid serves every instrument that the file names; a mapping lists the instruments that there
    are. `default_instrument` is that of every row when the file has no such column.

    Raises:
        WrongType: no path.
        InvalidOrderFile: it cannot be read, or is no order file; lists what is wrong.
    """
    try:
        with require_kind("order file", Path, path).open("rb") as file:
            data = file.read(ORDER_FILE_MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # a path with a NUL is no path
        got = str(getattr(error, "strerror", None) or error)
        problem = InvalidOrder(None, None, "a file that can be read", got)
        raise InvalidOrderFile(str(path), [problem], complete=True) from None
    return parse_orders(data, str(path), grids, default_instrument)


def parse_orders(
    data: bytes,
    source: str,
    grids: PriceGrid | Mapping[InstrumentName, PriceGrid],
    default_instrument: InstrumentName,
) -> list[Order]:
    """Read the bytes of an order file; `source` is its name in errors. See `read_orders`.

    Raises:
        WrongType: an argument of another kind.
        InvalidOrderFile: the bytes are no order file; lists what is wrong.
    """
    require_kind("order file", bytes, data)
    require_kind("source", str, source)
    require_kind("default instrument", str, default_instrument)
    if not isinstance(grids, PriceGrid):
        for name, grid in require_mapping("grids", grids).items():
            require_kind("name of a grid", str, name)
            require_kind(f"grid of {name}", PriceGrid, grid)
    reading = _Reading(grids, default_instrument)
    complete = True
    try:
        reading.read(_text(data))
    except InvalidOrder as problem:
        reading.problems.append(problem)
    except _Enough:
        complete = False
    if reading.problems:
        raise InvalidOrderFile(source, reading.problems, complete=complete)
    return reading.orders


class _Enough(Exception):
    pass


class _Reading:
    """What has been read of a file: the orders, and the problems so far."""

    def __init__(
        self,
        grids: PriceGrid | Mapping[InstrumentName, PriceGrid],
        default_instrument: InstrumentName,
    ) -> None:
        self.orders: list[Order] = []
        self.problems: list[InvalidOrder] = []
        self._grids = grids
        self._default_instrument = default_instrument
        self._rows: dict[InstrumentName, dict[AccountLabel, int]] = {}
        self._caps_lots: Counter[InstrumentName] = Counter()

    def read(self, text: str) -> None:
        """Read the header and all rows.

        Raises:
            InvalidOrder: the rest of the file cannot be read.
            _Enough: there are more problems than anybody wants to be told.
        """
        records = _records(text)
        _, header = next(records, (HEADER_ROW, []))
        _check_header(header, optional_missing=not self._grid_exists(self._default_instrument))
        row = HEADER_ROW
        for row, record in records:
            if len(record) == len(header):
                self._row(row, dict(zip(header, record, strict=True)))
            else:
                self._note(InvalidOrder(row, None, f"{len(header)} fields", str(len(record))))
        if row == HEADER_ROW:
            raise InvalidOrder(None, None, "at least one order", "none")

    def _grid_exists(self, name: InstrumentName) -> bool:
        return isinstance(self._grids, PriceGrid) or name in self._grids

    def _note(self, problem: InvalidOrder) -> None:
        if len(self.problems) == ORDER_FILE_PROBLEMS_MAX:
            raise _Enough
        self.problems.append(problem)

    def _field(
        self, row: int, column: str, read: Callable[[str], _Value], text: str
    ) -> _Value | None:
        try:
            return read(text)
        except Refused as refused:
            self._note(InvalidOrder(row, column, refused.expected, refused.got))
            return None

    def _row(self, row: int, fields: dict[str, str]) -> None:
        account = self._field(row, "account", account_of_text, fields["account"])
        side = self._field(row, "side", side_of_text, fields["side"])
        size = self._field(row, "size", size_of_text, fields["size"])
        instrument: InstrumentName | None = self._default_instrument
        if _INSTRUMENT_COLUMN in fields:
            text = fields[_INSTRUMENT_COLUMN]
            instrument = self._field(row, _INSTRUMENT_COLUMN, self._instrument, text)
        price = self._field(row, "limit", price_of_text, fields["limit"])
        if account is None or instrument is None or not self._first(row, account, instrument):
            return
        limit = None
        if side is not None and price is not None:
            grid = self._grids if isinstance(self._grids, PriceGrid) else self._grids[instrument]
            limit = self._field(
                row, "limit", lambda text: limit_of_text(price, text, side, grid), fields["limit"]
            )
        minimum: Lots | None = PLAIN
        if size is not None and _MINIMUM_COLUMN in fields:
            text = fields[_MINIMUM_COLUMN]
            minimum = self._field(
                row, _MINIMUM_COLUMN, lambda text: minimum_of_text(text, size), text
            )
        text = fields.get(_REQUEST_COLUMN, "")
        request = self._field(row, _REQUEST_COLUMN, request_of_text, text)
        if side is None or size is None or limit is None or minimum is None or request is None:
            return
        if self._fits(row, size, instrument):
            order = Order(row, account, instrument, side, size, limit, minimum, request)
            self.orders.append(order)

    def _instrument(self, text: str) -> InstrumentName:
        name = name_of_text(text)
        if not isinstance(self._grids, PriceGrid) and name not in self._grids:
            raise Refused(f"one of {', '.join(sorted(self._grids))}", text)
        return name

    def _first(self, row: int, account: AccountLabel, instrument: InstrumentName) -> bool:
        """Note a second order of an account, and orders or instruments beyond the limits."""
        if instrument not in self._rows and len(self._rows) == INSTRUMENTS_PER_VENUE_MAX:
            expected = f"at most {INSTRUMENTS_PER_VENUE_MAX} instruments"
            got = f"{len(self._rows) + 1} with {instrument}"
            self._note(InvalidOrder(row, _INSTRUMENT_COLUMN, expected, got))
            return False
        rows = self._rows.setdefault(instrument, {})
        if account in rows:
            expected = f"one order of an account for {instrument}"
            got = f"rows {rows[account]} and {row} of {quoted(account)}"
            self._note(InvalidOrder(row, "account", expected, got))
            return False
        if len(rows) == INTENTS_PER_AUCTION_MAX:
            expected = f"at most {INTENTS_PER_AUCTION_MAX} orders for {instrument}"
            self._note(InvalidOrder(row, None, expected, str(len(rows) + 1)))
            return False
        rows[account] = row
        return True

    def _fits(self, row: int, size: Lots, instrument: InstrumentName) -> bool:
        caps_lots = self._caps_lots[instrument] + cap_bucket(size)
        if caps_lots > CAPS_SUM_MAX_LOTS:
            expected = f"public caps for {instrument} of at most {CAPS_SUM_MAX_LOTS} lots together"
            self._note(InvalidOrder(row, "size", expected, f"{caps_lots} with this order's"))
            return False
        self._caps_lots[instrument] = caps_lots
        return True


def _text(data: bytes) -> str:
    try:
        text = text_of(data, ORDER_FILE_MAX_BYTES)
    except NotText as error:
        raise InvalidOrder(None, None, error.expected, error.got) from None
    if "\0" in text:
        raise InvalidOrder(None, None, "text", f"a NUL at character {text.index(chr(0))}")
    return text


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """The records, each with the line that it begins on."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        row = reader.line_num + 1
        try:
            record = next(reader, None)
        except csv.Error as error:
            raise InvalidOrder(row, None, "CSV by RFC 4180", str(error)) from None
        if record is None:
            return
        yield row, record


def _check_header(header: list[str], *, optional_missing: bool) -> None:
    required = {*_COLUMNS, _INSTRUMENT_COLUMN} if optional_missing else set(_COLUMNS)
    known = {*_COLUMNS, _INSTRUMENT_COLUMN, _MINIMUM_COLUMN, _REQUEST_COLUMN}
    unique = len(set(header)) == len(header)
    if not unique or not required <= set(header) <= known:
        suffix = f" and {_INSTRUMENT_COLUMN}" if optional_missing else ""
        expected = f"a header line with the columns {', '.join(_COLUMNS)}{suffix}, each once"
        more = [_MINIMUM_COLUMN, _REQUEST_COLUMN]
        more[:0] = [] if suffix else [_INSTRUMENT_COLUMN]
        expected += f", and no other but {', '.join(more[:-1])} and {more[-1]}"
        raise InvalidOrder(None, None, expected, quoted(",".join(header)))
