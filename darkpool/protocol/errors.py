"""What can be wrong with bytes that parties give one another."""

from __future__ import annotations

from darkpool.errors import CheckFailed


class InvalidLeaves(CheckFailed):
    """Bytes that should be the leaves of a settlement are none."""

    code = "invalid-leaves"
