"""What can go wrong with a committee."""

from __future__ import annotations

from collections.abc import Iterable

from darkpool.errors import CheckFailed


class InvalidCommittee(CheckFailed):
    """Keypers that are no committee: their numbers are not 0 to n - 1, in order and once each."""

    code = "invalid-committee"

    def __init__(self, expected: Iterable[int], got: Iterable[int]) -> None:
        super().__init__("numbers of the keypers", _listed(expected), _listed(got))


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


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
