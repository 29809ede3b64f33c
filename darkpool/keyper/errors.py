"""The error of a keyper's broken promise."""

from __future__ import annotations

from crypto.signing.messages import SealedIntent
from darkpool.errors import CheckFailed
from darkpool.units import account_of


class Equivocation(CheckFailed):
    """A second, different statement where a keyper makes one for ever."""

    code = "equivocation"

    def __init__(self, statement: str, interval: int, expected: object, got: object) -> None:
        super().__init__(f"{statement} of interval {interval}, once for ever", expected, got)
        self.interval = interval


class AdmissionNotOpen(CheckFailed):
    """An interval that this keyper was never told of, or whose certification has not ended."""

    code = "admission-not-open"

    def __init__(self, interval: int, expected: str, got: str) -> None:
        super().__init__(f"admission of interval {interval}", expected, got)


class BatchRefused(CheckFailed):
    """A batch whose root a keyper does not sign."""

    code = "batch-refused"
    prefix = "batch, "


class OmittedIntent(BatchRefused):
    """An intent that has a certificate and was not taken back is not in the batch."""

    code = "omitted-intent"

    def __init__(self, intent: bytes, sealed: SealedIntent) -> None:
        expected = f"intent {intent.hex()} of account {account_of(sealed.account)}"
        super().__init__("intents", expected, "a batch without it")
        self.intent, self.sealed = intent, sealed


class CancelledIntent(BatchRefused):
    """An intent is in the batch that its account took back before the close."""

    code = "cancelled-intent"

    def __init__(self, intent: bytes, sealed: SealedIntent) -> None:
        super().__init__("intents", "no cancelled intent", intent.hex())
        self.intent, self.sealed = intent, sealed


class SettlementRefused(CheckFailed):
    """A settlement that a keyper does not compute from what it knows."""

    code = "settlement-refused"
    prefix = "settlement, "
