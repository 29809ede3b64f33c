"""The books of an interval's auctions: every intent's place, and who still takes part.

Intents are worked on as they arrive. One that is cancelled leaves a gap, which the next that comes
fills, or the last of its book when the interval has closed; so a book never holds more than it may,
however often its clients think again. From the close on an intent has two numbers that it keeps:
its place in the batch, counted over all instruments, and its number in its own book.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.seal import Evaluator
from crypto.signing.messages import SealedIntent
from darkpool.batching.participation import (
    Candidate,
    Missing,
    SetAside,
    decide_participation,
)
from darkpool.crossing.arrivals import Arrivals
from darkpool.crossing.sealed_book import SealedBook
from darkpool.margin.accounts.vault_flows import Shortfall
from darkpool.margin.model.intent_margin import IntentMargin
from darkpool.protocol.intents import AdmittedIntent, CertifiedIntent, ProvenIntent, place_of
from darkpool.protocol.terms import AuctionTerms
from darkpool.record.forms import IntentRecord
from darkpool.units import (
    AccountId,
    Cash,
    InstrumentId,
    Lots,
)


class Fault(StrEnum):
    """What a sealed intent was found to be after its batch was final."""

    SHAPE = "shape"
    """No order: not one step of one size on one side."""
    CAP = "cap"
    """A size that is negative, or above the public cap."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """An intent, by its place in the batch, that was taken out for its own fault."""

    batch_index: int
    account: AccountId
    fault: Fault


@dataclass(slots=True)
class Book:
    """An instrument's intents, by number.

    Attributes:
        rows: of the workers' results; None in a gap.
        turns: when the number was first given out; they order the batch, and rise with it.
        gaps: numbers that intents have left.
        intents: places in the batch, once the interval has closed.
        accounts: whose they are.
    """

    instrument: InstrumentId
    sealed: SealedBook
    rows: list[int | None] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    gaps: list[int] = field(default_factory=list)
    intents: list[int] = field(default_factory=list)
    accounts: list[AccountId] = field(default_factory=list)


@dataclass(slots=True)
class _Arrived:
    """An intent before the close; `done` when its workers' results are in the book."""

    digest: bytes
    sealed: SealedIntent
    book: Book
    number: int
    done: bool = False
    gone: bool = False


@dataclass(frozen=True, slots=True)
class _Placed:
    """An intent of the batch."""

    sealed: SealedIntent
    book: Book
    number: int
    row: int


def _turn_of(intent: _Arrived) -> int:
    return intent.book.turns[intent.number]


