"""What can be wrong with an order file, its folders, or the venue of one machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from darkpool.errors import BadInput, CheckFailed, DarkpoolError
from darkpool.units import AccountLabel, Lots


class InvalidOrder(BadInput):
    """One thing wrong in an order file.

    `row` is its line in the file, of which the header is 1; it is None when the file as a whole is
    at fault. `column` is None when the row as a whole is.
    """

    code = "invalid-order"
    expected: str

    def __init__(self, row: int | None, column: str | None, expected: str, got: str) -> None:
        place = "file" if row is None else f"row {row}"
        super().__init__(place if column is None else f"{place}, column {column}", expected, got)
        self.row, self.column = row, column


class InvalidOrderFile(BadInput):
    """An order file with everything that is wrong in it, in the order of the rows.

    `complete` is False when reading stopped early because there was too much to tell.
    """

    code = "invalid-order-file"
    has_lines = True

    def __init__(self, source: str, problems: Sequence[InvalidOrder], *, complete: bool) -> None:
        more = [] if complete else ["  and more"]
        lines = ["these problems", *(f"  {problem}" for problem in problems), *more]
        super().__init__(source, "an order file", "\n".join(lines))
        self.source, self.problems, self.complete = source, tuple(problems), complete


class RareInstruments(BadInput):
    """Instruments that an order file names so rarely that they cannot cross."""

    code = "rare-instruments"
    has_lines = True

    def __init__(self, source: str, accounts_min: int, rare: Sequence[str]) -> None:
        expected = f"orders of {accounts_min} accounts or more for each of several instruments, "
        expected += "or --instruments with all their names"
        super().__init__(source, expected, "\n".join(("these", *(f"  {one}" for one in rare))))


class FolderExists(BadInput):
    """A folder that was to be made is there already; nothing is ever written over."""

    code = "folder-exists"

    def __init__(self, folder: Path) -> None:
        super().__init__("openings", "a new directory", f"{folder}, which exists")


class UnmakeableFolder(BadInput):
    """A folder that was to be made cannot be made where it is wanted."""

    code = "unmakeable-folder"

    def __init__(self, folder: Path, got: str) -> None:
        super().__init__(str(folder), "a place where a directory can be made", got)


class StrangerFilled(CheckFailed):
    """Somebody traded who had no order."""

    code = "stranger-filled"

    def __init__(self, kind: str, size: Lots) -> None:
        super().__init__(f"attacker {kind!r}", "no fill", f"{size} lots")


class TwinDiffers(CheckFailed):
    """The encrypted auction did not give what the same orders give in the clear."""

    code = "twin-differs"

    def __init__(self, instrument: str, expected: object, got: object) -> None:
        super().__init__(instrument, f"{expected} as the plain twin", got)


class FoldersNested(BadInput):
    """The record and the clients' openings in one folder."""

    code = "folders-nested"

    def __init__(self, record: Path, openings: Path) -> None:
        super().__init__("openings", f"a folder apart from {record}", openings)


class NotKept(CheckFailed):
    """A settled interval with a folder that could not be finished; `partial` has what there is."""

    code = "not-kept"

    def __init__(self, subject: str, reason: DarkpoolError, partial: Path) -> None:
        expected = "a finished folder of the settled interval"
        super().__init__(subject, expected, f"a part, in {partial} ({reason})")


class NotClaimed(CheckFailed):
    """A claim of what a settlement granted that the chain did not take."""

    code = "not-claimed"

    def __init__(self, account: AccountLabel, reason: DarkpoolError) -> None:
        super().__init__(f"account {account!r}", "what was granted, in its account", reason)


class InvalidSettlementFile(BadInput):
    """A file that is none of a kept settlement; `subject` names the file and the part."""

    code = "invalid-settlement-file"


class NotSettled(CheckFailed):
    """No block has the settlement; what would settle is kept, and the record, if one was wanted."""

    code = "not-settled"

    def __init__(self, reason: str, settlement: Path, record: Path | None) -> None:
        kept = f"kept for `darkpool settle`, within an hour of its batch: {settlement}"
        published = "" if record is None else f"; the record: {record}"
        super().__init__("settlement", "a block that has it", f"{reason}; {kept}{published}")
        self.settlement, self.record = settlement, record
