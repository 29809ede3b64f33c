"""Asking the keypers of a committee: all at the same time, and none for longer than a limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Generic, TypeVar, cast

from crypto.errors import MissingShare
from crypto.threshold.quorum import Answers, Numbered
from darkpool.committee.errors import KeyperSilent
from darkpool.committee.exchange import Exchange, failure_of
from darkpool.limits import KEYPER_ANSWER_MAX_MS

_INTERRUPTED_WAIT_S: Final = 5

Answer = TypeVar("Answer")
Party = TypeVar("Party", bound=Numbered)


class KeyperPanel(Generic[Party]):
    """Keypers that are asked at the same time, each in a thread of its own.

    A question is put to an `Exchange`: what a keyper answers and raises is copied in its thread.
    A keyper that has not answered when the limit passes has failed. It is asked again once its
    thread is free, so a keyper that never answers costs the limit once; one that answers shortly
    before or after the limit costs it with every question.

    Attributes:
        keypers: as they were given.
        numbers: those of the keypers, in the same order.
        limit_ms: how long an answer may take.

    Raises:
        Exception: of the first keyper that did not tell its number.
    """

    def __init__(self, keypers: Sequence[Party], limit_ms: int = KEYPER_ANSWER_MAX_MS) -> None:
        self.keypers = tuple(keypers)
        exchanges = [_begun(k, keyper, limit_ms) for k, keyper in enumerate(self.keypers)]
        self.numbers = tuple(exchange.number for exchange in exchanges)
        self._numbered = {exchange.number: cast("Party", exchange) for exchange in exchanges}
        self.limit_ms = limit_ms
        self._busy: dict[int, threading.Thread] = {}

    def ask(
        self, question: Callable[[Party], Answer], of: Collection[int] | None = None
    ) -> Answers[Answer]:
        """Put a question to all keypers, or to those of some numbers; it never raises."""
        given: dict[int, Answer] = {}
        failures: dict[int, Exception] = {}
        asked = [number for number in self._numbered if of is None or number in of]
        threads = {
            number: threading.Thread(
                target=_answered,
                args=((number, self._numbered[number]), question, given, failures),
                daemon=True,
            )
            for number in asked
            if number not in self._busy or not self._busy[number].is_alive()
        }
        for number, thread in threads.items():
            self._busy[number] = thread
            thread.start()
        try:
            self._wait(threads)
        except BaseException:
            # what is interrupted here leaves no thread at work on files that are being removed
            for thread in threads.values():
                thread.join(_INTERRUPTED_WAIT_S)
            raise
        # answers that come late are not counted: what was asked is decided by now
        given, failures = dict(given), dict(failures)
        for number in asked:
            if number not in given and number not in failures:
                failures[number] = KeyperSilent(number, self.limit_ms)
        return Answers(_ascending(given), _ascending(failures))

    def ask_quorum(self, question: Callable[[Party], Answer], quorum: int) -> Mapping[int, Answer]:
        """Answers by keyper, of a quorum at least; one keyper that fails stops nothing.

        Raises:
            Exception: of the first keyper that failed, where fewer than a quorum answered.
            MissingShare: fewer than a quorum, and none of the others failed.
        """
        answers = self.ask(question)
        if len(answers.given) < quorum:
            missing = MissingShare(len(answers.given), quorum, len(answers.given))
            raise next(iter(answers.failures.values()), missing)
        return answers.given

    def _wait(self, threads: Mapping[int, threading.Thread]) -> None:
        give_up_at = time.monotonic() + self.limit_ms / 1000
        for thread in threads.values():
            thread.join(max(0.0, give_up_at - time.monotonic()))


def _begun(place: int, keyper: Numbered, limit_ms: int) -> Exchange:
    """The exchange with a keyper, which has no number before; its place is named where it fails."""
    given: dict[int, Exchange] = {}
    failures: dict[int, Exception] = {}
    asked = (place, keyper), Exchange, given, failures
    thread = threading.Thread(target=_answered, args=asked, daemon=True)
    thread.start()
    thread.join(limit_ms / 1000)
    if place not in given:
        raise failures.get(place, KeyperSilent(place, limit_ms))
    return given[place]


def _answered(
    asked: tuple[int, Party],
    question: Callable[[Party], Answer],
    given: dict[int, Answer],
    failures: dict[int, Exception],
) -> None:
    """Ask one keyper and note its answer or its failure under the number that it began with."""
    number, keyper = asked
    try:
        given[number] = question(keyper)
    except BaseException as error:  # noqa: BLE001  # a corrupt keyper may raise anything
        failures[number] = failure_of(number, error)


Value = TypeVar("Value")


def _ascending(answers: Mapping[int, Value]) -> dict[int, Value]:
    return {number: answers[number] for number in sorted(answers)}
