"""The journal gives back every life to the unit, whole after any kill, and tells what is amiss."""

import json
import os
import random
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from darkpool.errors import UnusableDatabase
from darkpool.margin.accounts.house import INSURANCE_FUND
from darkpool.margin.errors import (
    InsufficientMargin,
    JournalAhead,
    MalformedEvent,
    NoPrice,
    NotInLiquidation,
    UnknownContract,
    UnknownReservation,
    WrongJournal,
)
from darkpool.margin.liquidation.plan import LiquidationTerms
from darkpool.margin.service.events import (
    Deposit,
    Event,
    GiveUp,
    Release,
    SettleVariation,
    TakePrices,
    UpdateCalls,
    Withdraw,
    event_bytes,
    event_of,
)
from darkpool.margin.service.journal import Head, JournaledAccounts
from darkpool.margin.service.state import MarginState, MarginTerms, Outcome
from darkpool.units import AccountId, Cash, InstrumentId, Interval, Lots, PriceUnits
from tests.support.children import in_a_child, killed
from tests.support.margin_houses import market_at
from tests.support.margin_lives import (
    ALICE,
    BOB,
    BOND,
    LIQUIDATOR,
    MARGIN_TERMS,
    SPECIFICATION,
    Life,
    contents,
    life,
    named,
)

FUTURE = named("BTC-MAR").identifier


def opened(path: Path, terms: MarginTerms = MARGIN_TERMS) -> JournaledAccounts:
    return JournaledAccounts(path, SPECIFICATION, terms)


def recorded(seed: int, steps: int = 30) -> Life:
    recording = life(seed)
    recording.run(steps)
    return recording


def replayed(noted: list[tuple[Event, Outcome]]) -> MarginState:
    """Events, as they are written, give the same outcomes again."""
    state = MarginState(SPECIFICATION, MARGIN_TERMS)
    for event, outcome in noted:
        assert state.apply(event_of(event_bytes(event))) == outcome
    return state


def test_the_same_events_give_the_same_lives() -> None:
    for seed in range(25):
        lived = recorded(seed)
        assert contents(replayed(lived.noted)) == contents(lived.state)


@pytest.mark.slow
def test_the_same_events_give_two_thousand_lives_again() -> None:
    for seed in range(20_000, 22_000):
        lived = recorded(seed)
        assert contents(replayed(lived.noted)) == contents(lived.state)


def test_a_journal_that_is_opened_again_goes_on(tmp_path: Path) -> None:
    """A life through a file that is closed and opened after every few steps."""
    for seed in range(2):
        path = tmp_path / f"{seed}.db"
        journal = opened(path)
        going = Life(seed, journal.state, journal.book)
        going.begin()
        for _ in range(8):
            going.auction()
            going.prices()
            going.liquidate()
            going.variation()
            before, head = contents(journal.state), journal.head
            journal.close()
            journal = opened(path)
            assert (contents(journal.state), journal.head) == (before, head)
            going.state, going._book = journal.state, journal.book
        assert list(journal.events()) == [event for event, _ in going.noted]
        assert journal.head.sequence == len(going.noted)
        journal.close()


