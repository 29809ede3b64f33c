from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Annotated, Any, Literal, NewType, Optional

import numpy as np
import numpy.typing as npt
import pytest

from crypto.errors import MalformedAnswer
from crypto.ring.immutable import immutable
from crypto.threshold.rebuilding import own, rebuilder, rebuilt

Number = NewType("Number", int)
Words = npt.NDArray[np.uint64]
Small = Annotated[int, "below 2**20"]


class Colour(Enum):
    RED = 1


@dataclass(frozen=True, slots=True)
class Inner:
    words: Words
    colour: Colour = Colour.RED


@dataclass(frozen=True, slots=True)
class Message:
    number: Number
    text: str
    flag: bool
    data: bytes | None
    amount: Decimal
    parts: tuple[Inner, ...]
    shares: Mapping[int, bytes]
    ring: Literal["order", "comparison"]
    lanes: Small | None
    part: Optional[Inner]  # noqa: UP045  # the other way to write it


class Whole(int):
    pass


class Octets(bytes):
    pass


class Text(str):
    __slots__ = ()


class Digits(IntEnum):
    ONE = 1


class Twin(Message):
    pass


class Many(tuple[Any, ...]):
    __slots__ = ()


class Array(np.ndarray):
    pass


def words() -> Words:
    return np.arange(6, dtype=np.uint64).reshape(2, 3)


def fields(**other: Any) -> dict[str, Any]:
    right = {
        "number": 3,
        "text": "three",
        "flag": True,
        "data": b"3",
        "amount": Decimal("0.3"),
        "parts": (Inner(words()),),
        "shares": {0: b"a", 2: b"b"},
        "ring": "order",
        "lanes": 4,
        "part": None,
    }
    return {**right, **other}


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"data": None},
        {"parts": ()},
        {"shares": MappingProxyType({1: b"c"})},
        {"ring": "comparison"},
        {"lanes": None},
    ],
)
def test_a_message_is_rebuilt_with_the_same_content(other: dict[str, Any]) -> None:
    sent = Message(**fields(**other))
    made = rebuilt(Message, sent)
    assert made is not sent
    for name in ("number", "text", "flag", "data", "amount", "ring", "lanes", "part"):
        assert getattr(made, name) == getattr(sent, name)
    assert made.shares == dict(sent.shares)
    for mine, its in zip(made.parts, sent.parts, strict=True):
        assert np.array_equal(mine.words, its.words)
        assert mine.colour is its.colour


def test_nothing_that_its_sender_does_later_changes_it() -> None:
    sent = Message(**fields())
    made = rebuilt(Message, sent)
    sent.parts[0].words[...] = 0
    cast_shares: Any = sent.shares
    cast_shares[0] = b"z"
    object.__setattr__(sent.parts[0], "words", None)
    object.__setattr__(sent, "number", 4)
    assert np.array_equal(made.parts[0].words, words())
    assert (made.number, made.shares[0]) == (3, b"a")
    with pytest.raises(ValueError, match="WRITEABLE"):
        made.parts[0].words.setflags(write=True)


def test_immutable_words_are_not_copied() -> None:
    sent = Message(**fields(parts=(Inner(immutable(words())),)))
    made = rebuilt(Message, sent)
    assert np.shares_memory(made.parts[0].words, sent.parts[0].words)
    assert made.parts[0].words is not sent.parts[0].words


def test_own_arrays_share_no_memory_and_are_as_large_as_what_they_are_made_of() -> None:
    sent = immutable(words())
    made = rebuilder(Words, own)(sent)
    assert np.array_equal(made, sent)
    assert not np.shares_memory(made, sent)
    with pytest.raises(ValueError, match="WRITEABLE"):
        made.setflags(write=True)
    endless = np.ndarray((2**40,), np.uint64, bytes(8), strides=(0,))
    with pytest.raises(MalformedAnswer, match="one after the other"):
        rebuilder(Words, own)(endless)


WRONG = [
    {"number": True},
    {"number": Whole(3)},
    {"number": np.int64(3)},
    {"number": Digits.ONE},
    {"number": "3"},
    {"text": Text("three")},
    {"flag": 1},
    {"data": Octets(b"3")},
    {"data": bytearray(b"3")},
    {"amount": 0.3},
    {"parts": [Inner(words())]},
    {"parts": Many((Inner(words()),))},
    {"parts": (None,)},
    {"parts": (Inner(words().view(Array)),)},
    {"parts": (Inner(words().astype(">u8")),)},
    {"parts": (Inner(words().astype(np.int64)),)},
    {"parts": (Inner(words().astype(object)),)},
    {"parts": (Inner(words().tolist()),)},
    {"parts": (Inner(words(), Digits.ONE),)},  # type: ignore[arg-type]
    {"shares": OrderedDict({0: b"a"})},
    {"shares": {"0": b"a"}},
    {"shares": {0: Octets(b"a")}},
    {"shares": ((0, b"a"),)},
    {"ring": "both"},
    {"ring": Text("order")},
    {"ring": b"order"},
    {"ring": 0},
    {"ring": None},
    {"lanes": True},
    {"lanes": Whole(4)},
    {"lanes": "4"},
    {"part": ()},
    {"part": Message},
]


@pytest.mark.parametrize("other", WRONG, ids=str)
def test_what_is_not_exactly_of_its_type_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(MalformedAnswer):
        rebuilt(Message, Message(**fields(**other)))


def test_an_optional_message_is_rebuilt_too() -> None:
    sent = Message(**fields(part=Inner(words())))
    made = rebuilt(Message, sent)
    assert made.part is not None
    assert sent.part is not None
    assert made.part is not sent.part
    sent.part.words[...] = 0
    assert np.array_equal(made.part.words, words())


def test_the_words_that_a_message_may_have_are_told() -> None:
    with pytest.raises(MalformedAnswer, match="expected order or comparison, got str"):
        rebuilt(Message, Message(**fields(ring="both")))


@pytest.mark.parametrize("sent", [None, Twin(**fields()), fields(), Message])
def test_another_class_is_refused(sent: object) -> None:
    with pytest.raises(MalformedAnswer):
        rebuilt(Message, sent)


@pytest.mark.parametrize("kind", [object, float, list[int], set[int], tuple[int, str], int | str])
def test_a_type_that_no_message_has_cannot_be_rebuilt(kind: type[object]) -> None:
    with pytest.raises(TypeError):
        rebuilt(kind, None)
