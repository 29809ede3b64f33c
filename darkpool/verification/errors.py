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


class Unanswered(DarkpoolError):
    """What was asked of a chain got no answer that can be used: neither a yes nor a no."""
