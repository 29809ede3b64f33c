"""The public results of instruments, and the bytes that the contract takes of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from darkpool.errors import OutOfBounds
from darkpool.units import InstrumentId, Lots, Tick

RESULT_BYTES: Final = 64
"""An instrument's name, and its outcome: volume * 2**64 + price tick * 2 + crossed."""

_TICK_BITS: Final = 63
_VOLUME_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class InstrumentResult:
    """The public outcome for an instrument; tick and volume are 0 where nothing crossed."""

    instrument: InstrumentId
    crossed: bool
    price_tick: Tick
    volume: Lots

    def encode(self) -> bytes:
        """Return the 64 bytes that the contract Settlement takes.

        Raises:
            OutOfBounds: tick or volume does not fit.
        """
        for quantity, bits, number in (
            ("price tick", _TICK_BITS, self.price_tick),
            ("volume in lots", _VOLUME_BITS, self.volume),
        ):
            if not 0 <= number < 1 << bits:
                raise OutOfBounds(quantity, 0, (1 << bits) - 1, number)
        outcome = self.volume << 64 | self.price_tick << 1 | self.crossed
        return self.instrument + outcome.to_bytes(32, "big")


def encode_results(results: Iterable[InstrumentResult]) -> bytes:
    """Return the bytes of the results of an interval, in the order in which they are given.

    Raises:
        OutOfBounds: tick or volume of one does not fit.
    """
    return b"".join(result.encode() for result in results)


def decode_results(data: bytes) -> tuple[InstrumentResult, ...] | None:
    """The results that bytes stand for; None where they stand for none."""
    if len(data) % RESULT_BYTES:
        return None
    results = []
    for start in range(0, len(data), RESULT_BYTES):
        instrument, outcome = data[start : start + 32], data[start + 32 : start + RESULT_BYTES]
        number = int.from_bytes(outcome, "big")
        tick, volume = (number & (1 << 64) - 1) >> 1, number >> 64
        if volume >> _VOLUME_BITS:
            return None
        results.append(
            InstrumentResult(InstrumentId(instrument), bool(number & 1), Tick(tick), Lots(volume))
        )
    return tuple(results)
