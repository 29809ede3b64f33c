"""Shapes of the masks that an interval needs."""

from __future__ import annotations

from collections.abc import Sequence

from crypto.bfv.lanes import LaneShape
from crypto.circuits.minimum_fill_lanes import MinimumFillLayout, minimum_fill_groups
from crypto.circuits.price_lanes import PriceLayout, price_groups
from crypto.circuits.rationing import RationLayout
from darkpool.crossing.rationing import ration_groups
from darkpool.protocol.terms import IntervalTerms


def mask_shapes(
    terms: IntervalTerms, counts: Sequence[int], minimum_fills: Sequence[bool]
) -> list[LaneShape]:
    """Shapes of the masks that an interval needs when every instrument crosses.

    `counts` are the intents of each instrument, `minimum_fills` whether it has minimum-fill orders.
    """
    parameters = terms.material.parameters
    ticks = terms.ticks
    shapes = [
        PriceLayout(
            parameters,
            ticks,
            0,
            tuple(counts[k] for k in group),
            tuple(minimum_fills[k] for k in group),
        ).shape
        for group in price_groups(parameters, ticks, counts, minimum_fills)
    ]
    asked = {k: counts[k] for k, minimum_fill in enumerate(minimum_fills) if minimum_fill}
    shapes += [
        MinimumFillLayout(parameters, tuple(counts[k] for k in members)).shape
        for members in minimum_fill_groups(parameters, asked)
    ]
    for group in ration_groups(parameters, counts, range(len(counts))):
        rows = (0,) * len(group)
        shapes.append(RationLayout(parameters, tuple(counts[k] for k in group), rows).shape)
    return shapes
