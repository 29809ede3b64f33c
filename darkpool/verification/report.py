"""What an audit says: one line a check, each of which holds, fails, or was not asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum

from crypto.errors import CryptoError, hexadecimal, printable
from darkpool.errors import DarkpoolError, MalformedRecord, UnreadablePart
from darkpool.verification.errors import NotChecked, TooManyDifferences, Unanswered, Unsound

FINDINGS_SHOWN_MAX = 5
FINDINGS_MAX = 10_000
FINDINGS_CHARACTERS_MAX = 1 << 24
TEXT_SHOWN_MAX = 240


class Verdict(StrEnum):
    """How a check ended."""

    HOLDS = "holds"
    FAILS = "fails"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Difference:
    """A part of the record that is not what it should be, both whole and as text."""

    part: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.part}: expected {_folded(self.expected)}, got {_folded(self.got)}"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a report.

    Attributes:
        name: what was checked.
        part: the part of the record that is at fault, the first one if there are several; what was
            covered if none is.
        detail: what was expected and what came, of the first parts at fault; or what was done.
        differences: all that is at fault.
    """

    name: str
    part: str
    verdict: Verdict
    detail: str
    differences: tuple[Difference, ...] = ()

    @property
    def ok(self) -> bool:
        """False when it fails; what was not asked for does not fail."""
        return self.verdict is not Verdict.FAILS


@dataclass(frozen=True, slots=True)
class Audited:
    """Which record a report is about, as far as it can be read.

    Attributes:
        directory: where it lies.
        instruments: their names.
        versions: of the record's forms, by what they are of.
        manifest: SHA-256 of the manifest, which stands for the whole record.
    """

    directory: str = ""
    interval: int | None = None
    instruments: tuple[str, ...] | None = None
    versions: Mapping[str, int] = field(default_factory=dict)
    manifest: bytes | None = None


@dataclass(frozen=True, slots=True)
class AuditReport:
    """All checks of an audit, in the order in which they ran.

    `unanswered` is why a chain that was asked could not be compared, if it could not.
    """

    checks: tuple[Check, ...]
    audited: Audited = Audited()
    unanswered: Unanswered | None = None

    @property
    def verdict(self) -> Verdict:
        """Of all checks together; not checked where a chain was asked and gave no answer."""
        if not all(check.ok for check in self.checks):
            return Verdict.FAILS
        return Verdict.HOLDS if self.unanswered is None else Verdict.NOT_CHECKED

    @property
    def ok(self) -> bool:
        """Whether no check failed, and all that was asked was answered."""
        return self.verdict is Verdict.HOLDS


class Findings:
    """What is wrong under one check, collected while it runs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._found: list[Difference] = []
        self._characters = 0

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self._found

    def add(self, part: str, expected: object, got: object) -> None:
        """Note that a part is not what it should be.

        Raises:
            TooManyDifferences: a forger could make the check go on for very long.
        """
        told = Difference(printable(part), printable(_text(expected)), printable(_text(got)))
        self._characters += len(told.part) + len(told.expected) + len(told.got)
        if len(self._found) < FINDINGS_MAX and self._characters <= FINDINGS_CHARACTERS_MAX:
            self._found.append(told)
            return
        rest = TooManyDifferences(self.name, len(self._found))
        self._found.append(Difference(rest.subject, str(rest.expected), str(rest.got)))
        raise rest

    def equal(self, part: str, expected: object, got: object) -> None:
        """Note a part that differs; of lists and forms, what differs in them."""
        if expected == got:
            return
        for inner, one, other in _apart(part, expected, got):
            self.add(inner, one, other)

    @contextmanager
    def watch(self, part: str) -> Iterator[None]:
        """Note the error that ends the block, if one does; parts that are missing end more."""
        try:
            yield
        except (UnreadablePart, NotChecked, TooManyDifferences, Unanswered):
            raise
        except (MalformedRecord, Unsound) as error:
            self.add(error.subject, error.expected, error.got)
        except (CryptoError, DarkpoolError) as error:
            self.add(f"{part}: {error.prefix}{error.subject}", error.expected, error.got)

    def check(self, covered: str, detail: str) -> Check:
        """The line for what was found: `covered` and `detail` speak where nothing was."""
        if not self._found:
            return Check(self.name, printable(covered), Verdict.HOLDS, printable(detail))
        shown = [str(difference) for difference in self._found[:FINDINGS_SHOWN_MAX]]
        more = len(self._found) - len(shown)
        shown += [f"and {more} more; --json has them all"] if more else []
        differences = tuple(self._found)
        return Check(self.name, differences[0].part, Verdict.FAILS, "; ".join(shown), differences)


def _apart(part: str, expected: object, got: object) -> Iterator[tuple[str, object, object]]:
    """Where two values differ, if both are of one kind that has parts; else the values."""
    if isinstance(expected, list | tuple) and isinstance(got, list | tuple):
        if len(expected) != len(got):
            yield f"{part}, how many", len(expected), len(got)
        for index, (one, other) in enumerate(zip(expected, got, strict=False)):
            if one != other:
                yield from _apart(f"{part}, number {index}", one, other)
    elif is_dataclass(expected) and type(expected) is type(got):
        for name in (f.name for f in fields(expected)):
            one, other = getattr(expected, name), getattr(got, name)
            if one != other:
                yield from _apart(f"{part}, {name.replace('_', ' ')}", one, other)
    else:
        yield part, expected, got


def _text(value: object) -> str:
    """A value in words, whole."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, bytes):
        return hexadecimal(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{_text(name)}: {_text(item)}" for name, item in value.items()) or "none"
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(map(_text, value)) or "none"
    if is_dataclass(value):
        named = ((f.name.replace("_", " "), getattr(value, f.name)) for f in fields(value))
        return ", ".join(f"{name} {_text(item)}" for name, item in named)
    return str(value)


def _folded(text: str) -> str:
    """Text that fits a line; digits of a number or a hash are never left out."""
    if len(text) <= TEXT_SHOWN_MAX:
        return text
    end = text.rfind(" ", 0, TEXT_SHOWN_MAX)
    return f"{text[: end if end > 0 else TEXT_SHOWN_MAX]} ... ({len(text)} characters)"
