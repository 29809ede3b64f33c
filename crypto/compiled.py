"""How kernels are compiled: by numba, without the interpreter's lock, and kept on the disk.

What numba keeps is a convenience. Where no folder can be written, or what was kept cannot be read,
a process compiles its kernels anew and goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache


class _OptionalCache(FunctionCache):  # type: ignore[misc]  # numba has no types
    """A cache that never ends a run: a full disk or a damaged file means that there is none."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was kept for a signature; None where nothing can be read."""
        # what unpickling a damaged file raises is of any kind
        with suppress(Exception):
            return super().load_overload(sig, target_context)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, where that is possible."""
        with suppress(Exception):
            super().save_overload(sig, data)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function of numbers and arrays at its first call; later processes have it kept."""
    compiled = njit(nogil=True)(function)
    # numba raises RuntimeError where neither the package, nor a cache of the user, can be written
    with suppress(RuntimeError):
        compiled._cache = _OptionalCache(function)
    return compiled
