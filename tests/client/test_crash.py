"""SIGKILL before every statement that an agent gives to its store, and a restart after each."""

import asyncio
import hashlib
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from darkpool.client.agent import Agent
from darkpool.client.errors import IntervalOver
from darkpool.client.plan import CoverPolicy
from darkpool.client.store import AgentStore
from darkpool.protocol.intents import SealedSubmission
from darkpool.units import InstrumentId, Interval, Lots, PriceUnits
from tests.support.agent_desk import DEADLINE_S, ES, NQ, Desk, order
from tests.support.children import in_a_child, killed

INTERVALS = (1, 2, 3)
COVER = {ES: CoverPolicy(500_000, Lots(50)), NQ: CoverPolicy(500_000, Lots(50))}
KILLS_MAX = 400


def fingerprint(submission: SealedSubmission) -> str:
    """All bytes that leave."""
    return hashlib.sha256(repr(submission).encode()).hexdigest()


def fills(agent: Agent, interval: int, sent: set[InstrumentId]) -> dict[InstrumentId, Lots]:
    """The venue's word, the same each time: up to three lots of the order."""
    if ES not in sent:
        return {}
    size = agent.opening(ES, Interval(interval)).intent.size
    return {ES: Lots(min(3, size))}


async def send(submissions: AsyncIterator[SealedSubmission], log: int) -> set[InstrumentId]:
    """Note what leaves, one submission after the other; the instruments that it is for."""
    sent = set()
    async for submission in submissions:
        sealed = submission.sealed
        sent.add(InstrumentId(sealed.instrument))
        names = f"{sealed.interval} {sealed.instrument.hex()} {sealed.nonce}"
        os.write(log, f"{names} {fingerprint(submission)}\n".encode())
    return sent


def lived(desk: Desk, log: Path) -> None:
    """All that an agent does: an order of 10 lots, amended to 12; whatever was done is skipped."""
    store = desk.store()
    agent = desk.agent(store, COVER)
    if not store.orders():
        store.place(order(10, good_until=Interval(2)))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for interval in INTERVALS:
        if interval == 2 and store.orders()[0].order.size == 10:
            store.replace(1, Lots(12), PriceUnits(4_806_000_000))
        try:
            submissions = agent.submissions(desk.terms(interval), DEADLINE_S)
        except IntervalOver:
            # Killed after the result had been applied, perhaps: apply it again.
            known = store.intents(Interval(interval))
            sent = {InstrumentId(p.intent.instrument) for p in known}
            store.apply_result(Interval(interval), fills(agent, interval, sent))
            continue
        sent = asyncio.run(send(submissions, descriptor))
        store.apply_result(Interval(interval), fills(agent, interval, sent))
    store.close()


def killed_before(statement: int, action: Callable[[], None]) -> bool:
    """Run an action in a child that is killed before a statement; False if it ended by itself."""
    return killed(in_a_child(action, statement))


def require_kept(store: AgentStore, log: Path) -> None:
    """One intent an auction, one auction a nonce, every fill counted once."""
    auctions, nonces = defaultdict(set), defaultdict(set)
    for line in log.read_text().splitlines() if log.exists() else []:
        interval, instrument, nonce, digest = line.split()
        auctions[interval, instrument].add((nonce, digest))
        nonces[nonce].add((interval, instrument))
    assert all(len(different) == 1 for different in auctions.values())
    assert all(len(different) == 1 for different in nonces.values())
    planned = {
        (str(interval), p.intent.instrument.hex())
        for interval in INTERVALS
        for p in store.intents(Interval(interval))
    }
    assert auctions.keys() == planned
    (placed,) = store.orders()
    assert (placed.filled, placed.order.size, placed.state) == (6, 12, "expired")
    own = [p.order for interval in INTERVALS for p in store.intents(Interval(interval))]
    assert own.count(1) == 2


def path_of(desk: Desk, name: str) -> Desk:
    return Desk(desk.venue, desk.path.parent / f"{name}.db")


def test_a_kill_before_any_statement_doubles_and_loses_nothing(desk: Desk) -> None:
    """The agent is killed at one statement, restarted, and goes on to the end."""
    lived(path_of(desk, "warm"), desk.path.parent / "warm.log")
    for statement in range(1, KILLS_MAX):
        own = path_of(desk, str(statement))
        log = own.path.with_suffix(".log")
        killed = killed_before(statement, lambda own=own, log=log: lived(own, log))  # type: ignore[misc]
        lived(own, log)
        store = own.store()
        require_kept(store, log)
        store.close()
        if not killed:
            break
    else:
        pytest.fail(f"more than {KILLS_MAX} statements")
    assert statement > 60


def test_an_agent_that_is_killed_again_and_again_comes_to_the_same_end(desk: Desk) -> None:
    """Every run gets a few statements further, and sends again what it had sent."""
    log = desk.path.with_suffix(".log")
    for statement in range(9, KILLS_MAX, 3):
        if not killed_before(statement, lambda: lived(desk, log)):
            break
    else:
        pytest.fail(f"more than {KILLS_MAX} statements")
    require_kept(desk.store(), log)
    lines = log.read_text().splitlines()
    assert len(lines) > len(set(lines)), "something was sent again"
