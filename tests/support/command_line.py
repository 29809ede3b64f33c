"""The command line, as a process of its own or, where only input and output count, in this one."""

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from crypto.ring.params import TEST_INSECURE_SMALL, TEST_INSECURE_VARIABLE
from darkpool.cli import auction
from darkpool.cli import main as command_line

BINARY = Path(sys.executable).with_name("darkpool")
GRID_OPTIONS = ("--tick", "0.25", "--reference", "4805", "--ticks", "64")
HEADER = "account,side,size,limit\n"
ORDERS = HEADER + "ann,buy,5,4806\nbob,sell,3,4804.5\ncid,sell,7,4805\ndan,buy,1,4802\n"
TIMEOUT_S = 600
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

STEP = re.compile(r" *\d+\.\d s  \S.*")
"""What a run without a terminal tells on standard error of each of its steps."""

Done = subprocess.CompletedProcess[str]


def environment(**changes: str) -> dict[str, str]:
    """What a user's environment is like: without the variable that lets the small rings load."""
    return {k: v for k, v in os.environ.items() if k != TEST_INSECURE_VARIABLE} | changes


def run_process(*arguments: str | Path, **changes: str) -> Done:
    """The command line in a process of its own."""
    return subprocess.run(  # noqa: S603
        [str(BINARY), *map(str, arguments)],
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def darkpool(*arguments: str | Path, **changes: str) -> Done:
    """The same in this process, whose imports are done. An error that has no exit code raises."""
    command = ["darkpool", *map(str, arguments)]
    out, err = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", command)
        # the command line removes it for good
        for name, value in {TEST_INSECURE_VARIABLE: "1", **changes}.items():
            patch.setenv(name, value)
        try:
            with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
                command_line.main()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    code = ended.value.code or 0
    assert isinstance(code, int)
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())


def require_done(done: Done) -> None:
    """All went well: standard error tells steps and nothing else."""
    assert done.returncode == 0, done.stderr
    assert all(map(STEP.fullmatch, done.stderr.splitlines())), done.stderr


@contextmanager
def on_small_rings() -> Iterator[None]:
    """Lets `darkpool` run and audit auctions on the small rings, in this process."""
    from tests.support.one_process import one_process

    with one_process(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(auction, "STANDARD", TEST_INSECURE_SMALL)
        patch.setattr(command_line, "TEST_INSECURE_VARIABLE", "")
        yield
