"""What clients do at the vaults: flows, in the one order that the contract gives them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from eth_abi.abi import encode
from eth_hash.auto import keccak

from darkpool.units import AccountId

NO_FLOWS = bytes(32)
"""The head of the chain before the first flow."""


class FlowKind(IntEnum):
    """What a flow is; the numbers are those of the contracts."""

    DEPOSIT = 1
    REQUEST = 2
    NOTICE = 3
    RETURN = 4


@dataclass(frozen=True, slots=True)
class Flow:
    """One entry of the chain of flows.

    Attributes:
        index: counted from 1 over all vaults.
        vault: address of the vault that reported it.
        amount: token units.
        number: of a notice or a return the index of its deposit, else 0.
    """

    index: int
    kind: FlowKind
    vault: AccountId
    account: AccountId
    amount: int
    number: int = 0

    def head_after(self, head: bytes) -> bytes:
        """The hash of all flows with this one, from the 32-byte hash of those before it."""
        kinds = ["bytes32", "uint256", "uint256", "address", "address", "uint256", "uint64"]
        named = (int(self.kind), self.vault, self.account, self.amount, self.number)
        return keccak(encode(kinds, [head, self.index, *named]))
