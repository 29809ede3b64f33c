"""What the agent refuses, and what must not be: part of the tree of `darkpool.errors`."""

from pathlib import Path
from typing import ClassVar

from darkpool.errors import BadInput, CheckFailed


class AgentRefused(BadInput):
    """Something that the agent does not do; its store is as it was.

    `code` is the stable name of the reason, for programs.
    """

    code: ClassVar[str]

    def __init__(self, what: str, expected: str, got: str) -> None:
        super().__init__(f"agent, {what}: expected {expected}, got {got}")
        self.what, self.expected, self.got = what, expected, got


class ForeignStore(AgentRefused):
    """A store of another account, chain, contract or version, or a key or order of another."""

    code = "foreign"


class SecondOrder(AgentRefused):
    """The instrument has a live order: an account has one intent for each auction."""

    code = "second-order"


class InvalidStandingOrder(AgentRefused):
    """A field that no standing order has."""

    code: ClassVar[str] = "invalid-standing-order"


class UnknownOrder(AgentRefused):
    """No order with this number was ever placed."""

    code = "unknown-order"


class OrderClosed(AgentRefused):
    """The order is filled, cancelled or expired, and stays so."""

    code = "closed"


class BelowFilled(AgentRefused):
    """An amended size below what is filled and what is sealed and may yet be filled."""

    code = "below-filled"


class IntervalOver(AgentRefused):
    """An interval that is over, or that was passed by."""

    code = "interval-over"


class ResultMissing(AgentRefused):
    """What is left of an order is not known before the result of its last interval is."""

    code = "result-missing"


class UnknownIntent(AgentRefused):
    """Nothing was sealed for this instrument and interval."""

    code = "unknown-intent"


class StoreExposed(BadInput):
    """A store that others than its owner may read or write: it holds orders in the clear."""

    def __init__(self, path: Path, mode: int) -> None:
        super().__init__(f"agent's store {path}: expected mode 0600, got {mode:04o}")
        self.path, self.mode = path, mode


class TermsChanged(CheckFailed):
    """Other terms than those that an interval's intents were sealed under."""

    def __init__(self, interval: int, what: str, expected: str, got: str) -> None:
        super().__init__(f"interval {interval}, {what}: expected {expected} as sealed, got {got}")
        self.interval, self.what, self.expected, self.got = interval, what, expected, got


class ResultConflict(CheckFailed):
    """A second, different result of an interval, or a fill that its intent does not allow."""

    def __init__(self, interval: int, instrument: bytes, expected: str, got: int) -> None:
        super().__init__(
            f"result of interval {interval}, instrument 0x{instrument.hex()}: expected {expected}, "
            f"got {got} lots"
        )
        self.interval, self.instrument, self.expected, self.got = (
            interval,
            instrument,
            expected,
            got,
        )


class InvalidOpeningFile(BadInput):
    """Text that is no opening file of a known version."""

    def __init__(self, field: str, expected: str, got: str) -> None:
        super().__init__(f"opening file, {field}: expected {expected}, got {got}")
        self.field = field
        self.expected = expected
        self.got = got
