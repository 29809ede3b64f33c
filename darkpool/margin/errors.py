"""What can be wrong with margin: with accounts, files, reports, events and the journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from darkpool.errors import BadInput, CheckFailed, DarkpoolError
from darkpool.units import PriceUnits, Side

_PROBLEMS_MAX: Final = 20


class MarginError(DarkpoolError):
    """A change of the accounts that was refused; they are as they were."""


class InsufficientMargin(MarginError):
    """An account has less free collateral than a reservation needs."""

    def __init__(self, required: int, available: int) -> None:
        super().__init__(f"margin: required {required}, available {available}")
        self.required = required
        self.available = available


class BeyondMargin(MarginError, BadInput):
    """Positions, or what an intent could make of them, too large to compute margin of."""

    def __init__(self, quantity: str, highest: int, got: int) -> None:
        super().__init__(f"margin, {quantity}: expected at most {highest}, got {got}")
        self.quantity = quantity
        self.highest = highest
        self.got = got


class TradingHalted(MarginError):
    """An intent that would add risk on a number that nobody may rely on now."""

    def __init__(self, underlying: str, halts: Mapping[str, str]) -> None:
        shown = ", ".join(f"{name}: {halt}" for name, halt in halts.items())
        super().__init__(f"prices of {underlying}: expected none that is halted, got {shown}")
        self.underlying = underlying
        self.halts = dict(halts)


class UnknownReservation(MarginError):
    """An account has no open reservation for an auction: never made, or ended already."""

    def __init__(self, account: str, auction: object) -> None:
        message = f"margin: expected an open reservation of {account} for {auction}, got none"
        super().__init__(message)
        self.account = account
        self.auction = auction


class DuplicateReservation(MarginError):
    """An account has a reservation for an auction already."""

    def __init__(self, account: str, auction: object) -> None:
        message = f"margin: expected one reservation of {account} for {auction}, got a second"
        super().__init__(message)
        self.account = account
        self.auction = auction


class NoBond(MarginError):
    """An account is to be charged that has held no bond since bonds were last released."""

    def __init__(self, account: str) -> None:
        super().__init__(f"bond: expected one held by {account}, got none")
        self.account = account


class ReserveOffGrid(MarginError):
    """A reserve price that is better than every price of the grid: no fill could keep to it."""

    def __init__(self, side: Side, grid_end: PriceUnits, reserve: PriceUnits) -> None:
        bound = "at least" if side is Side.BUY else "at most"
        super().__init__(
            f"reserve price to {side.label}: expected {bound} {grid_end}, got {reserve}"
        )
        self.side = side
        self.grid_end = grid_end
        self.reserve = reserve


class ReportRefused(BadInput):
    """A report that changes nothing."""

    def __init__(self, what: str, expected: str, got: str) -> None:
        super().__init__(f"price report, {what}: expected {expected}, got {got}")
        self.what = what
        self.expected = expected
        self.got = got


class UnknownReporter(ReportRefused):
    """Nobody who may report has signed this, for this chain and contract."""


class UnknownFeed(ReportRefused):
    """A report of a number that the market does not have."""


class StaleReport(ReportRefused):
    """A report that is older than it may be, or than one that its reporter gave before."""


class ReportFromTheFuture(ReportRefused):
    """A report that was observed later than now, by more than clocks may differ."""


class ImpossibleValue(ReportRefused):
    """A number that its feed cannot have."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file: where, what was expected there, and what came."""

    path: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected}, got {self.got}"


class InvalidFile(BadInput):
    """A file of the margin engine with everything that is wrong in it."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        shown = [f"  {problem}" for problem in problems[:_PROBLEMS_MAX]]
        more = ["  and more"] if len(problems) > _PROBLEMS_MAX else []
        super().__init__("\n".join([f"{source}: cannot be used", *shown, *more]))
        self.source = source
        self.problems = tuple(problems)


class TooLittleIndex(BadInput):
    """A window for less of which than was asked there was an index; times in milliseconds."""

    def __init__(self, expected_ms: int, got_ms: int) -> None:
        super().__init__(f"index in the window: expected for {expected_ms} ms, got {got_ms} ms")
        self.expected_ms = expected_ms
        self.got_ms = got_ms


class UnknownContract(BadInput):
    """An instrument that the specification does not have, or not of the kind that is meant."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"contract: expected {expected}, got {got}")
        self.expected = expected
        self.got = got


class NoPrice(BadInput):
    """A contract that the market has no price for."""

    def __init__(self, contract: str, missing: str) -> None:
        super().__init__(f"price of {contract}: expected {missing}, got none")
        self.contract = contract
        self.missing = missing


class NotInLiquidation(MarginError):
    """An account that nobody may close positions of."""

    def __init__(self, account: str) -> None:
        super().__init__(f"liquidation: expected an account in liquidation, got {account}")
        self.account = account


class MalformedEvent(BadInput):
    """An event without all operands of its kind, or with others."""

    def __init__(self, kind: str, expected: tuple[str, ...], got: tuple[str, ...]) -> None:
        super().__init__(f"event {kind}: expected {', '.join(expected)}, got {', '.join(got)}")
        self.kind = kind
        self.expected = expected
        self.got = got


class WrongJournal(CheckFailed):
    """A journal that is not whole, or not of this specification and these terms."""

    def __init__(self, sequence: int, expected: str, got: str) -> None:
        super().__init__(f"journal, event {sequence}: expected {expected}, got {got}")
        self.sequence = sequence
        self.expected = expected
        self.got = got


class JournalAhead(CheckFailed):
    """An event was applied and could not be written: memory is ahead of the disk."""

    def __init__(self, sequence: int) -> None:
        super().__init__(f"journal, event {sequence}: expected it on the disk, got no answer")
        self.sequence = sequence


class InvalidOption(BadInput):
    """An option, or a market for it, that cannot be valued.

    `index` is its position, counted from 0, among those that were given together.
    """

    def __init__(self, field: str, index: int, expected: str, got: str) -> None:
        super().__init__(f"option {index}, {field}: expected {expected}, got {got}")
        self.field = field
        self.index = index
        self.expected = expected
        self.got = got
