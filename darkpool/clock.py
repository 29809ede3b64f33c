"""Time as something that is handed in: the system's, or a simulated one that a test moves."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from darkpool.errors import OutOfBounds


class Clock(Protocol):
    """Tells the date, for deadlines, and the time passed, for durations."""

    def unix_ms(self) -> int:
        """Milliseconds since 1970-01-01 00:00 UTC; may be set back by whoever keeps the date."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since some moment in the past; never runs backwards."""


class SystemClock:
    """The clock of the operating system."""

    def unix_ms(self) -> int:
        """Milliseconds since 1970-01-01 00:00 UTC."""
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        """Nanoseconds of the system's monotonic clock."""
        return time.monotonic_ns()


class SkippingClock:
    """The system's clock and what was skipped of it, for a run in which nobody waits.

    It begins at a time of its own; a run on prices of some other day is of that day.
    """

    def __init__(self, begins_ms: int) -> None:
        self._system = SystemClock()
        self._skipped_ms = begins_ms - self._system.unix_ms()

    def unix_ms(self) -> int:
        """Milliseconds since 1970-01-01 00:00 UTC, with what was skipped."""
        return self._system.unix_ms() + self._skipped_ms

    def monotonic_ns(self) -> int:
        """Nanoseconds of the system's monotonic clock, with what was skipped."""
        return self._system.monotonic_ns() + self._skipped_ms * 1_000_000

    def skip_to(self, unix_ms: int) -> None:
        """Let it be this time at least, at once; a time that has passed changes nothing."""
        self._skipped_ms += max(0, unix_ms - self.unix_ms())


class SimulatedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, unix_ms: int) -> None:
        self._unix_ms = unix_ms
        self._passed_ms = 0

    def unix_ms(self) -> int:
        """Milliseconds since 1970-01-01 00:00 UTC."""
        return self._unix_ms + self._passed_ms

    def monotonic_ns(self) -> int:
        """Nanoseconds since the clock was made."""
        return self._passed_ms * 1_000_000

    def advance(self, duration_ms: int) -> None:
        """Let time pass.

        Raises:
            OutOfBounds: the duration is negative.
        """
        if duration_ms < 0:
            raise OutOfBounds("duration in ms", 0, 2**63 - 1, duration_ms)
        self._passed_ms += duration_ms


class Stopwatch:
    """Milliseconds by step, in the order in which the steps ended."""

    def __init__(self) -> None:
        self.timings_ms: dict[str, int] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what runs inside; a step that ends by an exception is not noted."""
        start = time.perf_counter_ns()
        yield
        self.timings_ms[name] = (time.perf_counter_ns() - start) // 1_000_000
