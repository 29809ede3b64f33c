"""Arrays that no holder of them can change."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", bound=np.generic)


def immutable(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """The same numbers over `bytes`, which no flag makes writable; copies what is not so already.

    The result has a header of its own: setting its shape or type changes no other array.
    """
    own = array.view()
    if _lies_in_bytes(own):
        return own
    return np.ndarray(own.shape, own.dtype, own.tobytes())


def _lies_in_bytes(array: npt.NDArray[Scalar]) -> bool:
    # NumPy lets no array with this base reach beyond it; what `as_strided` makes has another base
    base: object = array.base
    while type(base) is np.ndarray:
        base = base.base
    return type(base) is bytes
