"""State of accounts is changed by its owner alone: no other file assigns to what is in it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ACCOUNTS = ROOT / "darkpool" / "margin" / "accounts"
OWNED = {
    ACCOUNTS / "account.py": {"cash", "positions", "live", "paid", "bond", "tokens"},
    ACCOUNTS / "accounts.py": {
        "_contract_indexes",
        "_entries",
        "_expired",
        "_paid_in",
        "_tokens_in",
    },
}
REBUILT = ROOT / "darkpool" / "verification"
"""The auditor has accounts of its own, which it builds anew."""
MUTATORS = {"add", "append", "clear", "pop", "popitem", "remove", "setdefault", "update"}


def attribute(node: ast.expr) -> str | None:
    """The attribute that a target changes: of `a.x`, `a.x[k]` and `a.x[k].y`, each its own."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return node.attr if isinstance(node, ast.Attribute) else None


def changed(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Attributes that code assigns to, deletes from or calls a mutating method of."""
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign | ast.Delete):
            targets = node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            targets = [node.func.value] if node.func.attr in MUTATORS else []
        while targets:
            target = targets.pop()
            if isinstance(target, ast.Tuple | ast.List):
                targets += target.elts
            elif (name := attribute(target)) is not None:
                yield target.lineno, name


def others() -> list[Path]:
    files = [*ROOT.glob("darkpool/**/*.py"), *ROOT.glob("benchmarks/*.py")]
    return sorted(path for path in files if REBUILT not in path.parents)


def test_no_other_file_changes_state_of_accounts() -> None:
    owned = {name: owner for owner, names in OWNED.items() for name in names}
    faults = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in others()
        for line, name in changed(ast.parse(path.read_text(encoding="utf-8")))
        if name in owned and path != owned[name]
    ]
    assert faults == []


def test_only_accounts_reads_its_entries() -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in others()
        if path != ACCOUNTS / "accounts.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "_entries"
    ]
    assert faults == []


@pytest.mark.parametrize(
    "code",
    [
        "account.cash -= 1",
        "a, account.cash = 1, 2",
        "accounts._entries[name].cash = 0",
        "accounts._entries[name].tokens[token] += 1",
        "del account.live[auction]",
        "account.live.clear()",
        "account.tokens.pop(token)",
    ],
)
def test_every_way_to_change_state_is_seen(code: str) -> None:
    names = {name for _, name in changed(ast.parse(code))}
    assert names & {"cash", "tokens", "live"}
