"""Where the command line starts, and what becomes an exit code.

It loads little before it is ready for signals: Ctrl-C ends it with one line from the first moment.

Exit codes: 0 all is well, 1 something that has to hold does not, 2 input that cannot be used,
128 + n ended by signal n (129: hang-up, 130: Ctrl-C, 143: termination).
"""

from __future__ import annotations

import io
import os
import re
import signal
import sys
from concurrent.futures import BrokenExecutor
from types import FrameType
from typing import Final, NoReturn, TextIO

from crypto.errors import CryptoError, InsecureParameters
from crypto.ring.params import TEST_INSECURE_VARIABLE
from darkpool.cli.errors import OutOfMemory, SystemRefused, WorkerEnded, tell
from darkpool.errors import BadInput, DarkpoolError

_SHORT_OF_MEMORY: Final = re.compile(
    "can't start new thread|[Cc]annot allocate memory|failed to map segment"
)
"""What libraries say, in errors of other kinds, when the system gives no more memory."""


class _Stopped(BaseException):
    """A signal that asks to stop; no library catches it on the way to `main`."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    # what removes half-written folders is not interrupted in turn
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise _Stopped(number)


def main() -> None:
    """Run the command line and exit."""
    try:
        _heed_signals()
        # nothing that the command line does may ever rest on the small rings of the tests
        os.environ.pop(TEST_INSECURE_VARIABLE, None)
        _escape_what_cannot_be_shown()
        from darkpool.cli.commands import app

        app()
    except DarkpoolError as error:
        _fail(str(error), error.exit_code)
    except InsecureParameters as error:
        _fail(str(error), BadInput.exit_code)
    except CryptoError as error:
        _fail(str(error), 1)
    except _Stopped as stopped:
        _fail(f"stopped by {signal.Signals(stopped.number).name}", 128 + stopped.number)
    except (BrokenExecutor, MemoryError, ImportError, OSError, RuntimeError) as error:
        told = _of_the_machine(error)
        if told is None:
            raise
        _fail(str(told), told.exit_code)


def _heed_signals() -> None:
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    # who started it under nohup wants it to outlive the terminal
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _stop)


def _of_the_machine(error: Exception) -> DarkpoolError | None:
    """What the machine did not give; None for an error that has another cause."""
    if isinstance(error, BrokenExecutor):
        return WorkerEnded()
    if isinstance(error, MemoryError):
        return OutOfMemory("no more from the system")
    if isinstance(error, OSError):
        return SystemRefused.of(error)
    if _SHORT_OF_MEMORY.search(str(error)):
        return OutOfMemory(str(error))
    return None


def _escape_what_cannot_be_shown() -> None:
    """Show characters that the streams' encoding lacks as escape sequences.

    Names of accounts and files are of any script; a terminal or a pipe may know ASCII alone.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail(message: str, exit_code: int) -> NoReturn:
    _give_up_unwritten(sys.stdout)
    tell(message)
    _give_up_unwritten(sys.stderr)
    sys.exit(exit_code)


def _give_up_unwritten(stream: TextIO) -> None:
    """What a full disk did not take of the output is not tried again when the process ends."""
    if isinstance(stream, io.TextIOWrapper):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    main()
