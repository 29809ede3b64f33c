"""What can be wrong with a book, with an opening, or with workers."""

from __future__ import annotations

from darkpool.errors import BadInput, CheckFailed


class InvalidBook(BadInput):
    """Columns of orders that are not a book, or ranks that do not order it."""

    code = "invalid-book"
    prefix = "book, "


class WorkersKeepDying(CheckFailed):
    """Workers died again and again without finishing anything (was memory short?)."""

    code = "workers-keep-dying"

    def __init__(self, intents: int, deaths: int) -> None:
        super().__init__("workers", f"results of {intents} intents", f"{deaths} deaths")
        self.intents = intents


class ImplausibleOpening(CheckFailed):
    """Opened values that no well-formed batch leads to."""

    code = "implausible-opening"

    def __init__(self, purpose: str, expected: str, got: str) -> None:
        super().__init__(f"opening {purpose!r}", expected, got)
