"""Masks: drawn, checked and attested by keypers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crypto.threshold.masks import (
    DrawnMask,
)
from darkpool.errors import CheckFailed


class MaskPreparationFailed(CheckFailed):
    """No usable mask after several numbers; with honest keypers one in a hundred fails."""

    def __init__(self, attempts: int) -> None:
        super().__init__(f"mask: expected one usable mask in {attempts} attempts, got none")
        self.attempts = attempts


@dataclass(frozen=True, slots=True)
class AttestedMask:
    """A mask ready for one auction, and the keypers' signatures on its digest, by keyper."""

    mask: DrawnMask
    attestations: Mapping[int, bytes]
