"""What can be wrong with the arguments of a command."""

from __future__ import annotations

import errno
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, Self, TextIO

from darkpool.errors import BadInput, CheckFailed

CHAIN_KEY_VARIABLE: Final = "DARKPOOL_CHAIN_KEY"


def tell(message: object) -> None:
    """Write one message to standard error, as that stream can show it."""
    tell_line(f"darkpool: {message}")


def tell_line(line: str) -> None:
    """Write a line to standard error; if that stream is closed or full, it is lost and no more."""
    stream: TextIO | None = sys.stderr
    if stream is not None:
        with suppress(OSError):
            stream.write(f"{line}\n")
            stream.flush()


class InvalidAnchor(BadInput):
    """What an auditor knows from elsewhere is no address; `subject` names the option."""

    code = "invalid-anchor"

    def __init__(self, option: str, expected: str, got: str) -> None:
        super().__init__(option, expected, got)


class InvalidChainKey(BadInput):
    """The environment's private key is none; its value is never shown."""

    code = "invalid-chain-key"

    def __init__(self, got: str) -> None:
        super().__init__(CHAIN_KEY_VARIABLE, "64 hexadecimal digits", got)


class InvalidChainUrl(BadInput):
    """The address of a node is none; it is never shown, because it may hold credentials."""

    code = "invalid-chain-url"

    def __init__(self, got: str) -> None:
        super().__init__("chain", "http:// or https:// and a host, with or without a port", got)


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


class InvalidAddress(BadInput):
    """What an option names is no address."""

    code = "invalid-address"

    def __init__(self, option: str, expected: str, got: str) -> None:
        super().__init__(option, expected, got)


class InvalidExit(BadInput):
    """Options of `darkpool exit` that do not go together; `subject` names one of them."""

    code = "invalid-exit"


class NoPassphrase(BadInput):
    """A key file needs a passphrase, and there is no terminal to ask for it."""

    code = "no-passphrase"

    def __init__(self, variable: str) -> None:
        super().__init__("passphrase", f"one in {variable}, or a terminal to ask for it", "none")


class FileExists(BadInput):
    """A file that was to be written is there already, or cannot be made; nothing is replaced."""

    code = "file-exists"

    def __init__(self, option: str, path: Path, got: str) -> None:
        super().__init__(f"{option} {path}", "a new file in a folder that can be written", got)


class UnreadableFile(BadInput):
    """A file that was named cannot be read."""

    code = "unreadable-file"

    def __init__(self, path: Path, got: str, expected: str = "a file that can be read") -> None:
        super().__init__(str(path), expected, got)


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

    def __init__(self, path: Path, expected: str, got: str) -> None:
        super().__init__(f"--plot {path}" if path.name else "--plot", expected, got)


_FREE_SPACE: Final = "free space, or set TMPDIR to a folder of another disk"
_WRITABLE: Final = "name a folder that can be written"
_REMEDIES: Final = {
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.EROFS: _WRITABLE,
    errno.EACCES: _WRITABLE,
    errno.EPERM: _WRITABLE,
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the limit of open files (ulimit -n)",
    errno.EAGAIN: "raise the limit of processes (ulimit -u), or end other programs",
    errno.ENOMEM: "raise the limit of memory (ulimit -v), or end other programs",
}


class SystemRefused(CheckFailed):
    """The operating system refused what a command needs."""

    code = "system-refused"

    def __init__(self, number: int, told: str, name: str) -> None:
        remedy = _REMEDIES.get(number)
        got = told if remedy is None else f"{told}: {remedy}"
        super().__init__(f"file {name}" if name else "system", "no refusal", got)

    @classmethod
    def of(cls, error: OSError) -> Self:
        """What an error of the system says."""
        name = "" if error.filename is None else str(error.filename)
        return cls(error.errno or 0, error.strerror or str(error), name)


class OutOfMemory(CheckFailed):
    """The system gives no more memory, or no more threads."""

    code = "out-of-memory"

    def __init__(self, got: str) -> None:
        remedy = "raise the limit (ulimit -v), or end other programs"
        super().__init__("memory", "enough for the run, some 3 GB", f"{got}: {remedy}")


class WorkerEnded(CheckFailed):
    """A worker process ended before it gave its result."""

    code = "worker-ended"

    def __init__(self) -> None:
        got = "its end: was memory short? End other programs, or raise the limit (ulimit -v)"
        super().__init__("a worker process", "a result", got)
