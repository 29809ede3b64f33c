"""The instruments of an interval: every intent's batch index, and which intents still take part.

Intents are worked on as they arrive. One that is cancelled leaves a gap, which the next that comes
fills, or the last of its instrument when the interval has closed; so an instrument never holds more
than it may, however often its clients think again. From the close on an intent has two numbers that
it keeps: its batch index, counted over all instruments, and its number within its instrument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.seal import Evaluator
from crypto.signing.messages import SealedIntent
from darkpool.batching.participation import Candidate, Missing, SetAside, decide_participation
from darkpool.crossing.arrivals import Arrivals
from darkpool.crossing.sealed_book import SealedBook
from darkpool.crossing.shape import ShapeRows
from darkpool.margin.accounts.vault_flows import Shortfall
from darkpool.margin.model.intent_margin import IntentMargin
from darkpool.protocol.intents import (
    AdmittedIntent,
    CertifiedIntent,
    ProvenIntent,
    account_and_auction,
)
from darkpool.protocol.terms import PublicRules
from darkpool.record.forms import IntentRecord
from darkpool.units import AccountId, Cash, InstrumentId, Lots


class Fault(StrEnum):
    """What a sealed intent was found to be after its batch was final."""

    SHAPE = "shape"
    """No order: not one step of one size on one side."""
    CAP = "cap"
    """A size that is negative, or above the public cap."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """An intent that was taken out for its own fault."""

    batch_index: int
    account: AccountId
    fault: Fault


@dataclass(slots=True)
class Instrument:
    """An instrument's intents, by number.

    Attributes:
        rows: of the workers' results; None in a gap.
        turns: when the number was first given out; they order the batch, and rise with it.
        gaps: numbers that intents have left.
        batch_indices: of its intents, once the interval has closed.
        accounts: whose they are.
    """

    id: InstrumentId
    sealed: SealedBook
    rows: list[int | None] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    gaps: list[int] = field(default_factory=list)
    batch_indices: list[int] = field(default_factory=list)
    accounts: list[AccountId] = field(default_factory=list)


@dataclass(slots=True)
class _Arrived:
    """An intent before the close; `done` when its workers' results are in the instrument."""

    digest: bytes
    sealed: SealedIntent
    instrument: Instrument
    number: int
    done: bool = False
    gone: bool = False


@dataclass(frozen=True, slots=True)
class _Placed:
    """An intent of the batch."""

    sealed: SealedIntent
    instrument: Instrument
    number: int
    row: int


def _turn_of(intent: _Arrived) -> int:
    return intent.instrument.turns[intent.number]


