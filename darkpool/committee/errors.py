"""What can go wrong with a committee."""

from __future__ import annotations

from darkpool.errors import CheckFailed


class MaskPreparationFailed(CheckFailed):
    """No usable mask after several numbers; with honest keypers one in a hundred fails."""

    code = "mask-preparation-failed"

    def __init__(self, attempts: int) -> None:
        super().__init__("mask", f"one usable mask in {attempts} attempts", "none")
