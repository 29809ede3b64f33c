"""The structure of the house: rooms, arrows between them, and contracts that fail closed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.imports import ROOT, arrows, floors, loose_modules, picture

GROUND = ["canonical_json", "clock", "durable", "errors", "limits", "units", "workers"]
ARROWS_MAX = 152


def test_no_module_lies_outside_the_rooms_but_the_ground() -> None:
    assert loose_modules() == GROUND


def test_rooms_are_few_arrows_apart_and_in_no_circle() -> None:
    rooms = arrows()
    floors(rooms)
    assert sum(map(len, rooms.values())) <= ARROWS_MAX


def test_the_picture_in_the_documents_is_the_one_that_is_drawn() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = page.partition("<!-- rooms -->")[2].partition("<!-- /rooms -->")[0]
    assert drawn.strip() == picture()


def linted(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(  # noqa: S603
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the house, which may be spoilt."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in ("crypto", "darkpool"):
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    return folder


def test_the_linter_accepts_the_house_as_it_is(house: Path) -> None:
    done = linted(house)
    assert done.returncode == 0, done.stdout


SPOILT = {
    "a loose module": ("darkpool/extra.py", '"""Loose."""\n', "darkpool.extra"),
    "a loose module of crypto": ("crypto/extra.py", '"""Loose."""\n', "crypto.extra"),
    "a loose module of margin": ("darkpool/margin/extra.py", '"""Loose."""\n', "margin.extra"),
    "a new room": ("darkpool/extra/__init__.py", '"""A room."""\n', "darkpool.extra"),
    "the auditor imports batching": (
        "darkpool/verification/extra.py",
        "import darkpool.batching.participation\n",
        "darkpool.verification.extra -> darkpool.batching.participation",
    ),
    "a keyper imports the client": (
        "darkpool/keyper/extra.py",
        "import darkpool.client.sealing\n",
        "darkpool.keyper.extra -> darkpool.client.sealing",
    ),
    "crypto imports the market": (
        "crypto/ring/extra.py",
        "import darkpool.units\n",
        "crypto.ring.extra -> darkpool.units",
    ),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_the_linter_refuses_what_has_no_place(house: Path, spoilt: str) -> None:
    name, source, told = SPOILT[spoilt]
    path = house / name
    existed = path.parent.exists()
    path.parent.mkdir(exist_ok=True)
    path.write_text(source, encoding="utf-8")
    try:
        done = linted(house)
    finally:
        path.unlink()
        if not existed:
            shutil.rmtree(path.parent)
    assert done.returncode == 1, done.stdout
    assert told in done.stdout.replace("\n  ", " ")
