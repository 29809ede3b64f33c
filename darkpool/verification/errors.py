"""What an auditor finds."""

from __future__ import annotations

from darkpool.errors import CheckFailed, DarkpoolError


class NoOmission(CheckFailed):
    """Nothing that was shown proves an omission; `subject` names the part that does not fit."""

    code = "no-omission"
    prefix = "evidence of an omission, "


class Unsound(CheckFailed):
    """A part of the record that is not what follows from the rest; what builds on it stops."""

    code = "unsound"


class TooManyDifferences(CheckFailed):
    """A check found more than can be told, and does not look for the rest; `subject` names it."""

    code = "too-many-differences"

    def __init__(self, check: str, told: int) -> None:
        got = f"{told} and the rest, which was not looked at"
        super().__init__(check, "differences that can be told", got)


class NotChecked(CheckFailed):
    """A check that another one has to go before, which could not run; `subject` names that one."""

    code = "not-checked"

    def __init__(self, check: str) -> None:
        super().__init__(check, "a check that could run", "one that could not")


class Unanswered(DarkpoolError):
    """What was asked of a chain got no answer that can be used: neither a yes nor a no."""
