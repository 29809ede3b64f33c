"""Positions in cash-settled contracts, and their one encoding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from darkpool.units import Cash, InstrumentId

POSITIONS_VERSION: Final = 1
_WORD_BYTES: Final = 32
_NO_CASH: Final = Cash(0)


@dataclass(frozen=True, slots=True)
class Position:
    """What an account holds in one contract.

    A position gains net * price * multiplier - cost at a price. Over all accounts `net` adds up to
    zero, and so does `cost`.

    Attributes:
        net: lots bought less lots sold.
        cost: what the lots cost since variation was settled last.
        entry: what the open lots cost when they were taken; it ranks gains and moves no money.
    """

    net: int = 0
    cost: Cash = _NO_CASH
    entry: Cash = _NO_CASH

    def traded(self, lots: int, cost: int) -> Position:
        """The position after a trade of lots that were bought or, below zero, sold.

        Three lots that cost 30 have 20 as their entry once one of them is sold, at whatever price;
        once five of them are sold for 60 in all, the two that are short have -24.
        """
        net = self.net + lots
        if self.net * lots >= 0:
            entry = self.entry + cost
        elif self.net * net >= 0:
            entry = self.entry * net // self.net
        else:
            entry = cost * net // lots
        return Position(net, Cash(self.cost + cost), Cash(entry))


def encode_positions(positions: Mapping[InstrumentId, Position]) -> bytes:
    """Encode an account's positions; equal positions give equal bytes.

    One byte of version (1), then for each instrument, in ascending order of its 32 bytes: the
    instrument, `net`, `cost` and `entry`, each as 32 bytes big-endian, negative numbers in two's
    complement (`bytes32` and three `int256` of the contract ABI). The encoding leaves out a
    position whose three numbers are zero.
    """
    parts = [bytes([POSITIONS_VERSION])]
    for instrument in sorted(positions):
        position = positions[instrument]
        if position == Position():
            continue
        parts.append(instrument)
        parts += [
            number.to_bytes(_WORD_BYTES, "big", signed=True)
            for number in (position.net, position.cost, position.entry)
        ]
    return b"".join(parts)
