"""The documents' examples."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.imports import ROOT

PAGES: Final = (
    "README.md",
    *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").rglob("*.md"))),
)
_BLOCK: Final = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Snippet:
    """A block that a reader may run: `language` is python or sh."""

    language: str
    text: str


def snippets(page: str) -> list[Snippet]:
    """What a page has to run, in its order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [Snippet(*found.groups()) for found in _BLOCK.finditer(text)]


def examples(page: str) -> Iterator[str]:
    """The Python blocks of a document, in their order."""
    for snippet in snippets(str(Path("docs") / page)):
        if snippet.language == "python":
            yield snippet.text
