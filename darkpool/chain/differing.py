"""Answers of nodes side by side: whether they say the same, and where they first do not."""

from __future__ import annotations

from typing import Any, Final

from eth_hash.auto import keccak

_SHOWN_DIGITS_MAX: Final = 66
"""Of 0x and 32 bytes; what is longer is told by its length and its hash."""


def comparable(value: Any) -> Any:
    """A value without what may differ in answers that say the same: case, and fields of nothing."""
    if isinstance(value, dict):
        return {name: comparable(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return value.lower() if isinstance(value, str) else value


def first_difference(first: Any, second: Any, place: str = "") -> tuple[str, str, str]:
    """Where two comparable values that differ do so first, and what each has there."""
    if isinstance(first, dict) and isinstance(second, dict):
        for name in sorted({*first, *second}):
            ours, theirs = first.get(name), second.get(name)
            if ours != theirs:
                return first_difference(ours, theirs, f"{place} {name}")
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for index, (ours, theirs) in enumerate(zip(first, second, strict=True)):
            if ours != theirs:
                return first_difference(ours, theirs, f"{place} {index}")
    return place, _shown(first), _shown(second)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return f"{len(value)} entries"
    text = str(value)
    if len(text) <= _SHOWN_DIGITS_MAX:
        return text
    return f"{(len(text) - 2) // 2} bytes of keccak-256 0x{keccak(text.encode()).hex()}"
