"""Priority within a batch: a uniform permutation that nobody knew before the batch was final."""

from typing import Final

import numpy as np
from Crypto.Hash import SHAKE256
from numpy.typing import NDArray

from crypto.labels import PRIORITY
from darkpool.errors import OutOfBounds
from darkpool.fills.errors import InvalidBeacon
from darkpool.limits import INTENTS_PER_AUCTION_MAX
from darkpool.units import InstrumentId

BEACON_BYTES: Final = 32
_WORD_BYTES: Final = 4
_WORDS: Final = 1 << (8 * _WORD_BYTES)


def priority_permutation(
    beacon: bytes, instrument: InstrumentId, intents: int
) -> NDArray[np.int64]:
    """Return the rank of each of an instrument's intents, 0 for the one that fills first.

    Fisher-Yates shuffle (Knuth, The Art of Computer Programming, vol. 2, algorithm 3.4.2 P) of the
    intents' indices, driven by one byte stream, with rejection so that no index is favoured:

    1. The stream is SHAKE256 (FIPS 202) of the label `darkpool/v1/priority`, the 32 bytes of the
       beacon, the 32 bytes of the instrument and the number of intents as 4 bytes, big-endian.
    2. `order[k] = k` for all k. For i from `intents` - 1 down to 1: read 4 bytes as a big-endian
       word until the word is below 2**32 - (2**32 mod (i+1)); j = word mod (i+1); swap `order[i]`
       and `order[j]`.
    3. The intent `order[k]` has rank k.

    Shape (intents,), int64.

    Raises:
        InvalidBeacon: beacon or instrument is not 32 bytes.
        OutOfBounds: a negative number of intents, or more than `INTENTS_PER_AUCTION_MAX`.
    """
    for name, value in (("beacon", beacon), ("instrument", instrument)):
        if len(value) != BEACON_BYTES:
            raise InvalidBeacon(name, BEACON_BYTES, len(value))
    if not 0 <= intents <= INTENTS_PER_AUCTION_MAX:
        raise OutOfBounds("intents", 0, INTENTS_PER_AUCTION_MAX, intents)
    stream = SHAKE256.new(PRIORITY + beacon + instrument + intents.to_bytes(4, "big"))
    order = list(range(intents))
    for last in range(intents - 1, 0, -1):
        choices = last + 1
        accepted = _WORDS - _WORDS % choices
        word = accepted
        while word >= accepted:
            word = int.from_bytes(stream.read(_WORD_BYTES), "big")
        chosen = word % choices
        order[last], order[chosen] = order[chosen], order[last]
    ranks = np.empty(intents, dtype=np.int64)
    ranks[order] = np.arange(intents)
    return ranks
