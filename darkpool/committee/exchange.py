"""What goes to a keyper and comes back: values alone, as if it ran in another process."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any, Final, NamedTuple, TypeGuard, get_type_hints

from crypto.errors import UnmetExpectation, printable
from crypto.threshold.quorum import Numbered
from crypto.threshold.rebuilding import Rebuilder, rebuilder, rebuilt
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
    *takes, answers = map(rebuilder, hints.values())
    return _Verb(tuple(takes), answers, is_property)


_OPERANDS: Final = ("subject", "expected", "got")
_OPERAND_BYTES_MAX: Final = 64
_PACKAGES: Final = ("crypto", "darkpool")
_VERBS: Final = {name: _verb(name) for name in dir(Keyper) if not name.startswith("_")}


class Exchange:
    """A keyper as the operator asks it: it gets copies, and what it answers is copied.

    `place` names it in what it fails with before it has a number.

    Neither side holds an object that the other can change, or that is not exactly of its type. So
    what was checked is what is used.

    Attributes:
        number: the number that the keyper had at first.
    """

    def __init__(self, keyper: Numbered, place: int) -> None:
        self._keyper = keyper
        try:
            self.number = rebuilt(int, keyper.number)
        except Exception as error:  # noqa: BLE001  # a corrupt keyper may raise anything
            raise failure_of(place, error) from None

    def __getattr__(self, name: str) -> Any:
        verb = _VERBS[name]
        return self._ask(name) if verb.is_property else partial(self._ask, name)

    def _ask(self, name: str, *values: object) -> object:
        verb, found = _VERBS[name], getattr(self._keyper, name)
        if verb.is_property:
            return verb.answers(found)
        pairs = zip(verb.takes, values, strict=True)
        return verb.answers(found(*(rebuild(value) for rebuild, value in pairs)))


def failure_of(keyper: int, raised: BaseException) -> UnmetExpectation:
    """What a keyper raised, with nothing of the keyper's in it but numbers and short text.

    An error of this project stays one of its class, so that a caller can tell why it was refused.
    """
    kind = type(raised)
    try:
        if not _is_ours(kind):
            return KeyperFailed(keyper, f"{_text(kind.__name__)}: {_text(raised)}")
        operands = {_text(name): _operand(value) for name, value in vars(raised).items()}
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
    if type(value) is bytes:
        return value[:_OPERAND_BYTES_MAX]
    if type(value) is tuple and all(type(number) is int for number in value):
        return value
    return value if value is None or type(value) in (bool, int) else _text(value)
