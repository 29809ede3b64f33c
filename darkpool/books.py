"""The books of an interval's auctions: every intent's place, and who still takes part.

Intents are worked on as they arrive. When the interval has closed, the last intents of a book move
into the gaps that cancelled ones leave; from then on an intent has two numbers that it keeps: its
place in the batch, counted over all instruments, and its number in its own book.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from crypto.ciphertext import Ciphertext
from crypto.commitment import SealedIntent
from crypto.seal import Evaluator
from darkpool.admission.intent import AdmittedIntent, AuctionTerms, CertifiedIntent, ProvenIntent
from darkpool.batching.participation import Candidate, SetAside, decide_participation
from darkpool.crossing.arrivals import Arrivals
from darkpool.crossing.book import SealedBook
from darkpool.margin.terms import MarginTerms
from darkpool.record_schema import IntentRecord
from darkpool.units import (
    AccountId,
    AuctionId,
    Cash,
    InstrumentId,
    Interval,
    Lots,
    account_id,
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

    place: int
    account: AccountId
    fault: Fault


@dataclass(slots=True)
class Book:
    """An instrument's intents, by number.

    Attributes:
        rows: of the workers' results.
        turns: rows that the numbers were given out for; they order the batch.
        intents: places in the batch, once the interval has closed.
        accounts: whose they are.
    """

    instrument: InstrumentId
    sealed: SealedBook
    rows: list[int] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    intents: list[int] = field(default_factory=list)
    accounts: list[AccountId] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Placed:
    """An intent of the batch."""

    sealed: SealedIntent
    book: Book
    number: int

    @property
    def row(self) -> int:
        return self.book.rows[self.number]


def place_of(sealed: SealedIntent) -> tuple[AccountId, AuctionId]:
    """Whose intent it is, and for which auction."""
    auction = AuctionId(InstrumentId(sealed.instrument), Interval(sealed.interval))
    return account_id(f"0x{sealed.account.hex()}"), auction


class Books:
    """All books of an interval, filled as intents arrive."""

    def __init__(
        self, evaluator: Evaluator, arrivals: Arrivals, instruments: Iterable[InstrumentId]
    ) -> None:
        self._arrivals = arrivals
        self._by_instrument: Mapping[InstrumentId, Book] = {
            name: Book(name, SealedBook(evaluator)) for name in instruments
        }
        self._arrived: list[tuple[bytes, SealedIntent]] = []
        self._batch: list[_Placed] = []
        self.rejections: list[Rejection] = []
        self.set_aside: list[SetAside] = []

    def add(self, intent: ProvenIntent) -> None:
        """Take the next intent, and hand it to the workers.

        Raises:
            OutOfBounds, WorkersKeepDying: see `Arrivals.submit`.
        """
        book = self._by_instrument[InstrumentId(intent.sealed.instrument)]
        row = self._arrivals.submit(intent.ciphertext, len(book.rows))
        book.rows.append(row)
        book.turns.append(row)
        self._arrived.append((intent.digest, intent.sealed))
        self.gather(wait=False)

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
        for book in self._by_instrument.values():
            for number in reversed(range(len(book.rows))):
                if self._arrived[book.rows[number]][0] not in kept:
                    self._close_gap(book, number)
        numbered = [
            (turn, book, number)
            for book in self._by_instrument.values()
            for number, turn in enumerate(book.turns)
        ]
        certified = []
        for _, book, number in sorted(numbered, key=lambda entry: entry[0]):
            digest, sealed = self._arrived[book.rows[number]]
            book.intents.append(len(self._batch))
            book.accounts.append(place_of(sealed)[0])
            self._batch.append(_Placed(sealed, book, number))
            intent = kept[digest]
            signatures = dict(sorted(intent.certificate.signatures.items()))
            publish(IntentRecord(sealed, intent.signature, signatures), intent.ciphertext)
            certified.append(intent.certified())
        return certified

    def traded(self) -> list[Book]:
        """The books that have intents."""
        return [book for book in self._by_instrument.values() if book.rows]

    def members(self) -> list[int]:
        """Places of the intents that take part, ascending."""
        return [
            place
            for place, placed in enumerate(self._batch)
            if placed.number in placed.book.sealed.present
        ]

    def rows(self) -> list[int]:
        """Row of the workers' results, by place in the batch."""
        return [placed.row for placed in self._batch]

    def intent(self, place: int) -> SealedIntent:
        """The public part of the intent at a place."""
        return self._batch[place].sealed

    def reject(self, fault: Fault, places: Iterable[int]) -> None:
        """Take intents out for their own fault."""
        for place in places:
            account, _ = place_of(self.intent(place))
            self.rejections.append(Rejection(place, account, fault))
            self._take_out(place)

    def participate(self, terms: AuctionTerms, margin: Mapping[InstrumentId, MarginTerms]) -> None:
        """Set aside, at no fault of theirs, who may not take part beside those that are left."""
        for book in self.traded():
            candidates = [
                self._candidate(book.intents[number], terms, margin[book.instrument])
                for number in sorted(book.sealed.present)
            ]
            decided = decide_participation(candidates, terms.owners_min)
            self.set_aside += decided.set_aside
            for entry in decided.set_aside:
                self._take_out(entry.intent)

    def _candidate(self, place: int, terms: AuctionTerms, margin: MarginTerms) -> Candidate:
        sealed = self.intent(place)
        return Candidate(
            place,
            terms.owner_of(sealed.account),
            margin.initial_margin(Lots(sealed.cap)),
            Cash(sealed.others_collateral_min),
        )

    def gather(self, *, wait: bool) -> None:
        """Take over what the workers have done; with `wait`, all of it."""
        for row in self._arrivals.finished(wait=wait):
            _, sealed = self._arrived[row]
            book = self._by_instrument[InstrumentId(sealed.instrument)]
            ciphertext = self._arrivals.ciphertext(row)
            book.sealed.add(ciphertext, self._arrivals.packing[row], Lots(sealed.cap))

    def _close_gap(self, book: Book, number: int) -> None:
        """Move the last intent of a book into the place of another."""
        last, gone = book.rows[-1], book.rows[number]
        ciphertexts = (self._arrivals.ciphertext(gone), self._arrivals.ciphertext(last))
        book.sealed.close_gap(number, *ciphertexts)
        book.rows[number] = last
        book.rows.pop()
        book.turns.pop()

    def _take_out(self, place: int) -> None:
        placed = self._batch[place]
        placed.book.sealed.drop(placed.number, self._arrivals.ciphertext(placed.row))
