"""What goes to a keyper and comes back: values alone, as if it ran in another process."""

from __future__ import annotations

import sys
from functools import partial
from itertools import islice
from typing import Any, Final, NamedTuple, TypeGuard, get_type_hints

from crypto.errors import UnmetExpectation, printable
from crypto.threshold.quorum import Numbered
from crypto.threshold.rebuilding import Rebuilder, own, rebuilder, rebuilt
from darkpool.committee.errors import KeyperFailed
from darkpool.errors import shortened
from darkpool.protocol.keyper import Keyper


class _Verb(NamedTuple):
    """How what a verb takes and what it answers are rebuilt; nothing is taken by a property."""

    takes: tuple[Rebuilder, ...]
    answers: Rebuilder
    is_property: bool


def _verb(name: str) -> _Verb:
    found = getattr(Keyper, name)
    is_property = isinstance(found, property)
    hints = get_type_hints(found.fget if is_property else found)
    *takes, answers = hints.values()
    return _Verb(tuple(map(rebuilder, takes)), rebuilder(answers, own), is_property)


_OPERANDS: Final = ("subject", "expected", "got")
_OPERANDS_MAX: Final = 8
_OPERAND_BYTES_MAX: Final = 64
_OPERAND_BITS_MAX: Final = 256
_OPERAND_NUMBERS_MAX: Final = 8
_PACKAGES: Final = ("crypto", "darkpool")
_VERBS: Final = {name: _verb(name) for name in dir(Keyper) if not name.startswith("_")}


class Exchange:
    """A keyper as the operator asks it: objects of its own go to it, and answers are copied.

    Neither side holds an object of the other's, or one that is not exactly of its type. So what was
    checked is what is used. Large arrays are not copied for a keyper: see docs/limits.md.

    Attributes:
        number: the number that the keyper had at first.
    """

    def __init__(self, keyper: Numbered) -> None:
        self._keyper = keyper
        self.number = rebuilt(int, keyper.number)

    def __getattr__(self, name: str) -> Any:
        verb = _VERBS[name]
        if verb.is_property:
            return verb.answers(getattr(self._keyper, name))
        return partial(self._ask, name)

    def _ask(self, name: str, *values: object) -> object:
        verb, question = _VERBS[name], getattr(self._keyper, name)
        handed = (take(value) for take, value in zip(verb.takes, values, strict=True))
        return verb.answers(question(*handed))


def failure_of(keyper: int, raised: BaseException) -> UnmetExpectation:
    """What a keyper raised, with nothing of the keyper's in it but numbers and short text.

    An error of this project stays one of its class, so that a caller can tell why it was refused.
    """
    kind = type(raised)
    try:
        if not _is_ours(kind):
            return KeyperFailed(keyper, f"{_text(kind.__name__)}: {_text(raised)}")
        held = islice(vars(raised).items(), _OPERANDS_MAX)
        named = [(_text(name), _operand(value)) for name, value in held]
        # what a class has, such as its code, no keyper may say
        operands = {name: value for name, value in named if not hasattr(kind, name)}
        failure = kind.__new__(kind, *(operands[name] for name in _OPERANDS))
        failure.__dict__.update(operands)
        str(failure)
    except BaseException:  # noqa: BLE001  # what a corrupt keyper raises may raise when it is read
        return KeyperFailed(keyper, "an error without text")
    return failure


def _is_ours(kind: type[BaseException]) -> TypeGuard[type[UnmetExpectation]]:
    """Whether a class is an error of this project that has a code, and no look-alike."""
    module = str.__str__(kind.__module__)
    return (
        issubclass(kind, UnmetExpectation)
        and hasattr(kind, "code")
        and module.partition(".")[0] in _PACKAGES
        and getattr(sys.modules[module], kind.__name__, None) is kind
    )


def _text(value: object) -> str:
    """Short, printable text, exactly of type `str`."""
    return printable(shortened(str.__str__(str(value))))


def _operand(value: object) -> object:
    """None, a truth value, a number, few bytes or few numbers as they are; all else as text."""
    if value is None or type(value) is bool or _is_number(value):
        return value
    if type(value) is tuple and len(value) <= _OPERAND_NUMBERS_MAX and all(map(_is_number, value)):
        return value
    return value[:_OPERAND_BYTES_MAX] if type(value) is bytes else _text(value)


def _is_number(value: object) -> bool:
    return type(value) is int and value.bit_length() <= _OPERAND_BITS_MAX
