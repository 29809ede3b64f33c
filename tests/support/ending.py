"""Ends a test that waits for ever."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


@contextmanager
def ending(seconds: int) -> Iterator[None]:
    """Fail what has not ended after so many seconds."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise AssertionError("expected what ends, got what waits")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
