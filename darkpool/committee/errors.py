"""What can go wrong with a committee."""

from __future__ import annotations

from darkpool.errors import CheckFailed


class KeyperSilent(CheckFailed):
    """A keyper that has not answered in the time that every answer has."""

    def __init__(self, keyper: int, limit_ms: int) -> None:
        super().__init__(f"keyper {keyper}: expected an answer in {limit_ms} ms, got none")
        self.keyper, self.limit_ms = keyper, limit_ms


class MaskPreparationFailed(CheckFailed):
    """No usable mask after several numbers; with honest keypers one in a hundred fails."""

    def __init__(self, attempts: int) -> None:
        super().__init__(f"mask: expected one usable mask in {attempts} attempts, got none")
        self.attempts = attempts
