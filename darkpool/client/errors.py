"""What the agent refuses, and what must not be: part of the tree of `darkpool.errors`."""

from pathlib import Path

from darkpool.errors import BadInput, CheckFailed


class AgentRefused(BadInput):
    """Something that the agent does not do; its store is as it was."""

    prefix = "agent, "


class ForeignStore(AgentRefused):
    """A store of another account, chain, contract or version, or a key or order of another."""

    code = "foreign"


class SecondOrder(AgentRefused):
    """The instrument has a live order: an account has one intent for each auction."""

    code = "second-order"


class UnknownOrder(AgentRefused):
    """No order with this number was ever placed."""

    code = "unknown-order"


class OrderClosed(AgentRefused):
    """The order is filled, cancelled or expired, and stays so."""

    code = "order-closed"


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


class InvalidAccountKey(BadInput):
    """What is no private key of an account; nothing of it is told."""

    code = "invalid-account-key"

    def __init__(self, expected: str, got: str) -> None:
        super().__init__("account key", expected, got)


class StoreExposed(BadInput):
    """A store that others than its owner may read or write: it holds orders in the clear."""

    code = "store-exposed"

    def __init__(self, path: Path, mode: int) -> None:
        super().__init__(f"agent's store {path}", "mode 0600", f"{mode:04o}")


class TermsChanged(CheckFailed):
    """Other terms than those that an interval's intents were sealed under."""

    code = "terms-changed"

    def __init__(self, interval: int, field: str, expected: str, got: str) -> None:
        super().__init__(f"interval {interval}, {field}", f"{expected} as sealed", got)


class ResultConflict(CheckFailed):
    """A second, different result of an interval, or a fill that its intent does not allow."""

    code = "result-conflict"

    def __init__(self, interval: int, instrument: bytes, expected: str, got: int) -> None:
        subject = f"result of interval {interval}, instrument 0x{instrument.hex()}"
        super().__init__(subject, expected, f"{got} lots")


class InvalidOpeningFile(BadInput):
    """Text that is no opening file of a known version; `subject` names the field."""

    code = "invalid-opening-file"
    prefix = "opening file, "


class LeavesMissing(CheckFailed):
    """Neither the chain nor any other source gives the leaves of a settlement."""

    code = "leaves-missing"

    def __init__(self, interval: int, leaf_hash: bytes) -> None:
        expected = f"bytes with the hash 0x{leaf_hash.hex()}: on the chain, from a beacon node"
        super().__init__(f"leaves of interval {interval}", expected, "none")


class LeavesUnproven(CheckFailed):
    """Leaves are not those under the root that was settled."""

    code = "leaves-unproven"

    def __init__(self, vault: bytes, expected: bytes, got: bytes) -> None:
        super().__init__(f"root of vault 0x{vault.hex()}", expected, got)


class ForeignLeaves(BadInput):
    """Bytes that are not the leaves of the settlement that they were given for."""

    code = "foreign-leaves"


class InvalidOrders(BadInput):
    """A file of signed orders to pay an account that has another form, or is of another venue."""

    code = "invalid-orders"


class NothingToCarry(CheckFailed):
    """Signed orders under which nothing would be paid now."""

    code = "nothing-to-carry"