class Books:
    """All books of an interval, filled as intents arrive."""

    def __init__(
        self, evaluator: Evaluator, arrivals: Arrivals, instruments: Iterable[InstrumentId]
    ) -> None:
        self._arrivals = arrivals
        self._by_instrument: Mapping[InstrumentId, Book] = {
            name: Book(name, SealedBook(evaluator)) for name in instruments
        }
        self._numbers_max = evaluator.ring.row // 2
        self._arrived: dict[int, _Arrived] = {}
        self._rows: dict[bytes, int] = {}
        self._turn = 0
        self._batch: list[_Placed] = []
        self.rejections: list[Rejection] = []
        self.set_aside: list[SetAside] = []

    def add(self, intent: ProvenIntent) -> None:
        """Take the next intent, and hand it to the workers.

        Raises:
            OutOfBounds, WorkersKeepDying: see `Arrivals`.
            OutOfRange: more intents at once than an auction takes.
        """
        book = self._by_instrument[InstrumentId(intent.sealed.instrument)]
        if not book.gaps and len(book.rows) >= self._numbers_max:
            self.gather(wait=True)
        if book.gaps:
            number = book.gaps.pop()
        else:
            number = len(book.rows)
            book.rows.append(None)
            book.turns.append(self._turn)
            self._turn += 1
        row = self._arrivals.submit(intent.ciphertext, number)
        book.rows[number] = row
        self._arrived[row] = _Arrived(intent.digest, intent.sealed, book, number)
        self._rows[intent.digest] = row
        self.gather(wait=False)

    def cancel(self, digest: bytes) -> None:
        """Let an intent go, before the close; its number and its row serve others."""
        row = self._rows.pop(digest, None)
        if row is None:
            return
        self._arrived[row].gone = True
        if self._arrived[row].done:
            self._vacate(row)

    def close(
        self,
        kept: Mapping[bytes, AdmittedIntent],
        publish: Callable[[IntentRecord, Ciphertext], None],
    ) -> list[CertifiedIntent]:
        """Fix the batch: the intents that are kept, by digest; returns them in batch order.

        Raises:
            WorkersKeepDying: see there.
        """
        self.gather(wait=True)
        for digest in [digest for digest in self._rows if digest not in kept]:
            self.cancel(digest)
        for book in self._by_instrument.values():
            for number in sorted(book.gaps, reverse=True):
                self._close_gap(book, number)
        arrived = sorted(self._arrived.items(), key=lambda item: _turn_of(item[1]))
        certified = []
        for row, intent in arrived:
            book = intent.book
            book.intents.append(len(self._batch))
            book.accounts.append(place_of(intent.sealed)[0])
            self._batch.append(_Placed(intent.sealed, book, intent.number, row))
            admitted = kept[intent.digest]
            signatures = dict(sorted(admitted.certificate.signatures.items()))
            entry = IntentRecord(admitted.sealed, admitted.signature, signatures)
            publish(entry, admitted.ciphertext)
            certified.append(admitted.certified())
        self._arrivals.unload()
        return certified

    def traded(self) -> list[Book]:
        """The books that have intents."""
        return [book for book in self._by_instrument.values() if book.rows]

    def members(self) -> list[int]:
        """Places of the intents that take part, ascending."""
        return [
            place
            for place, placed in enumerate(self._batch)
            if placed.number in placed.book.sealed.intents.present
        ]

    def rows(self) -> list[int]:
        """Row of the workers' results, by place in the batch."""
        return [placed.row for placed in self._batch]

    def minimum_fills(self) -> list[bool]:
        """Which intents are minimum-fill orders, by place in the batch."""
        return [placed.sealed.minimum_fill for placed in self._batch]

    def intent(self, place: int) -> SealedIntent:
        """The public part of the intent at a place."""
        return self._batch[place].sealed

    def reject(self, fault: Fault, places: Iterable[int]) -> None:
        """Take intents out for their own fault."""
        for place in places:
            account, _ = place_of(self.intent(place))
            self.rejections.append(Rejection(place, account, fault))
            self._take_out(place)

    def participate(self, terms: AuctionTerms, margin: IntentMargin) -> None:
        """Set aside, at no fault of theirs, who may not take part beside those that are left."""
        for book in self.traded():
            candidates = [
                self._candidate(book.intents[number], terms, margin)
                for number in sorted(book.sealed.intents.present)
            ]
            decided = decide_participation(candidates, terms.owners_min)
            self.set_aside += decided.set_aside
            for entry in decided.set_aside:
                self._take_out(entry.batch_index)

    def _candidate(self, place: int, terms: AuctionTerms, margin: IntentMargin) -> Candidate:
        sealed = self.intent(place)
        return Candidate(
            place,
            terms.owner_of(sealed.account),
            margin.alone(InstrumentId(sealed.instrument), Lots(sealed.cap)),
            Cash(sealed.others_collateral_min),
            sealed.minimum_fill,
        )

    def gather(self, *, wait: bool) -> None:
        """Take over what the workers have done; with `wait`, all of it.

        Raises:
            WorkersKeepDying: see there.
        """
        for row in self._arrivals.finished(wait=wait):
            intent = self._arrived[row]
            sealed, cap, minimum_fill = (
                intent.book.sealed,
                Lots(intent.sealed.cap),
                intent.sealed.minimum_fill,
            )
            ciphertext, words = self._arrivals.ciphertext(row), self._arrivals.packing[row]
            if intent.number == sealed.count:
                sealed.add(ciphertext, words, cap, minimum_fill=minimum_fill)
            else:
                sealed.put(intent.number, ciphertext, words, cap, minimum_fill=minimum_fill)
            intent.done = True
            if intent.gone:
                self._vacate(row)

    def _vacate(self, row: int) -> None:
        """Leave a gap where an intent was."""
        intent = self._arrived.pop(row)
        intent.book.sealed.drop(intent.number, self._arrivals.ciphertext(row))
        intent.book.rows[intent.number] = None
        intent.book.gaps.append(intent.number)
        self._arrivals.release(row)

    def _close_gap(self, book: Book, number: int) -> None:
        """Move the last intent of a book into a gap."""
        last = book.rows.pop()
        book.turns.pop()
        book.sealed.close_gap(number, None if last is None else self._arrivals.ciphertext(last))
        if last is not None:
            book.rows[number] = last
            self._arrived[last].number = number

    def _take_out(self, place: int) -> None:
        placed = self._batch[place]
        placed.book.sealed.drop(placed.number, self._arrivals.ciphertext(placed.row))

    def set_aside_accounts(self, short: Mapping[AccountId, Shortfall]) -> None:
        """Set aside every intent of the accounts that do not cover all of theirs."""
        for place, placed in enumerate(self._batch):
            found = short.get(place_of(placed.sealed)[0])
            if found is not None:
                aside = (Missing.OWN_COLLATERAL, found.required, found.available)
                self.set_aside.append(SetAside(place, *aside))
                self._take_out(place)
