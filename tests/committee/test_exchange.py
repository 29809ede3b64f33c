"""What a keyper raises tells why it refused, and brings nothing else of the keyper's along."""

from collections.abc import Callable
from typing import Any

import pytest

from crypto.errors import HoldersDisagree, InvalidSignature, OutOfRange, UnmetExpectation
from darkpool.committee.errors import KeyperFailed
from darkpool.committee.exchange import failure_of
from darkpool.protocol.refusals import MaskUsed


class Lookalike(MaskUsed):
    """Of another class than the project's; it would do something when it is shown."""

    def __str__(self) -> str:
        raise SystemExit


class Ending(Exception):
    def __str__(self) -> str:
        raise SystemExit


class Huge(Exception):
    def __str__(self) -> str:
        return "x" * 10**7


class Word(str):
    __slots__ = ()

    def __format__(self, _spec: str) -> str:
        raise SystemExit


class Wordy(Exception):
    def __str__(self) -> str:
        return Word("a\x1b[2Jb")


def renamed(name: str) -> BaseException:
    made: Any = type(name, (Exception,), {})
    error: BaseException = made("no")
    return error


def without_operands() -> BaseException:
    return MaskUsed.__new__(MaskUsed)


class Shown:
    def __init__(self, text: Callable[[], str]) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text()


def ended() -> str:
    raise KeyboardInterrupt


def test_an_error_of_the_project_keeps_class_and_operands() -> None:
    for error in (
        MaskUsed(7, "a number never issued", "one issued before"),
        HoldersDisagree(2, (0, 3)),
        InvalidSignature("signer", b"\xab" * 20, None),
    ):
        failure = failure_of(1, error)
        assert type(failure) is type(error)
        assert failure is not error
        assert str(failure) == str(error)
        assert vars(failure) == vars(error)
        assert failure.code == error.code


@pytest.mark.parametrize(
    "error",
    [
        Lookalike(1, "a", "b"),
        Ending(),
        Huge(),
        Wordy(),
        SystemExit("no"),
        KeyboardInterrupt(),
        renamed("x" * 10**6),
        without_operands(),
        UnmetExpectation("subject", 1, 2),
    ],
    ids=lambda error: type(error).__name__[:20],
)
def test_any_other_error_is_short_text_of_its_keyper(error: BaseException) -> None:
    failure = failure_of(1, error)
    assert type(failure) is KeyperFailed
    message = str(failure)
    assert message.startswith("keyper 1: expected an answer, got ")
    assert message.isprintable()
    assert len(message) < 300


def test_a_class_is_the_projects_only_where_its_module_has_it() -> None:
    disguised: Any = type("MaskUsed", (MaskUsed,), {"__module__": MaskUsed.__module__})
    assert type(failure_of(1, disguised(1, "a", "b"))) is KeyperFailed


def test_what_a_class_says_of_itself_no_keyper_says() -> None:
    """Its code and what a program ends with are the class's; so are its methods."""
    error = MaskUsed(1, "a", "b")
    vars(error).update(code="fine", exit_code=77, prefix="no ", has_lines=True, add_note="no")
    failure = failure_of(1, error)
    assert type(failure) is MaskUsed
    assert (failure.code, failure.exit_code) == (MaskUsed.code, MaskUsed.exit_code)
    assert str(failure) == str(MaskUsed(1, "a", "b"))
    assert set(vars(failure)) <= {"subject", "expected", "got"}


def test_an_error_has_few_operands() -> None:
    error = MaskUsed(1, "a", "b")
    vars(error).update({str(number): number for number in range(10**5)})
    assert len(vars(failure_of(1, error))) < 10


@pytest.mark.parametrize(
    "operand", [10**4000, 10**9999, (1,) * 10**6], ids=["text", "no text", "many"]
)
def test_operands_are_short(operand: object) -> None:
    assert len(str(failure_of(1, OutOfRange("subject", operand, operand)))) < 300


@pytest.mark.parametrize("text", [ended, lambda: "x" * 10**7, lambda: Word("word")])
def test_operands_are_short_text(text: Callable[[], str]) -> None:
    failure = failure_of(1, OutOfRange("subject", Shown(text), b"\xab" * 10**6))
    assert len(str(failure)) < 500
    assert {type(value) for value in vars(failure).values()} <= {str, bytes, int}
