"""What web3 and the embedded chain raise, as this project's errors.

Whatever a node answers, nothing but these errors comes of it: an answer that fits the form of its
method can still be one that web3 cannot decode.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from eth_abi.exceptions import DecodingError
from eth_tester.exceptions import TransactionFailed
from eth_utils.exceptions import ValidationError as EmbeddedRefusal
from web3.exceptions import ContractLogicError, Web3Exception, Web3RPCError

from darkpool.chain.errors import ChainUnavailable, TransactionRefused, TransactionReverted

NO_REASON: Final = "no reason given"
"""The reason of a revert that has none."""

_UNDECODABLE: Final = (
    ArithmeticError,
    AttributeError,
    DecodingError,
    LookupError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    Web3Exception,
)
"""What decoding ends in where the answer is of another kind."""


@contextmanager
def reading(node: str, what: str) -> Iterator[None]:
    """A block that only asks: there is an answer, or none that can be used.

    Raises:
        ChainUnavailable: no answer, a refusal, or something else than `what`.
    """
    try:
        yield
    except Web3RPCError as error:
        raise ChainUnavailable(node, refusal_text(error)) from error
    except (ContractLogicError, TransactionFailed) as error:
        reason = f"for {what} a revert: {revert_reason(error)}"
        raise ChainUnavailable(node, reason) from error
    except (*_UNDECODABLE, EmbeddedRefusal) as error:
        raise ChainUnavailable(node, f"nothing that can be read as {what}") from error


@contextmanager
def sending(node: str, function: str) -> Iterator[None]:
    """A block that sends a transaction to a function, or finds out what it needs.

    Raises:
        TransactionReverted: the contract refuses it.
        TransactionRefused: the node does.
        ChainUnavailable: no answer, or none that can be used.
    """
    try:
        yield
    except (ContractLogicError, TransactionFailed) as error:
        raise TransactionReverted(function, revert_reason(error)) from error
    except Web3RPCError as error:
        raise TransactionRefused(function, refusal_text(error)) from error
    except EmbeddedRefusal as error:
        raise TransactionRefused(function, str(error)) from error
    except _UNDECODABLE as error:
        raise ChainUnavailable(node, f"nothing that can be read for {function}") from error


def revert_reason(error: Exception) -> str:
    """What a contract gave as its reason."""
    reason = error.args[0] if error.args and isinstance(error.args[0], str) else ""
    return reason.removeprefix("execution reverted").removeprefix(": ") or NO_REASON


def refusal_code(error: Web3RPCError) -> int | None:
    """The number of a node's error."""
    refusal = (error.rpc_response or {}).get("error")
    return refusal["code"] if isinstance(refusal, dict) else None


def refusal_text(error: Web3RPCError) -> str:
    """The number and the words of a node's error."""
    refusal = (error.rpc_response or {}).get("error")
    if not isinstance(refusal, dict):
        return error.message
    return f"error {refusal['code']}: {refusal['message']}"
