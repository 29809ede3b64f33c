"""What can be wrong with the place of a record."""

from __future__ import annotations

from pathlib import Path

from darkpool.errors import BadInput


class RecordExists(BadInput):
    """A record is never written over anything."""

    code = "record-exists"

    def __init__(self, directory: Path) -> None:
        super().__init__("record", "a new directory", f"{directory}, which exists")