def test_what_is_refused_changes_nothing_and_is_not_written(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal.db")
    with pytest.raises(NoPrice):
        journal.book(UpdateCalls())
    with pytest.raises(NoPrice):
        journal.book(Withdraw(ALICE, Cash(1)))
    journal.book(TakePrices(market_at(100)))
    journal.book(Deposit(ALICE, Cash(1_000)))
    before, head = contents(journal.state), journal.head
    refused: list[tuple[Event, type[Exception]]] = [
        (Withdraw(ALICE, Cash(1_001)), InsufficientMargin),
        (Release(ALICE, FUTURE, Interval(1)), UnknownReservation),
        (SettleVariation(InstrumentId(bytes(32)), PriceUnits(1)), UnknownContract),
        (TakePrices(b"{}"), Exception),
        (GiveUp(ALICE, FUTURE, 0, Lots(1), PriceUnits(1)), NotInLiquidation),
        (Deposit(AccountId(INSURANCE_FUND.lower()), Cash(1)), MalformedEvent),
        (Deposit(ALICE, Cash(-1)), MalformedEvent),
        (SettleVariation(InstrumentId(b"short"), PriceUnits(1)), MalformedEvent),
    ]
    for event, error in refused:
        with pytest.raises(error):
            journal.book(event)
    assert (contents(journal.state), journal.head) == (before, head)
    journal.close()
    assert contents(opened(tmp_path / "journal.db").state) == before


ONE_DEPOSIT = event_bytes(Deposit(ALICE, Cash(1)))


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"Pay\n{}\n",
        ONE_DEPOSIT.replace(b"Deposit", b"Event"),
        ONE_DEPOSIT.replace(b"Deposit", b"Withdrawal"),
        ONE_DEPOSIT.replace(b',\n "amount": 1', b""),
        ONE_DEPOSIT.replace(b": 1\n", b': 1,\n "size": 1\n'),
        ONE_DEPOSIT.replace(b": 1", b": -1"),
        ONE_DEPOSIT.replace(b": 1", b": null"),
        ONE_DEPOSIT.replace(ALICE.encode(), ALICE.lower().encode() + b"0"),
        ONE_DEPOSIT.replace(ALICE.encode(), INSURANCE_FUND.lower().encode()),
        ONE_DEPOSIT.replace(ALICE.encode(), INSURANCE_FUND.swapcase().encode()),
        ONE_DEPOSIT + b"\n",
        ONE_DEPOSIT[:-1],
    ],
)
def test_bytes_that_are_no_event_are_refused(entry: bytes) -> None:
    assert entry != ONE_DEPOSIT
    with pytest.raises(MalformedEvent):
        event_of(entry)


