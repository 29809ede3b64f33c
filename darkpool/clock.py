"""Time as something that is handed in: the system's, or a simulated one that a test moves."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


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
