"""The command line. Commands only translate: arguments in, results out, errors into exit codes.

Exit codes: 0 all is well, 1 something that has to hold does not, 2 input that cannot be used,
128 + n ended by signal n (129: hang-up, 130: Ctrl-C, 143: termination).
"""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import BrokenExecutor
from types import FrameType
from typing import Annotated, NoReturn

import typer

from crypto.errors import CryptoError, InsecureParameters
from crypto.ring.params import TEST_INSECURE_VARIABLE
from darkpool.cli.auction import auction
from darkpool.cli.audit import audit
from darkpool.cli.demo import demo
from darkpool.cli.margin import margin
from darkpool.cli.opening import open_intent
from darkpool.errors import BadInput, DarkpoolError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


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
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    # who started it under nohup wants it to outlive the terminal
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _stop)
    # nothing that the command line does may ever rest on the small rings of the tests
    os.environ.pop(TEST_INSECURE_VARIABLE, None)
    try:
        app()
    except DarkpoolError as error:
        _fail(str(error), error.exit_code)
    except InsecureParameters as error:
        _fail(str(error), BadInput.exit_code)
    except CryptoError as error:
        _fail(str(error), 1)
    except BrokenExecutor:
        _fail("a worker process: expected a result, got its end (was memory short?)", 1)
    except OSError as error:
        _fail(f"system: {error}", 1)
    except _Stopped as stopped:
        _fail(f"stopped by {signal.Signals(stopped.number).name}", 128 + stopped.number)


def _fail(message: str, exit_code: int) -> NoReturn:
    typer.echo(f"darkpool: {message}", err=True)
    sys.exit(exit_code)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"darkpool {version('darkpool')}")
        raise typer.Exit


@app.callback()
def darkpool(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A dark pool whose orders stay encrypted while they cross.

    Exit codes: 0 all is well; 1 something that has to hold does not; 2 input that cannot be used;
    130 stopped by Ctrl-C.
    """


app.command()(auction)
app.command()(demo)
app.command()(audit)
app.command()(margin)
app.command(name="open")(open_intent)
