"""What can go wrong with a committee."""

from __future__ import annotations

from crypto.errors import shown
from darkpool.errors import CheckFailed


class InvalidCommittee(CheckFailed):
    """Keypers that are no committee: their numbers are not 0 to n - 1, in order and once each."""

    code = "invalid-committee"

    def __init__(self, expected: tuple[int, ...], got: tuple[int, ...]) -> None:
        named = [", ".join(str(shown(number)) for number in part) for part in (expected, got)]
        super().__init__("numbers of the keypers", *named)


class KeyperFailed(CheckFailed):
    """A keyper that answered with an error that is none of this project's."""

    code = "keyper-failed"

    def __init__(self, keyper: int, got: str) -> None:
        super().__init__(f"keyper {keyper}", "an answer", got)
        self.keyper = keyper


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
