"""Questions to several parties at once; one that fails stops nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar


class Numbered(Protocol):
    """Anybody who is known by a keyper number."""

    @property
    def number(self) -> int:
        """Keyper number."""


Answer = TypeVar("Answer")


Party = TypeVar("Party", bound=Numbered)


def ask(
    parties: Iterable[Party], question: Callable[[Party], Answer]
) -> tuple[dict[int, Answer], dict[int, Exception]]:
    """Put a question to every keyper: answers and failures by number, in the order asked.

    One keyper may be corrupt, so what it raises is its failure and nobody else's.
    """
    answers, failures = {}, {}
    for party in parties:
        try:
            answers[party.number] = question(party)
        except Exception as error:  # noqa: BLE001  # a corrupt keyper may raise anything
            failures[party.number] = error
    return answers, failures
