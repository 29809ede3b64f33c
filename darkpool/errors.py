"""The errors of the market layer, one tree, each carrying its operands.

Two branches decide what the command line answers: `BadInput` is the caller's to mend (exit code 2),
`CheckFailed` says that something which had to hold does not (exit code 1). A message says what was
expected and what came.
"""

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import urlsplit


class DarkpoolError(Exception):
    """Base of everything that `darkpool` raises on purpose."""

    exit_code: ClassVar[int] = 1


class BadInput(DarkpoolError):
    """The caller gave something that cannot be used; giving it again will fail again."""

    exit_code: ClassVar[int] = 2


class CheckFailed(DarkpoolError):
    """Something that had to hold does not."""


class InconsistentLimits(CheckFailed):
    """Two bounds of `darkpool.limits` contradict each other."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"limits contradict each other: {rule} does not hold")
        self.rule = rule


class InvalidAccount(BadInput):
    """Text that is no account address."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"account: expected {expected}, got {got}")
        self.expected = expected
        self.got = got


class InvalidGrid(BadInput):
    """A price grid that cannot exist."""

    def __init__(self, parameter: str, expected: str, got: str) -> None:
        super().__init__(f"price grid, {parameter}: expected {expected}, got {got}")
        self.parameter = parameter
        self.expected = expected
        self.got = got


class InvalidPrice(BadInput):
    """A price that no tick of the grid has."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"price: expected {expected}, got {got}")
        self.expected = expected
        self.got = got


class OutOfBounds(BadInput):
    """A quantity outside its bounds, both of which are allowed values."""

    def __init__(self, quantity: str, lowest: int, highest: int, got: int) -> None:
        super().__init__(f"{quantity}: expected {lowest} to {highest}, got {got}")
        self.quantity = quantity
        self.lowest = lowest
        self.highest = highest
        self.got = got


class InvalidOrder(BadInput):
    """One thing wrong in an order file.

    `row` counts the orders from 0, as the result does; it is None when the file as a whole is at
    fault. `column` is None when the row as a whole is.
    """

    def __init__(self, row: int | None, column: str | None, expected: str, got: str) -> None:
        place = "file" if row is None else f"row {row}"
        if column is not None:
            place = f"{place}, column {column}"
        super().__init__(f"{place}: expected {expected}, got {got}")
        self.row = row
        self.column = column
        self.expected = expected
        self.got = got


class InvalidOrderFile(BadInput):
    """An order file with everything that is wrong in it, in the order of the rows.

    `complete` is False when reading stopped early because there was too much to tell.
    """

    def __init__(self, source: str, problems: Sequence[InvalidOrder], *, complete: bool) -> None:
        lines = [f"{source}: not an order file"]
        lines += [f"  {problem}" for problem in problems]
        if not complete:
            lines.append("  and more")
        super().__init__("\n".join(lines))
        self.source = source
        self.problems = tuple(problems)
        self.complete = complete


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


class InvalidOwners(BadInput):
    """Groups of accounts in which it is not plain who owns what."""

    def __init__(self, account: str, expected: str, got: str) -> None:
        super().__init__(f"owner of {account}: expected {expected}, got {got}")
        self.account = account
        self.expected = expected
        self.got = got


class NotConserved(CheckFailed):
    """A quantity that has to be the same on both sides of a step is not."""

    def __init__(self, quantity: str, expected: int, got: int) -> None:
        super().__init__(f"{quantity} is not conserved: expected {expected}, got {got}")
        self.quantity = quantity
        self.expected = expected
        self.got = got


class InvalidBook(BadInput):
    """Columns of orders that are not a book, or ranks that do not order it."""

    def __init__(self, column: str, expected: str, got: str) -> None:
        super().__init__(f"book, {column}: expected {expected}, got {got}")
        self.column = column
        self.expected = expected
        self.got = got


class InvalidBeacon(BadInput):
    """Bytes that the priority of a batch cannot be drawn from."""

    def __init__(self, name: str, expected_bytes: int, got_bytes: int) -> None:
        super().__init__(f"{name}: expected {expected_bytes} bytes, got {got_bytes}")
        self.name = name
        self.expected_bytes = expected_bytes
        self.got_bytes = got_bytes


class InvalidFill(CheckFailed):
    """A fill that no auction gives; `intent` is None when the fills as a whole are at fault."""

    def __init__(self, intent: int | None, expected: str, got: str) -> None:
        place = "fills" if intent is None else f"fill of intent {intent}"
        super().__init__(f"{place}: expected {expected}, got {got}")
        self.intent = intent
        self.expected = expected
        self.got = got


class DuplicateLeaf(CheckFailed):
    """Two leaves of one tree stand for the same thing."""

    def __init__(self, tree: str, got: str) -> None:
        super().__init__(f"{tree}: expected each leaf once, got {got} twice")
        self.tree = tree
        self.got = got


class UnknownLeaf(BadInput):
    """A proof was asked for that the tree cannot give."""

    def __init__(self, tree: str, got: str) -> None:
        super().__init__(f"{tree}: expected a leaf of {got}, got none")
        self.tree = tree
        self.got = got


class ChainError(DarkpoolError):
    """Something between this program and the chain went wrong."""


class ChainUnavailable(ChainError):
    """The node cannot be reached, or does not answer as a node.

    Of an address only scheme, host and port are kept: user info, path and query may be credentials,
    and client libraries quote them in their reasons.
    """

    def __init__(self, node: str, reason: str) -> None:
        self.node = _without_credentials(node)
        self.reason = _reason_without_credentials(node, reason)
        super().__init__(f"chain: expected an answer from {self.node}, got {self.reason}")


def _without_credentials(node: str) -> str:
    if "://" not in node:
        return node
    parts = urlsplit(node)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _reason_without_credentials(node: str, reason: str) -> str:
    # requests: "for url: https://...", urllib3: "with url: /path?query"
    shown = re.sub(r"\w+://[^\s'\"<>]+", lambda found: _host_of(found[0]), reason)
    shown = re.sub(r"url: /\S*", "url: /...", shown)
    if "://" in node:
        parts = urlsplit(node)
        userinfo = parts.netloc.rpartition("@")[0]
        for secret in (userinfo, parts.username, parts.password, parts.path, parts.query):
            if secret and len(secret) > 1:
                shown = shown.replace(secret, "...")
    return shown


def _host_of(address: str) -> str:
    try:
        return _without_credentials(address)
    except ValueError:  # no address after all: nothing of it is worth showing
        return "..."


class NotDeployed(ChainError):
    """The contracts were asked for before they were deployed or attached."""

    def __init__(self) -> None:
        super().__init__("chain: expected deployed contracts, got none")


class WrongDeployment(ChainError):
    """What stands on the chain is not the deployment that was named."""

    def __init__(self, what: str, expected: object, got: object) -> None:
        super().__init__(f"chain: {what}: expected {expected}, got {got}")
        self.what = what
        self.expected = expected
        self.got = got


class TransactionReverted(ChainError):
    """A contract refused a transaction; `reason` is what the contract's page lists."""

    def __init__(self, function: str, reason: str) -> None:
        super().__init__(f"chain: {function}: expected success, got a revert: {reason}")
        self.function = function
        self.reason = reason


