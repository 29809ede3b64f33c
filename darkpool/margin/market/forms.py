"""Files of the margin engine, checked field by field before anything is made of them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError, from_json

from darkpool.errors import InvalidPrice
from darkpool.limits import DECIMAL_DIGITS_MAX, PRICE_DECIMALS
from darkpool.margin.errors import InvalidFile, Problem
from darkpool.units import NAME_RULE, PPM, PriceUnits, is_name, price_units, require_kind

PRICE_MAX: Final = 10**9
"""Largest absolute price of an underlying: in price units it is still exact as a binary64."""

NUMBER_RULE: Final = "a number in digits, with at most one point and without an exponent"

A_TIME: Final = "a time with its zone, such as 2027-03-26T08:00:00Z"

_DATED: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PRICE_MAX_UNITS: Final = PRICE_MAX * 10**PRICE_DECIMALS
_GOT_MAX_CHARACTERS: Final = 60
_SHOWN_BITS_MAX: Final = 512
"""Longer numbers are told by their length: Python refuses to write the digits of very long ones."""
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_WRONG: Final = "wrong"
_NOTHING: Final = "nothing"
_AT_FAULT_MAX: Final = 50


def wrong(expected: str, got: object, *path: str | int) -> PydanticCustomError:
    """What a validator raises, of what `path` leads to from where it stands; None is nothing."""
    shown = _NOTHING if got is None else _plain(got)
    return PydanticCustomError(
        _WRONG, "{expected}", {"expected": expected, "got": shown, "path": path}
    )


def number(text: str) -> Decimal:
    """A number as people write it.

    Raises:
        PydanticCustomError: other than digits, at most one point, and a leading minus; too long.
    """
    if len(text) > DECIMAL_DIGITS_MAX:
        raise wrong(f"a number of at most {DECIMAL_DIGITS_MAX} characters", text)
    if not _NUMBER.fullmatch(text):
        raise wrong(NUMBER_RULE, text)
    return Decimal(text)


def decimals_of(value: Decimal) -> int:
    """Digits behind the point, those that are zero at the end included."""
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def price_of(text: str) -> PriceUnits:
    """A price that an underlying can have.

    Raises:
        PydanticCustomError: no number, more than six decimals, or beyond `PRICE_MAX`.
    """
    try:
        units = price_units(number(text))
    except InvalidPrice as error:
        raise wrong(str(error.expected), text) from None
    if abs(units) > _PRICE_MAX_UNITS:
        raise wrong(f"a price from {-PRICE_MAX} to {PRICE_MAX}", text)
    return units


def _price(text: str) -> str:
    price_of(text)
    return text


def _positive(text: str) -> str:
    if price_of(text) <= 0:
        raise wrong(f"a price above 0 and up to {PRICE_MAX}", text)
    return text


def _distance(text: str) -> str:
    if price_of(text) < 0:
        raise wrong(f"a distance of prices from 0 to {PRICE_MAX}", text)
    return text


def _name(text: str) -> str:
    if not is_name(text):
        raise wrong(NAME_RULE, text)
    return text


def _moment(value: object) -> object:
    # a number would be seconds or milliseconds, whichever is nearer to now
    if isinstance(value, datetime) or (isinstance(value, str) and _DATED.match(value)):
        return value
    raise wrong(A_TIME, value)


def _first(version: int) -> int:
    if version != 1:
        raise wrong("1, the version of such files", str(version))
    return version


Version = Annotated[int, Field(strict=True), AfterValidator(_first)]
Text = Annotated[str, Field(strict=True)]
Share = Annotated[int, Field(strict=True, ge=0, le=PPM)]
"""A part of a whole, in parts per million."""
Multiple = Annotated[int, Field(strict=True, ge=0, le=100 * PPM)]
"""A multiple of something, in parts per million; 1,000,000 is once."""
PriceText = Annotated[Text, AfterValidator(_price)]
"""A price in digits, with at most six decimals; may be zero or negative."""
PositivePriceText = Annotated[Text, AfterValidator(_positive)]
DistanceText = Annotated[Text, AfterValidator(_distance)]
"""How far two prices are apart."""
Name = Annotated[Text, AfterValidator(_name)]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
"""A time with its zone."""


class Form(BaseModel):
    """Base of what a file holds: nothing unknown, nothing changed afterwards, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _with_few_unknown(cls, data: Any) -> Any:
        """Of very many fields that there are not, the first are told."""
        if not isinstance(data, dict) or len(data) <= len(cls.model_fields) + _AT_FAULT_MAX:
            return data
        known = {name: data[name] for name in cls.model_fields if name in data}
        unknown = (name for name in data if name not in cls.model_fields)
        return known | {name: data[name] for name in islice(unknown, _AT_FAULT_MAX)}


