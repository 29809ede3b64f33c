"""The error of a keyper's broken promise."""

from __future__ import annotations

from crypto.signing.messages import SealedIntent
from darkpool.errors import CheckFailed


class Equivocation(CheckFailed):
    """A second, different statement where a keyper makes one for ever."""

    def __init__(self, what: str, interval: int, expected: bytes, got: bytes) -> None:
        super().__init__(
            f"{what} of interval {interval}: expected {expected.hex()}, signed before; "
            f"got {got.hex()}"
        )
        self.what, self.interval, self.expected, self.got = what, interval, expected, got


class AdmissionNotOpen(CheckFailed):
    """An interval that this keyper was never told of, or whose certification has not ended."""

    def __init__(self, interval: int, expected: str, got: str) -> None:
        super().__init__(f"admission of interval {interval}: expected {expected}, got {got}")
        self.interval, self.expected, self.got = interval, expected, got


class BatchRefused(CheckFailed):
    """A batch whose root a keyper does not sign."""

    def __init__(self, what: str, expected: object, got: object) -> None:
        super().__init__(f"batch, {what}: expected {expected}, got {got}")
        self.what, self.expected, self.got = what, expected, got


class OmittedIntent(BatchRefused):
    """An intent that has a certificate and was not taken back is not in the batch."""

    def __init__(self, intent: bytes, sealed: SealedIntent) -> None:
        account = sealed.account.hex()
        super().__init__("intents", f"intent {intent.hex()} of account {account}", "none")
        self.intent, self.sealed = intent, sealed


class CancelledIntent(BatchRefused):
    """An intent is in the batch that its account took back before the close."""

    def __init__(self, intent: bytes, sealed: SealedIntent) -> None:
        super().__init__("intents", "none that was cancelled", intent.hex())
        self.intent, self.sealed = intent, sealed
