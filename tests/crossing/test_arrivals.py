"""Workers that compute on intents as they arrive, and may be killed while they do."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest

from crypto.bfv.ciphertext import Ciphertext
from crypto.circuits.packing import arranged
from crypto.circuits.wellformed import shape_words
from darkpool.crossing import arrivals as module
from darkpool.crossing.arrivals import RESTARTS_MAX, Arrivals
from darkpool.crossing.errors import WorkersKeepDying
from darkpool.errors import OutOfBounds
from darkpool.units import Side
from tests.support.arena import Arena, Row
from tests.support.children import dies_at_once

Submitted = Sequence[tuple[Ciphertext, int]]
ROWS: list[Row] = [(Side(k % 2), k * k, k % 4) for k in range(8)]
WORKERS = 2


def opened_of(arena: Arena, folder: Path, capacity: int) -> Arrivals:
    return Arrivals(arena.house.material.order_keys, folder / "arrivals", capacity, WORKERS)


def require_results(arena: Arena, arrivals: Arrivals, submitted: Submitted) -> None:
    """Every row holds what the functions themselves give."""
    for place, (ciphertext, index) in enumerate(submitted):
        expected = shape_words(arena.house.evaluators.order, ciphertext)
        assert np.array_equal(arrivals.shape[place], expected)
        packed = arranged(arena.house.evaluators.order, ciphertext, index)
        assert np.array_equal(arrivals.packing[place], packed)
        assert arrivals.ciphertext(place).digest() == ciphertext.digest()


def submitted_of(arena: Arena, indices: Sequence[int]) -> Submitted:
    sealed = arena.ciphertexts(ROWS, 4)
    return [(sealed[k % len(sealed)], index) for k, index in enumerate(indices)]


def test_results_are_those_of_the_functions_and_come_in_order(arena: Arena, tmp_path: Path) -> None:
    submitted = submitted_of(arena, [0, 1, 0, 63, 64, 65, 2, 127, 1, 3])
    with opened_of(arena, tmp_path, 20) as arrivals:
        for place, (ciphertext, index) in enumerate(submitted[:7]):
            assert arrivals.submit(ciphertext, index) == place
        assert list(arrivals.finished(wait=True)) == list(range(7))
        assert list(arrivals.finished(wait=True)) == []
        assert list(arrivals.finished(wait=False)) == []
        for ciphertext, index in submitted[7:]:
            arrivals.submit(ciphertext, index)
        assert list(arrivals.finished(wait=True)) == [7, 8, 9]
        require_results(arena, arrivals, submitted)
        assert not arrivals.shape[len(submitted) :].any()


def resident_kib(path: Path) -> int:
    """Memory that this process holds of a file it has mapped."""
    held, inside = 0, False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        first, *rest = line.split()
        if not first.endswith(":"):
            inside = rest[-1:] == [str(path)]
        elif inside and first == "Rss:":
            held += int(rest[0])
    return held


def test_rows_that_were_read_need_not_stay_in_memory(arena: Arena, tmp_path: Path) -> None:
    submitted = submitted_of(arena, range(5))
    with opened_of(arena, tmp_path, 8) as arrivals:
        for ciphertext, index in submitted:
            arrivals.submit(ciphertext, index)
        assert list(arrivals.finished(wait=True)) == list(range(5))
        require_results(arena, arrivals, submitted)
        files = [tmp_path.resolve() / "arrivals" / name for name in ("shape", "packing")]
        assert all(map(resident_kib, files))
        arrivals.unload()
        assert not any(map(resident_kib, files))
        require_results(arena, arrivals, submitted)


def test_without_waiting_only_a_finished_start_comes_back(arena: Arena, tmp_path: Path) -> None:
    submitted = submitted_of(arena, range(30))
    seen: list[int] = []
    with opened_of(arena, tmp_path, 30) as arrivals:
        for ciphertext, index in submitted:
            arrivals.submit(ciphertext, index)
            seen += arrivals.finished(wait=False)
        assert seen == list(range(len(seen)))
        seen += arrivals.finished(wait=True)
        assert seen == list(range(30))
        require_results(arena, arrivals, submitted)


def test_no_more_intents_are_taken_than_there_are_rows(arena: Arena, tmp_path: Path) -> None:
    submitted = submitted_of(arena, range(3))
    with opened_of(arena, tmp_path, 2) as arrivals:
        for ciphertext, index in submitted[:2]:
            arrivals.submit(ciphertext, index)
        with pytest.raises(OutOfBounds, match="intents of an interval"):
            arrivals.submit(*submitted[2])
        assert list(arrivals.finished(wait=True)) == [0, 1]
        require_results(arena, arrivals, submitted[:2])


def test_a_row_that_is_given_back_serves_again(arena: Arena, tmp_path: Path) -> None:
    submitted = submitted_of(arena, range(4))
    with opened_of(arena, tmp_path, 2) as arrivals:
        for ciphertext, index in submitted[:2]:
            arrivals.submit(ciphertext, index)
        assert list(arrivals.finished(wait=True)) == [0, 1]
        for row in (1, 0):
            arrivals.release(row)
        assert [arrivals.submit(*one) for one in submitted[2:]] == [0, 1]
        assert list(arrivals.finished(wait=True)) == [0, 1]
        require_results(arena, arrivals, submitted[2:])


def workers_of(arrivals: Arrivals) -> list[int]:
    return list(arrivals._executor._processes)


def undone(arrivals: Arrivals) -> int:
    return sum(not future.done() for _, future in arrivals._running.values())


def kill_one(arrivals: Arrivals) -> None:
    os.kill(workers_of(arrivals)[0], signal.SIGKILL)


def kill_all(arrivals: Arrivals) -> None:
    for worker in workers_of(arrivals):
        os.kill(worker, signal.SIGKILL)


def wait_until_gone(workers: Sequence[int]) -> None:
    """Until the pool has taken notice of each death."""
    deadline = time.monotonic() + 60
    for worker in workers:
        with suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.kill(worker, 0)
                time.sleep(0.01)
            pytest.fail(f"expected worker {worker} to be gone")


@pytest.mark.parametrize("kill", [kill_one, kill_all])
def test_results_all_come_when_workers_are_killed_while_at_work(
    arena: Arena, tmp_path: Path, kill: Callable[[Arrivals], None]
) -> None:
    submitted = submitted_of(arena, [k % 8 for k in range(400)])
    with opened_of(arena, tmp_path, 500) as arrivals:
        for ciphertext, index in submitted:
            arrivals.submit(ciphertext, index)
        finished = arrivals.finished(wait=True)
        seen, before = [next(finished) for _ in range(10)], workers_of(arrivals)
        assert undone(arrivals) > 10
        kill(arrivals)
        seen += finished
        assert not set(before) & set(workers_of(arrivals))
        assert seen == list(range(400))
        require_results(arena, arrivals, submitted)
        more = submitted_of(arena, [5])[0]
        assert arrivals.submit(*more) == 400
        assert list(arrivals.finished(wait=True)) == [400]


def test_what_is_submitted_after_workers_were_killed_is_done_by_new_ones(
    arena: Arena, tmp_path: Path
) -> None:
    submitted = submitted_of(arena, range(9))
    with opened_of(arena, tmp_path, 9) as arrivals:
        for ciphertext, index in submitted[:3]:
            arrivals.submit(ciphertext, index)
        assert list(arrivals.finished(wait=True)) == [0, 1, 2]
        before = workers_of(arrivals)
        kill_all(arrivals)
        wait_until_gone(before)
        for ciphertext, index in submitted[3:]:
            arrivals.submit(ciphertext, index)
        assert list(arrivals.finished(wait=True)) == list(range(3, 9))
        assert not set(before) & set(workers_of(arrivals))
        require_results(arena, arrivals, submitted)


def test_leaving_ends_the_workers(arena: Arena, tmp_path: Path) -> None:
    submitted = submitted_of(arena, range(2))
    with opened_of(arena, tmp_path, 2) as arrivals:
        for ciphertext, index in submitted:
            arrivals.submit(ciphertext, index)
        assert list(arrivals.finished(wait=True)) == [0, 1]
        workers = workers_of(arrivals)
        assert len(workers) == WORKERS
    wait_until_gone(workers)


@pytest.mark.parametrize("when", ["_start", "_compute"])
@pytest.mark.parametrize("count", [1, 50])
def test_workers_that_always_die_are_given_up(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, count: int
) -> None:
    monkeypatch.setattr(module, when, dies_at_once)
    started: list[ProcessPoolExecutor] = []
    original = Arrivals._started

    def counted(arrivals: Arrivals) -> ProcessPoolExecutor:
        started.append(original(arrivals))
        return started[-1]

    monkeypatch.setattr(Arrivals, "_started", counted)
    with opened_of(arena, tmp_path, count) as arrivals:
        for ciphertext, index in submitted_of(arena, range(count)):
            arrivals.submit(ciphertext, index)
        with pytest.raises(WorkersKeepDying, match=f"results of {count} intents") as caught:
            list(arrivals.finished(wait=True))
        assert caught.value.intents == count
    assert len(started) == 1 + RESTARTS_MAX


def test_a_pool_that_breaks_while_it_starts_a_worker_is_a_death(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pipes are closed by then, and that is what is raised."""

    def closed(*_arguments: object) -> None:
        raise OSError("handle is closed")

    with opened_of(arena, tmp_path, 1) as arrivals:
        monkeypatch.setattr(ProcessPoolExecutor, "submit", closed)
        for ciphertext, index in submitted_of(arena, [0]):
            arrivals.submit(ciphertext, index)
        with pytest.raises(WorkersKeepDying):
            list(arrivals.finished(wait=True))
        monkeypatch.undo()


def test_a_death_is_forgotten_once_something_was_finished(arena: Arena, tmp_path: Path) -> None:
    """Deaths count over the same intents only: a long interval may see many."""
    submitted = submitted_of(arena, [k % 8 for k in range(300)])
    seen: list[int] = []
    with opened_of(arena, tmp_path, 300) as arrivals:
        for ciphertext, index in submitted:
            arrivals.submit(ciphertext, index)
        finished = arrivals.finished(wait=True)
        seen.append(next(finished))
        for _ in range(RESTARTS_MAX + 2):
            before = workers_of(arrivals)
            kill_all(arrivals)
            while workers_of(arrivals) == before:
                seen.append(next(finished))
        seen += finished
        assert seen == list(range(300))
        require_results(arena, arrivals, submitted)


def test_what_a_worker_is_sent_when_it_starts_fits_a_pipe(arena: Arena, tmp_path: Path) -> None:
    """A worker that dies before it has read it would leave who sends it waiting for ever."""
    with opened_of(arena, tmp_path, 3) as arrivals:
        sent = arrivals._executor._initargs
        assert len(ForkingPickler.dumps(sent)) < 1 << 14