class Instruments:
    """All instruments of an interval, filled as intents arrive."""

    def __init__(
        self, evaluator: Evaluator, arrivals: Arrivals, instruments: Iterable[InstrumentId]
    ) -> None:
        self._arrivals = arrivals
        self._by_instrument: Mapping[InstrumentId, Instrument] = {
            name: Instrument(name, SealedBook(evaluator)) for name in instruments
        }
        self._numbers_max = evaluator.ring.row // 2
        self._arrived: dict[int, _Arrived] = {}
        self._rows: dict[bytes, int] = {}
        self._turn = 0
        self._batch: list[_Placed] = []
        self.rejections: list[Rejection] = []
        self.set_aside: list[SetAside] = []

    def add(self, intent: ProvenIntent) -> None:
        """Take the next intent, and hand it to the workers.

        Raises:
            OutOfBounds, WorkersKeepDying: see `Arrivals`.
            OutOfRange: more intents at once than an auction takes.
        """
        instrument = self._by_instrument[InstrumentId(intent.sealed.instrument)]
        if not instrument.gaps and len(instrument.rows) >= self._numbers_max:
            self.gather(wait=True)
        if instrument.gaps:
            number = instrument.gaps.pop()
        else:
            number = len(instrument.rows)
            instrument.rows.append(None)
            instrument.turns.append(self._turn)
            self._turn += 1
        row = self._arrivals.submit(intent.ciphertext, number)
        instrument.rows[number] = row
        self._arrived[row] = _Arrived(intent.digest, intent.sealed, instrument, number)
        self._rows[intent.digest] = row
        self.gather(wait=False)

    def cancel(self, digest: bytes) -> None:
        """Let an intent go, before the close; its number and its row serve others."""
        row = self._rows.pop(digest, None)
        if row is None:
            return
        self._arrived[row].gone = True
        if self._arrived[row].done:
            self._vacate(row)

    def close(
        self,
        kept: Mapping[bytes, AdmittedIntent],
        publish: Callable[[IntentRecord, Ciphertext], None],
    ) -> list[CertifiedIntent]:
        """Fix the batch: the intents that are kept, by digest; returns them in batch order.

        Raises:
            WorkersKeepDying: see there.
        """
        self.gather(wait=True)
        for digest in [digest for digest in self._rows if digest not in kept]:
            self.cancel(digest)
        for instrument in self._by_instrument.values():
            for number in sorted(instrument.gaps, reverse=True):
                self._close_gap(instrument, number)
        arrived = sorted(self._arrived.items(), key=lambda item: _turn_of(item[1]))
        certified = []
        for row, intent in arrived:
            instrument = intent.instrument
            instrument.batch_indices.append(len(self._batch))
            instrument.accounts.append(account_and_auction(intent.sealed)[0])
            self._batch.append(_Placed(intent.sealed, instrument, intent.number, row))
            admitted = kept[intent.digest]
            signatures = dict(sorted(admitted.certificate.signatures.items()))
            entry = IntentRecord(admitted.sealed, admitted.signature, signatures)
            publish(entry, admitted.ciphertext)
            certified.append(admitted.certified())
        self._arrivals.unload()
        return certified

    def traded(self) -> list[Instrument]:
        """The instruments that have intents."""
        return [instrument for instrument in self._by_instrument.values() if instrument.rows]

    def members(self) -> list[int]:
        """Batch indices of the intents that take part, ascending."""
        return [
            index
            for index, placed in enumerate(self._batch)
            if placed.number in placed.instrument.sealed.intents.present
        ]

    def shape_rows(self) -> ShapeRows:
        """What the shape check needs of the batch."""
        return ShapeRows(
            self._arrivals.shape,
            [placed.row for placed in self._batch],
            [placed.sealed.minimum_fill for placed in self._batch],
        )

    def rejected(self) -> list[int]:
        """Batch indices of the rejected intents, in the order of their rejection."""
        return [rejection.batch_index for rejection in self.rejections]

    def intent(self, index: int) -> SealedIntent:
        """The public part of the intent at a batch index."""
        return self._batch[index].sealed

    def reject(self, fault: Fault, indices: Iterable[int]) -> None:
        """Take intents, by batch index, out for their own fault."""
        for index in indices:
            account, _ = account_and_auction(self.intent(index))
            self.rejections.append(Rejection(index, account, fault))
            self._take_out(index)

    def participate(self, rules: PublicRules, margin: IntentMargin) -> None:
        """Set aside, at no fault of theirs, who may not take part beside those that are left."""
        for instrument in self.traded():
            candidates = [
                self._candidate(instrument.batch_indices[number], rules, margin)
                for number in sorted(instrument.sealed.intents.present)
            ]
            decided = decide_participation(candidates, rules.owners_min)
            self.set_aside += decided.set_aside
            for entry in decided.set_aside:
                self._take_out(entry.batch_index)

    def _candidate(self, index: int, rules: PublicRules, margin: IntentMargin) -> Candidate:
        sealed = self.intent(index)
        return Candidate(
            index,
            rules.owner_of(sealed.account),
            margin.alone(InstrumentId(sealed.instrument), Lots(sealed.cap)),
            Cash(sealed.others_collateral_min),
            sealed.minimum_fill,
        )

    def gather(self, *, wait: bool) -> None:
        """Take over what the workers have done; with `wait`, all of it.

        Raises:
            WorkersKeepDying: see there.
        """
        for row in self._arrivals.finished(wait=wait):
            intent = self._arrived[row]
            sealed, cap = intent.instrument.sealed, Lots(intent.sealed.cap)
            minimum_fill = intent.sealed.minimum_fill
            ciphertext, words = self._arrivals.ciphertext(row), self._arrivals.packing[row]
            if intent.number == sealed.count:
                sealed.add(ciphertext, words, cap, minimum_fill=minimum_fill)
            else:
                sealed.put(intent.number, ciphertext, words, cap, minimum_fill=minimum_fill)
            intent.done = True
            if intent.gone:
                self._vacate(row)

    def _vacate(self, row: int) -> None:
        """Leave a gap where an intent was."""
        intent = self._arrived.pop(row)
        intent.instrument.sealed.drop(intent.number, self._arrivals.ciphertext(row))
        intent.instrument.rows[intent.number] = None
        intent.instrument.gaps.append(intent.number)
        self._arrivals.release(row)

    def _close_gap(self, instrument: Instrument, number: int) -> None:
        """Move the last intent of an instrument into a gap."""
        last = instrument.rows.pop()
        instrument.turns.pop()
        instrument.sealed.close_gap(
            number, None if last is None else self._arrivals.ciphertext(last)
        )
        if last is not None:
            instrument.rows[number] = last
            self._arrived[last].number = number

    def _take_out(self, index: int) -> None:
        placed = self._batch[index]
        placed.instrument.sealed.drop(placed.number, self._arrivals.ciphertext(placed.row))

    def set_aside_accounts(self, uncovered: Mapping[AccountId, Shortfall]) -> None:
        """Set aside every intent of the accounts that do not cover all of theirs."""
        for index, placed in enumerate(self._batch):
            shortfall = uncovered.get(account_and_auction(placed.sealed)[0])
            if shortfall is not None:
                aside = (Missing.OWN_COLLATERAL, shortfall.required, shortfall.available)
                self.set_aside.append(SetAside(index, *aside))
                self._take_out(index)
