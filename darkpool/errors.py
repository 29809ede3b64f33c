"""The errors of the market layer, one tree, each carrying its operands.

Two branches decide what the command line answers: `BadInput` is the caller's to mend (exit code 2),
`CheckFailed` says that something which had to hold does not (exit code 1). A message says what was
expected and what came.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import ClassVar

from crypto.errors import UnmetExpectation


class DarkpoolError(UnmetExpectation):
    """Base of everything that `darkpool` raises on purpose."""

    exit_code: ClassVar[int] = 1


class BadInput(DarkpoolError):
    """The caller gave something that cannot be used; giving it again will fail again."""

    exit_code: ClassVar[int] = 2


class CheckFailed(DarkpoolError):
    """Something that had to hold does not."""


class InconsistentLimits(CheckFailed):
    """Two bounds of `darkpool.limits` contradict each other."""

    code = "inconsistent-limits"

    def __init__(self, rule: str) -> None:
        super().__init__("limits", rule, "bounds that contradict it")


class InvalidAccount(BadInput):
    """Text that is no account address."""

    code = "invalid-account"

    def __init__(self, expected: str, got: str) -> None:
        super().__init__("account", expected, got)


class InvalidGrid(BadInput):
    """A price grid that cannot exist; `subject` names its parameter."""

    code = "invalid-grid"
    prefix = "price grid, "


class InvalidPrice(BadInput):
    """A price that no tick of the grid has."""

    code = "invalid-price"

    def __init__(self, expected: object, got: object) -> None:
        super().__init__("price", expected, got)


class OutOfBounds(BadInput):
    """A quantity outside its bounds, both of which are allowed values."""

    code = "out-of-bounds"

    def __init__(self, subject: str, lowest: int, highest: int, got: int) -> None:
        several = f"{lowest} to {highest}" if lowest < highest else "no value at all"
        super().__init__(subject, lowest if lowest == highest else several, got)
        self.lowest, self.highest = lowest, highest


class WrongType(BadInput):
    """A value of another kind than is asked for; of what may be secret only the kind is told."""

    code = "wrong-type"

    def __init__(self, subject: str, expected: str, value: object) -> None:
        kind = type(value).__name__
        plain = isinstance(value, str | float | bool | Decimal)
        got = f"{shortened(ascii(value))}, which is {kind}" if plain else kind
        super().__init__(subject, expected, got)


class NoBucket(BadInput):
    """A public cap that is none of the buckets, or none of those that are large enough."""

    code = "no-bucket"


class NotConserved(CheckFailed):
    """A quantity that has to be the same on both sides of a step is not."""

    code = "not-conserved"
    prefix = "conservation of "


class UnusableDatabase(CheckFailed):
    """A file that SQLite cannot open, read or write; `remedy` says what to do, if that is known."""

    code = "unusable-database"

    def __init__(self, path: Path, got: object, remedy: str = "") -> None:
        told = f"{got}: {remedy}" if remedy else str(got)
        super().__init__(f"database {path}", "an SQLite file that can be written", told)


class UnwritableFolder(CheckFailed):
    """A folder that the system does not let files be written in: it is full, or not writable."""

    code = "unwritable-folder"

    def __init__(self, folder: Path, got: str) -> None:
        remedy = "free space, or name a folder that can be written"
        super().__init__(f"folder {folder}", "one that files can be written in", f"{got}: {remedy}")


class MalformedRecord(BadInput):
    """A record, or the part of one that `subject` names, that is not what its version says."""

    code = "malformed-record"
    prefix = "record, "


class UnreadablePart(BadInput):
    """What was asked of a record is in a part that has not its form; that was told already."""

    code = "unreadable-part"
    prefix = "record, "

    def __init__(self, part: str) -> None:
        super().__init__(part, "a part of the form that its version has", f"{part} without it")
        self.part = part


def shortened(value: object, shown_max: int = 100) -> str:
    """A value as text, without what is beyond its first `shown_max` characters."""
    text = str(value)
    return text if len(text) <= shown_max else f"{text[:shown_max]}..."
