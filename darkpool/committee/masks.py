"""Masks: drawn, checked and attested by keypers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crypto.threshold.masks import (
    DrawnMask,
)


@dataclass(frozen=True, slots=True)
class AttestedMask:
    """A mask ready for one auction, and the keypers' signatures on its digest, by keyper."""

    mask: DrawnMask
    attestations: Mapping[int, bytes]
