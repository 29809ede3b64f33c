"""What a weighted sum of shape checks is, on vectors in the clear."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from crypto.ring.params import TEST_INSECURE_SMALL

Slots = npt.NDArray[np.int64]
RING = TEST_INSECURE_SMALL.order_ring
T, ROW, HALF = RING.plain_modulus, RING.row, RING.row // 2


def expected(
    vectors: Sequence[Slots],
    weights: Sequence[int],
    ticks: int,
    minimum_fill: Sequence[bool] | None = None,
) -> Slots:
    """The weighted terms at their slots, from the definition in the module's text."""
    total = np.zeros((2, ROW), dtype=object)
    frees = [False] * len(vectors) if minimum_fill is None else minimum_fill
    for vector, weight, free in zip(vectors, weights, frees, strict=True):
        rows = vector.reshape(2, ROW).astype(object)
        after = np.roll(rows, -1, axis=1)
        terms = np.zeros((2, ROW), dtype=object)
        for i in (*range(ticks - 1), ROW - 1):
            terms[:, i] = after[:, i] * (rows[:, i] - after[:, i])
        terms[:, ticks:HALF] = rows[:, ticks:HALF]
        terms[:, HALF : ROW - 1] = (rows - after)[:, HALF : ROW - 1]
        if free:
            terms[1, HALF] = 0
        terms[1, ticks - 1] = rows[1, ticks + HALF] - rows[0, ticks + HALF]
        terms[0, ticks - 1] = rows[0, 0] - rows[1, ticks - 1]
        total = (total + weight * terms) % T
    return total.reshape(-1).astype(np.int64)
