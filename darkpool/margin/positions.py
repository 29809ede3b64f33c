"""Positions in cash-settled contracts, and their one encoding."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from darkpool.units import Cash, InstrumentId, Lots, PriceUnits, Side

POSITIONS_VERSION: Final = 1
_WORD_BYTES: Final = 32
_NO_CASH: Final = Cash(0)


@dataclass(frozen=True, slots=True)
class Position:
    """What an account holds in one instrument.

    `net` is lots bought minus lots sold; `cost` the cash that the trades so far are worth at their
    prices, bought minus sold, so that at a settlement price the position gains
    net * price * multiplier - cost; `posted` the margin held for it. Over all accounts `net` and
    `cost` add up to zero.
    """

    net: int = 0
    cost: Cash = _NO_CASH
    posted: Cash = _NO_CASH

    def after(
        self, side: Side, size: Lots, price: PriceUnits, multiplier: int, margin: Cash
    ) -> "Position":
        """Return the position after one more fill, with its margin."""
        signed = size if side is Side.BUY else -size
        return Position(
            net=self.net + signed,
            cost=Cash(self.cost + signed * price * multiplier),
            posted=Cash(self.posted + margin),
        )


def encode_positions(positions: Mapping[InstrumentId, Position]) -> bytes:
    """Encode an account's positions; equal positions give equal bytes.

    One byte of version (1), then for each instrument, in ascending order of its 32 bytes: the
    instrument, `net`, `cost` and `posted`, each as 32 bytes big-endian, negative numbers in two's
    complement (`bytes32`, `int256`, `int256`, `uint256` of the contract ABI). A position that is
    zero throughout is left out.
    """
    parts = [bytes([POSITIONS_VERSION])]
    for instrument in sorted(positions):
        position = positions[instrument]
        if position == Position():
            continue
        parts.append(instrument)
        parts.append(position.net.to_bytes(_WORD_BYTES, "big", signed=True))
        parts.append(position.cost.to_bytes(_WORD_BYTES, "big", signed=True))
        parts.append(position.posted.to_bytes(_WORD_BYTES, "big"))
    return b"".join(parts)
