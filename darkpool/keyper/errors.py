"""The error of a keyper's broken promise."""

from __future__ import annotations

from darkpool.errors import CheckFailed


class Equivocation(CheckFailed):
    """A second, different statement where a keyper makes one for ever."""

    def __init__(self, what: str, interval: int, expected: bytes, got: bytes) -> None:
        super().__init__(
            f"{what} of interval {interval}: expected {expected.hex()}, signed before; "
            f"got {got.hex()}"
        )
        self.what, self.interval, self.expected, self.got = what, interval, expected, got
