"""What an agent must never forget: orders, nonces, what was sealed for an interval, and results.

One SQLite file an account, every write synced before the caller goes on, so that a crash at any
point leaves the promises kept: a nonce is never used twice, an auction gets one intent and never a
second, whether an interval gets cover traffic is decided once, and a fill is applied once.

The file holds orders, and the salts and root seeds that open them, in the clear: only its owner may
read it. It is made with mode 0600, and one with another mode is refused.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from crypto.signing.eip712 import Domain
from crypto.signing.messages import Intent
from darkpool.client.errors import (
    BelowFilled,
    ForeignStore,
    IntervalOver,
    ResultConflict,
    SecondOrder,
    StoreExposed,
    TermsChanged,
    UnknownIntent,
)
from darkpool.client.plan import NotedTerms, Plan, PlannedIntent, Situation
from darkpool.client.rows import (
    SCHEMA,
    SELECT_INTENTS,
    SELECT_ORDERS,
    apply_fill,
    expire,
    has_begun,
    last_begun,
    live_order,
    order_of,
    pack,
    placed_order,
    planned_intent,
    unpack,
)
from darkpool.client.standing_orders import INTERVAL_MAX, OrderState, PlacedOrder, StandingOrder
from darkpool.durable import open_database, transaction
from darkpool.errors import UnusableDatabase
from darkpool.units import (
    FIRST_INTERVAL,
    INSTRUMENT_BYTES,
    AccountId,
    InstrumentId,
    Interval,
    Lots,
    PriceUnits,
    account_bytes,
    account_id,
    integer,
    octets,
    require_kind,
    require_mapping,
    within,
)

STORE_VERSION: Final = 1
_MODE: Final = 0o600
_FIRST_NONCES: Final = 1 << 62


class AgentStore:
    """The durable memory of one account's agent at one venue.

    Nonces count up from a number drawn when the file is made, so that a file that was lost and made
    anew starts elsewhere.

    Raises:
        WrongType, InvalidAccount: an argument of another kind, or no address.
        ForeignStore: the file belongs to another account or venue, or is of another version.
        StoreExposed: others than its owner may read or write it.
        UnusableDatabase: the file cannot be made, read or written; every call may find so later.
    """

    def __init__(self, path: Path, account: AccountId, domain: Domain) -> None:
        account = account_id(account)
        require_kind("domain", Domain, domain)
        _make_private(require_kind("path", Path, path))
        self.account, self.domain = account, domain
        self._connection = open_database(path, SCHEMA)
        chain = str(domain.chain_id)
        self._connection.execute(
            "INSERT OR IGNORE INTO owner VALUES (0, ?, ?, ?, ?, ?)",
            (
                *(STORE_VERSION, account, chain, domain.verifying_contract),
                secrets.randbelow(_FIRST_NONCES),
            ),
        )
        version, *known = self._connection.execute(
            "SELECT version, account, chain_id, contract FROM owner"
        ).fetchone()
        own = {
            "version": (STORE_VERSION, version),
            "account": (account, known[0]),
            "chain": (chain, known[1]),
            "contract": (domain.verifying_contract, known[2]),
        }
        for name, (expected, got) in own.items():
            if got != expected:
                self.close()
                raise ForeignStore(f"{name} of the store", expected, got)

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def place(self, order: StandingOrder) -> int:
        """Keep a standing order; it takes part from the next interval that begins. Its number.

        Raises:
            WrongType: no standing order.
            ForeignStore: an order of another account.
            SecondOrder: the instrument has a live order.
            IntervalOver: the order's last interval has begun already.
        """
        require_kind("order", StandingOrder, order)
        if order.account != self.account:
            raise ForeignStore("account of an order", self.account, order.account)
        with transaction(self._connection) as cursor:
            live = cursor.execute(
                "SELECT number FROM orders WHERE instrument = ? AND state = 'live'",
                (order.instrument,),
            ).fetchone()
            if live is not None:
                raise SecondOrder("instrument", "one without a live order", f"order {live[0]}")
            begun = last_begun(cursor)
            if order.good_until <= begun:
                raise IntervalOver("last interval", f"one after {begun}", str(order.good_until))
            cursor.execute(
                "INSERT INTO orders VALUES (NULL, ?, ?, ?, ?, ?, ?, 0, 'live')",
                (
                    order.instrument,
                    order.side,
                    order.size,
                    order.limit,
                    order.good_until,
                    order.cap,
                ),
            )
            return int(cursor.lastrowid or 0)

    def cancel(self, number: int) -> None:
        """Seal an order no more. What was sealed for an interval that has begun may still fill.

        Raises:
            UnknownOrder, OrderClosed: see there.
        """
        with transaction(self._connection) as cursor:
            placed = live_order(cursor, self.account, number)
            cursor.execute(
                "UPDATE orders SET state = 'cancelled' WHERE number = ?", (placed.number,)
            )

    def replace(self, number: int, size: Lots, limit: PriceUnits) -> None:
        """Amend size and limit, from the next interval that begins. A size that is filled ends it.

        Raises:
            UnknownOrder, OrderClosed: see there.
            BelowFilled: the size is below what is filled and what is sealed without a result.
            WrongType, OutOfBounds: a size or limit that no order has.
        """
        with transaction(self._connection) as cursor:
            placed = live_order(cursor, self.account, number)
            old = placed.order
            new = StandingOrder(
                old.account, old.instrument, old.side, size, limit, old.good_until, old.cap
            )
            (sealed,) = cursor.execute(
                "SELECT COALESCE(SUM(size), 0) FROM intents"
                " WHERE order_number = ? AND filled IS NULL",
                (placed.number,),
            ).fetchone()
            least = placed.filled + sealed
            if new.size < least:
                raise BelowFilled("size", f"at least {least} lots, filled or sealed", str(new.size))
            state = OrderState.FILLED if new.size == placed.filled else OrderState.LIVE
            cursor.execute(
                "UPDATE orders SET size = ?, price_limit = ?, state = ? WHERE number = ?",
                (new.size, new.limit, state, placed.number),
            )

    def order(self, number: int) -> PlacedOrder:
        """An order as it stands.

        Raises:
            UnknownOrder: there is none with this number.
        """
        return order_of(self._connection.cursor(), self.account, number)

    def orders(self) -> tuple[PlacedOrder, ...]:
        """All orders ever placed, by number."""
        rows = self._connection.execute(SELECT_ORDERS + " ORDER BY number")
        return tuple(placed_order(self.account, row) for row in rows)

    def begin_interval(
        self, terms: NotedTerms, instruments: Sequence[InstrumentId], plan: Plan
    ) -> None:
        """Decide once and for ever what is sent in an interval; again it changes nothing.

        Args:
            terms: of the interval.
            instruments: that are traded, in the order in which nonces are given out.
            plan: tells what is sealed for one of them; called within one transaction.

        Raises:
            IntervalOver: the interval has its result, or a later one has begun.
            ResultMissing: an interval before has intents and no result.
            TermsChanged: it began under other grids or keys of another epoch.
        """
        _number(terms.interval)
        with transaction(self._connection) as cursor:
            if has_begun(cursor, terms):
                return
            expire(cursor, terms.interval - 1)
            cursor.execute(
                "INSERT INTO intervals VALUES (?, ?, ?, ?, ?, 0)",
                (terms.interval, terms.key_epoch, terms.ticks, terms.grids, terms.deadline_s),
            )
            for instrument in instruments:
                self._plan(cursor, instrument, plan)

    def _plan(self, cursor: sqlite3.Cursor, instrument: InstrumentId, plan: Plan) -> None:
        (nonce,) = cursor.execute("SELECT next_nonce FROM owner").fetchone()
        row = cursor.execute(
            SELECT_ORDERS + " WHERE instrument = ? ORDER BY number DESC", (instrument,)
        ).fetchone()
        latest = None if row is None else placed_order(self.account, row)
        live = latest if latest is not None and latest.state is OrderState.LIVE else None
        cap = None if latest is None else latest.order.cap
        planned = plan(Situation(instrument, live, cap, nonce))
        if planned is None:
            return
        intent = planned.intent
        cursor.execute("UPDATE owner SET next_nonce = ?", (nonce + 1,))
        cursor.execute(
            "INSERT INTO intents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)",
            (
                intent.interval,
                intent.instrument,
                planned.order,
                intent.side,
                intent.size,
                intent.limit_tick,
                intent.nonce,
                intent.salt,
                intent.root_seed,
                planned.cap,
            ),
        )

    def interval(self, interval: Interval) -> NotedTerms:
        """The terms that an interval began under.

        Raises:
            WrongType, OutOfBounds: no number of an interval.
            UnknownIntent: it has not begun.
        """
        interval = _number(interval)
        row = self._connection.execute(
            "SELECT key_epoch, ticks, grids, deadline FROM intervals WHERE interval = ?",
            (interval,),
        ).fetchone()
        if row is None:
            raise UnknownIntent("interval", "one that has begun", str(interval))
        return NotedTerms(interval, *row)

    def intents(self, interval: Interval) -> tuple[PlannedIntent, ...]:
        """The intents of an interval, by nonce.

        Raises:
            WrongType, OutOfBounds: no number of an interval.
        """
        rows = self._connection.execute(
            SELECT_INTENTS + " WHERE interval = ? ORDER BY nonce", (_number(interval),)
        )
        account = account_bytes(self.account)
        return tuple(planned_intent(account, row) for row in rows)

    def keep_sealed(
        self, intent: Intent, ciphertext_digest: bytes, envelopes: Sequence[bytes]
    ) -> tuple[bytes, ...]:
        """Keep what was sealed, before it leaves. The envelopes to send: those kept first.

        Raises:
            IntervalOver: the result is there; nothing is sent any more.
            TermsChanged: another ciphertext was sealed before.
        """
        auction = (intent.interval, intent.instrument)
        with transaction(self._connection) as cursor:
            kept, packed, filled = cursor.execute(
                "SELECT ciphertext_digest, envelopes, filled FROM intents"
                " WHERE interval = ? AND instrument = ?",
                auction,
            ).fetchone()
            if filled is not None:
                raise IntervalOver("interval", "one without a result", str(intent.interval))
            if kept is None:
                cursor.execute(
                    "UPDATE intents SET ciphertext_digest = ?, envelopes = ?"
                    " WHERE interval = ? AND instrument = ?",
                    (ciphertext_digest, pack(envelopes), *auction),
                )
                return tuple(envelopes)
            if kept != ciphertext_digest:
                raise TermsChanged(
                    intent.interval, "ciphertext", kept.hex(), ciphertext_digest.hex()
                )
            return unpack(packed)

    def apply_result(self, interval: Interval, fills: Mapping[InstrumentId, Lots]) -> None:
        """Count the fills of an interval, once; the same result again changes nothing.

        An instrument that is not named did not trade: its intent was not filled, not admitted, or
        the auction was void. Orders whose last interval this was expire.

        Args:
            interval: one that has begun.
            fills: lots by instrument, of this account alone.

        Raises:
            UnknownIntent: the interval never began, or had no intent for an instrument named.
            WrongType, OutOfBounds: no number of an interval, no instrument, or no number of lots.
            ResultConflict: another result was applied before, or a fill is above what was sealed.
        """
        interval = self.interval(interval).interval
        lots_of = {
            octets("instrument", INSTRUMENT_BYTES, instrument): integer("fill in lots", lots)
            for instrument, lots in require_mapping("fills", fills).items()
        }
        with transaction(self._connection) as cursor:
            rows = cursor.execute(
                "SELECT instrument, size, filled, order_number FROM intents WHERE interval = ?",
                (interval,),
            ).fetchall()
            for instrument in lots_of.keys() - {row[0] for row in rows}:
                raise UnknownIntent("instrument", "one with an intent", instrument.hex())
            for instrument, size, known, number in rows:
                filled = Lots(lots_of.get(instrument, 0))
                if known is not None and filled != known:
                    raise ResultConflict(interval, instrument, f"{known} lots as before", filled)
                if not 0 <= filled <= size:
                    raise ResultConflict(interval, instrument, f"0 to {size} lots", filled)
                if known is None:
                    apply_fill(cursor, interval, instrument, filled, number)
            cursor.execute("UPDATE intervals SET finished = 1 WHERE interval = ?", (interval,))
            expire(cursor, interval)


def _number(interval: Interval) -> Interval:
    return Interval(within("interval", FIRST_INTERVAL, INTERVAL_MAX, interval))


def _make_private(path: Path) -> None:
    """Make the file with its mode before SQLite does with another; its journals get the same."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE))
    except FileExistsError:
        if not path.is_file():
            raise UnusableDatabase(path, "a name that is no file's") from None
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & ~_MODE:
            raise StoreExposed(path, mode) from None
    except (OSError, ValueError) as error:  # a path with a NUL is no path
        raise UnusableDatabase(path, getattr(error, "strerror", error)) from error
