"""Interpreters of their own, for tests that kill one."""

import os
import subprocess
import sys
from pathlib import Path


def child(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Start Python on some code; text goes in and comes out by pipes."""
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "DARKPOOL_TEST_INSECURE": "1"},
    )
