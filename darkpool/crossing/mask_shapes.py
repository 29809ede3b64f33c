"""Shapes of the masks that an interval needs."""

from __future__ import annotations

from collections.abc import Sequence

from crypto.bfv.lanes import LaneShape
from crypto.circuits.offset_lanes import OffsetLayout, offset_groups
from crypto.circuits.price_lanes import PriceLayout, price_groups
from crypto.circuits.rationing import RationLayout
from darkpool.crossing.encrypted import ration_groups
from darkpool.protocol.terms import AuctionTerms


def mask_shapes(
    terms: AuctionTerms, counts: Sequence[int], offsets: Sequence[bool]
) -> list[LaneShape]:
    """Shapes of the masks that an interval needs when every instrument crosses.

    `counts` are the intents of each instrument, `offsets` whether it has offset orders.
    """
    parameters = terms.material.parameters
    ticks = next(iter(terms.grids.values())).ticks
    shapes = [
        PriceLayout(
            parameters, ticks, tuple(counts[k] for k in group), tuple(offsets[k] for k in group)
        ).shape
        for group in price_groups(parameters, ticks, counts, offsets)
    ]
    asked = {k: counts[k] for k, offset in enumerate(offsets) if offset}
    shapes += [
        OffsetLayout(parameters, tuple(counts[k] for k in members)).shape
        for members in offset_groups(parameters, asked)
    ]
    for group in ration_groups(parameters, counts, range(len(counts))):
        rows = (0,) * len(group)
        shapes.append(RationLayout(parameters, tuple(counts[k] for k in group), rows).shape)
    return shapes
