"""Values rebuilt from their declared type, as they would arrive over a wire.

A keyper of this process hands over objects. A subclass may look right when it is checked and be
something else when it is used, and what a keyper still holds it can change afterwards. So nothing
of the keyper's is used but numbers, text and bytes of exact types: what they are put together to is
built here, by the annotations of the message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from functools import cache, partial
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt

from crypto.errors import MalformedAnswer
from crypto.ring.immutable import immutable

T = TypeVar("T")
Array = npt.NDArray[Any]
Rebuilder = Callable[[object], Any]

_SCALARS: Final = (NoneType, bool, int, str, bytes, Decimal)


def rebuilt(kind: type[T], value: object) -> T:
    """A value of a type, new but for immutable parts; its arrays are immutable.

    A dataclass is rebuilt without its constructor, so of a type whose constructor checks something
    only what is trusted may be rebuilt.

    Raises:
        MalformedAnswer: the value or a part of it is not exactly of its declared type.
    """
    declared: Any = kind
    rebuild: Callable[[object], T] = rebuilder(declared)
    return rebuild(value)


def own(array: Array) -> Array:
    """The same numbers over `bytes` of their own.

    An array over `bytes` that another party made is no such thing: NumPy lets its maker keep an
    array that writes into them (`ndarray.__setstate__`).

    Raises:
        MalformedAnswer: numbers that do not lie one after the other; few bytes could show many.
    """
    if not array.flags.c_contiguous:
        got = f"shape {array.shape} with strides {array.strides}"
        raise MalformedAnswer("array", "numbers that lie one after the other", got)
    return np.ndarray(array.shape, array.dtype, array.tobytes())


@cache
def rebuilder(kind: Any, take: Callable[[Array], Array] = immutable) -> Rebuilder:
    """The function that rebuilds values of a type: a message, a scalar, or what is made of them.

    Args:
        take: makes an array that cannot be changed; `own`, where its sender is not trusted.

    Raises:
        TypeError: values of this type cannot be rebuilt.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if hasattr(kind, "__supertype__"):
        return rebuilder(kind.__supertype__, take)
    if origin is np.ndarray:
        (scalar,) = get_args(arguments[1])
        return partial(_array, np.dtype(scalar), take)
    if origin is tuple and arguments[1:] == (...,):
        return partial(_tuple, rebuilder(arguments[0], take))
    if origin is Mapping:
        return partial(_mapping, *(rebuilder(part, take) for part in arguments))
    if origin is Literal:
        return partial(_one_of, arguments)
    if origin in (UnionType, Union) and arguments[1:] == (NoneType,):
        return partial(_optional, rebuilder(arguments[0], take))
    if is_dataclass(kind):
        names, hints = [field.name for field in fields(kind)], get_type_hints(kind)
        return partial(_message, kind, [(name, rebuilder(hints[name], take)) for name in names])
    if kind in _SCALARS or issubclass(kind, Enum):
        return partial(_exactly, kind)
    raise TypeError(f"expected a type whose values can be rebuilt, got {kind}")


def _exactly(kind: type[T], value: object) -> T:
    if type(value) is not kind:
        raise MalformedAnswer("type", kind.__name__, type(value).__name__)
    return value


def _one_of(values: tuple[object, ...], value: object) -> object:
    if type(value) is not str or value not in values:
        raise MalformedAnswer("value", " or ".join(map(str, values)), type(value).__name__)
    return value


def _optional(part: Rebuilder, value: object) -> object:
    return None if value is None else part(value)


def _tuple(part: Rebuilder, value: object) -> object:
    return tuple(map(part, _exactly(tuple, value)))


def _mapping(key: Rebuilder, part: Rebuilder, value: object) -> object:
    mapping = dict(value) if type(value) is MappingProxyType else _exactly(dict, value)
    return {key(name): part(item) for name, item in mapping.items()}


def _array(dtype: np.dtype[Any], take: Callable[[Array], Array], value: object) -> object:
    array = _exactly(np.ndarray, value).view()
    if array.dtype != dtype:
        raise MalformedAnswer("type of an array", dtype, array.dtype)
    return take(array)


def _message(kind: Any, parts: list[tuple[str, Rebuilder]], value: object) -> object:
    _exactly(kind, value)
    message = object.__new__(kind)
    for name, part in parts:
        object.__setattr__(message, name, part(getattr(value, name)))
    return message
