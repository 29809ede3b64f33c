"""What an order file led to, in the words of the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Final

from darkpool.auction.environment import OpenInterval
from darkpool.auction.instruments import Fault
from darkpool.auction.outcome import IntervalOutcome
from darkpool.batching.participation import Missing
from darkpool.protocol.refusals import RefusalCode
from darkpool.simulation.clients import LocalClients, Stranger
from darkpool.simulation.errors import NotClaimed, NotKept, StrangerFilled
from darkpool.simulation.order_file import Order
from darkpool.simulation.withdrawing import Withdrawal
from darkpool.units import (
    AccountId,
    AccountLabel,
    Cash,
    InstrumentName,
    Lots,
    Side,
    account_of,
    identifier,
)

_NOTHING: Final = Lots(0)


@dataclass(frozen=True, slots=True)
class RowFill:
    """What the order of one row of the file traded, and at which price."""

    row: int
    account: AccountLabel
    instrument: InstrumentName
    side: Side
    size: Lots
    price: Decimal


@dataclass(frozen=True, slots=True)
class RowIntent:
    """What became of the order of one row of the file.

    Attributes:
        address: of its account, on the chain.
        batch_index: of its intent, or None where its submission was refused.
    """

    row: int
    account: AccountLabel
    address: AccountId
    instrument: InstrumentName
    batch_index: int | None


@dataclass(frozen=True, slots=True)
class TakenOut:
    """An intent that was found to be at fault.

    Attributes:
        batch_index: its place in the batch.
        row: of its order, or None where it is no order of the file.
        kind: what a stranger is, or None.
        fault: what it was found to be.
    """

    batch_index: int
    row: int | None
    kind: str | None
    fault: Fault


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An intent that took no part, at no fault of its own; fields as in `TakenOut`.

    Attributes:
        missing: what there was too little of: owners, collateral of other owners, or of its own.
        required, available: how much of it was asked for, and there was.
    """

    batch_index: int
    row: int | None
    kind: str | None
    missing: Missing
    required: int
    available: int


@dataclass(frozen=True, slots=True)
class NotAdmitted:
    """A submission that was refused; fields as in `TakenOut`, `code` the reason for programs."""

    row: int | None
    kind: str | None
    code: RefusalCode
    reason: str


class Crossing(StrEnum):
    """Whether an instrument crossed, and why not."""

    CROSSED = "crossed"
    NO_CROSS = "no cross"
    """No buyer pays what any seller asks."""
    TOO_FEW_OWNERS = "too few owners"
    """Nothing was opened, because a result would tell too much of too few."""
    NO_ORDERS = "no orders"
    """All were refused, rejected, or set aside one by one."""


@dataclass(frozen=True, slots=True)
class InstrumentOutcome:
    """The public result of an instrument; price and short side are None where nothing crossed.

    `exhausted` says that minimum-fill orders took the whole surplus.
    """

    instrument: InstrumentName
    crossing: Crossing
    price: Decimal | None = None
    volume: Lots = _NOTHING
    short_side: Side | None = None
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class AccountMargin:
    """Initial margin of an account that traded, before and after, and its equity; cash units."""

    account: AccountLabel
    before: Cash
    after: Cash
    equity: Cash


@dataclass(frozen=True, slots=True)
class VenueResult:
    """What an order file led to.

    Attributes:
        orders: every order of the file, and its intent, in the order of the rows.
        fills: in the order of the rows.
        margins: of every account that traded, by name.
        taken_out: intents at fault, in the order in which they were found.
        left_out: intents that took no part at no fault of theirs.
        refused: submissions that did not become intents.
        settlement_contract: address of the venue on its chain; with `keypers`, the addresses that
            the keypers sign with, it is what an auditor has to know of the venue.
        reporter: address that the reference prices are signed with.
        price_reporters: addresses that the prices of margin are signed with.
        timings_ms: milliseconds by step, in order.
        record: where the public record is, if one was wanted and could be kept.
        openings: where the clients' opening files are, if they were wanted.
        withdrawals: of the accounts that asked, by name.
        not_kept: folders that could not be finished, though the interval has settled.
    """

    outcome: IntervalOutcome
    instruments: tuple[InstrumentOutcome, ...]
    orders: tuple[RowIntent, ...]
    fills: tuple[RowFill, ...]
    margins: tuple[AccountMargin, ...]
    taken_out: tuple[TakenOut, ...]
    left_out: tuple[LeftOut, ...]
    refused: tuple[NotAdmitted, ...]
    settlement_contract: AccountId
    keypers: tuple[AccountId, ...]
    reporter: AccountId
    price_reporters: tuple[AccountId, ...]
    timings_ms: Mapping[str, int]
    record: Path | None
    openings: Path | None
    withdrawals: tuple[Withdrawal, ...] = ()
    not_kept: tuple[NotKept, ...] = ()

    @property
    def not_claimed(self) -> tuple[NotClaimed, ...]:
        """Claims that failed; what was granted stays the account's."""
        return tuple(one.failure for one in self.withdrawals if one.failure is not None)


