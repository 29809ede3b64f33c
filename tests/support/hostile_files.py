"""What a stranger can make of the files that people write: orders, contracts, markets, holdings."""

import json
import random
import re
from typing import Any

PIECES = (
    *(b"\x00", b"\x1b[2J", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf"),
    *(b"\r", b"\n", b"\t", b'"', b""),
    *(b"NaN", b"null", b"true", b"[]", b"{}", b"-", b".", b",", b"=", b"[[a]]", b"a.b", b"1E5"),
    *("\u0665".encode(), "\u202e".encode(), "\u2028".encode(), b"\\u0000", b"\\ud800", b"1_000"),
    *(b"9" * 5000, b"0x" + b"f" * 6000, b"[" * 3000, b'{"a":' * 3000, b"{a=" * 2000),
    *(b"0001-01-01T00:00:00+23:59", b"9999-12-31T23:59:59-23:59", b"1970-01-01T00:00:00Z"),
)
TIMES = (
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59.999999Z"),
    *("1969-12-31T23:59:59.999Z", "2027-03-26T08:00:00.0009Z", "2027-03-26T08:00:00"),
    *("2027-03-26", "1e10", "253402300799", "2027-02-30T00:00:00Z", "2026-03-26T08:00:60Z"),
)
_NUMBER = re.compile(r"-?[0-9.]+")


def number(generator: random.Random) -> str:
    """A number as people write it, of any size."""
    digits = generator.choice([1, 1, 2, 6, 9, 10, 18, 19, 30, 45])
    whole = str(generator.randrange(10**digits))
    part = generator.choice(
        ["", "", ".5", ".000001", ".0000001", f".{generator.randrange(10**6):06}"]
    )
    return generator.choice(["", "", "-"]) + whole + part


def changed_bytes(data: bytes, generator: random.Random) -> bytes:
    """Some bytes are lost, said twice, others, or more than there were."""
    for _ in range(generator.choice([1, 1, 2, 5])):
        begin = generator.randrange(len(data) + 1)
        end = min(len(data), begin + generator.choice([0, 1, 2, 8, 40, 400]))
        held = data[begin:end]
        pieces = [b"", generator.choice(PIECES), generator.randbytes(4), held * 2]
        data = data[:begin] + generator.choice([*pieces, number(generator).encode()]) + data[end:]
    return data


def changed_value(old: Any, generator: random.Random) -> Any:
    """A value that often is of the same kind."""
    new: list[Any] = [None, True, 5, "", [], {}, "\x1b[31m", "x" * 10_000, number(generator)]
    if isinstance(old, int):
        new += [0, 1, -1, 10**6, 10**6 + 1, 2**63 - 1, 2**63, 10**12, -(10**12), 10**400, old + 1]
    elif isinstance(old, str) and _NUMBER.fullmatch(old):
        new += [number(generator) for _ in range(8)]
    elif isinstance(old, str):
        new += [*TIMES, "BTC", "ETH", "perpetual", "future", "call", "BTC-PERP"]
    elif isinstance(old, list):
        new += [old * 2, old[::-1], old[:1], old * 50, [old]]
    elif isinstance(old, dict):
        new += [{**old, "x": 1}, dict(list(old.items())[1:])]
    return generator.choice(new)


def changed_tree(tree: Any, generator: random.Random) -> Any:
    """Some values of a tree are others."""
    tree = json.loads(json.dumps(tree, default=str))
    for _ in range(generator.choice([1, 1, 2, 4])):
        places: list[tuple[Any, Any]] = []
        inner = [tree]
        for one in inner:
            items = one.items() if isinstance(one, dict) else enumerate(one)
            places += [(one, key) for key, _ in items]
            inner += [value for value in _values(one) if isinstance(value, dict | list)]
        if places:
            holder, key = generator.choice(places)
            holder[key] = changed_value(holder[key], generator)
    return tree


def _values(tree: Any) -> list[Any]:
    return list(tree.values()) if isinstance(tree, dict) else list(tree)


def toml(tree: dict[str, Any]) -> str:
    """A tree as TOML; times are written as such, what TOML has no value for as something else."""
    return "\n".join(f"{json.dumps(key)} = {_toml(value)}" for key, value in tree.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        inner = (f"{json.dumps(key)} = {_toml(one)}" for key, one in value.items())
        return f"{{{', '.join(inner)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d[T ][0-9:.+Z-]+", value):
        return value
    return "nan" if value is None else json.dumps(value)
