"""What can be wrong with the leaves of a tree."""

from __future__ import annotations

from darkpool.errors import BadInput, CheckFailed


class DuplicateLeaf(CheckFailed):
    """Two leaves of one tree stand for the same thing."""

    def __init__(self, tree: str, got: str) -> None:
        super().__init__(f"{tree}: expected each leaf once, got {got} twice")
        self.tree = tree
        self.got = got


class UnknownLeaf(BadInput):
    """A proof was asked for that the tree cannot give."""

    def __init__(self, tree: str, got: str) -> None:
        super().__init__(f"{tree}: expected a leaf of {got}, got none")
        self.tree = tree
        self.got = got
