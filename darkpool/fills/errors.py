"""What can be wrong with a beacon or with fills."""

from __future__ import annotations

from darkpool.errors import BadInput, CheckFailed


class InvalidBeacon(BadInput):
    """Bytes that the priority of a batch cannot be drawn from."""

    code = "invalid-beacon"

    def __init__(self, name: str, expected_bytes: int, got_bytes: int) -> None:
        super().__init__(name, f"{expected_bytes} bytes", got_bytes)


class InvalidFill(CheckFailed):
    """A fill that no auction gives; `intent` is None when the fills as a whole are at fault."""

    code = "invalid-fill"

    def __init__(self, intent: int | None, expected: str, got: str) -> None:
        super().__init__("fills" if intent is None else f"fill of intent {intent}", expected, got)
        self.intent = intent
