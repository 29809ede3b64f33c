"""The JSON of a record: typed, exact, and spelled in one way only.

Fields are those of frozen dataclasses. Integers are exact and bounded, bytes are 0x hexadecimal,
there are no floats; a text that `to_json` would have spelled otherwise is refused. The reader
follows the form and not the text: it makes nothing but the values that the form asks for, and stops
at the first byte that is another, so that no text takes more memory than its values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
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

_SHOWN_BYTES: Final = 40
_INTEGER_TEXT: Final = re.compile(rb"(?:0|-?[1-9][0-9]{0,99})(?![0-9.eE])")
_OCTETS_TEXT: Final = re.compile(rb'"0x([0-9a-f]*+)"')
_QUOTED: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')

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
    """Of a text field: a regular expression for all of it, and what it says in words."""

    pattern: str
    words: str


_INTEGER: Final = Bound((1 << 64) - 1)
_OCTETS_MAX: Final = 1 << 20
_TEXT_MAX: Final = 1 << 12
_ANY_TEXT: Final = Shape(r".*", f"text of at most {_TEXT_MAX} characters in one line")
_ESCAPED_MAX: Final = 12
"""Bytes of a character that JSON escapes, at most: two surrogates."""


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
    reader = _Reader(data)
    kind: Any = expected
    value: T = _read_of(kind, ())(reader, part, 0)
    reader.end(part)
    return value


_Part = str | tuple["_Part", str | int]
"""A name, or a part and the field or the number in it; spelled out for errors alone."""


def _path(part: _Part) -> str:
    if isinstance(part, str):
        return part
    holder, step = part
    return f"{_path(holder)}[{step}]" if isinstance(step, int) else f"{_path(holder)}.{step}"


class _Reader:
    """Reads values of known forms from their only spelling."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def end(self, part: str) -> None:
        """Require the end of the last line, and nothing after it."""
        self._take(b"\n", part)
        if self._at != len(self._data):
            raise self._refusal(part, "the end of the file")

    def list_of(self, item: _Read, part: _Part, depth: int) -> tuple[Any, ...]:
        """Items of one kind."""
        if self.skip(b"[]"):
            return ()
        items: list[Any] = []
        self._take(b"[\n" + b" " * (depth + 1), part, "a list")
        while True:
            items.append(item(self, (part, len(items)), depth + 1))
            if not self._goes_on(b"]", part, depth):
                return tuple(items)

    def mapping(self, numbered: bool, item: _Read, part: _Part, depth: int) -> dict[Any, Any]:
        """Items of one kind by their names, which may be numbers."""
        found: dict[Any, Any] = {}
        if self.skip(b"{}"):
            return found
        self._take(b"{\n" + b" " * (depth + 1), part, "an object")
        while True:
            name: Any = self.text(_ANY_TEXT, part)
            inner = (part, shortened(name))
            if numbered:
                if not re.fullmatch(r"0|[1-9][0-9]{0,8}", name):
                    raise MalformedRecord(_path(part), "numbers as names", name)
                name = int(name)
            if name in found:
                raise MalformedRecord(_path(inner), "each name once", f"{name} twice")
            self._take(b": ", inner)
            found[name] = item(self, inner, depth + 1)
            if not self._goes_on(b"}", part, depth):
                return found

    def dataclass(self, kind: Any, part: _Part, depth: int) -> Any:
        """The fields of a form, in their order."""
        values = []
        before = b"{\n"
        for name, field in _fields_of(kind):
            what = f"the field {name}"
            self._take(before + b" " * (depth + 1) + f'"{name}": '.encode(), part, what)
            values.append(field(self, (part, name), depth + 1))
            before = b",\n"
        if not values:
            self._take(b"{}", part)
        elif self._goes_on(b"}", part, depth):
            raise self._refusal(part, "no field after the last")
        return kind(*values)

    def integer(self, bound: Bound, part: _Part) -> int:
        """An integer of its range."""
        found = _INTEGER_TEXT.match(self._data, self._at)
        if found is None or not bound.lowest <= (value := int(found[0])) <= bound.highest:
            raise self._refusal(part, f"an integer from {bound.lowest} to {bound.highest}")
        self._at = found.end()
        return value

    def octets(self, width: int | None, part: _Part) -> bytes:
        """Bytes."""
        found = _OCTETS_TEXT.match(self._data, self._at, self._at + 2 * _OCTETS_MAX + 4)
        digits = b"" if found is None else found[1]
        if found is None or len(digits) % 2 or (width is not None and len(digits) != 2 * width):
            count = "" if width is None else f" of {width} bytes"
            raise self._refusal(part, f"0x and lower-case hexadecimal digits{count}")
        self._at = found.end()
        return bytes.fromhex(digits.decode())

    def text(self, shape: Shape, part: _Part) -> str:
        """Text of its shape."""
        found = _QUOTED.match(self._data, self._at, self._at + _ESCAPED_MAX * _TEXT_MAX + 2)
        try:
            text = None if found is None else json.loads(found[0])
        except ValueError:
            text = None
        if (
            found is None
            or text is None
            or json.dumps(text).encode() != found[0]
            or len(text) > _TEXT_MAX
            or not re.fullmatch(shape.pattern, text)
        ):
            if isinstance(text, str):
                raise MalformedRecord(_path(part), shape.words, text[:_TEXT_MAX])
            raise self._refusal(part, shape.words)
        self._at = found.end()
        return str(text)

    def one_of(self, spellings: Mapping[bytes, Any], part: _Part) -> Any:
        """One of a few values."""
        for spelling, value in spellings.items():
            if self.skip(spelling):
                return value
        raise self._refusal(part, " or ".join(spelling.decode() for spelling in spellings))

    def _goes_on(self, bracket: bytes, part: _Part, depth: int) -> bool:
        """Whether there is another item; else the closing bracket is taken."""
        if self.skip(b",\n" + b" " * (depth + 1)):
            return True
        self._take(b"\n" + b" " * depth + bracket, part)
        return False

    def skip(self, literal: bytes) -> bool:
        """Whether this comes next, which is taken then."""
        if not self._data.startswith(literal, self._at):
            return False
        self._at += len(literal)
        return True

    def _take(self, literal: bytes, part: _Part, what: str | None = None) -> None:
        if not self.skip(literal):
            raise self._refusal(part, what or ascii(literal.decode()))

    def _refusal(self, part: _Part, expected: str) -> MalformedRecord:
        got = self._data[self._at : self._at + _SHOWN_BYTES]
        shown = got.decode("latin-1") if got else "the end of the file"
        return MalformedRecord(_path(part), expected, f"{shown} from byte {self._at}")


