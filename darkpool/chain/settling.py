"""A settlement that was kept as a message to its contract, taken apart before an account signs it.

The file that it comes from is a stranger's, perhaps: what an account sends is a settlement and
nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

from eth_abi.exceptions import DecodingError, EncodingError
from eth_hash.auto import keccak
from web3 import Web3
from web3.exceptions import Web3Exception

from darkpool.chain.artifacts import load_artifact
from darkpool.chain.errors import NoSettlement
from darkpool.chain.evidence import ContractCall
from darkpool.units import Interval

CALL_BYTES_MAX: Final = 1 << 15
"""Results of as many instruments as a contract takes, and signatures of as many keypers."""

_FUNCTION: Final = "settle"


@dataclass(frozen=True, slots=True)
class KeptSettlement:
    """A call of `settle`; `arguments` are what it is called with.

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
        outcome = (given["outcome"], given["trees"], given["results"])
        expected, hashed = bytes(given["outcome"][3]), keccak(leaves)
        if expected != hashed:
            raise NoSettlement("leaves", f"hash 0x{expected.hex()}", f"0x{hashed.hex()}")
        return cls(call, leaves, interval, outcome, arguments)

    @property
    def balances_root(self) -> bytes:
        """Root of the balances of the first vault, 32 bytes."""
        return bytes(self.outcome[1][0][1])
