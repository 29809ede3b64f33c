"""What an auditor finds."""

from __future__ import annotations

from darkpool.errors import CheckFailed


class NoOmission(CheckFailed):
    """Nothing that was shown proves an omission; `what` names the part that does not fit."""

    def __init__(self, what: str, expected: object, got: object) -> None:
        super().__init__(f"evidence of an omission, {what}: expected {expected}, got {got}")
        self.what, self.expected, self.got = what, expected, got


class Unsound(CheckFailed):
    """A part of the record that is not what follows from the rest; what builds on it stops."""

    def __init__(self, part: str, expected: object, got: object) -> None:
        super().__init__(f"{part}: expected {expected}, got {got}")
        self.part, self.expected, self.got = part, expected, got
