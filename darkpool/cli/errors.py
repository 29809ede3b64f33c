"""What can be wrong with the arguments of a command."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from darkpool.errors import BadInput

CHAIN_KEY_VARIABLE: Final = "DARKPOOL_CHAIN_KEY"


class InvalidChainKey(BadInput):
    """The environment's private key is none; its value is never shown."""

    code = "invalid-chain-key"

    def __init__(self, got: str) -> None:
        super().__init__(CHAIN_KEY_VARIABLE, "64 hexadecimal digits", got)


class InvalidChainUrl(BadInput):
    """The address of a node is none; it is never shown, because it may hold credentials."""

    code = "invalid-chain-url"

    def __init__(self, got: str) -> None:
        super().__init__("chain", "http:// or https:// and a host", got)


class InvalidListing(BadInput):
    """Options that do not say what is traded, or say it twice."""

    code = "invalid-listing"

    def __init__(self, got: str) -> None:
        super().__init__("what is traded", "--tick and --reference, or --market", got)


class InvalidInstruments(BadInput):
    """Names of instruments that cannot be what is traded."""

    code = "invalid-instruments"

    def __init__(self, expected: str, got: str) -> None:
        super().__init__("--instruments", expected, got)


class UnreadableFile(BadInput):
    """A file that was named cannot be read."""

    code = "unreadable-file"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(str(path), "a file that can be read", reason)


class InvalidAddition(BadInput):
    """What is to be added to a portfolio is no number of lots of a contract."""

    code = "invalid-addition"

    def __init__(self, expected: str, got: str) -> None:
        super().__init__("--add", expected, got)


class NoPlotting(BadInput):
    """The package that draws is not installed."""

    code = "no-plotting"

    def __init__(self) -> None:
        super().__init__("--plot", "matplotlib, `pip install 'darkpool[plot]'`", "none")


class UnwritablePicture(BadInput):
    """A picture that cannot be written."""

    code = "unwritable-picture"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(str(path), "a picture that can be written", reason)