def venue_result(
    clients: LocalClients,
    opened: OpenInterval,
    outcome: IntervalOutcome,
    timings_ms: Mapping[str, int],
    record: Path | None,
) -> VenueResult:
    """The outcome in the words of the order file.

    Raises:
        StrangerFilled: a party without an order traded.
    """
    batch = [clients.parties[submission] for submission in outcome.admitted]
    instruments = _instruments(opened, outcome)
    prices = {identifier(one.instrument): one.price for one in instruments if one.price is not None}
    fills = []
    indices = {one.id: one.batch_indices for one in outcome.instruments}
    labels: dict[AccountId, AccountLabel] = {}
    for fill in outcome.crossed.fills:
        order = batch[indices[fill.instrument][fill.intent]]
        if not isinstance(order, Order):
            raise StrangerFilled(order.kind, fill.size)
        labels[fill.account] = order.account
        traded = (order.instrument, fill.side, fill.size, prices[fill.instrument])
        fills.append(RowFill(order.row, order.account, *traded))
    return VenueResult(
        outcome,
        instruments,
        _intents(clients, outcome),
        tuple(sorted(fills, key=lambda fill: fill.row)),
        tuple(
            AccountMargin(labels[account], change.before, change.after, change.equity)
            for account, change in sorted(
                outcome.applied.margins.items(), key=lambda item: labels[item[0]]
            )
        ),
        tuple(
            TakenOut(rejection.batch_index, *_named(batch[rejection.batch_index]), rejection.fault)
            for rejection in outcome.rejections
        ),
        tuple(
            LeftOut(
                aside.batch_index,
                *_named(batch[aside.batch_index]),
                aside.missing,
                aside.required,
                aside.available,
            )
            for aside in outcome.set_aside
        ),
        tuple(
            NotAdmitted(
                *_named(clients.parties[refusal.submission]),
                refusal.error.code,
                str(refusal.error),
            )
            for refusal in outcome.refusals
        ),
        account_of(opened.terms.domain.verifying_contract),
        opened.terms.keypers,
        opened.terms.reporter,
        tuple(map(account_of, opened.margin.inputs.market.reporters)),
        timings_ms,
        record,
        clients.openings,
    )


def _instruments(opened: OpenInterval, outcome: IntervalOutcome) -> tuple[InstrumentOutcome, ...]:
    """Results of all instruments, those without intents last."""
    gone = {rejection.batch_index for rejection in outcome.rejections}
    gone |= {aside.batch_index for aside in outcome.set_aside}
    missed = {one.batch_index for one in outcome.set_aside if one.missing is Missing.OWNERS}
    names = opened.margin.names
    instruments = []
    for instrument, cross in zip(outcome.instruments, outcome.crossed.crosses, strict=True):
        name, indices = names[instrument.id], set(instrument.batch_indices)
        if cross is not None:
            price = opened.terms.grids[instrument.id].price_of(cross.tick)
            crossed = (Crossing.CROSSED, price, cross.volume, cross.short_side, cross.exhausted)
            instruments.append(InstrumentOutcome(name, *crossed))
        elif indices - gone:
            instruments.append(InstrumentOutcome(name, Crossing.NO_CROSS))
        elif indices & missed:
            instruments.append(InstrumentOutcome(name, Crossing.TOO_FEW_OWNERS))
        else:
            instruments.append(InstrumentOutcome(name, Crossing.NO_ORDERS))
    named = {instrument.id for instrument in outcome.instruments}
    empty = [names[one] for one in opened.terms.grids if one not in named]
    return (*instruments, *(InstrumentOutcome(name, Crossing.NO_ORDERS) for name in empty))


def _intents(clients: LocalClients, outcome: IntervalOutcome) -> tuple[RowIntent, ...]:
    indices = {submission: index for index, submission in enumerate(outcome.admitted)}
    return tuple(
        RowIntent(
            *(party.row, party.account, clients.address(party.account), party.instrument),
            indices.get(submission),
        )
        for submission, party in enumerate(clients.parties)
        if isinstance(party, Order)
    )


def _named(party: Order | Stranger) -> tuple[int | None, str | None]:
    """Row of an order, kind of a stranger."""
    return (party.row, None) if isinstance(party, Order) else (None, party.kind)
