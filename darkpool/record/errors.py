"""What can be wrong with the place of a record, and with what is asked of it."""

from __future__ import annotations

from pathlib import Path

from darkpool.errors import BadInput


class RecordExists(BadInput):
    """A record is never written over anything."""

    code = "record-exists"

    def __init__(self, directory: Path) -> None:
        super().__init__("record", "a new directory", f"{directory}, which exists")


class UnreadablePart(BadInput):
    """What was asked of a record is in a part that has not its form; that was told already."""

    code = "unreadable-part"
    prefix = "record, "

    def __init__(self, part: str) -> None:
        super().__init__(part, "a part of the form that its version has", f"{part} without it")
        self.part = part
