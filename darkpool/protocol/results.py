"""What a settlement is made of: results of instruments, and leaves of balances."""

from __future__ import annotations

from dataclasses import dataclass

from eth_abi.abi import encode
from eth_hash.auto import keccak

from darkpool.units import AccountId, Cash, InstrumentId, Lots, Tick


@dataclass(frozen=True, slots=True)
class BalanceLeaf:
    """What an account owns after an interval, in cash units of the collateral.

    `withdrawable` is free; `encumbered` is posted as margin; `positions_root` are the 32 bytes of
    `positions_root`.
    """

    account: AccountId
    withdrawable: Cash
    encumbered: Cash
    positions_root: bytes

    def encode(self) -> bytes:
        """Return the 128 bytes of the leaf: address, uint256, uint256, bytes32.

        Raises:
            eth_abi.exceptions.EncodingError: a field does not fit its type.
        """
        return encode(
            ["address", "uint256", "uint256", "bytes32"],
            [self.account, self.withdrawable, self.encumbered, self.positions_root],
        )


@dataclass(frozen=True, slots=True)
class InstrumentResult:
    """The public outcome for an instrument; tick and volume are 0 where nothing crossed."""

    instrument: InstrumentId
    crossed: bool
    price_tick: Tick
    volume: Lots


def positions_root(encoded: bytes) -> bytes:
    """Return keccak-256 of an account's positions, in the encoding of `encode_positions`."""
    return keccak(encoded)
