"""What can be wrong with a book, with an opening, or with workers."""

from __future__ import annotations

from darkpool.errors import BadInput, CheckFailed


class InvalidBook(BadInput):
    """Columns of orders that are not a book, or ranks that do not order it."""

    def __init__(self, column: str, expected: str, got: str) -> None:
        super().__init__(f"book, {column}: expected {expected}, got {got}")
        self.column = column
        self.expected = expected
        self.got = got


class WorkersKeepDying(CheckFailed):
    """Workers died again and again without finishing anything (was memory short?)."""

    def __init__(self, intents: int, deaths: int) -> None:
        message = f"workers: expected results of {intents} intents, got {deaths} deaths"
        super().__init__(message)
        self.intents = intents


class ImplausibleOpening(CheckFailed):
    """Opened values that no well-formed batch leads to."""

    def __init__(self, purpose: str, expected: str, got: str) -> None:
        super().__init__(f"opening {purpose!r}: expected {expected}, got {got}")
        self.purpose, self.expected, self.got = purpose, expected, got
