"""The books of an interval's auctions: every intent's place, and who still takes part.

An intent has two numbers: its place in the batch, counted over all instruments, and its number in
its own book. It keeps both when it is taken out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from crypto.commitment import SealedIntent
from crypto.seal import Evaluator
from darkpool.admission.intent import AdmittedIntent, AuctionTerms
from darkpool.batching.participation import Candidate, SetAside, decide_participation
from darkpool.crossing.arrivals import Arrivals
from darkpool.crossing.book import SealedBook
from darkpool.margin.terms import MarginTerms
from darkpool.units import AccountId, Cash, InstrumentId, Lots, account_id


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
    """An instrument's intents; `intents` are their places in the batch."""

    instrument: InstrumentId
    sealed: SealedBook
    intents: list[int] = field(default_factory=list)
    accounts: list[AccountId] = field(default_factory=list)


class Books:
    """All books of an interval, filled as intents arrive."""

    def __init__(
        self, evaluator: Evaluator, arrivals: Arrivals, instruments: Iterable[InstrumentId]
    ) -> None:
        self._arrivals = arrivals
        self._by_instrument: Mapping[InstrumentId, Book] = {
            name: Book(name, SealedBook(evaluator)) for name in instruments
        }
        self._intents: list[tuple[SealedIntent, Book, int]] = []
        self.rejections: list[Rejection] = []
        self.set_aside: list[SetAside] = []

    @property
    def count(self) -> int:
        """Intents in the batch."""
        return len(self._intents)

    def traded(self) -> list[Book]:
        """The books that any intent arrived for."""
        return [book for book in self._by_instrument.values() if book.intents]

    def add(self, intent: AdmittedIntent) -> int:
        """Take the next intent, and hand it to the workers; returns its place.

        Raises:
            OutOfBounds, WorkersKeepDying: see `Arrivals.submit`.
        """
        sealed = intent.sealed
        book = self._by_instrument[InstrumentId(sealed.instrument)]
        number = len(book.intents)
        place = self._arrivals.submit(intent.ciphertext, number)
        book.intents.append(place)
        book.accounts.append(account_id(f"0x{sealed.account.hex()}"))
        self._intents.append((sealed, book, number))
        self.gather(wait=False)
        return place

    def gather(self, *, wait: bool) -> None:
        """Take over what the workers have done; with `wait`, all of it.

        Raises:
            WorkersKeepDying: see there.
        """
        for place in self._arrivals.finished(wait=wait):
            sealed, book, _ = self._intents[place]
            ciphertext = self._arrivals.ciphertext(place)
            book.sealed.add(ciphertext, self._arrivals.packing[place], Lots(sealed.cap))

    def members(self) -> list[int]:
        """Places of the intents that take part, ascending."""
        return [
            place
            for place, (_, book, number) in enumerate(self._intents)
            if number in book.sealed.present
        ]

    def reject(self, fault: Fault, places: Iterable[int]) -> None:
        """Take intents out for their own fault."""
        for place in places:
            _, book, number = self._intents[place]
            self.rejections.append(Rejection(place, book.accounts[number], fault))
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
        sealed, _, _ = self._intents[place]
        return Candidate(
            place,
            terms.owner_of(sealed.account),
            margin.initial_margin(Lots(sealed.cap)),
            Cash(sealed.others_collateral_min),
        )

    def sealed(self, place: int) -> SealedIntent:
        """The public part of the intent at a place."""
        sealed, _, _ = self._intents[place]
        return sealed

    def _take_out(self, place: int) -> None:
        _, book, number = self._intents[place]
        book.sealed.drop(number, self._arrivals.ciphertext(place))
