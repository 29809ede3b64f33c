"""Vectors that a check of sums, or of shapes alone, would let pass."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from crypto.circuits.curves import BUY
from crypto.ring.params import RingParameters
from darkpool.errors import OutOfBounds
from darkpool.wargames.draft import Draft, Vector, honest_shape

Pair = Callable[[RingParameters, int, np.random.Generator], tuple[Vector, Vector]]
OverCap = Callable[[RingParameters, int, int, np.random.Generator], Vector]


def _buy(ring: RingParameters, ticks: int, rng: np.random.Generator) -> tuple[Draft, Vector]:
    draft = Draft(ring, ticks, rng)
    draft.order(BUY)
    return draft, draft.vector()


def borrowed_height(
    ring: RingParameters, ticks: int, rng: np.random.Generator
) -> tuple[Vector, Vector]:
    """One has the demand of a buy, the other its size and complement."""
    draft, _ = _buy(ring, ticks, rng)
    demand = draft.demand[:ticks].copy()
    draft.demand[:ticks] = 0
    rest = draft.vector()
    draft.fill(np.zeros(ring.degree, dtype=np.int64))
    draft.demand[:ticks] = demand
    return draft.vector(), rest


def opposite_humps(
    ring: RingParameters, ticks: int, rng: np.random.Generator
) -> tuple[Vector, Vector]:
    """Two buys of one limit; the first has a lot more at one tick, the second a lot less."""
    draft, order = _buy(ring, ticks, rng)
    draft.demand[draft.limit] += 1
    up = draft.vector()
    draft.fill(order)
    draft.demand[draft.limit] -= 1
    return up, draft.vector()


def opposite_dirt(
    ring: RingParameters, ticks: int, rng: np.random.Generator
) -> tuple[Vector, Vector]:
    """A buy and an empty vector with opposite residues in slots that have to be empty."""
    draft, _ = _buy(ring, ticks, rng)
    dirt = np.zeros((2, ring.row), dtype=np.int64)
    dirt[:, ticks : draft.half] = rng.integers(1, draft.t, (2, draft.half - ticks))
    draft.demand += dirt[0]
    draft.complement += dirt[1]
    return draft.vector(), -dirt.reshape(-1) % draft.t


def opposite_sizes(
    ring: RingParameters, ticks: int, rng: np.random.Generator
) -> tuple[Vector, Vector]:
    """Two buys of one limit; the first states a lot more than it bids for, the second less."""
    draft, order = _buy(ring, ticks, rng)
    pair = []
    for more in (1, -1):
        draft.fill(order)
        draft.demand[draft.half :] += more
        draft.complement[draft.half :] += more
        pair.append(draft.vector())
    return pair[0], pair[1]


def random_split(
    ring: RingParameters, ticks: int, rng: np.random.Generator
) -> tuple[Vector, Vector]:
    """A uniform vector whose rows have different sizes, and what makes a buy of it."""
    draft, order = _buy(ring, ticks, rng)
    draft.fill(rng.integers(0, draft.t, ring.degree))
    draft.complement[draft.half] = draft.demand[draft.half] + 1
    part = draft.vector()
    return part, (order - part) % draft.t


def _over(size_of: Callable[[int, int], int], description: str) -> OverCap:
    """Builder of an order of either side whose size is `size_of(t, cap)`."""

    def build(ring: RingParameters, ticks: int, cap: int, rng: np.random.Generator) -> Vector:
        cap_max = (ring.plain_modulus - 1) // 4
        if not 1 <= cap <= cap_max:
            raise OutOfBounds("cap in lots", 1, cap_max, cap)
        size = size_of(ring.plain_modulus, cap)
        side, limit = int(rng.integers(2)), int(rng.integers(ticks))
        return honest_shape(ring, ticks, side, size, limit)

    build.__doc__ = description
    return build


CANCELLING: Final[Mapping[str, Pair]] = MappingProxyType(
    {
        build.__name__: build
        for build in (borrowed_height, opposite_humps, opposite_dirt, opposite_sizes, random_split)
    }
)
"""Builders (ring, ticks, rng) -> two vectors that are no order's, whose sum is one's, by name; as
many ticks as for `MALFORMED`."""

OVER_CAP: Final[Mapping[str, OverCap]] = MappingProxyType(
    {
        "one_above": _over(lambda _, cap: cap + 1, "One lot more than the cap."),
        "twice": _over(lambda _, cap: 2 * cap, "Twice the cap."),
        "quarter": _over(lambda t, _: t // 4 + 1, "Just above a quarter of the modulus."),
        "below_half": _over(lambda t, _: t // 2, "The largest residue below half the modulus."),
        "above_half": _over(lambda t, _: t // 2 + 1, "The smallest one above it."),
        "above_half_by_cap": _over(
            lambda t, cap: t // 2 + cap, "The largest size for which cap - size is above t / 2."
        ),
        "past_half_by_cap": _over(
            lambda t, cap: t // 2 + cap + 1, "The smallest for which cap - size is below t / 2."
        ),
        "minus_cap": _over(lambda t, cap: t - cap, "The cap with a minus sign."),
        "minus_two": _over(lambda t, _: t - 2, "A size of minus two."),
        "minus_one": _over(lambda t, _: t - 1, "A size of minus one: t - 1."),
    }
)
"""Builders (ring, ticks, cap, rng) -> an honest shape whose size is not in 0 .. cap, by name."""
