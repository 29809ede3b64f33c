"""The structure of the house, measured from its code: `python -m tests.support.imports`.

A room is a folder of modules. Modules directly under `darkpool/` or `crypto/` are the ground, which
every room may import and which imports none. An arrow leads from a room to another that it imports.
The floor of a room is the longest way down from it. With `--picture`, the rooms are drawn for
`docs/architecture.md`, with the arrows that no chain of others implies.
"""

from __future__ import annotations

import argparse
import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from grimp import build_graph

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("crypto", "darkpool")

Arrows = Mapping[str, frozenset[str]]


def sources() -> list[Path]:
    """Every module of both packages."""
    return [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]


def room_of(module: str) -> str | None:
    """The room of a module: its folder; None for the ground."""
    folder = module.rpartition(".")[0]
    return None if folder in PACKAGES else folder


def arrows() -> Arrows:
    """The rooms that each room imports."""
    graph = build_graph(*PACKAGES, cache_dir=None)
    found: dict[str, set[str]] = defaultdict(set)
    for module in graph.modules:
        room = None if graph.find_children(module) else room_of(module)
        if room is not None:
            imported = graph.find_modules_directly_imported_by(module)
            rooms = {room_of(other) for other in imported if not graph.find_children(other)}
            found[room] |= {other for other in rooms if other not in (None, room)}
    return {room: frozenset(found[room]) for room in sorted(found)}


def floors(rooms: Arrows) -> dict[str, int]:
    """The longest way down from each room; 0 for one that imports none.

    Raises:
        ValueError: rooms import each other in a circle.
    """
    known: dict[str, int] = {}

    def floor(room: str, above: tuple[str, ...]) -> int:
        if room in above:
            raise ValueError(f"circle: {' -> '.join((*above, room))}")
        if room not in known:
            below = [floor(other, (*above, room)) for other in rooms[room]]
            known[room] = max(below, default=-1) + 1
        return known[room]

    for room in rooms:
        floor(room, ())
    return known


def loose_modules() -> list[str]:
    """Modules of `darkpool` that lie in no room and do not start it."""
    starts = {"__init__", "__main__"}
    return sorted(p.stem for p in (ROOT / "darkpool").glob("*.py") if p.stem not in starts)


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function with its name; methods as `Class.method`."""
    for path in sources():
        where = path.relative_to(ROOT).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                    owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
                    yield f"{where}:{owner}{child.name}", child


def parameters_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Parameters that a caller gives: without `self` and `cls`."""
    given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return len([argument for argument in given if argument.arg not in {"self", "cls"}])


def is_command(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function is a command: its parameters are a command line's options."""
    return any(
        isinstance(a.annotation, ast.Subscript) and "typer." in ast.unparse(a.annotation)
        for a in function.args.args
    )


def is_compiled(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether numba compiles a function, which takes arrays and no objects."""
    decorators = map(ast.unparse, function.decorator_list)
    return any(d.startswith(("kernel", "njit", "intrinsic", "vectorize")) for d in decorators)


def _longest(values: Mapping[str, int], count: int = 3) -> str:
    top = sorted(values.items(), key=lambda item: (-item[1], item[0]))[:count]
    return ", ".join(f"{value} ({name})" for name, value in top)


def figures() -> dict[str, str]:
    """What is measured, by name."""
    rooms = arrows()
    every = dict(functions())
    plain = {name: f for name, f in every.items() if not is_compiled(f) and not is_command(f)}
    lines = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in sources()
    }
    spans = {
        name: (f.end_lineno or f.lineno) - f.lineno + 1
        for name, f in every.items()
        if not is_command(f)
    }
    counts = {name: parameters_of(f) for name, f in plain.items()}
    compiled = {name: parameters_of(f) for name, f in every.items() if is_compiled(f)}
    return {
        "rooms": str(len(rooms)),
        "arrows between rooms": str(sum(map(len, rooms.values()))),
        "floors": str(max(floors(rooms).values()) + 1),
        "loose modules in darkpool": f"{len(loose_modules())}: {', '.join(loose_modules())}",
        "lines of production code": str(sum(lines.values())),
        "longest modules": _longest(lines),
        "longest functions": _longest(spans),
        "most parameters": _longest(counts),
        "functions above five parameters": str(len([1 for n in counts.values() if n > 5])),
        "most parameters, compiled": _longest(compiled),
    }


def picture() -> str:
    """The rooms of `darkpool` as a Mermaid flowchart, without arrows that a chain implies."""
    rooms = {room: below for room, below in arrows().items() if room.startswith("darkpool")}
    reach: dict[str, set[str]] = {}

    def reached(room: str) -> set[str]:
        if room not in reach:
            below = rooms[room] & rooms.keys()
            reach[room] = set(below).union(*map(reached, below))
        return reach[room]

    names = {room: room.replace(".", "_") for room in rooms}
    drawn = [f'    {name}["{room.removeprefix("darkpool.")}"]' for room, name in names.items()]
    for room, below in rooms.items():
        own = below & rooms.keys()
        implied = set[str]().union(*map(reached, own))
        drawn += [f"    {names[room]} --> {names[other]}" for other in sorted(own - implied)]
    return "\n".join(["```mermaid", "flowchart TD", *drawn, "```"])


def main() -> None:
    """Print the figures, or the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", action="store_true", help="draw the rooms of darkpool")
    if parser.parse_args().picture:
        print(picture())
        return
    for name, value in figures().items():
        print(f"{name:32} {value}")


if __name__ == "__main__":
    main()
