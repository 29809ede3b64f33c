"""What an audit says: one line a check, each of which holds, fails, or was not asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from crypto.errors import CryptoError, printable
from darkpool.errors import DarkpoolError, MalformedRecord, shortened
from darkpool.verification.errors import Unanswered, Unsound

FINDINGS_SHOWN_MAX = 5


class Verdict(StrEnum):
    """How a check ended."""

    HOLDS = "holds"
    FAILS = "fails"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a report.

    Attributes:
        name: what was checked.
        part: the part of the record that is at fault, the first one if there are several; what was
            covered if none is.
        detail: what was expected and what came, or what was done.
    """

    name: str
    part: str
    verdict: Verdict
    detail: str

    @property
    def ok(self) -> bool:
        """False when it fails; what was not asked for does not fail."""
        return self.verdict is not Verdict.FAILS


@dataclass(frozen=True, slots=True)
class AuditReport:
    """All checks of an audit, in the order in which they ran.

    `unanswered` is why a chain that was asked could not be compared, if it could not.
    """

    checks: tuple[Check, ...]
    unanswered: Unanswered | None = None

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return all(check.ok for check in self.checks)


class Findings:
    """What is wrong under one check, collected while it runs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._found: list[tuple[str, str]] = []

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self._found

    def add(self, part: str, expected: object, got: object) -> None:
        """Note that a part is not what it should be."""
        self._found.append((part, f"expected {_text(expected)}, got {_text(got)}"))

    def equal(self, part: str, expected: object, got: object) -> None:
        """Note a part that differs."""
        if expected != got:
            self.add(part, expected, got)

    @contextmanager
    def watch(self, part: str, passing: type[DarkpoolError] | tuple[()] = ()) -> Iterator[None]:
        """Note the error that ends the block, if one does; errors of `passing` go on."""
        try:
            yield
        except passing:
            raise
        except (CryptoError, DarkpoolError) as error:
            named = error.subject if isinstance(error, MalformedRecord | Unsound) else part
            self._found.append((named, str(error)))

    def check(self, covered: str, detail: str) -> Check:
        """The line for what was found: `covered` and `detail` speak where nothing was."""
        if not self._found:
            return Check(self.name, printable(covered), Verdict.HOLDS, detail)
        shown = [f"{part}: {text}" for part, text in self._found[:FINDINGS_SHOWN_MAX]]
        more = len(self._found) - len(shown)
        shown += [f"and {more} more"] if more else []
        detail = printable("; ".join(shown))
        return Check(self.name, printable(self._found[0][0]), Verdict.FAILS, detail)


def _text(value: object) -> str:
    return shortened(f"0x{value.hex()}" if isinstance(value, bytes) else value)
