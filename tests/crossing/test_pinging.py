"""A prober's whole view of an auction, with and without a resting block that it looks for.

The prober sends small orders, knows its own, and sees what the auction opens, with values and sizes
in bytes, and the result. Cover traffic takes the place of the block in the batch in the other case,
and the public result is the same in both. Submissions themselves: tests/client/test_guessing.py.
"""

from collections.abc import Sequence

import numpy as np
import pytest

from crypto.bfv.ciphertext import to_wire
from crypto.threshold.revealing import Revealed
from darkpool.units import Side
from tests.support.arena import Arena, Lanes, Row, in_turn, plain, twin
from tests.support.opening_simulator import Public
from tests.support.simulated_openings import distance, require_simulated, require_uniform

BUY, SELL = Side.BUY, Side.SELL
RUNS = 4
TICKS = 8
COVER: Row = (BUY, 0, 0)

# The prober's orders and somebody's, then what may rest besides.
PROBES: dict[str, tuple[int | None, list[Row], Row]] = {
    "a probe above a resting buy": (None, [(SELL, 1, 5), (BUY, 3, 1)], (BUY, 5000, 4)),
    "a probe that trades with somebody else": (
        None,
        [(SELL, 1, 2), (BUY, 1, 5), (BUY, 2, 0)],
        (SELL, 70000, 6),
    ),
    "a ladder of probes": (
        None,
        [(BUY, 1, 0), (BUY, 1, 1), (BUY, 1, 2), (BUY, 1, 3), (SELL, 2, 7)],
        (SELL, 9999, 5),
    ),
    "a probe at the reference": (3, [(BUY, 1, 2), (SELL, 1, 6)], (BUY, 100000, 2)),
}


def form(opened: Sequence[Revealed]) -> list[tuple[object, ...]]:
    """What of the openings is no value: purposes, order, masks' parts, supports, bytes."""
    return [
        (
            revealed.request.purpose,
            revealed.request.sequence,
            revealed.request.covered.mask_part,
            revealed.request.covered.support.tobytes(),
            len(to_wire(revealed.request.covered.ciphertext)),
            revealed.values.size,
        )
        for revealed in opened
    ]


def viewed(arena: Arena, rows: Sequence[Row], public: Public) -> tuple[object, list[object], Lanes]:
    """Result, form and unmasked values of an auction, and the values under masks."""
    opened: list[Revealed] = []
    found = arena.cross([rows], public.ticks, public.ranks, public.reference, opened, arena.fresh)
    uniform = require_simulated(opened, found, public)
    values = [
        revealed.values.tolist()
        for revealed in opened
        if revealed.request.covered.mask_number is None
    ]
    return plain(found[0]), [form(opened), values], uniform


@pytest.mark.parametrize("name", PROBES)
def test_a_prober_sees_the_same_with_and_without_a_block(arena: Arena, name: str) -> None:
    """Values under masks are uniform in both cases; everything else is equal, run by run."""
    reference, probes, block = PROBES[name]
    books = [[*probes, COVER], [*probes, block]]
    public = Public(TICKS, [in_turn(books[0])], reference)
    results = [plain(twin(rows, TICKS, public.ranks[0], reference)) for rows in books]
    assert results[0] == results[1], "the block leaves the public result unchanged"
    views = [[viewed(arena, rows, public) for _ in range(RUNS)] for rows in books]
    seen = [view[:2] for case in views for view in case]
    assert all(view == seen[0] for view in seen)
    assert seen[0][0] == results[0]
    samples = [np.concatenate([uniform for *_, uniform in case]) for case in views]
    for sample in samples:
        require_uniform(sample)
    assert distance(*samples) < 2.4
    # The lanes of the instrument alone, where the block makes its difference.
    own = np.concatenate([np.arange(2 * public.window), 64 + np.arange(2 * public.window)])
    stacked = [np.stack([uniform for *_, uniform in case])[:, own] for case in views]
    assert distance(*(sample.reshape(-1) for sample in stacked)) < 2.4


def test_a_block_that_trades_is_seen(arena: Arena) -> None:
    """The comparison of views can fail."""
    probes, block = [(SELL, 1, 2), (BUY, 3, 1)], (BUY, 5000, 4)
    public = Public(TICKS, [in_turn([*probes, COVER])])
    without, with_block = (viewed(arena, [*probes, last], public)[:2] for last in (COVER, block))
    assert without != with_block
