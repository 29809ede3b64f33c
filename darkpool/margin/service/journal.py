"""The journal: every event of the accounts, on the disk before it is acknowledged.

Events are numbered without gaps and chained: the digest of an event is SHA-256 of the digest before
it and of the event's bytes, and the first entry is what all events are applied under. So reading
the journal detects a change, a gap or another order anywhere. It does not detect an end that was
cut off: a copy of `head` that is kept elsewhere does.

An event is applied first and then written, so one that is refused leaves no trace, and what is
acknowledged is on the disk. If an event was applied and cannot be written, memory is ahead of the
disk, and the journal refuses every event until it is opened again.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from darkpool.canonical_json import to_json
from darkpool.durable import open_database, transaction
from darkpool.errors import DarkpoolError, UnusableDatabase
from darkpool.margin.errors import JournalAhead, WrongJournal
from darkpool.margin.market.instruments import Specification
from darkpool.margin.service.events import Event, event_bytes, event_of
from darkpool.margin.service.state import MarginState, MarginTerms, Outcome

JOURNAL_VERSION: Final = 2

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    sequence INTEGER PRIMARY KEY, event BLOB NOT NULL, digest BLOB NOT NULL);
"""
_ENTRIES: Final = "SELECT sequence, event, digest FROM events ORDER BY sequence"


@dataclass(frozen=True, slots=True)
class Opening:
    """Entry 0: what all events are applied under."""

    version: int
    specification: bytes
    terms: MarginTerms

    @classmethod
    def of(cls, specification: Specification, terms: MarginTerms) -> Opening:
        """The opening of a new journal."""
        digest = hashlib.sha256(to_json(specification.record)).digest()
        return cls(JOURNAL_VERSION, digest, terms)


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry: its number and its digest, which stands for all up to it."""

    sequence: int
    digest: bytes

    def after(self, entry: bytes) -> Head:
        """The head once an entry has been added."""
        return Head(self.sequence + 1, hashlib.sha256(self.digest + entry).digest())


_NOTHING: Final = Head(-1, b"")


class JournaledAccounts:
    """Accounts whose every change is on the disk, in a file at `path`.

    Opening it applies all events that are in it. One process has it open at a time.

    Attributes:
        state: accounts, prices and margin calls; to be read.
        head: the last entry.

    Raises:
        WrongJournal: see there.
        UnusableDatabase: the file cannot be opened, read or written.
    """

    def __init__(self, path: Path, specification: Specification, terms: MarginTerms) -> None:
        self.state = MarginState(specification, terms)
        self.head = _NOTHING
        self._ahead, self._path = False, path
        self._connection = open_database(path, _SCHEMA)
        opening = to_json(Opening.of(specification, terms))
        for entry in self._checked():
            if self.head == _NOTHING:
                if entry != opening:
                    raise WrongJournal(0, _described(opening), _described(entry))
            else:
                self._replay(entry)
            self.head = self.head.after(entry)
        if self.head == _NOTHING:
            self._write(opening)

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def book(self, event: Event) -> Outcome:
        """Apply an event; on the disk when this returns.

        Raises:
            JournalAhead: it, or one before, was applied and could not be written.
            MalformedEvent: an operand out of bounds.
            DarkpoolError: the event was refused; nothing has changed, nothing is written.
        """
        if self._ahead:
            raise JournalAhead(self.head.sequence + 1)
        entry = event_bytes(event)
        event = event_of(entry)
        self._ahead = True
        try:
            outcome = self.state.apply(event)
        except DarkpoolError:
            self._ahead = False
            raise
        try:
            self._write(entry)
        except UnusableDatabase as error:
            raise JournalAhead(self.head.sequence + 1) from error
        self._ahead = False
        return outcome

    def events(self) -> Iterator[Event]:
        """All events in their order, checked against their chain.

        Raises:
            WrongJournal: see there.
        """
        for number, entry in enumerate(self._checked()):
            if number:
                yield event_of(entry)

    def _write(self, entry: bytes) -> None:
        head = self.head.after(entry)
        try:
            with transaction(self._connection) as cursor:
                row = (head.sequence, entry, head.digest)
                cursor.execute("INSERT INTO events VALUES (?, ?, ?)", row)
        except sqlite3.IntegrityError as error:
            raise UnusableDatabase(
                self._path, error, "end the other process that has it"
            ) from error
        self.head = head

    def _checked(self) -> Iterator[bytes]:
        rows = self._connection.execute(_ENTRIES)
        head = _NOTHING
        for sequence, entry, digest in rows:
            if not isinstance(entry, bytes):
                raise WrongJournal(sequence, "bytes", type(entry).__name__)
            head = head.after(entry)
            if sequence != head.sequence:
                raise WrongJournal(head.sequence, "as the next", f"event {sequence}")
            if digest != head.digest:
                raise WrongJournal(sequence, head.digest, digest)
            yield entry

    def _replay(self, entry: bytes) -> None:
        sequence = self.head.sequence + 1
        try:
            self.state.apply(event_of(entry))
        except DarkpoolError as error:
            raise WrongJournal(sequence, "an event that can be applied", str(error)) from error


def _described(opening: bytes) -> str:
    """An opening as far as openings differ; another version's may have other fields."""
    digest = hashlib.sha256(opening).hexdigest()
    try:
        version = json.loads(opening)["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"an entry of SHA-256 {digest}"
    return f"version {version!a}, specification and terms of SHA-256 {digest}"
