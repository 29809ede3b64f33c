"""Positions in cash-settled contracts, and their one encoding."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from darkpool.units import Cash, InstrumentId

POSITIONS_VERSION: Final = 1
_WORD_BYTES: Final = 32
_NO_CASH: Final = Cash(0)


@dataclass(frozen=True, slots=True)
class Position:
    """What an account holds in one instrument.

    `net` is lots bought less lots sold; `cost` the cash that they cost since variation was settled
    last, so that at a price the position gains net * price * multiplier - cost; `entry` what the
    open lots cost when they were taken, which ranks gains and moves no money. Over all accounts
    `net` and `cost` add up to zero.
    """

    net: int = 0
    cost: Cash = _NO_CASH
    entry: Cash = _NO_CASH


def encode_positions(positions: Mapping[InstrumentId, Position]) -> bytes:
    """Encode an account's positions; equal positions give equal bytes.

    One byte of version (1), then for each instrument, in ascending order of its 32 bytes: the
    instrument, `net`, `cost` and `entry`, each as 32 bytes big-endian, negative numbers in two's
    complement (`bytes32` and three `int256` of the contract ABI). A position that is zero
    throughout is left out.
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