def test_what_cannot_be_written_stops_everything(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal, other = opened(path), opened(path)
    other.book(Deposit(ALICE, Cash(1)))
    with pytest.raises(JournalAhead):
        journal.book(Deposit(BOB, Cash(2)))
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM events WHERE sequence = 1")
    # now it could be written; but memory is not what the disk says
    with pytest.raises(JournalAhead):
        journal.book(Deposit(ALICE, Cash(2)))
    other.close()
    again = opened(path)
    assert (again.state.accounts.cash(ALICE), again.state.accounts.cash(BOB)) == (0, 0)


CHANGES = {
    "an event is changed": "UPDATE events SET event = replace(event, '7', '8') WHERE sequence = 3",
    "a digest is changed": "UPDATE events SET digest = zeroblob(32) WHERE sequence = 3",
    "an event is missing": "DELETE FROM events WHERE sequence = 3",
    "the first is missing": "DELETE FROM events WHERE sequence = 0",
    "events are renumbered": "UPDATE events SET sequence = sequence + 1 WHERE sequence = 5",
    "an event is text": "UPDATE events SET event = CAST(event AS TEXT) WHERE sequence = 3",
    "two change places": """
        UPDATE events SET sequence = -1 WHERE sequence = 2;
        UPDATE events SET sequence = 2 WHERE sequence = 3;
        UPDATE events SET sequence = 3 WHERE sequence = -1""",
}


def five(path: Path) -> Head:
    journal = opened(path)
    for number in range(5):
        journal.book(Deposit(ALICE, Cash(70 + number)))
    journal.close()
    return journal.head


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_tampered_with_is_found(tmp_path: Path, change: str) -> None:
    path = tmp_path / "journal.db"
    five(path)
    with sqlite3.connect(path) as connection:
        connection.executescript(CHANGES[change])
    with pytest.raises(WrongJournal):
        opened(path)


OTHER_TABLES = ("a, b, c, d", "sequence, event", "sequence, event, digest, more")


@pytest.mark.parametrize("columns", OTHER_TABLES)
def test_the_database_of_another_program_is_refused_by_an_error_of_ours(
    tmp_path: Path, columns: str
) -> None:
    path = tmp_path / "calendar.db"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE events ({columns})")
    with pytest.raises(UnusableDatabase):
        opened(path).book(Deposit(ALICE, Cash(70)))


@pytest.mark.parametrize("content", [b"no database at all\n" * 100, None])
def test_what_is_no_database_is_no_journal(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "journal.db"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(UnusableDatabase):
        opened(path)


def test_a_second_process_at_the_same_file_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.db"
    first = opened(path)
    monkeypatch.setattr(JournaledAccounts, "_checked", lambda _journal: iter(()))
    with pytest.raises(UnusableDatabase, match="end the other process"):
        opened(path)
    first.close()


def test_an_end_that_was_cut_off_has_another_head(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    head = five(path)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM events WHERE sequence = 5")
    assert opened(path).head != head
    assert five(tmp_path / "same.db") == head


def test_a_journal_is_of_one_specification_and_terms(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    five(path)
    with pytest.raises(WrongJournal):
        opened(path, MarginTerms(BOND, LiquidationTerms(LIQUIDATOR, 1, 1)))


def test_a_journal_of_another_version_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    opened(path).close()
    with sqlite3.connect(path) as connection:
        ((entry,),) = connection.execute("SELECT event FROM events").fetchall()
        older = json.dumps(json.loads(entry) | {"version": 1}).encode()
        digest = Head(-1, b"").after(older).digest
        connection.execute("UPDATE events SET event = ?, digest = ?", (older, digest))
    with pytest.raises(WrongJournal, match=r"expected version 2, .*got version 1,"):
        opened(path)


def script() -> list[Event]:
    """A life with trades, calls and a liquidation; the same each time."""
    return [event for event, _ in recorded(12, 30).noted]


def lived(path: Path, log: Path, events: list[Event]) -> None:
    """Book what is not yet booked, and acknowledge each event."""
    journal = opened(path)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in range(journal.head.sequence, len(events)):
        journal.book(events[number])
        os.write(descriptor, f"{number + 1}\n".encode())


def require_prefix(path: Path, log: Path, states: list[tuple[object, ...]]) -> None:
    """What is there is a prefix: all that was acknowledged, and at most one event more."""
    acknowledged = len(log.read_text().splitlines()) if log.exists() else 0
    journal = opened(path)
    assert journal.head.sequence in {acknowledged, acknowledged + 1}
    assert contents(journal.state) == states[journal.head.sequence]
    journal.close()


def prefixes(events: list[Event]) -> list[tuple[object, ...]]:
    state = MarginState(SPECIFICATION, MARGIN_TERMS)
    states = [contents(state)]
    for event in events:
        state.apply(event)
        states.append(contents(state))
    return states


def test_a_kill_before_any_statement_loses_and_doubles_nothing(tmp_path: Path) -> None:
    events = script()[:10]
    states = prefixes(events)
    for statement in range(1, 400):
        path, log = tmp_path / f"{statement}.db", tmp_path / f"{statement}.log"
        child = in_a_child(lambda path=path, log=log: lived(path, log, events), statement)  # type: ignore[misc]
        was_killed = killed(child)
        require_prefix(path, log, states)
        if not was_killed:
            break
    assert statement > 3 * len(events)
    journal = opened(path)
    assert contents(journal.state) == states[-1]


def kill_after(child: int, log: Path, acknowledged: int) -> bool:
    """Kill a child once so much is acknowledged; False if it was at its end by then."""
    while acknowledged > len(log.read_text().splitlines() if log.exists() else []):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert os.WEXITSTATUS(status) == 0
            return False
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    return killed(child)


def test_kills_at_any_time_come_to_the_same_end(tmp_path: Path) -> None:
    """A life that is killed again and again goes on where it was."""
    events = script()[:150]
    states = prefixes(events)
    path, log = tmp_path / "journal.db", tmp_path / "journal.log"
    draw, kills, wanted = random.Random(5), 0, 1
    while kill_after(in_a_child(lambda: lived(path, log, events), None), log, wanted):
        kills += 1
        journal = opened(path)
        acknowledged = [int(line) for line in log.read_text().splitlines()]
        assert acknowledged == sorted(set(acknowledged))
        assert journal.head.sequence >= acknowledged[-1]
        assert contents(journal.state) == states[journal.head.sequence]
        journal.close()
        wanted = len(acknowledged) + draw.randint(1, 15)
    assert kills >= 5
    assert contents(opened(path).state) == states[-1]
