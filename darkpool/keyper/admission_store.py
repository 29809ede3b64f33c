"""What a keyper must never forget of intents: what it certified, was shown, and had cancelled."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from crypto.signing.eip712 import Domain
from crypto.signing.messages import Cancellation, SealedIntent
from darkpool.canonical_json import from_json, to_json
from darkpool.durable import transaction
from darkpool.keyper.errors import AdmissionNotOpen, Equivocation
from darkpool.limits import INTENTS_PER_ACCOUNT_MAX
from darkpool.protocol.intents import CertifiedIntent, SignedCancellation
from darkpool.protocol.keyper import KnownIntents
from darkpool.protocol.refusals import AuctionClosed, IntentCancelled, SecondIntent, TooManyIntents
from darkpool.units import Interval, account_of

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS admissions (
    interval INTEGER PRIMARY KEY, closes_ms INTEGER NOT NULL, terms BLOB NOT NULL,
    instruments BLOB NOT NULL, closed INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS intents (
    interval INTEGER NOT NULL, account BLOB NOT NULL, instrument BLOB NOT NULL,
    intent BLOB NOT NULL, nonce BLOB NOT NULL,
    certified INTEGER NOT NULL, shown BLOB, cancelled BLOB,
    PRIMARY KEY (interval, account, instrument, intent, nonce)) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS live ON intents (interval, account, instrument)
    WHERE certified AND cancelled IS NULL;
"""

_ADD: Final = "INSERT OR IGNORE INTO intents VALUES (?, ?, ?, ?, ?, 0, NULL, NULL)"
_FIND: Final = (
    "SELECT cancelled FROM intents"
    " WHERE interval = ? AND account = ? AND instrument = ? AND intent = ? AND nonce = ?"
)
_CERTIFY: Final = (
    "UPDATE intents SET certified = 1"
    " WHERE interval = ? AND account = ? AND instrument = ? AND intent = ? AND nonce = ?"
)
_SHOW: Final = (
    "UPDATE intents SET shown = ?"
    " WHERE interval = ? AND account = ? AND instrument = ? AND intent = ? AND nonce = ?"
)
_CANCEL: Final = (
    "UPDATE intents SET cancelled = ?"
    " WHERE interval = ? AND account = ? AND instrument = ? AND intent = ? AND nonce = ?"
)
_OTHERS: Final = (
    "SELECT COUNT(*) FROM intents"
    " WHERE interval = ? AND account = ? AND instrument = ? AND NOT (intent = ? AND nonce = ?)"
)


@dataclass(frozen=True, slots=True)
class IntentKey:
    """What names an intent; an account can certify or cancel under its own address only."""

    interval: int
    account: bytes
    instrument: bytes
    intent: bytes
    nonce: int

    @classmethod
    def of(cls, sealed: SealedIntent, domain: Domain) -> IntentKey:
        """The key of a sealed intent."""
        digest = sealed.digest(domain)
        return cls(sealed.interval, sealed.account, sealed.instrument, digest, sealed.nonce)

    @classmethod
    def cancelled(cls, message: Cancellation) -> IntentKey:
        """The key of the intent that a cancellation is about."""
        return cls(
            message.interval, message.account, message.instrument, message.intent, message.nonce
        )

    @property
    def auction(self) -> str:
        """Instrument and interval, for messages."""
        return f"instrument {self.instrument.hex()} in interval {self.interval}"

    def fields(self) -> tuple[int, bytes, bytes, bytes, bytes]:
        """As they stand in the table; SQLite's integers do not hold every nonce."""
        nonce = self.nonce.to_bytes(8, "big")
        return self.interval, self.account, self.instrument, self.intent, nonce


