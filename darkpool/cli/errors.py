"""What can be wrong with the arguments of a command."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from darkpool.errors import BadInput

CHAIN_KEY_VARIABLE: Final = "DARKPOOL_CHAIN_KEY"


class InvalidChainKey(BadInput):
    """The environment's private key is none; its value is never shown."""

    def __init__(self, got: str) -> None:
        super().__init__(f"{CHAIN_KEY_VARIABLE}: expected 64 hexadecimal digits, got {got}")
        self.got = got


class InvalidChainUrl(BadInput):
    """The address of a node is none; it is never shown, because it may hold credentials."""

    def __init__(self, got: str) -> None:
        super().__init__(f"chain: expected http:// or https:// and a host, got {got}")
        self.got = got


class InvalidListing(BadInput):
    """Options that do not say what is traded, or say it twice."""

    def __init__(self, got: str) -> None:
        expected = "--tick and --reference, or --market"
        super().__init__(f"what is traded: expected {expected}, got {got}")
        self.got = got


class UnreadableFile(BadInput):
    """A file that was named cannot be read."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: expected a file that can be read, got {reason}")
        self.path, self.reason = path, reason


class InvalidAddition(BadInput):
    """What is to be added to a portfolio is no number of lots of a contract."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"--add: expected {expected}, got {got}")
        self.expected = expected
        self.got = got


class NoPlotting(BadInput):
    """The package that draws is not installed."""

    def __init__(self) -> None:
        super().__init__("--plot: expected matplotlib, `pip install 'darkpool[plot]'`, got none")


class UnwritablePicture(BadInput):
    """A picture that cannot be written."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: expected a picture that can be written, got {reason}")
        self.path = path
        self.reason = reason
