"""Settlements as their contract takes them.

One that was kept as a message to the contract is taken apart before an account signs it: the file
that it comes from is a stranger's, perhaps, and what an account sends is a settlement and nothing
else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Final, Self

from eth_abi.exceptions import DecodingError, EncodingError
from eth_hash.auto import keccak
from web3 import Web3
from web3.exceptions import Web3Exception

from crypto.signing.settling import Closing, Settlement
from darkpool.chain.artifacts import load_artifact
from darkpool.chain.errors import NoSettlement
from darkpool.chain.evidence import ContractCall
from darkpool.units import Interval, account_of

CALL_BYTES_MAX: Final = 1 << 15
"""Results of as many instruments as a contract takes, and signatures of as many keypers."""

_FUNCTION: Final = "settle"


@dataclass(frozen=True, slots=True)
class KeptSettlement:
    """A call of `settle`, with what it settles (`settled_by`) and its arguments.

    `leaves` are the bytes that have to be on the chain before it.
    """

    call: ContractCall
    leaves: bytes
    interval: Interval
    outcome: tuple[Any, ...]
    arguments: tuple[Any, ...]

    @classmethod
    def of(cls, interval: Interval, call: ContractCall, leaves: bytes) -> Self:
        """The settlement of an interval that a call is.

        Raises:
            NoSettlement: the call is another one, or of another interval, or of other leaves.
        """
        if len(call.data) > CALL_BYTES_MAX:
            raise NoSettlement("data", f"at most {CALL_BYTES_MAX} bytes", len(call.data))
        contract = Web3().eth.contract(abi=load_artifact("Settlement").abi)
        try:
            function, given = contract.decode_function_input(call.data)
            arguments = tuple(given.values())
            exact = contract.encode_abi(function.fn_name, arguments) == f"0x{call.data.hex()}"
        except (DecodingError, EncodingError, OverflowError, ValueError, Web3Exception):
            exact = False
        if not exact or function.fn_name != _FUNCTION:
            got = f"{len(call.data)} bytes, beginning 0x{call.data[:4].hex()}"
            raise NoSettlement("data", "a call of settle", got)
        if given["interval"] != interval:
            raise NoSettlement("interval", f"{given['interval']} as in data", interval)
        settled = settled_by(given)
        expected, hashed = settled[0][3], keccak(leaves)
        if expected != hashed:
            raise NoSettlement("leaves", f"hash 0x{expected.hex()}", f"0x{hashed.hex()}")
        return cls(call, leaves, interval, settled, arguments)

    @property
    def balances_root(self) -> bytes:
        """Root of the balances of the first vault, 32 bytes."""
        return bytes(self.outcome[1][0][1])


def settled_by(told: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a settlement settles, out of a call of `settle` or of the event that it makes."""
    return tuple(_plain(told[name]) for name in ("outcome", "trees", "results"))


def _plain(value: Any) -> Any:
    """A value of web3 whose structs and lists are tuples: their kinds are those of the reader."""
    if isinstance(value, Mapping):
        return tuple(map(_plain, value.values()))
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    return bytes(value) if isinstance(value, bytes) else value


def settle_arguments(
    message: Settlement, results: bytes, signatures: Sequence[bytes]
) -> tuple[Any, ...]:
    """What `settle` of the contract is called with."""
    outcome = outcome_of(message, message.fills_root)
    return message.interval, outcome, trees_of(message), results, b"".join(signatures)


def outcome_of(message: Settlement | Closing, fills_root: bytes) -> tuple[Any, ...]:
    """The fields of the contract's struct `Outcome`."""
    return (
        message.prices,
        fills_root,
        message.state_root,
        message.leaf_hash,
        list(message.leaf_blobs),
        message.record_digest,
    )


def trees_of(message: Settlement | Closing) -> list[tuple[Any, ...]]:
    """The trees of a settlement as the contract takes them."""
    return [(account_of(tree.vault), *astuple(tree)[1:]) for tree in message.trees]
