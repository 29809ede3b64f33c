"""The JSON of a record: typed, exact, and spelled in one way only.

Fields are those of frozen dataclasses. Integers are exact and bounded, bytes are 0x hexadecimal,
there are no floats; a text that `to_json` would have spelled otherwise is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np

from crypto.signing.eip712 import TypedMessage, field_types
from darkpool.errors import MalformedRecord, shortened

JSON_BYTES_MAX: Final = 256 << 20

_DEPTH_MAX: Final = 16
_QUOTED_BYTES: Final = 20
_QUOTED: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_HEX: Final = re.compile(r"0x(?:[0-9a-f]{2})*")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bound:
    """Of an integer field: from `lowest` to `highest`, both included."""

    highest: int
    lowest: int = 0


@dataclass(frozen=True, slots=True)
class Width:
    """Of a field of bytes: how many."""

    octets: int


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a text field: a regular expression for all of it, and what that says in words."""

    pattern: str
    words: str


_INTEGER: Final = Bound((1 << 64) - 1)
_OCTETS_MAX: Final = 1 << 20
_TEXT_MAX: Final = 1 << 12
_ANY_TEXT: Final = Shape(r".*", f"a line of at most {_TEXT_MAX} characters")


def to_json(value: object) -> bytes:
    """Canonical JSON of a tree of dataclasses, tuples, mappings, integers, text and bytes."""
    return (json.dumps(_plain(value), indent=1, ensure_ascii=True) + "\n").encode()


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    raise TypeError(f"expected a value that a record may hold, got {type(value).__name__}")


def from_json(data: bytes, expected: type[T], part: str) -> T:
    """Read a dataclass back.

    Raises:
        MalformedRecord: no JSON; a field twice, too many or too few; a number that is no integer
            of its range; anything that `to_json` would not write.
    """
    if len(data) > JSON_BYTES_MAX:
        raise MalformedRecord(part, f"at most {JSON_BYTES_MAX} bytes", len(data))

    depth = _depth(data)
    if depth > _DEPTH_MAX:
        raise MalformedRecord(part, f"at most {_DEPTH_MAX} levels", depth)

    def refuse(text: str) -> object:
        raise MalformedRecord(part, "exact integers", text)

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(items)
        if len(found) != len(items):
            names = [name for name, _ in items]
            twice = next(name for name in names if names.count(name) > 1)
            raise MalformedRecord(part, "each field once", f"{twice!r} twice")
        return found

    try:
        tree = json.loads(
            data.decode("utf-8", "strict"),
            object_pairs_hook=pairs,
            parse_float=refuse,
            parse_constant=refuse,
        )
    except (ValueError, RecursionError) as error:
        raise MalformedRecord(part, "JSON", error) from error
    value = _typed(tree, expected, (), part)
    canonical = to_json(value)
    if canonical != data:
        at = _first_difference(canonical, data)
        right, wrong = (text[at : at + _QUOTED_BYTES] for text in (canonical, data))
        raise MalformedRecord(f"{part}, spelling from byte {at}", f"{right!r}", f"{wrong!r}")
    return value  # type: ignore[no-any-return]


def _first_difference(one: bytes, other: bytes) -> int:
    shared = min(len(one), len(other))
    differ = np.frombuffer(one, np.uint8, shared) != np.frombuffer(other, np.uint8, shared)
    return int(differ.argmax()) if differ.any() else shared


def _depth(data: bytes) -> int:
    """Levels of nesting; the parser's recursion is in C, where it would end the process."""
    octets = np.frombuffer(_QUOTED.sub(b"", data), np.uint8)
    opening = (octets == ord("[")) | (octets == ord("{"))
    closing = (octets == ord("]")) | (octets == ord("}"))
    steps = opening.astype(np.int64) - closing.astype(np.int64)
    return int(steps.cumsum().max(initial=0))


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    if issubclass(kind, TypedMessage):
        for name, (unit, width) in field_types(kind).items():
            rule = Bound((1 << width) - 1) if unit == "uint" else Width(width)
            hints[name] = Annotated[hints[name], rule]
    return hints


def _typed(tree: object, kind: Any, rules: tuple[object, ...], part: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if hasattr(kind, "__metadata__"):
        return _typed(tree, arguments[0], kind.__metadata__, part)
    if origin in (Union, UnionType):
        (inner,) = (a for a in arguments if a is not NoneType)
        return None if tree is None else _typed(tree, inner, (), part)
    if origin is Literal:
        if not isinstance(tree, str) or tree not in arguments:
            raise MalformedRecord(part, " or ".join(arguments), tree)
        return tree
    if origin is tuple:
        if not isinstance(tree, list):
            raise MalformedRecord(part, "a list", tree)
        return tuple(_typed(item, arguments[0], (), f"{part}[{i}]") for i, item in enumerate(tree))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(tree, arguments, part)
    if is_dataclass(kind):
        return _dataclass(tree, kind, part)
    return _scalar(tree, kind, rules, part)


def _mapping(tree: object, arguments: tuple[Any, ...], part: str) -> dict[Any, Any]:
    if not isinstance(tree, dict):
        raise MalformedRecord(part, "an object", tree)
    found = {}
    for name, item in tree.items():
        key: object = name
        if arguments[0] is int:
            if not re.fullmatch(r"0|[1-9][0-9]{0,8}", name):
                raise MalformedRecord(part, "numbers as names", name)
            key = int(name)
        found[key] = _typed(item, arguments[1], (), f"{part}.{shortened(name)}")
    return found


def _dataclass(tree: object, kind: Any, part: str) -> Any:
    names = [f.name for f in fields(kind)]
    if not isinstance(tree, dict) or sorted(tree) != sorted(names):
        got = sorted(tree) if isinstance(tree, dict) else tree
        raise MalformedRecord(part, f"the fields {', '.join(sorted(names))}", got)
    hints = _hints(kind)
    return kind(**{n: _typed(tree[n], hints[n], (), f"{part}.{n}") for n in names})


def _scalar(tree: object, kind: Any, rules: tuple[object, ...], part: str) -> Any:
    kind = getattr(kind, "__supertype__", kind)
    if kind is int:
        bound = next((r for r in rules if isinstance(r, Bound)), _INTEGER)
        if type(tree) is not int or not bound.lowest <= tree <= bound.highest:
            expected = f"an integer from {bound.lowest} to {bound.highest}"
            raise MalformedRecord(part, expected, repr(tree))
        return tree
    if kind is bool:
        if not isinstance(tree, bool):
            raise MalformedRecord(part, "true or false", repr(tree))
        return tree
    if not isinstance(tree, str) or len(tree) > 2 * _OCTETS_MAX:
        raise MalformedRecord(part, "text", repr(tree))
    if kind is bytes:
        width = next((r.octets for r in rules if isinstance(r, Width)), None)
        if not _HEX.fullmatch(tree) or (width is not None and len(tree) != 2 + 2 * width):
            count = "" if width is None else f" of {width} bytes"
            raise MalformedRecord(part, f"0x and lower-case hexadecimal digits{count}", tree)
        return bytes.fromhex(tree[2:])
    shape = next((r for r in rules if isinstance(r, Shape)), _ANY_TEXT)
    if len(tree) > _TEXT_MAX or not re.fullmatch(shape.pattern, tree):
        raise MalformedRecord(part, shape.words, tree)
    return tree
