"""What a stranger can make of a record's folder."""

import json
import os
import random
import socket
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.records import Copy

SPARSE_BYTES = 1 << 40
NAMES = (
    "\x1b[2J\x1b[HThe audit passes.\x1b[8m",
    "a\nholds  form",
    os.fsdecode(b"\xff\xfe"),
    "x" * 200,
    "\u202egnp.exe",
)


def names_of(copy: Copy) -> list[str]:
    """Names of the plain files of a record."""
    paths = (path for path in copy.directory.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(path.relative_to(copy.directory).as_posix() for path in paths)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def listen(path: Path) -> None:
    path.unlink()
    place = Path.cwd()
    os.chdir(path.parent)  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(place)


def link_to(target: str) -> Callable[[Path], None]:
    def link(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return link


def fold(path: Path) -> None:
    """A folder in its place, with folders in it, one in the other."""
    path.unlink()
    path.mkdir()
    deep(path)


def deep(path: Path) -> None:
    place = Path.cwd()
    os.chdir(path)
    try:
        for _ in range(30):
            Path("d" * 100).mkdir()
            os.chdir("d" * 100)
    finally:
        os.chdir(place)


def beginning(path: Path) -> bytes:
    """What a file holds, of one that was stretched the beginning."""
    with path.open("rb") as file:
        return file.read(1 << 24)


def stretch(path: Path) -> None:
    data = beginning(path)
    path.unlink()
    path.write_bytes(data)
    os.truncate(path, SPARSE_BYTES)


def lose(path: Path) -> None:
    path.unlink()


def lock(path: Path) -> None:
    data = beginning(path)
    path.unlink()
    path.write_bytes(data)
    path.chmod(0)


FILES: tuple[Callable[[Path], None], ...] = (
    pipe,
    listen,
    link_to("/dev/zero"),
    link_to("/proc/self/mem"),
    link_to("record.json"),
    fold,
    stretch,
    lose,
    lock,
)

TEXTS: tuple[Callable[[bytes], bytes], ...] = (
    lambda _: b"",
    lambda _: b"[" * 100_000,
    lambda _: b"[" + b"[]," * 100_000,
    lambda _: b"9" * 200_000,
    lambda _: b'"' + b"\\u0000" * 100_000 + b'"',
    lambda text: text.replace(b": 1,", b": " + b"1" * 100_000 + b",", 1),
    lambda text: text.replace(b'": ', b'": 1e9999, "', 1),
    lambda text: text.replace(b'"0x', b'"0x' + b"ab" * 100_000, 1),
    lambda text: text[: len(text) // 2],
    lambda text: text + text,
    lambda text: text.replace(b"\n ", b"\r\n ", 1),
    lambda text: b"\xef\xbb\xbf" + text,
    lambda text: text.replace(b'"', b'"\x00\x1b[2J', 1),
)


def mutate(copy: Copy, generator: random.Random) -> None:
    """One change to a record that its maker may make, under the old manifest or a new one."""
    names = names_of(copy)
    kind = generator.randrange(5)
    if kind == 0:
        generator.choice(FILES)(copy.directory / generator.choice(names))
    elif kind == 1:
        texts = [name for name in names if name.endswith(".json")]
        name = generator.choice(texts)
        copy.write(name, generator.choice(TEXTS)(beginning(copy.directory / name)))
    elif kind == 2:
        folder = generator.choice(["", "masks", "material", "openings"])
        (copy.directory / folder / generator.choice(NAMES)).touch()
    elif kind == 3:
        name, other = generator.sample(names, 2)
        (copy.directory / name).unlink()
        os.link(copy.directory / other, copy.directory / name)
    else:
        change_a_value(copy, generator)
    if generator.randrange(2):
        copy.reseal()


def change_a_value(copy: Copy, generator: random.Random) -> None:
    """Put a value of a JSON file, or a list of them, in the place of another."""
    texts = [n for n in names_of(copy) if n.endswith(".json") and n != "manifest.json"]
    name = generator.choice(texts)
    tree = copy.json(name)
    places: list[tuple[Any, Any]] = []

    def walk(inner: Any) -> None:
        if not isinstance(inner, dict | list):
            return
        items = inner.items() if isinstance(inner, dict) else enumerate(inner)
        for key, item in items:
            places.append((inner, key))
            walk(item)

    walk(tree)
    if not places:  # an earlier change left nothing to change
        return
    holder, key = generator.choice(places)
    other, other_key = generator.choice(places)
    value = other[other_key]
    same = [item for inner, k in places if type(item := inner[k]) is type(holder[key])]
    extremes: list[Any] = [0, 1 << 20, (1 << 64) - 1, -(10**18), "0x", [], {}, None, True]
    holder[key] = generator.choice([value, generator.choice(same), generator.choice(extremes)])
    try:
        copy.write_json(name, tree)
    except (ValueError, RecursionError):  # a tree that holds itself
        return


def repeated(text: bytes, steps: tuple[str | int, ...], size: int, field: str = "") -> bytes:
    """Canonical JSON in which the last of a list stands until the text has about this size.

    `field` names an integer that counts on from entry to entry.
    """
    tree = json.loads(text)
    inner = tree
    for step in steps:
        inner = inner[step]
    last = inner[-1]
    inner.append("@repeated")
    if field:
        last = {**last, field: "@number"}
    entry = textwrap.indent(json.dumps(last, indent=1), " " * (len(steps) + 1))
    count = size // len(entry)
    if field:
        entries = (entry.replace('"@number"', str(100 + k)) for k in range(count))
    else:
        entries = (entry for _ in range(count))
    marked = " " * (len(steps) + 1) + '"@repeated"'
    whole = (json.dumps(tree, indent=1) + "\n").replace(marked, ",\n".join(entries))
    return whole.encode()
