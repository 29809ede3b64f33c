"""What can go wrong with a committee."""

from __future__ import annotations

from darkpool.errors import CheckFailed


class KeyperSilent(CheckFailed):
    """A keyper that has not answered in the time that every answer has."""

    code = "keyper-silent"

    def __init__(self, keyper: int, limit_ms: int) -> None:
        super().__init__(f"keyper {keyper}", f"an answer in {limit_ms} ms", "none")
        self.keyper, self.limit_ms = keyper, limit_ms


class MaskPreparationFailed(CheckFailed):
    """No usable mask after several numbers; with honest keypers one in a hundred fails."""

    code = "mask-preparation-failed"

    def __init__(self, attempts: int) -> None:
        super().__init__("mask", f"one usable mask in {attempts} attempts", "none")
