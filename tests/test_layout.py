"""The rules of the house that no linter knows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("crypto", "darkpool")
CODE = (*PACKAGES, "benchmarks", "contracts", "tests")
SOURCE_SUFFIXES = {".py", ".vy"}
TEXT_SUFFIXES = {*SOURCE_SUFFIXES, ".json", ".md", ".toml", ".yaml", ".yml"}
LINES_MAX = 450
CONTRACT_LINES_MAX = 1_050
EMPTY_ALLOWED = {"py.typed"}
NAMES_REFUSED = {"helper", "helpers", "manager", "managers", "util", "utils"}

# Who alone may import what; each entry is a file, or a folder with all that is in it.
ONLY_IMPORTERS = {
    "tenseal": {"crypto/bfv/seal.py"},
    "web3": {"darkpool/chain"},
    "eth_tester": {"darkpool/chain/asking.py", "darkpool/chain/client.py"},
    "requests": {
        "darkpool/chain/beacon.py",
        "darkpool/chain/fetching.py",
        "darkpool/chain/node.py",
    },
    "aiohttp": {"darkpool/web", "darkpool/committee/remote.py"},
}
AUDITOR_IMPORTS = {
    "crypto",
    "darkpool.errors",
    "darkpool.limits",
    "darkpool.record.core",
    "darkpool.record.due_forms",
    "darkpool.record.forms",
    "darkpool.record.kinds",
    "darkpool.record.margin_forms",
    "darkpool.record.meaning",
    "darkpool.record.opened",
    "darkpool.record.reader",
    "darkpool.units",
    "darkpool.verification",
}


def files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def sources(*folders: str) -> list[Path]:
    return [path for path in files(*folders) if path.suffix in SOURCE_SUFFIXES]


def imported_modules(source: str) -> set[str]:
    """Every module that a source imports, and every name that it imports from one."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "relative import"
            assert not node.level, "relative import"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def owned(path: Path, owners: set[str]) -> bool:
    return any(path == ROOT / owner or ROOT / owner in path.parents for owner in owners)


def test_imports_are_found_wherever_they_are() -> None:
    source = "import a.b\ndef f():\n    from c import d\n"
    assert imported_modules(source) == {"a.b", "c", "c.d"}


@pytest.mark.parametrize("library", ONLY_IMPORTERS)
def test_a_library_has_one_place(library: str) -> None:
    for path in sources(*PACKAGES):
        if path.suffix == ".py" and not owned(path, ONLY_IMPORTERS[library]):
            modules = imported_modules(path.read_text(encoding="utf-8"))
            assert not [name for name in modules if within(name, library)], path


def test_the_auditor_shares_no_code_with_the_engine() -> None:
    for path in sources("darkpool/verification"):
        for module in imported_modules(path.read_text(encoding="utf-8")):
            if any(within(module, package) for package in PACKAGES):
                assert any(within(module, allowed) for allowed in AUDITOR_IMPORTS), path


def test_nothing_imports_the_tests_or_the_benchmarks() -> None:
    for path in sources(*PACKAGES):
        if path.suffix == ".py":
            modules = imported_modules(path.read_text(encoding="utf-8"))
            assert not [name for name in modules if name.split(".")[0] in {"tests", "benchmarks"}]


def test_benchmarks_import_public_names_alone() -> None:
    for path in sources("benchmarks"):
        for module in imported_modules(path.read_text(encoding="utf-8")):
            assert not within(module, "tests"), path
            assert not re.search(r"(^|\.)_(?!_)", module), path


def test_no_file_is_empty() -> None:
    for path in files(*CODE):
        assert path.name in EMPTY_ALLOWED or path.read_bytes().strip(), path


def test_every_python_file_says_something_of_its_own() -> None:
    """No file that only re-exports: beside its docstring and imports it defines something."""
    for path in sources(*PACKAGES):
        if path.suffix != ".py":
            continue
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert ast.get_docstring(ast.Module(body, [])), path
        imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert not imports or len(body) > len(imports) + 1, path


def test_no_name_says_nothing() -> None:
    for path in files(*CODE):
        parts = path.relative_to(ROOT).with_suffix("").parts
        assert not NAMES_REFUSED & {word for part in parts for word in part.split("_")}, path


def test_no_file_is_too_long() -> None:
    for path in sources(*CODE):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        # a contract is read as a whole, with what every function promises beside it
        most = CONTRACT_LINES_MAX if path.suffix == ".vy" else LINES_MAX
        assert lines < most, f"{path}: {lines} lines"


def test_no_path_of_any_machine() -> None:
    machine_path = re.compile(r"(?<![\w.$}/:])/(?:home|root|Users|work|mnt|opt)/")
    assert machine_path.search("open('/home/me/x')")
    assert machine_path.search("at /work/x")
    # in a worktree of git's, .git is a file that says where the repository lies
    top_level = [path for path in ROOT.iterdir() if path.is_file() and path.name != ".git"]
    for path in [*top_level, *files(*CODE, "docs", ".ci")]:
        if path == Path(__file__).resolve() or path.suffix not in {*TEXT_SUFFIXES, ""}:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not machine_path.search(text), path


def test_every_test_that_the_documentation_names_exists() -> None:
    named = 0
    for path in files("docs"):
        for line in path.read_text(encoding="utf-8").splitlines():
            module = ""
            for found, test in re.findall(r"`(tests/[\w/]+\.py)?::(\w+)`", line):
                module = found or module
                assert f"def {test}(" in (ROOT / module).read_text(encoding="utf-8"), line
                named += 1
    assert named > 50
