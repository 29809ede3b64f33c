import time

import pytest

from darkpool.clock import SystemClock
from darkpool.errors import OutOfBounds
from darkpool.simulation.clock import SimulatedClock, SkippingClock


def test_the_system_clock_tells_the_date_and_never_runs_backwards() -> None:
    clock = SystemClock()
    before_ms = time.time() * 1000 - 1
    assert before_ms <= clock.unix_ms() <= time.time() * 1000
    first = clock.monotonic_ns()
    assert clock.monotonic_ns() >= first


def test_the_simulated_clock_moves_only_when_it_is_moved() -> None:
    clock = SimulatedClock(unix_ms=1_000)
    assert (clock.unix_ms(), clock.monotonic_ns()) == (1_000, 0)
    clock.advance(250)
    assert (clock.unix_ms(), clock.monotonic_ns()) == (1_250, 250_000_000)


def test_time_does_not_run_backwards() -> None:
    clock = SimulatedClock(unix_ms=1_000)
    with pytest.raises(OutOfBounds):
        clock.advance(-1)
    assert clock.unix_ms() == 1_000


def test_a_skipping_clock_goes_on_from_where_it_was_moved_to() -> None:
    system = SystemClock()
    assert abs(SkippingClock(1_000).unix_ms() - 1_000) < 1_000
    clock = SkippingClock(system.unix_ms())
    assert abs(clock.unix_ms() - system.unix_ms()) < 1_000
    before_ns, far_ms = clock.monotonic_ns(), system.unix_ms() + 3_600_000
    clock.skip_to(far_ms)
    assert far_ms <= clock.unix_ms() < far_ms + 1_000
    assert clock.monotonic_ns() - before_ns >= 3_599_000_000_000
    clock.skip_to(far_ms - 60_000)
    assert clock.unix_ms() >= far_ms
