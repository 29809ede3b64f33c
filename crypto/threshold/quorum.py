"""Questions to the keypers of a committee; one that fails stops nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

Answer = TypeVar("Answer")


class Numbered(Protocol):
    """A party that has a keyper number."""

    @property
    def number(self) -> int:
        """Keyper number."""


Party = TypeVar("Party", bound=Numbered)
Party_co = TypeVar("Party_co", bound=Numbered, covariant=True)


@dataclass(frozen=True, slots=True)
class Answers(Generic[Answer]):
    """What keypers answered to one question, by keyper number in ascending order.

    One keyper may be corrupt, so what it raises is its own failure and no other's.
    """

    given: Mapping[int, Answer]
    failures: Mapping[int, Exception]


class Panel(Protocol[Party_co]):
    """Keypers that can be asked together."""

    def ask(
        self, question: Callable[[Party_co], Answer], of: Collection[int] | None = None
    ) -> Answers[Answer]:
        """Put a question to all keypers, or to those of some numbers; it never raises."""


class OneByOne(Generic[Party]):
    """A panel that asks its parties in this thread, one after the other."""

    def __init__(self, parties: Iterable[Party]) -> None:
        self._parties = {party.number: party for party in parties}

    def ask(
        self, question: Callable[[Party], Answer], of: Collection[int] | None = None
    ) -> Answers[Answer]:
        """See `Panel.ask`."""
        given: dict[int, Answer] = {}
        failures: dict[int, Exception] = {}
        for number, party in self._parties.items():
            if of is None or number in of:
                answered((number, party), question, given, failures)
        return Answers(given, failures)


def answered(
    asked: tuple[int, Party],
    question: Callable[[Party], Answer],
    given: dict[int, Answer],
    failures: dict[int, Exception],
) -> None:
    """Ask one party and note its answer or its failure under the number it is known by."""
    number, party = asked
    try:
        given[number] = question(party)
    except Exception as error:  # noqa: BLE001  # a corrupt keyper may raise anything
        failures[number] = error
