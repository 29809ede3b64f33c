"""What the documents show can be run as it stands, page by page, in an empty folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import environment
from tests.support.documents import PAGES, snippets
from tests.support.imports import ROOT

TIMEOUT_S = 1200
PYTHON_ALONE = [page for page in PAGES if {s.language for s in snippets(page)} == {"python"}]
WITH_COMMANDS = [page for page in PAGES if "sh" in {s.language for s in snippets(page)}]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, but for what a reader has: the documents and an environment."""
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_page(page: str) -> None:
    """Run its blocks in order; all Python of a page has one namespace."""
    names: dict[str, object] = {"__name__": "example"}
    binaries = Path(sys.prefix) / "bin"
    for snippet in snippets(page):
        if snippet.language == "python":
            exec(snippet.text, names)  # noqa: S102
            continue
        done = subprocess.run(  # noqa: S603
            ["/bin/bash", "-euo", "pipefail", "-c", snippet.text],
            env=environment(PATH=f"{binaries}:{os.environ['PATH']}"),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{snippet.text}\n{done.stderr}"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("page", PYTHON_ALONE)
def test_the_python_of_a_page_runs(page: str) -> None:
    run_page(page)


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_the_commands_of_a_page_run(page: str) -> None:
    run_page(page)


def test_the_pages_that_show_how_to_begin_have_something_to_run() -> None:
    assert "docs/agent.md" in PYTHON_ALONE
    assert {"README.md", "docs/quickstart.md", "docs/audit.md"} <= set(WITH_COMMANDS)


def test_the_orders_that_a_page_shows_are_those_of_the_file() -> None:
    text = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    assert (ROOT / "docs" / "orders.csv").read_text(encoding="utf-8") in text