class AdmissionStore:
    """The part of a keyper's durable memory that is about intents; one transaction an answer."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.executescript(_SCHEMA)

    def open(self, interval: Interval, closes_ms: int, terms: bytes, instruments: bytes) -> None:
        """Remember the one close, the terms and the instruments of an interval.

        Raises:
            Equivocation: it was opened with others.
        """
        with transaction(self._connection) as cursor:
            cursor.execute(
                "INSERT OR IGNORE INTO admissions VALUES (?, ?, ?, ?, 0)",
                (interval, closes_ms, terms, instruments),
            )
            known = cursor.execute(
                "SELECT closes_ms, terms, instruments FROM admissions WHERE interval = ?",
                (interval,),
            ).fetchone()
            if known != (closes_ms, terms, instruments):
                opened = (known, (closes_ms, terms, instruments))
                first, second = (_opened(*one) for one in opened)
                raise Equivocation("close, terms and instruments", interval, first, second)

    def closes_ms(self, interval: Interval) -> int:
        """The close of an interval, Unix milliseconds.

        Raises:
            AdmissionNotOpen: it was never opened.
        """
        return _state(self._connection.cursor(), interval)[0]

    def terms(self, interval: Interval) -> bytes:
        """The digest of an interval's terms.

        Raises:
            AdmissionNotOpen: it was never opened.
        """
        _state(self._connection.cursor(), interval)
        row = self._connection.execute(
            "SELECT terms FROM admissions WHERE interval = ?", (interval,)
        ).fetchone()
        return bytes(row[0])

    def certify(self, key: IntentKey) -> None:
        """Remember an intent as the one of its account that this keyper certifies.

        Raises:
            AdmissionNotOpen, AuctionClosed: the interval is not open.
            IntentCancelled: it was taken back.
            SecondIntent: another one is certified and was not taken back.
            TooManyIntents: there were too many before it.
        """
        with transaction(self._connection) as cursor:
            _require_open(cursor, key.interval)
            _require_room(cursor, key)
            cursor.execute(_ADD, key.fields())
            (cancelled,) = cursor.execute(_FIND, key.fields()).fetchone()
            if cancelled is not None:
                raise IntentCancelled("intent", "an intent not cancelled", key.intent.hex())
            try:
                cursor.execute(_CERTIFY, key.fields())
            except sqlite3.IntegrityError as error:
                subject = f"certified intents of account {account_of(key.account)}"
                raise SecondIntent(subject, f"1 for {key.auction}", 2) from error

    def show(self, key: IntentKey, shown: CertifiedIntent) -> None:
        """Remember that an intent has a certificate.

        Raises:
            AdmissionNotOpen, AuctionClosed: the interval is not open.
        """
        with transaction(self._connection) as cursor:
            _require_open(cursor, key.interval)
            cursor.execute(_ADD, key.fields())
            cursor.execute(_SHOW, (to_json(shown), *key.fields()))

    def cancel(self, cancelled: SignedCancellation) -> None:
        """Remember that an intent was taken back, whether or not it has come yet.

        Raises:
            AdmissionNotOpen, AuctionClosed: the interval is not open.
            TooManyIntents: of an intent that has not come, after too many.
        """
        key = IntentKey.cancelled(cancelled.cancellation)
        with transaction(self._connection) as cursor:
            _require_open(cursor, key.interval)
            _require_room(cursor, key)
            cursor.execute(_ADD, key.fields())
            cursor.execute(_CANCEL, (to_json(cancelled), *key.fields()))

    def close(self, interval: Interval) -> None:
        """End certification, showing and cancelling for ever.

        Raises:
            AdmissionNotOpen: it was never opened.
        """
        with transaction(self._connection) as cursor:
            _state(cursor, interval)
            cursor.execute("UPDATE admissions SET closed = 1 WHERE interval = ?", (interval,))

    def known(self, interval: Interval) -> KnownIntents:
        """What was shown and cancelled, once nothing can be added.

        Raises:
            AdmissionNotOpen: certification has not ended.
        """
        if not _state(self._connection.cursor(), interval)[1]:
            raise AdmissionNotOpen(interval, "ended", "still open")
        shown, cancelled = [], []
        rows = self._connection.execute(
            "SELECT shown, cancelled FROM intents WHERE interval = ?", (interval,)
        )
        for certificate, cancellation in rows:
            if certificate is not None:
                shown.append(from_json(certificate, CertifiedIntent, "shown intent"))
            if cancellation is not None:
                cancelled.append(from_json(cancellation, SignedCancellation, "cancelled intent"))
        return KnownIntents(tuple(shown), tuple(cancelled))


def _state(cursor: sqlite3.Cursor, interval: int) -> tuple[int, bool]:
    row = cursor.execute(
        "SELECT closes_ms, closed FROM admissions WHERE interval = ?", (interval,)
    ).fetchone()
    if row is None:
        raise AdmissionNotOpen(interval, "open or ended", "never opened")
    return int(row[0]), bool(row[1])


def _require_open(cursor: sqlite3.Cursor, interval: int) -> None:
    if _state(cursor, interval)[1]:
        raise AuctionClosed(f"admission of interval {interval}", "open", "ended")


def _require_room(cursor: sqlite3.Cursor, key: IntentKey) -> None:
    """Count the others: what is known already may always be certified again, or cancelled."""
    (others,) = cursor.execute(_OTHERS, key.fields()).fetchone()
    known = cursor.execute(_FIND, key.fields()).fetchone()
    if known is None and others >= INTENTS_PER_ACCOUNT_MAX:
        expected = f"at most {INTENTS_PER_ACCOUNT_MAX} for {key.auction}"
        raise TooManyIntents("intents of the account in turn", expected, others + 1)


def _opened(closes_ms: int, terms: bytes, instruments: bytes) -> bytes:
    return closes_ms.to_bytes(8, "big") + terms + instruments
