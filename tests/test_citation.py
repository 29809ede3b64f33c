"""CITATION.cff says what pyproject.toml says; Citation File Format 1.2.0 is YAML."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ENTRY = re.compile(r"(?:  - )?([a-z-]+): (\w(?:(?!: | #).)*)(?<!\s)")
"""A plain scalar of YAML by its name: what every line of the file is, but `authors:`."""


@pytest.fixture(scope="module")
def citation() -> dict[str, str]:
    lines = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    entries = [ENTRY.fullmatch(line) for line in lines if line != "authors:"]
    assert all(entries), lines
    assert lines.index("authors:") + 1 == lines.index("  - name: The darkpool authors")
    return {entry[1]: entry[2] for entry in entries if entry}


def test_it_has_the_keys_that_the_format_requires(citation: dict[str, str]) -> None:
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert citation["title"] == "darkpool"
    assert citation["message"]


def test_version_and_licence_are_those_of_the_package(citation: dict[str, str]) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        package = tomllib.load(file)
    assert citation["version"] == package["project"]["version"]
    assert citation["license"] == package["project"]["license"]
    assert "/CITATION.cff" in package["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
