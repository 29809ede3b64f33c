"""Machines as they are: ways to start, output that is ASCII or full, short memory, full disks."""

import errno
import io
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from darkpool.cli import auction, commands
from darkpool.cli.tables import progress
from darkpool.errors import UnwritableFolder
from darkpool.record.files import PendingDirectory
from darkpool.simulation.clients import OpeningsFolder
from tests.support.command_line import (
    BINARY,
    GRID_OPTIONS,
    ORDERS,
    darkpool,
    environment,
    on_small_rings,
    run_process,
)

GRID_AND_JSON = (*GRID_OPTIONS, "--json")


@pytest.mark.parametrize("module", ["darkpool", "darkpool.cli", "darkpool.cli.main"])
def test_every_way_to_start_it_starts_it(module: str) -> None:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run_process("--version").stdout


@pytest.mark.parametrize("encoding", ["ascii", "ascii:strict"])
def test_names_that_the_output_cannot_encode_are_escaped(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "Zoë-猫"
    done = run_process("audit", path, PYTHONIOENCODING=encoding)
    assert done.returncode == 2
    assert "\\u732b" in done.stderr
    assert "Traceback" not in done.stderr


SHOWN = """
import sys
from darkpool.cli import commands, main
from darkpool.cli.tables import output, print_lines

def app() -> None:
    print_lines(output(), {"account": "Zo\\u00eb \\u732b \\ud800"})
    sys.exit(0)

commands.app = app
main.main()
"""


def test_a_result_that_the_output_cannot_encode_is_shown_all_the_same() -> None:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", SHOWN],
        env=environment(PYTHONIOENCODING="ascii"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "account  Zo\\xeb \\u732b \\ud800\n"


@pytest.mark.parametrize("arguments", [("--help",), ("auction", "--help"), ("--version",)])
def test_a_full_output_is_told_in_one_line(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(  # noqa: S603
            [BINARY, *arguments],
            env=environment(PYTHONUNBUFFERED=""),  # what is in a buffer is written in the end
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("darkpool: system: expected no refusal, got No space left")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("closing", ["2>/dev/full", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_message_that_nothing_takes_is_lost_and_no_more(closing: str) -> None:
    command = f"exec {BINARY} audit no-such-folder {closing}"
    assert subprocess.run(["/bin/sh", "-c", command], check=False).returncode == 2  # noqa: S603


class FullStream(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("stream", [FullStream(), None])
def test_progress_that_nothing_takes_stops_nothing(
    stream: FullStream | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    with progress() as shown:
        shown("keys", 0, 0)


INTERRUPTED = """
import os, signal, sys
from darkpool.cli.main import main

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "darkpool.cli.commands":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
assert "typer" not in sys.modules
main()
"""


def test_an_interrupt_while_the_command_line_loads_is_told_in_one_line() -> None:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "darkpool: stopped by SIGINT\n"


def test_output_that_nothing_reads_ends_quietly() -> None:
    with subprocess.Popen(  # noqa: S603
        [BINARY, "auction", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "memory: expected enough for the run, some 3 GB, got no more"),
        (RuntimeError("can't start new thread"), "memory: expected enough for the run"),
        (ImportError("x.so: failed to map segment from shared object"), "memory: expected enough"),
        (RuntimeError("fork: Cannot allocate memory"), "memory: expected enough for the run"),
        (ImportError("x.so: cannot allocate memory in static TLS"), "memory: expected enough"),
        (BrokenProcessPool(), "a worker process: expected a result, got its end: was memory short"),
        (BrokenExecutor(), "a worker process: expected a result"),
        (OSError(errno.ENOSPC, "No space left on device"), "system: expected no refusal, got No"),
        (
            OSError(errno.EROFS, "Read-only", "a/b"),
            "file a/b: expected no refusal, got Read-only",
        ),
        (OSError(errno.EMFILE, "Too many"), "raise the limit of open files (ulimit -n)"),
    ],
)
def test_what_the_machine_does_not_give_is_told_in_one_line(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "app", raising(error))
    done = darkpool("--version")
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_error_of_another_cause_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "app", raising(RuntimeError("a mistake of ours")))
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        darkpool("--version")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    (tmp_path / "file").touch()
    arguments = ("auction", tmp_path / "orders.csv", *GRID_AND_JSON)
    with on_small_rings():
        for option in ("--record", "--openings"):
            done = darkpool(*arguments, option, tmp_path / "file" / "a" / "b")
            assert (done.returncode, done.stdout) == (2, "")
            assert f"got {tmp_path / 'file'}, which is no directory" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "orders.csv"]


def test_a_run_that_fails_leaves_no_folder_that_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    (tmp_path / "there").mkdir()
    monkeypatch.setattr(auction, "_chain", raising(MemoryError()))
    places = ("--record", tmp_path / "a" / "b" / "r", "--openings", tmp_path / "there" / "c" / "o")
    with on_small_rings():
        done = darkpool("auction", tmp_path / "orders.csv", *GRID_AND_JSON, *places)
    assert done.returncode == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["orders.csv", "there"]


def test_a_settled_interval_is_shown_and_kept_on_a_disk_that_fills_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last step fails for the record and for the openings: the result is there all the same."""

    def full(pending: PendingDirectory) -> None:
        raise UnwritableFolder(pending.path, "No space left on device")

    finish = OpeningsFolder.finish

    def finish_when_a_file_is_there(folder: OpeningsFolder, admitted: list[int]) -> None:
        (tmp_path / "openings").touch()
        finish(folder, admitted)

    monkeypatch.setattr(PendingDirectory, "complete", full)
    monkeypatch.setattr(OpeningsFolder, "finish", finish_when_a_file_is_there)
    (tmp_path / "orders.csv").write_text(ORDERS)
    places = ("--record", tmp_path / "record", "--openings", tmp_path / "openings")
    with on_small_rings():
        done = darkpool("auction", tmp_path / "orders.csv", *GRID_AND_JSON, *places)
    document = json.loads(done.stdout)
    assert (done.returncode, document["volume"], document["record"]) == (1, 5, None)
    told = [line for line in done.stderr.splitlines() if line.startswith("darkpool: ")]
    assert [line.partition(":")[2].partition(":")[0] for line in told] == [" record", " openings"]
    (record,) = tmp_path.glob("record.partial-*")
    (openings,) = tmp_path.glob("openings.partial-*")
    assert str(record) in told[0]
    assert str(openings) in told[1]
    assert (record / "record.json").stat().st_size
    assert sorted(path.name for path in openings.iterdir()) == [f"{n}.json" for n in range(4)]