_Read = Callable[[_Reader, _Part, int], Any]
"""Reads the value that comes next; the number is how many lists and objects it lies in."""


@cache
def _read_of(kind: Any, rules: tuple[object, ...]) -> _Read:
    """How values of a kind are read."""
    origin, arguments = get_origin(kind), get_args(kind)
    if hasattr(kind, "__metadata__"):
        return _read_of(arguments[0], kind.__metadata__)
    if origin in (Union, UnionType):
        (inner,) = (_read_of(a, ()) for a in arguments if a is not NoneType)
        return lambda reader, part, depth: (
            None if reader.skip(b"null") else inner(reader, part, depth)
        )
    if origin is Literal:
        spellings = {f'"{a}"'.encode(): a for a in arguments}
        return lambda reader, part, _depth: reader.one_of(spellings, part)
    if origin is tuple:
        item = _read_of(arguments[0], ())
        return lambda reader, part, depth: reader.list_of(item, part, depth)
    if origin is not None and issubclass(origin, Mapping):
        numbered, item = arguments[0] is int, _read_of(arguments[1], ())
        return lambda reader, part, depth: reader.mapping(numbered, item, part, depth)
    if is_dataclass(kind):
        return lambda reader, part, depth: reader.dataclass(kind, part, depth)
    return _read_of_scalar(getattr(kind, "__supertype__", kind), rules)


def _read_of_scalar(kind: Any, rules: tuple[object, ...]) -> _Read:
    if kind is int:
        bound = next((r for r in rules if isinstance(r, Bound)), _INTEGER)
        return lambda reader, part, _depth: reader.integer(bound, part)
    if kind is bool:
        return lambda reader, part, _depth: reader.one_of({b"true": True, b"false": False}, part)
    if kind is bytes:
        width = next((r.octets for r in rules if isinstance(r, Width)), None)
        return lambda reader, part, _depth: reader.octets(width, part)
    shape = next((r for r in rules if isinstance(r, Shape)), _ANY_TEXT)
    return lambda reader, part, _depth: reader.text(shape, part)


@cache
def _fields_of(kind: type) -> tuple[tuple[str, _Read], ...]:
    hints = _hints(kind)
    return tuple((f.name, _read_of(hints[f.name], ())) for f in fields(kind))


def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    if issubclass(kind, TypedMessage):
        for name, (unit, width) in field_types(kind).items():
            rule = Bound((1 << width) - 1) if unit == "uint" else Width(width)
            hints[name] = Annotated[hints[name], rule]
    return hints
