"""Minimum-fill orders of no valid minimum: below one lot, or over a lot above the size."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from crypto.circuits.curves import CurveLayout
from crypto.ring.params import RingParameters
from darkpool.units import Lots
from darkpool.wargames.draft import Vector, honest_shape

Minimum = Callable[[RingParameters, int, Lots, np.random.Generator], Vector]


def _with(least_less_one: Callable[[int, int], int]) -> Minimum:
    """Build an order within its cap; the slot of its minimum is a function of the size and t."""

    def build(ring: RingParameters, ticks: int, cap: Lots, rng: np.random.Generator) -> Vector:
        size, side = int(rng.integers(0, cap + 1)), int(rng.integers(2))
        vector = honest_shape(ring, ticks, side, size, int(rng.integers(ticks)))
        slot = CurveLayout(ring, ticks).minimum
        vector[slot] = least_less_one(size, ring.plain_modulus) % ring.plain_modulus
        return vector

    return build


NO_MINIMUM: Final[Mapping[str, Minimum]] = MappingProxyType(
    {
        "minimum_of_zero": _with(lambda _size, _t: -1),
        "negative_minimum": _with(lambda _size, _t: -1000),
        "minimum_above_size": _with(lambda size, _t: size + 1),
        "minimum_of_half_the_modulus": _with(lambda _size, t: t // 2),
        "minimum_of_the_modulus": _with(lambda _size, t: t - 2),
    }
)
"""Every kind by name; all are taken out as if their size were above the cap."""
