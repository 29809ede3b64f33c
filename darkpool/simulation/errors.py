"""What can be wrong with an order file, its folders, or the venue of one machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from darkpool.errors import BadInput, CheckFailed
from darkpool.units import Lots


class InvalidOrder(BadInput):
    """One thing wrong in an order file.

    `row` counts the orders from 0, as the result does; it is None when the file as a whole is at
    fault. `column` is None when the row as a whole is.
    """

    def __init__(self, row: int | None, column: str | None, expected: str, got: str) -> None:
        place = "file" if row is None else f"row {row}"
        if column is not None:
            place = f"{place}, column {column}"
        super().__init__(f"{place}: expected {expected}, got {got}")
        self.row = row
        self.column = column
        self.expected = expected
        self.got = got


class InvalidOrderFile(BadInput):
    """An order file with everything that is wrong in it, in the order of the rows.

    `complete` is False when reading stopped early because there was too much to tell.
    """

    def __init__(self, source: str, problems: Sequence[InvalidOrder], *, complete: bool) -> None:
        lines = [f"{source}: not an order file"]
        lines += [f"  {problem}" for problem in problems]
        if not complete:
            lines.append("  and more")
        super().__init__("\n".join(lines))
        self.source = source
        self.problems = tuple(problems)
        self.complete = complete


class FolderExists(BadInput):
    """A folder that was to be made is there already; nothing is ever written over."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"openings: expected a new directory, got {folder}, which exists")
        self.folder = folder


class StrangerFilled(CheckFailed):
    """Somebody traded who had no order."""

    def __init__(self, kind: str, size: Lots) -> None:
        super().__init__(f"attacker {kind!r}: expected no fill, got {size} lots")
        self.kind, self.size = kind, size


class TwinDiffers(CheckFailed):
    """The encrypted auction did not give what the same orders give in the clear."""

    def __init__(self, instrument: str, expected: object, got: object) -> None:
        super().__init__(f"{instrument}: expected {expected} as the plain twin, got {got}")
        self.instrument, self.expected, self.got = instrument, expected, got


class FoldersNested(BadInput):
    """The record and the clients' openings in one folder."""

    def __init__(self, record: Path, openings: Path) -> None:
        super().__init__(f"openings: expected a folder apart from {record}, got {openings}")
        self.record, self.openings = record, openings
