"""Arrays that no holder of them can change."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from numpy.lib.array_utils import byte_bounds

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
    base: object = array.base
    while type(base) is np.ndarray:
        base = base.base
    if type(base) is not bytes:
        return False
    # strides can be set by hand, so an array over bytes may reach beyond them
    low, high = byte_bounds(array)
    first, end = byte_bounds(np.frombuffer(base, np.uint8)) if base else (0, 0)
    return first <= low and high <= end
