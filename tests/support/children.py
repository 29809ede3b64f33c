"""Children that are killed before a statement of their database."""

import os
import signal
import sqlite3
from collections.abc import Callable
from typing import Any


def in_a_child(action: Callable[[], None], statement: int | None) -> int:
    """Run an action in a child that kills itself before a statement; returns its number."""
    child = os.fork()
    if child:
        return child
    given = 0

    def count(_: str) -> None:
        nonlocal given
        given += 1
        if given == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    real = sqlite3.connect

    def connect(path: str, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = real(path, **options)
        connection.set_trace_callback(count)
        return connection

    sqlite3.connect = connect  # type: ignore[assignment]
    code = 1
    try:
        action()
        code = 0
    finally:
        os._exit(code)


def killed(child: int) -> bool:
    """Whether a child was killed; one that was not has to have done what it should."""
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False
