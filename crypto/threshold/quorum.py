"""Questions to several parties at once; one that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, Protocol, TypeVar


class Numbered(Protocol):
    """A party that is known by a keyper number."""

    @property
    def number(self) -> int:
        """Keyper number."""


Answer = TypeVar("Answer")
Party = TypeVar("Party", bound=Numbered)


class Answers(NamedTuple, Generic[Answer]):
    """What parties answered, and what those that failed raised, by keyper number."""

    answers: dict[int, Answer]
    failures: dict[int, Exception]


def ask(parties: Iterable[Party], question: Callable[[Party], Answer]) -> Answers[Answer]:
    """Put a question to every keyper; answers and failures are in the order asked.

    One keyper may be corrupt, so what it raises is its failure alone.
    """
    answers: dict[int, Answer] = {}
    failures: dict[int, Exception] = {}
    for party in parties:
        try:
            answers[party.number] = question(party)
        except Exception as error:  # noqa: BLE001  # a corrupt keyper may raise anything
            failures[party.number] = error
    return Answers(answers, failures)
