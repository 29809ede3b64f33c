"""What can be wrong with margin: with accounts, files, reports, events and the journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from crypto.errors import printable
from darkpool.errors import BadInput, CheckFailed, DarkpoolError
from darkpool.protocol.refusals import RefusalCode
from darkpool.units import PriceUnits, Side, price_decimal

_PROBLEMS_MAX: Final = 20


class MarginError(DarkpoolError):
    """A change of the accounts that was refused; they are as they were."""

    code: ClassVar[RefusalCode]


class InsufficientMargin(MarginError):
    """An account has less free collateral than a reservation needs."""

    code = RefusalCode.INSUFFICIENT_MARGIN

    def __init__(self, required: int, available: int) -> None:
        super().__init__("margin", f"at least {required} cash units available", available)
        self.required, self.available = required, available


class BeyondMargin(MarginError, BadInput):
    """Positions, or what an intent could make of them, too large to compute margin of."""

    code = RefusalCode.BEYOND_MARGIN
    prefix = "margin, "

    def __init__(self, subject: str, highest: int, got: object) -> None:
        super().__init__(subject, f"at most {highest}", got)


class TradingHalted(MarginError):
    """An intent that would add risk on a number that nobody may rely on now."""

    code = RefusalCode.TRADING_HALTED

    def __init__(self, underlying: str, halts: Mapping[str, str]) -> None:
        shown = ", ".join(f"{name}: {halt}" for name, halt in halts.items())
        super().__init__(f"prices of {underlying}", "none that is halted", shown)
        self.halts = dict(halts)


class UnknownReservation(MarginError):
    """An account has no open reservation for an auction: never made, or ended already."""

    code = RefusalCode.UNKNOWN_RESERVATION

    def __init__(self, account: str, auction: object) -> None:
        super().__init__("margin", f"an open reservation of {account} for {auction}", "none")


class DuplicateReservation(MarginError):
    """An account has a reservation for an auction already."""

    code = RefusalCode.DUPLICATE_RESERVATION

    def __init__(self, account: str, auction: object) -> None:
        super().__init__(f"reservations of {account} for {auction}", "at most 1", 2)
        self.account = account


class NoBond(MarginError):
    """An account is to be charged that has held no bond since bonds were last released."""

    code = RefusalCode.NO_BOND

    def __init__(self, account: str) -> None:
        super().__init__("bond", f"one held by {account}", "none")


class ReserveOffGrid(MarginError):
    """A reserve price that is better than every price of the grid: no fill could keep to it."""

    code = RefusalCode.RESERVE_OFF_GRID

    def __init__(self, side: Side, grid_end: PriceUnits, reserve: PriceUnits) -> None:
        bound = "at least" if side is Side.BUY else "at most"
        subject = f"reserve price to {side.label} in price units"
        super().__init__(subject, f"{bound} {grid_end}", reserve)


class InvalidParties(BadInput):
    """Accounts that cannot have the parts that were given to them."""

    code = "invalid-parties"


class NotInLiquidation(MarginError):
    """An account that nobody may close positions of."""

    code = RefusalCode.NOT_IN_LIQUIDATION

    def __init__(self, account: str) -> None:
        super().__init__("liquidation", "an account in liquidation", account)


class ReportRefused(BadInput):
    """A report that changes nothing."""

    prefix = "price report, "


class UnknownReporter(ReportRefused):
    """Nobody who may report has signed this, for this chain and contract."""

    code = "unknown-reporter"


class UnknownFeed(ReportRefused):
    """A report of a number that the market does not have."""

    code = "unknown-feed"


class StaleReport(ReportRefused):
    """A report that is older than it may be, or than one that its reporter gave before."""

    code = "stale-report"


class ReportFromTheFuture(ReportRefused):
    """A report that was observed later than now, by more than clocks may differ."""

    code = "report-from-the-future"


class ImpossibleValue(ReportRefused):
    """A number that its feed cannot have."""

    code = "impossible-value"


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

    code = "invalid-file"
    has_lines = True

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        more = ["  and more"] if len(problems) > _PROBLEMS_MAX else []
        shown = (f"  {printable(str(problem))}" for problem in problems[:_PROBLEMS_MAX])
        got = "\n".join(["these problems", *shown, *more])
        super().__init__(source, "a file that can be used", got)
        self.problems = tuple(problems)


class TooLittleIndex(BadInput):
    """A window for less of which than was asked there was an index; times in milliseconds."""

    code = "too-little-index"

    def __init__(self, expected_ms: int, got_ms: int) -> None:
        super().__init__("index in the window", f"for {expected_ms} ms", f"{got_ms} ms")
        self.got_ms = got_ms


class UnknownContract(BadInput):
    """An instrument that the specification does not have, or not of the kind that is meant."""

    code = "unknown-contract"

    def __init__(self, expected: str, got: str) -> None:
        super().__init__("contract", expected, got)


class ContractExpired(MarginError, UnknownContract):
    """A contract whose positions have been settled for good: nothing is traded in it any more."""

    code = RefusalCode.CONTRACT_EXPIRED

    def __init__(self, contract: str) -> None:
        UnknownContract.__init__(self, "one that has not expired", contract)
        self.contract = contract


class NoPrice(MarginError, BadInput):
    """A contract that the market has no price for, or that expired and is not settled yet."""

    code = RefusalCode.NO_PRICE

    def __init__(self, contract: str, missing: str) -> None:
        super().__init__(f"price of {contract}", missing, "none")
        self.contract = contract


class InvalidMarginRange(BadInput):
    """A range in price that margin cannot cover."""

    code = "invalid-margin-range"

    def __init__(self, expected: str, got: str) -> None:
        super().__init__("margin range", expected, got)


class PriceNotCovered(BadInput):
    """A price that margin is not computed at."""

    code = "price-not-covered"

    def __init__(self, subject: str, expected: str, got: PriceUnits) -> None:
        super().__init__(subject, expected, f"{price_decimal(got):f}")
        self.price = got


class MalformedEvent(BadInput):
    """An event without all operands of its kind, or with others."""

    code = "malformed-event"
    prefix = "event "


class WrongJournal(CheckFailed):
    """A journal that is not whole, or not of this specification and these terms."""

    code = "wrong-journal"

    def __init__(self, sequence: int, expected: object, got: object) -> None:
        super().__init__(f"journal, event {sequence}", expected, got)


class JournalAhead(CheckFailed):
    """An event was applied and could not be written: memory is ahead of the disk."""

    code = "journal-ahead"

    def __init__(self, sequence: int) -> None:
        super().__init__(f"journal, event {sequence}", "it on the disk", "no answer")


class InvalidOption(BadInput):
    """An option, or a market for it, that cannot be valued.

    `index` is its position, counted from 0, among those that were given together.
    """

    code = "invalid-option"

    def __init__(self, field: str, index: int, expected: str, got: str) -> None:
        super().__init__(f"option {index}, {field}", expected, got)
        self.field, self.index = field, index