class TransactionRefused(ChainError):
    """The node did not take a transaction: no money for gas, for instance."""

    def __init__(self, function: str, reason: str) -> None:
        super().__init__(f"chain: {function}: expected the node to take it, got {reason}")
        self.function = function
        self.reason = reason


class TransactionLost(ChainError):
    """A transaction is no longer in the block in which it was seen: the chain reorganised."""

    def __init__(self, transaction: str, block: int) -> None:
        super().__init__(f"chain: expected transaction {transaction} in block {block}, got none")
        self.transaction = transaction
        self.block = block


class NotFinalInTime(ChainError):
    """A transaction did not get its confirmations in the time that it was given."""

    def __init__(self, transaction: str, expected: int, got: int) -> None:
        super().__init__(
            f"chain: transaction {transaction}: expected {expected} confirmations, got {got}"
        )
        self.transaction = transaction
        self.expected = expected
        self.got = got


class WrongTerms(CheckFailed):
    """Terms of an interval that are not those of the keyper that is to serve it."""

    def __init__(self, what: str, expected: object, got: object) -> None:
        super().__init__(f"terms, {what}: expected {expected}, got {got}")
        self.what = what
        self.expected = expected
        self.got = got


class InvalidOpeningFile(BadInput):
    """Text that is no opening file of a known version."""

    def __init__(self, field: str, expected: str, got: str) -> None:
        super().__init__(f"opening file, {field}: expected {expected}, got {got}")
        self.field = field
        self.expected = expected
        self.got = got
