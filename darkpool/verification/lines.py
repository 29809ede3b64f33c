"""Lines of an audit: each runs its checks, and holds, fails, or was not checked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from darkpool.errors import UnreadablePart
from darkpool.verification.errors import NotChecked, TooManyDifferences, Unanswered
from darkpool.verification.report import Check, Findings, Verdict

LineCheck = Callable[[Findings], None]
"""What it finds, and the error that ends it, go into the findings."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a report: its checks run in order; an error leaves out those after it.

    Attributes:
        covered: what it is about, where nothing is found.
        detail: what was done, where nothing is found.
    """

    name: str
    covered: str
    detail: str
    checks: tuple[LineCheck, ...]


class Lines:
    """Runs lines, and keeps what came of them; `progress` hears of every line."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self.checks: list[Check] = []
        self._progress = progress

    def run(self, line: Line) -> None:
        """Run a line.

        Raises:
            Unanswered: a chain that was asked gave no answer, and nothing was found before.
        """
        self._progress(line.name)
        findings = Findings(line.name)
        try:
            with findings.watch(line.name):
                for check in line.checks:
                    check(findings)
        except UnreadablePart as missing:
            self._leave_out(findings, f"needs {missing.part}, which has not its form")
        except NotChecked as missing:
            self._leave_out(findings, f"needs the line {missing.subject}, which was not checked")
        except Unanswered:
            # what a chain contradicted before it fell silent stands
            if findings.clean:
                raise
            self.checks.append(findings.check(line.covered, line.detail))
        except TooManyDifferences:
            self.checks.append(findings.check(line.covered, line.detail))
        except Exception as error:  # noqa: BLE001 - whatever a stranger's record leads to
            with suppress(TooManyDifferences):
                expected = "a record that this version can check"
                findings.add(line.name, expected, type(error).__name__)
            self.checks.append(findings.check(line.covered, line.detail))
        else:
            self.checks.append(findings.check(line.covered, line.detail))

    def was_checked(self, name: str) -> bool:
        """Whether a line has run, or is still to run."""
        return all(c.verdict is not Verdict.NOT_CHECKED for c in self.checks if c.name == name)

    def _leave_out(self, findings: Findings, why: str) -> None:
        """What was found before a part was missing stands; else nothing was checked."""
        if findings.clean:
            self.checks.append(Check(findings.name, "record", Verdict.NOT_CHECKED, why))
        else:
            self.checks.append(findings.check("record", why))
