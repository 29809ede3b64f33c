"""A committee that signs, and a node of its own process for each test that asks for one."""

import fcntl
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.signing_committee import SigningCommittee

ANVIL = "@foundry-rs/anvil@1.7.1"


@pytest.fixture(scope="session")
def committee() -> SigningCommittee:
    return SigningCommittee()


@pytest.fixture(scope="session")
def anvil_binary(pytestconfig: pytest.Config) -> Path:
    npm = shutil.which("npm")
    cache: pytest.Cache | None = getattr(pytestconfig, "cache", None)
    if npm is None or cache is None:
        pytest.skip("no npm, or no cache to install anvil into")
    folder = cache.mkdir("anvil-1.7.1")
    pattern = "node_modules/@foundry-rs/anvil-*/bin/anvil*"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one process installs, the others wait for it
        if not list(folder.glob(pattern)):
            # the binary is in the package itself; its scripts are not needed
            command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]
            done = subprocess.run([*command, folder, ANVIL], capture_output=True, check=False)  # noqa: S603
            if done.returncode != 0:
                pytest.skip(f"npm cannot install {ANVIL}: {done.stderr.decode()[-300:]}")
    return next(folder.glob(pattern))


@pytest.fixture
def anvil_url(anvil_binary: Path) -> Iterator[str]:
    command = [str(anvil_binary), "--port", "0", "--chain-id", "31337"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as node:  # noqa: S603
        assert node.stdout is not None
        try:
            for line in node.stdout:
                if listening := re.search(r"Listening on (\S+)", line):
                    # what it goes on to tell would fill the pipe, and a full pipe stops it
                    threading.Thread(target=node.stdout.read, daemon=True).start()
                    yield f"http://{listening[1]}"
                    break
            else:
                pytest.fail("anvil ended before it listened")
        finally:
            node.terminate()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the client would have waited, without the waiting."""
    waited: list[float] = []
    start = time.monotonic()
    monkeypatch.setattr("darkpool.chain.node.time.sleep", waited.append)
    monkeypatch.setattr("darkpool.chain.node.time.monotonic", lambda: start + sum(waited))
    return waited


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client waits for blocks, and makes none, as on a chain that is not for development."""
    monkeypatch.setattr("darkpool.chain.client._DEVELOPMENT_NODES", ())


@pytest.fixture
def pausing(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Callable[[], object]]], None]:
    """Lets the chain do one thing after another while the client waits, and the last for ever."""

    def plan(doings: list[Callable[[], object]]) -> None:
        def pause(_seconds: float) -> None:
            doing = doings.pop(0) if len(doings) > 1 else doings[0]
            doing()

        monkeypatch.setattr("darkpool.chain.waiting.time.sleep", pause)

    return plan
