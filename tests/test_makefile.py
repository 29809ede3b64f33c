"""The first command of a visitor: which Python it takes, and what it leaves when it refuses one."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

PYTHON_OF_A_VERSION = """#!/bin/sh
case "$1 $2" in
    "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    "-m pip") echo "installed with {version}" ;;
    "--version "*) echo "Python {version}" ;;
    "-c "*) exec {real} -c "import sys; sys.version_info = ({numbers}); $2" ;;
esac
"""


def python(folder: Path, version: str) -> Path:
    """What answers as Python of a version does, and makes and fills environments at once."""
    path = folder / f"python{version}"
    numbers = ", ".join(version.split("."))
    text = PYTHON_OF_A_VERSION.format(version=version, numbers=numbers, real=sys.executable)
    path.write_text(text)
    path.chmod(0o755)
    return path


def make(folder: Path, interpreter: Path | str) -> subprocess.CompletedProcess[str]:
    command = ["make", ".venv/.installed", f"PYTHON={interpreter}"]
    return subprocess.run(  # noqa: S603
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize("version", ["3.10.14", "3.14.0", "2.7.18"])
def test_a_python_that_does_not_serve_is_told_and_leaves_nothing(
    folder: Path, version: str
) -> None:
    done = make(folder, python(folder, version))
    assert done.returncode != 0
    told = f"darkpool: expected Python 3.11 to 3.13, got Python {version}."
    assert told in done.stderr
    assert not (folder / ".venv").exists()


def test_a_python_that_is_missing_is_told(folder: Path) -> None:
    done = make(folder, "python-of-nowhere")
    assert done.returncode != 0
    assert "expected Python 3.11 to 3.13" in done.stderr
    assert not (folder / ".venv").exists()


def test_an_environment_of_another_version_is_made_anew(folder: Path) -> None:
    old, new = python(folder, "3.10.14"), python(folder, "3.12.1")
    subprocess.run([old, "-m", "venv", folder / ".venv"], check=True)  # noqa: S603
    (folder / ".venv" / "broken").touch()
    done = make(folder, new)
    assert (done.returncode, done.stderr) == (0, "")
    assert "installed with 3.12.1" in done.stdout
    assert not (folder / ".venv" / "broken").exists()
    (folder / ".venv" / "kept").touch()
    (folder / ".venv" / ".installed").unlink()
    assert make(folder, new).returncode == 0
    assert (folder / ".venv" / "kept").exists()


def test_the_versions_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lowest, above = re.findall(r"3\.(\d+)", project["requires-python"])
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"(3, {lowest}) <= sys.version_info[:2] < (3, {above})" in text
    assert f"3.{lowest} to 3.{int(above) - 1}" in text
