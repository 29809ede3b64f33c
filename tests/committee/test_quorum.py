"""Keypers are asked at the same time, and none is waited for beyond the limit."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from crypto.errors import MissingShare
from crypto.ring.ring import Words
from darkpool.committee.errors import KeyperFailed, KeyperSilent
from darkpool.committee.quorum import KeyperPanel
from darkpool.keyper.keyper import LocalKeyper
from darkpool.keyper.share_work import ShareWork
from tests.support.house import House

LIMIT_MS = 200
FOR_EVER_MS = 10**8


@dataclass(frozen=True)
class Party:
    number: int


PARTIES = [Party(number) for number in (3, 0, 2, 1)]


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def but_for(number: int, event: threading.Event) -> Callable[[Party], int]:
    def answer(party: Party) -> int:
        if party.number == number:
            event.wait()
        return party.number * 10

    return answer


def test_keypers_are_asked_at_the_same_time_and_answers_are_in_their_order() -> None:
    together = threading.Barrier(len(PARTIES), timeout=30)

    def answer(party: Party) -> int:
        together.wait()
        return party.number * 10

    answers = KeyperPanel(PARTIES).ask(answer)
    assert list(answers.given.items()) == [(0, 0), (1, 10), (2, 20), (3, 30)]
    assert not answers.failures


def test_some_can_be_asked_without_the_others() -> None:
    assert KeyperPanel(PARTIES).ask(lambda party: party.number, of=(1, 3)).given == {1: 1, 3: 3}


def test_whatever_a_keyper_raises_is_its_own_failure() -> None:
    def answer(party: Party) -> int:
        if party.number == 2:
            raise ValueError("no")
        return party.number

    answers = KeyperPanel(PARTIES).ask(answer)
    assert answers.given == {0: 0, 1: 1, 3: 3}
    assert isinstance(answers.failures[2], KeyperFailed)
    assert str(answers.failures[2]) == "keyper 2: expected an answer, got ValueError: no"


def test_a_silent_keyper_costs_the_limit_once_and_may_answer_again(
    release: threading.Event,
) -> None:
    panel = KeyperPanel(PARTIES, LIMIT_MS)
    answers = panel.ask(but_for(2, release))
    assert answers.given == {0: 0, 1: 10, 3: 30}
    assert isinstance(answers.failures[2], KeyperSilent)
    panel.limit_ms = FOR_EVER_MS
    for _ in range(20):
        again = panel.ask(lambda party: party.number)
        assert again.given == {0: 0, 1: 1, 3: 3}
        assert isinstance(again.failures[2], KeyperSilent)
    release.set()
    while 2 not in panel.ask(lambda party: party.number).given:
        time.sleep(0.01)


@dataclass(frozen=True)
class Telling:
    """Does something when it is asked for its number."""

    tell: Callable[[], Any]

    @property
    def number(self) -> int:
        self.tell()
        return 4


def ended() -> None:
    raise SystemExit("ended by a keyper")


def test_a_keyper_without_a_number_is_not_waited_for_and_ends_nothing(
    release: threading.Event,
) -> None:
    with pytest.raises(KeyperSilent, match="keyper 1: expected an answer in 200 ms, got none"):
        KeyperPanel([Telling(int), Telling(release.wait)], LIMIT_MS)
    with pytest.raises(KeyperFailed, match="keyper 1: expected an answer, got SystemExit"):
        KeyperPanel([Telling(int), Telling(ended)], LIMIT_MS)


def test_a_late_answer_does_not_count(release: threading.Event) -> None:
    panel = KeyperPanel(PARTIES, LIMIT_MS)
    answers = panel.ask(but_for(2, release))
    release.set()
    time.sleep(LIMIT_MS / 1000)
    assert set(answers.given) == {0, 1, 3}
    assert set(answers.failures) == {2}


def test_a_quorum_is_enough_and_fewer_are_not(release: threading.Event) -> None:
    panel = KeyperPanel(PARTIES, LIMIT_MS)
    assert set(panel.ask_quorum(but_for(2, release), 3)) == {0, 1, 3}
    with pytest.raises(KeyperSilent):
        panel.ask_quorum(lambda party: party.number, 4)
    with pytest.raises(MissingShare):
        KeyperPanel(PARTIES[:2]).ask_quorum(lambda party: party.number, 3)


class Sleeping(LocalKeyper):
    """Never answers whether a mask is free, until it is woken."""

    awake = threading.Event()

    def next_mask(self) -> int:
        self.awake.wait()
        return super().next_mask()


def test_one_silent_keyper_of_four_stops_nothing(house: House) -> None:
    committee = house.committee(kinds={1: Sleeping})
    committee.panel.limit_ms = LIMIT_MS
    try:
        answers = committee.panel.ask(lambda keyper: keyper.next_mask())
        assert set(answers.given) == {0, 2, 3}
        interval = house.closed(committee)
        assert committee.begin_auction(interval, lambda _revealed: None).context
    finally:
        Sleeping.awake.set()


def test_what_several_keypers_need_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []
    got: list[Words] = []
    started = threading.Event()

    def slow(_ciphertext: object, epoch: int, _seed: bytes) -> Words:
        computed.append(epoch)
        started.set()
        time.sleep(0.05)
        if epoch == 2:
            raise ValueError("no")
        return np.full(1, epoch, dtype=np.uint64)

    class Named:
        def digest(self) -> bytes:
            return bytes(32)

    monkeypatch.setattr("darkpool.keyper.share_work.decryption_share", slow)
    work = ShareWork()

    def ask(epoch: int) -> None:
        try:
            got.append(work.decryption_share(Named(), epoch, b""))  # type: ignore[arg-type]
        except ValueError as error:
            got.append(error)  # type: ignore[arg-type]

    for epoch in (1, 2):
        got.clear()
        threads = [threading.Thread(target=ask, args=(epoch,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 4
        assert computed.count(epoch) == 1
        if epoch == 1:
            for share in got:
                with pytest.raises(ValueError, match="WRITEABLE"):
                    share.setflags(write=True)  # what one changed all would say
                share.shape = (1, 1)
            ask(epoch)
            assert got[-1].shape == (1,)
            assert computed.count(epoch) == 1
    ask(2)
    assert computed.count(2) == 2, "a failure is not kept"
