"""What can be wrong with a beacon or with fills."""

from __future__ import annotations

from darkpool.errors import BadInput, CheckFailed


class InvalidBeacon(BadInput):
    """Bytes that the priority of a batch cannot be drawn from."""

    def __init__(self, name: str, expected_bytes: int, got_bytes: int) -> None:
        super().__init__(f"{name}: expected {expected_bytes} bytes, got {got_bytes}")
        self.name = name
        self.expected_bytes = expected_bytes
        self.got_bytes = got_bytes


class InvalidFill(CheckFailed):
    """A fill that no auction gives; `intent` is None when the fills as a whole are at fault."""

    def __init__(self, intent: int | None, expected: str, got: str) -> None:
        place = "fills" if intent is None else f"fill of intent {intent}"
        super().__init__(f"{place}: expected {expected}, got {got}")
        self.intent = intent
        self.expected = expected
        self.got = got
