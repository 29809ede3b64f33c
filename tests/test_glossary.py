"""The glossary and the map say what the code says: their words and names occur in it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [path for room in ("crypto", "darkpool") for path in (ROOT / room).rglob("*.py")]
TERM = re.compile(r"^- \*\*([^*]+)\*\*")
SPAN = re.compile(r"`([^`]+)`")
IDENTIFIER = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def lines(page: str) -> list[str]:
    return (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines()


TERMS = [found[1] for line in lines("glossary.md") if (found := TERM.match(line))]
NAMES = [
    name
    for line in lines("glossary.md")
    if TERM.match(line)
    for name in SPAN.findall(line)
    if IDENTIFIER.fullmatch(name)
]


def words() -> str:
    """All text of the sources in one line: terms may be wrapped, or be names like `batch_index`."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    return " ".join(re.sub(r"^\s*#|_", " ", text, flags=re.MULTILINE).lower().split())


def defined(path: Path) -> set[str]:
    """What a module defines: functions, classes, names, and members as `Class.member`."""

    def names(body: list[ast.stmt], prefix: str) -> set[str]:
        found = set()
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(prefix + node.name)
            if isinstance(node, ast.ClassDef):
                found |= names(node.body, f"{node.name}.")
            for target in node.targets if isinstance(node, ast.Assign) else ():
                found |= {prefix + target.id} if isinstance(target, ast.Name) else set()
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(prefix + node.target.id)
        return found

    return names(ast.parse(path.read_text(encoding="utf-8")).body, "")


def test_every_term_of_the_glossary_is_used() -> None:
    text = words()
    assert len(TERMS) > 100
    assert [term for term in TERMS if not re.search(rf"\b{re.escape(term)}", text)] == []


def test_every_name_of_the_glossary_is_an_identifier() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    identifiers = set(re.findall(r"[A-Za-z_]\w*", text))
    assert [name for name in NAMES if name not in identifiers] == []


def test_no_term_stands_twice() -> None:
    assert sorted(set(TERMS)) == sorted(TERMS)


@pytest.mark.parametrize("line", [line for line in lines("architecture.md") if ".py`" in line])
def test_the_map_names_what_is_there(line: str) -> None:
    """A name that follows a file on a line is defined in it."""
    path, known = Path(), set[str]()
    for span in SPAN.findall(line):
        if span.endswith(".py"):
            path = ROOT / span
            known = defined(path)
        elif path.name and IDENTIFIER.fullmatch(span):
            assert span in known, path
