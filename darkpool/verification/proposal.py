"""What a keyper checks before it signs a settlement: all that an audit does without ciphertexts.

Nothing of the operator's word counts. What was opened the keypers signed in transcripts, and flows,
payments and the settlement before are the chain's; the rest is computed anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from crypto.signing.settling import Settlement
from darkpool.record.core import RecordView
from darkpool.record.margin_forms import MarginInputs
from darkpool.record.meaning import require_readable
from darkpool.verification.asked import AskedChain
from darkpool.verification.errors import NotChecked
from darkpool.verification.evidence import ChainReader
from darkpool.verification.examination import Examination, no_masks
from darkpool.verification.lines import Line, Lines
from darkpool.verification.report import Check, Findings, Verdict
from darkpool.verification.settlement import DerivedSettlement, derive_settlement
from darkpool.verification.voids import DueCheck, LeftByVoid

_OF_BALANCES: Final = ("results", "fills", "collateral", "settlement", "signed")
"""Lines that do not bear on who was at fault."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a check expected of a part of the proposal, and what it got, as text."""

    check: str
    subject: str
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class CheckedSettlement:
    """A settlement as a keyper computed it by itself.

    Attributes:
        message: what to sign where nothing differs; all zero where it could not be computed.
        leaves: the bytes that `message.leaf_hash` is of.
        proves_faults: whether all holds that tells whose intents were at fault; then they are
            charged, even if the interval ends void.
        differences: all that is wrong with what was proposed.
    """

    message: Settlement
    leaves: bytes
    proves_faults: bool
    differences: tuple[Difference, ...]


def check_proposal(
    record: RecordView,
    chain: ChainReader,
    voids: Sequence[LeftByVoid] = (),
    prices_before: MarginInputs | None = None,
) -> CheckedSettlement:
    """Compute an interval's settlement from what was proposed and from the chain.

    `voids` are the intervals that were committed and ended void since the settlement before, and
    `prices_before` is what margin followed from there; None before the first.

    Never raises for what it finds. No signatures of batch and settlement are asked for: the chain
    has the batch, and the settlement is to be signed.

    Raises:
        Unanswered: the chain gives no answer that can be used.
    """
    lines = Lines(lambda _step: None)
    lines.run(Line("form", "proposal", "can be read back", (lambda _f: require_readable(record),)))
    examined = Examination(record, lines, no_masks, signed=False)
    for line in examined.lines():
        lines.run(line)
    asked = AskedChain(examined.basis, chain, prices_before)
    committed = (asked.check_committed, asked.check_open)
    lines.run(Line("chain", "chain", "has batch, flows and payments", committed))
    before = "states of the settlement before"
    lines.run(Line("continuity", before, "as on the chain", (asked.check_continuity,)))
    due = DueCheck(asked, voids, chain)
    lines.run(Line("due", "due", "what void intervals left", (due.check,)))
    own = _Own(examined)
    lines.run(Line("signed", "settlement", "follows from the proposal", (own.derive,)))
    differences = tuple(found for check in lines.checks for found in _differences(check))
    proves_faults = all(found.check in _OF_BALANCES for found in differences)
    settled = own.settled
    if settled is None:
        return CheckedSettlement(_nothing(), b"", proves_faults, differences)
    return CheckedSettlement(settled.message, settled.leaves, proves_faults, differences)


class _Own:
    """The settlement of the states that were rebuilt, whatever was proposed."""

    def __init__(self, examined: Examination) -> None:
        self._examined = examined
        self.settled: DerivedSettlement | None = None

    def derive(self, _findings: Findings) -> None:
        after, examined = self._examined.after, self._examined
        if after is None:
            raise NotChecked("collateral")
        if after == examined.record.summary.after and examined.settled is not None:
            self.settled = examined.settled
        else:
            self.settled = derive_settlement(examined.basis, after)


def _differences(check: Check) -> Iterator[Difference]:
    """What a line found; one that could not run proves nothing, so it differs too."""
    for found in check.differences:
        yield Difference(check.name, found.part, found.expected, found.got)
    if check.verdict is Verdict.NOT_CHECKED:
        yield Difference(check.name, check.part, "a check that could run", check.detail)


def _nothing() -> Settlement:
    """What no keyper signs."""
    zero = bytes(32)
    return Settlement(0, zero, zero, zero, zero, zero, zero, zero, (), zero, (), zero, zero)
