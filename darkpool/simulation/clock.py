"""Clocks that move as they are told."""

from __future__ import annotations

from darkpool.clock import SystemClock
from darkpool.errors import OutOfBounds


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
