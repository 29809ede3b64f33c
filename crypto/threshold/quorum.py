"""Questions to the keypers of a committee; one that fails stops nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

Answer = TypeVar("Answer")


class Numbered(Protocol):
    """A party that has a keyper number."""

    @property
    def number(self) -> int:
        """Keyper number."""


Party_co = TypeVar("Party_co", bound=Numbered, covariant=True)


@dataclass(frozen=True, slots=True)
class Answers(Generic[Answer]):
    """What keypers answered to one question, by keyper number in ascending order.

    One keyper may be corrupt, so what it raises is its own failure and no other's.
    """

    given: Mapping[int, Answer]
    failures: Mapping[int, Exception]


class Panel(Protocol[Party_co]):
    """Keypers that can be asked together.

    What it puts a question to stands for a keyper whose number cannot change. What that answers is
    exactly of the declared type, and no other party holds it: what is checked is what is used.
    """

    def ask(
        self, question: Callable[[Party_co], Answer], of: Collection[int] | None = None
    ) -> Answers[Answer]:
        """Put a question to all keypers, or to those of some numbers; it never raises."""
