"""One answer over HTTP, of bounded size and time."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Any, Final

import requests

_CHUNK_BYTES: Final = 1 << 16

Answered = tuple[int, Any, bytes]
"""Status, headers and body."""


class TooMuch(Exception):
    """An answer of more bytes than are let through."""


def fetched(send: Callable[[], requests.Response], bytes_max: int, timeout_s: float) -> Answered:
    """The answer to what `send` asks, with a body that is not read yet.

    No limit of a socket ends an answer that comes byte by byte, so another thread waits for it;
    after a timeout the session is that thread's own.

    Raises:
        TooMuch: the answer has more than `bytes_max` bytes.
        requests.Timeout: it was not whole in time.
        OSError, ValueError: there is none, or nothing can be made of it.
    """
    answer: Future[Answered] = Future()
    arguments = (answer, send, bytes_max, timeout_s)
    Thread(target=_fulfil, args=arguments, daemon=True).start()
    try:
        return answer.result(timeout_s)
    except TimeoutError:
        raise requests.Timeout from None


def told(error: BaseException) -> str:
    """Why there was no answer."""
    cause = system_error(error)
    if cause is not None:
        return str(cause.strerror)
    lost = isinstance(error, requests.ConnectionError)
    return "the node ended it" if lost else "nothing that can be read"


def system_error(error: BaseException) -> OSError | None:
    """The system's own error, out of those that libraries wrapped around it."""
    seen: list[BaseException] = [error]
    for current in seen:
        if isinstance(current, OSError) and current.strerror:
            return current
        inner = (current.__cause__, current.__context__, getattr(current, "reason", None))
        for found in (*inner, *current.args):
            if isinstance(found, BaseException) and found not in seen:
                seen.append(found)
    return None


def _fulfil(
    answer: Future[Answered],
    send: Callable[[], requests.Response],
    bytes_max: int,
    timeout_s: float,
) -> None:
    try:
        answer.set_result(_exchange(send, bytes_max, timeout_s))
    except Exception as error:  # noqa: BLE001 - it is raised again by the one who waits
        answer.set_exception(error)


def _exchange(send: Callable[[], requests.Response], bytes_max: int, timeout_s: float) -> Answered:
    give_up_at = time.monotonic() + timeout_s
    body = bytearray()
    with send() as response:
        for chunk in response.iter_content(_CHUNK_BYTES):
            body += chunk
            if len(body) > bytes_max:
                raise TooMuch
            if time.monotonic() > give_up_at:
                raise requests.Timeout
        return response.status_code, response.headers, bytes(body)
