"""The errors of the market layer, one tree, each carrying its operands.

Two branches decide what the command line answers: `BadInput` is the caller's to mend (exit code 2),
`CheckFailed` says that something which had to hold does not (exit code 1). A message says what was
expected and what came.
"""

from __future__ import annotations

from typing import ClassVar


class DarkpoolError(Exception):
    """Base of everything that `darkpool` raises on purpose."""

    exit_code: ClassVar[int] = 1


class BadInput(DarkpoolError):
    """The caller gave something that cannot be used; giving it again will fail again."""

    exit_code: ClassVar[int] = 2


class CheckFailed(DarkpoolError):
    """Something that had to hold does not."""


class InconsistentLimits(CheckFailed):
    """Two bounds of `darkpool.limits` contradict each other."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"limits contradict each other: {rule} does not hold")
        self.rule = rule


class InvalidAccount(BadInput):
    """Text that is no account address."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"account: expected {expected}, got {got}")
        self.expected = expected
        self.got = got


class InvalidGrid(BadInput):
    """A price grid that cannot exist."""

    def __init__(self, parameter: str, expected: str, got: str) -> None:
        super().__init__(f"price grid, {parameter}: expected {expected}, got {got}")
        self.parameter = parameter
        self.expected = expected
        self.got = got


class InvalidPrice(BadInput):
    """A price that no tick of the grid has."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"price: expected {expected}, got {got}")
        self.expected = expected
        self.got = got


class OutOfBounds(BadInput):
    """A quantity outside its bounds, both of which are allowed values."""

    def __init__(self, quantity: str, lowest: int, highest: int, got: int) -> None:
        super().__init__(f"{quantity}: expected {lowest} to {highest}, got {got}")
        self.quantity = quantity
        self.lowest = lowest
        self.highest = highest
        self.got = got


class NotConserved(CheckFailed):
    """A quantity that has to be the same on both sides of a step is not."""

    def __init__(self, quantity: str, expected: int, got: int) -> None:
        super().__init__(f"{quantity} is not conserved: expected {expected}, got {got}")
        self.quantity = quantity
        self.expected = expected
        self.got = got
