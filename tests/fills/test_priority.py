import hashlib
from collections import Counter
from itertools import permutations

import pytest

from darkpool.errors import OutOfBounds
from darkpool.fills.errors import InvalidBeacon
from darkpool.fills.priority import priority_permutation
from darkpool.limits import INTENTS_PER_AUCTION_MAX
from darkpool.units import InstrumentId

BEACON = bytes(range(32))
INSTRUMENT = InstrumentId(b"\xaa" * 32)


def by_the_text(beacon: bytes, instrument: bytes, intents: int) -> list[int]:
    """The documented steps, with another SHAKE256 and nothing shared."""
    seed = b"darkpool/v1/priority" + beacon + instrument + intents.to_bytes(4, "big")
    stream = hashlib.shake_256(seed).digest(16 * intents + 4)
    order = list(range(intents))
    offset = 0
    for i in reversed(range(1, intents)):
        while True:
            word = int.from_bytes(stream[offset : offset + 4], "big")
            offset += 4
            if word < 2**32 - 2**32 % (i + 1):
                break
        j = word % (i + 1)
        order[i], order[j] = order[j], order[i]
    return [order.index(intent) for intent in range(intents)]


@pytest.mark.parametrize(
    ("beacon", "instrument", "ranks"),
    [
        (bytes(32), bytes(32), [2, 4, 3, 5, 1, 6, 7, 0]),
        (bytes(range(32)), b"\xff" * 32, [0, 3, 4, 8, 7, 1, 9, 5, 2, 6]),
    ],
)
def test_frozen_vectors(beacon: bytes, instrument: bytes, ranks: list[int]) -> None:
    found = priority_permutation(beacon, InstrumentId(instrument), len(ranks))
    assert found.tolist() == ranks


@pytest.mark.parametrize("intents", [0, 1, 2, 3, 100, INTENTS_PER_AUCTION_MAX])
def test_the_text_alone_is_enough_to_repeat_it(intents: int) -> None:
    ranks = priority_permutation(BEACON, INSTRUMENT, intents)
    assert ranks.tolist() == by_the_text(BEACON, INSTRUMENT, intents)
    assert sorted(ranks.tolist()) == list(range(intents))


def test_beacon_instrument_and_count_each_change_it() -> None:
    ranks = priority_permutation(BEACON, INSTRUMENT, 100).tolist()
    assert priority_permutation(bytes(32), INSTRUMENT, 100).tolist() != ranks
    assert priority_permutation(BEACON, InstrumentId(bytes(32)), 100).tolist() != ranks
    longer = priority_permutation(BEACON, INSTRUMENT, 101).tolist()[:100]
    assert longer != ranks


def test_every_permutation_is_about_as_frequent() -> None:
    """Chi-squared over the 24 orders of four intents; 23 degrees of freedom, p = 10**-6."""
    draws = 4800
    seen = Counter(
        tuple(priority_permutation(number.to_bytes(32, "big"), INSTRUMENT, 4).tolist())
        for number in range(draws)
    )
    expected = draws / 24
    statistic = sum((seen[order] - expected) ** 2 / expected for order in permutations(range(4)))
    assert statistic < 70


def test_what_is_no_beacon_is_refused() -> None:
    with pytest.raises(InvalidBeacon):
        priority_permutation(bytes(31), INSTRUMENT, 4)
    with pytest.raises(InvalidBeacon):
        priority_permutation(BEACON, InstrumentId(bytes(33)), 4)
    for intents in (-1, INTENTS_PER_AUCTION_MAX + 1):
        with pytest.raises(OutOfBounds):
            priority_permutation(BEACON, INSTRUMENT, intents)
