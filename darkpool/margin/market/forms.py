"""Files of the margin engine, checked field by field before anything is made of them."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from darkpool.margin.errors import InvalidFile, Problem
from darkpool.units import PPM

_GOT_MAX_CHARACTERS: Final = 60


Share = Annotated[int, Field(strict=True, ge=0, le=PPM)]
"""A part of a whole, in parts per million."""
Multiple = Annotated[int, Field(strict=True, ge=0, le=100 * PPM)]
"""A multiple of something, in parts per million; 1,000,000 is once."""
DecimalText = Annotated[str, Field(strict=True, pattern=r"^(0|[1-9][0-9]{0,12})(\.[0-9]{1,12})?$")]
"""A number that is not negative, in digits with at most one point."""
Name = Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9._/-]{1,32}$")]


class Form(BaseModel):
    """Base of what a file holds: nothing unknown, nothing changed afterwards, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


_Form = TypeVar("_Form", bound=Form)


def validated(form: type[_Form], source: str, data: Any) -> _Form:
    """Make a form of parsed data.

    Raises:
        InvalidFile: names every field at fault.
    """
    try:
        return form.model_validate(data)
    except ValidationError as error:
        raise InvalidFile(source, [_problem(dict(detail)) for detail in error.errors()]) from None


def _problem(detail: dict[str, Any]) -> Problem:
    path = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]
    ).lstrip(".")
    got = "nothing" if detail["type"] == "missing" else repr(detail["input"])
    return Problem(path or "file", _expected(detail["msg"]), got[:_GOT_MAX_CHARACTERS])


def _expected(message: str) -> str:
    """Pydantic's sentence, as what comes after "expected"."""
    text = message.removeprefix("Value error, ").removeprefix("Input should be ")
    known = {"Field required": "a value", "Extra inputs are not permitted": "no such field"}
    return known.get(text, text[:1].lower() + text[1:])