def entries(kind: Any, most: int) -> BeforeValidator:
    """A list of at most so many entries of a kind, which goes before the field's other bounds.

    A problem takes a hundred times the memory of what it is about: a list in which many entries are
    at fault is read up to the last of the first `_AT_FAULT_MAX`.
    """
    adapter = TypeAdapter[Any](kind)

    def read(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        if len(value) > most:
            raise wrong(f"at most {most} entries", value)
        checked, at_fault = [], 0
        for entry in value:
            try:
                checked.append(adapter.validate_python(entry))
            except ValidationError:
                checked.append(entry)
                at_fault += 1
                if at_fault == _AT_FAULT_MAX:
                    break
        return tuple(checked)

    return BeforeValidator(read)


_Form = TypeVar("_Form", bound=Form)


def require_once(what: str, names: Iterable[tuple[str, tuple[str | int, ...]]]) -> None:
    """Check that each of some names, each with its path, is there once.

    Raises:
        PydanticCustomError: names the second of two.
    """
    seen = set()
    for name, path in names:
        if name in seen:
            raise wrong(f"each {what} once", f"{name} again", *path)
        seen.add(name)


def validated(form: type[_Form], source: str, data: Any) -> _Form:
    """Make a form of parsed data.

    Raises:
        InvalidFile: names every field at fault.
    """
    try:
        return form.model_validate(data)
    except ValidationError as error:
        details: list[dict[str, Any]] = [dict(one) for one in error.errors(include_url=False)]
        inside = Counter(
            detail["loc"][:depth] for detail in details for depth in range(len(detail["loc"]) + 1)
        )
        # a list is short only because entries of it are at fault, which is told by itself
        told = [d for d in details if d["type"] != "too_short" or inside[d["loc"]] == 1]
        raise InvalidFile(source, [_problem(detail) for detail in told]) from None


class _Doubled(dict[str, Any]):
    """A JSON object with the names of the fields that it has twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs)
        self.twice = [name for name, count in counts.items() if count > 1]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return tree if len(tree := dict(pairs)) == len(pairs) else _Doubled(pairs)


def require_text(source: str, text: object) -> None:
    """Check that what stands in a file is text in Unicode.

    Raises:
        WrongType: another kind of value.
        InvalidFile: a character that no file can have.
    """
    require_kind("source", str, source)
    try:
        require_kind(source, str, text).encode()
    except UnicodeEncodeError:
        raise InvalidFile(
            source, [Problem("file", "text in Unicode", "half a character")]
        ) from None


def parsed_json(source: str, text: str) -> Any:
    """Parse a JSON file.

    Raises:
        WrongType: no text.
        InvalidFile: it is none, nested too deep, or has a field twice.
    """
    require_text(source, text)
    try:
        from_json(text)
    except ValueError as error:
        raise InvalidFile(source, [Problem("file", "JSON", str(error)[:100])]) from None
    # from here on the text is known to be JSON of bounded depth, and numbers of bounded length
    tree = json.loads(text, object_pairs_hook=_object)
    paths = islice(_repeated(tree, ()), _AT_FAULT_MAX)
    repeated = [Problem(path, "each field once", "it again") for path in paths]
    if repeated:
        raise InvalidFile(source, repeated)
    return tree


def _repeated(tree: Any, path: tuple[str | int, ...]) -> Iterator[str]:
    """Paths of the fields that are there twice."""
    if isinstance(tree, _Doubled):
        yield from (_written((*path, name)) for name in tree.twice)
    inner: Iterable[tuple[str | int, Any]] = ()
    if isinstance(tree, Mapping):
        inner = tree.items()
    elif isinstance(tree, list):
        inner = enumerate(tree)
    for key, value in inner:
        yield from _repeated(value, (*path, key))


def _problem(detail: dict[str, Any]) -> Problem:
    context, path = detail.get("ctx", {}), detail["loc"]
    if detail["type"] == _WRONG:
        return Problem(_written((*path, *context["path"])), context["expected"], context["got"])
    got = _NOTHING if detail["type"] == "missing" else _json(detail["input"])
    return Problem(_written(path), _expected(detail["type"], detail["msg"], context), got)


def _written(path: tuple[str | int, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".")[:200] or "file"


_WORDS: Final = {
    "missing": "a value",
    "extra_forbidden": "no such field",
    "string_type": "text in quotes",
    "tuple_type": "a list",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "too_short": "{min_length} entries or more",
    "too_long": "at most {max_length} entries",
}


def _expected(kind: str, message: str, context: Mapping[str, Any]) -> str:
    """What was expected, in words of this project."""
    if kind.startswith(("datetime_", "timezone_", "date_", "time_")):
        return A_TIME
    if kind in _WORDS:
        return _WORDS[kind].format(**context)
    text = message.removeprefix("Input should be ")
    return text[:1].lower() + text[1:]


def _plain(value: object) -> str:
    """A value that is shown as it stands in the file, but for quotes where it would be unclear."""
    if isinstance(value, str) and value.isprintable() and value.strip() == value != "":
        return _cut(value)
    return _json(value)


def _json(value: object) -> str:
    """A value of a file as JSON; of a list or an object only what it is."""
    if isinstance(value, Mapping | BaseModel):
        return "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS_MAX:
        return f"a number of {value.bit_length()} bits"
    text = json.dumps(value, ensure_ascii=False, default=str)
    # a lone surrogate, which text of Python may have, is in no message of pydantic's
    return _cut(text.encode("utf-8", "backslashreplace").decode())


def _cut(text: str) -> str:
    whole = len(text) <= _GOT_MAX_CHARACTERS
    return text if whole else f"{text[:_GOT_MAX_CHARACTERS]}..."
