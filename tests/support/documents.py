"""The documents' examples."""

from collections.abc import Iterator

from tests.support.imports import ROOT


def examples(page: str) -> Iterator[str]:
    """The Python blocks of a document, in their order."""
    for part in (ROOT / "docs" / page).read_text(encoding="utf-8").split("```python\n")[1:]:
        yield part.partition("```")[0]
