"""What can be wrong with the leaves of a tree."""

from __future__ import annotations

from darkpool.errors import CheckFailed


class DuplicateLeaf(CheckFailed):
    """Two leaves of one tree stand for the same thing."""

    code = "duplicate-leaf"

    def __init__(self, tree: str, got: str) -> None:
        super().__init__(tree, "each leaf once", f"{got} twice")


class FlowOutOfOrder(CheckFailed):
    """Flows are not the next ones of their chain."""

    code = "flow-out-of-order"
