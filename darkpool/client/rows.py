"""The tables of an agent's store, and how a row becomes what it stands for."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from crypto.signing.messages import Intent
from darkpool.client.errors import (
    IntervalOver,
    OrderClosed,
    ResultMissing,
    TermsChanged,
    UnknownOrder,
)
from darkpool.client.plan import NotedTerms, PlannedIntent
from darkpool.client.standing_orders import INTERVAL_MAX, OrderState, PlacedOrder, StandingOrder
from darkpool.units import AccountId, InstrumentId, Interval, Lots, Side, integer

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS owner (
    id INTEGER PRIMARY KEY CHECK (id = 0), version INTEGER NOT NULL, account TEXT NOT NULL,
    chain_id TEXT NOT NULL, contract BLOB NOT NULL, next_nonce INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
    number INTEGER PRIMARY KEY AUTOINCREMENT, instrument BLOB NOT NULL, side INTEGER NOT NULL,
    size INTEGER NOT NULL, price_limit INTEGER NOT NULL, good_until INTEGER NOT NULL,
    cap INTEGER NOT NULL, filled INTEGER NOT NULL, state TEXT NOT NULL,
    CHECK (0 <= filled AND filled <= size));
CREATE UNIQUE INDEX IF NOT EXISTS live_orders ON orders (instrument) WHERE state = 'live';
CREATE TABLE IF NOT EXISTS intervals (
    interval INTEGER PRIMARY KEY, key_epoch INTEGER NOT NULL, ticks INTEGER NOT NULL,
    grids TEXT NOT NULL, deadline INTEGER NOT NULL, finished INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS intents (
    interval INTEGER NOT NULL, instrument BLOB NOT NULL, order_number INTEGER,
    side INTEGER NOT NULL, size INTEGER NOT NULL, limit_tick INTEGER NOT NULL,
    nonce INTEGER NOT NULL UNIQUE, salt BLOB NOT NULL, root_seed BLOB NOT NULL,
    cap INTEGER NOT NULL, ciphertext_digest BLOB, envelopes BLOB, filled INTEGER,
    PRIMARY KEY (interval, instrument));
CREATE INDEX IF NOT EXISTS open_intents ON intents (interval) WHERE filled IS NULL;
"""
SELECT_ORDERS: Final = (
    "SELECT number, instrument, side, size, price_limit, good_until, cap, filled, state FROM orders"
)
SELECT_INTENTS: Final = (
    "SELECT instrument, interval, side, size, limit_tick, nonce, salt, root_seed, cap, order_number"
    " FROM intents"
)


def last_begun(cursor: sqlite3.Cursor) -> int:
    """The latest interval that has begun, 0 for none."""
    (last,) = cursor.execute("SELECT COALESCE(MAX(interval), 0) FROM intervals").fetchone()
    return int(last)


def has_begun(cursor: sqlite3.Cursor, terms: NotedTerms) -> bool:
    """True for an interval that has begun under the same terms and has no result yet.

    Raises:
        IntervalOver, ResultMissing, TermsChanged: see `AgentStore.begin_interval`.
    """
    last = last_begun(cursor)
    if terms.interval < last:
        raise IntervalOver("interval", f"{last} or later", str(terms.interval))
    row = cursor.execute(
        "SELECT finished, key_epoch, grids FROM intervals WHERE interval = ?", (terms.interval,)
    ).fetchone()
    if row is None:
        missing = cursor.execute("SELECT interval FROM intents WHERE filled IS NULL").fetchone()
        if missing is not None:
            raise ResultMissing("result", f"that of interval {missing[0]} first", "none")
        return False
    finished, key_epoch, grids = row
    if finished:
        raise IntervalOver("interval", f"one after {last}", str(terms.interval))
    if key_epoch != terms.key_epoch:
        raise TermsChanged(terms.interval, "key epoch", str(key_epoch), str(terms.key_epoch))
    if grids != terms.grids:
        raise TermsChanged(terms.interval, "grids", grids, terms.grids)
    return True


def expire(cursor: sqlite3.Cursor, interval: int) -> None:
    """End the live orders whose last interval is over."""
    cursor.execute(
        "UPDATE orders SET state = 'expired' WHERE state = 'live' AND good_until <= ?", (interval,)
    )


def apply_fill(
    cursor: sqlite3.Cursor, interval: Interval, instrument: bytes, lots: Lots, order: int | None
) -> None:
    """Count the fill of an intent that has none yet."""
    # The envelopes are not sent again: only the opening is kept.
    cursor.execute(
        "UPDATE intents SET filled = ?, envelopes = NULL WHERE interval = ? AND instrument = ?",
        (lots, interval, instrument),
    )
    cursor.execute(
        "UPDATE orders SET filled = filled + ?1,"
        " state = CASE WHEN filled + ?1 = size THEN 'filled' ELSE state END WHERE number = ?2",
        (lots, order),
    )


def order_of(cursor: sqlite3.Cursor, account: AccountId, number: int) -> PlacedOrder:
    """An order by its number.

    Raises:
        WrongType: no number.
        UnknownOrder: there is none.
    """
    wanted = integer("order number", number)
    known = 0 < wanted <= INTERVAL_MAX
    row = cursor.execute(SELECT_ORDERS + " WHERE number = ?", (wanted if known else 0,)).fetchone()
    if row is None:
        raise UnknownOrder("order", "one that was placed", wanted)
    return placed_order(account, row)


def live_order(cursor: sqlite3.Cursor, account: AccountId, number: int) -> PlacedOrder:
    """A live order by its number.

    Raises:
        UnknownOrder, OrderClosed: see there.
    """
    placed = order_of(cursor, account, number)
    if placed.state is not OrderState.LIVE:
        raise OrderClosed(f"order {number}", "a live one", f"one that is {placed.state}")
    return placed


def placed_order(account: AccountId, row: tuple[Any, ...]) -> PlacedOrder:
    """The order of a row of `SELECT_ORDERS`."""
    number, instrument, side, size, limit, good_until, cap, filled, state = row
    order = StandingOrder(
        account, InstrumentId(instrument), Side(side), size, limit, good_until, cap
    )
    return PlacedOrder(number, order, filled, OrderState(state))


def planned_intent(account: bytes, row: tuple[Any, ...]) -> PlannedIntent:
    """The intent of a row of `SELECT_INTENTS`."""
    *fields, cap, order = row
    return PlannedIntent(Intent(account, *fields), cap, order)


def pack(envelopes: Sequence[bytes]) -> bytes:
    """Envelopes one after the other, each after its length in 4 bytes."""
    return b"".join(len(envelope).to_bytes(4, "big") + envelope for envelope in envelopes)


def unpack(packed: bytes) -> tuple[bytes, ...]:
    """What `pack` made."""
    envelopes, position = [], 0
    while position < len(packed):
        start = position + 4
        position = start + int.from_bytes(packed[position:start], "big")
        envelopes.append(packed[start:position])
    return tuple(envelopes)
