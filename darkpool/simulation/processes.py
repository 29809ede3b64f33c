"""Worker processes of a run: errors end them, and no signal loses one that is being started."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import active_children


@contextmanager
def ended_by_errors() -> Iterator[None]:
    """An error ends processes that were started inside at once, whatever they are at."""
    before = set(active_children())
    try:
        yield
    except BaseException:
        for child in set(active_children()) - before:
            child.terminate()
        raise


@contextmanager
def starting_processes() -> Iterator[None]:
    """Signals wait until a process that is being started is known, and can be ended.

    It is started with SIGINT blocked: Ctrl-C reaches all processes of a terminal, and this one
    answers for all of them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _frame: arrived.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for got in arrived:
        signal.raise_signal(got)
