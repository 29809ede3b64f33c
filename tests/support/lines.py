"""Lines of documents that are too long to read: `python -m tests.support.lines`."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.imports import ROOT

CHARACTERS_MAX = 100


def long_lines(path: Path) -> Iterator[tuple[int, int]]:
    """Number and length of each line above the limit; code, tables and addresses may be longer."""
    in_code = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        free = in_code or line.lstrip().startswith("|") or "://" in line
        if len(line) > CHARACTERS_MAX and not free:
            yield number, len(line)


def main() -> None:
    """Print every line that is too long; exit with 1 if there is one."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    pages = [ROOT / name for name in listed.stdout.split()]
    told = [
        f"{page.relative_to(ROOT)}:{number}: {length} characters, at most {CHARACTERS_MAX}"
        for page in pages
        for number, length in long_lines(page)
    ]
    print("\n".join(told) or f"{len(pages)} documents: no line above {CHARACTERS_MAX} characters")
    sys.exit(bool(told))


if __name__ == "__main__":
    main()
