"""What an account does to get its money out, step by step: what is due, and what waits for what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from darkpool.chain.calls import Call, VaultCalls, declare
from darkpool.chain.clocks import NOTICE_PERIOD_S, declarable_from, due_from, exits_from, void_from
from darkpool.chain.evidence import VenueStanding
from darkpool.client.leaving import OwnDeposit, VaultBalance
from darkpool.limits import CASH_MAX
from darkpool.units import AccountId


class StepKind(Enum):
    """What is sent, by the name of the contract's function; in the order in which it is sent."""

    REQUEST = "request"
    CLAIM = "claim"
    GIVE_NOTICE = "give_notice"
    TAKE_BACK = "take_back"
    DECLARE = "declare"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What an account wants besides what it is owed now.

    Attributes:
        to: who is paid.
        request: token units to ask for; None for nothing, `CASH_MAX` for all.
        notice: whether to ask for deposits back that no settlement counts.
    """

    to: AccountId
    request: int | None = None
    notice: bool = False


ALL = CASH_MAX
"""A request for all: more than there is."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A venue at the time of the last block, in Unix seconds."""

    settlement: AccountId
    standing: VenueStanding
    now: int

    @property
    def has_ended(self) -> bool:
        """Whether the end was declared."""
        return self.standing.declared_at != 0

    @property
    def exits_open(self) -> bool:
        """Whether everybody can leave with everything."""
        opens = exits_from(self.standing)
        return opens is not None and self.now >= opens

    @property
    def is_due(self) -> bool:
        """Whether no batch can be committed any more."""
        return self.has_ended or self.now >= due_from(self.standing)


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction.

    Attributes:
        vault: where; None for what concerns the whole venue.
        amount: token units that it is about; 0 for none.
        number: of the deposit that it is about, else 0.
        due: whether it can be sent now, and is wanted.
        needs: what it waits for, or why it can be sent.
    """

    kind: StepKind
    vault: AccountId | None
    amount: int
    number: int
    due: bool
    needs: str
    call: Call


def steps_of(moment: Moment, balances: Sequence[VaultBalance], wishes: Wishes) -> tuple[Step, ...]:
    """All steps to get everything out, those that are due in the order in which they are sent."""
    found = [step for balance in balances for step in _vault_steps(moment, balance, wishes)]
    found += _ending(moment)
    order = list(StepKind)
    return tuple(sorted(found, key=lambda step: order.index(step.kind)))


def utc(seconds: int) -> str:
    """A time as people write it."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"second {seconds}"


def _vault_steps(moment: Moment, balance: VaultBalance, wishes: Wishes) -> Iterator[Step]:
    vault, calls = balance.vault.address, VaultCalls(balance.vault.address)
    for deposit in balance.deposits:
        yield _deposit_step(moment, calls, deposit, wishes)
    proven = balance.proven
    if moment.exits_open:
        if proven is not None and balance.everything:
            call, amount = calls.leave(proven, wishes.to), balance.everything
            yield Step(StepKind.LEAVE, vault, amount, 0, True, "exits are open", call)
        return
    if proven is not None and balance.claimable:
        call, amount = calls.claim(proven, wishes.to), balance.claimable
        yield Step(StepKind.CLAIM, vault, amount, 0, True, "granted, and not paid yet", call)
    rest = balance.everything - balance.claimable
    if moment.has_ended:
        if proven is not None and rest:
            needs = f"exits open at {utc(exits_from(moment.standing) or 0)} or by a settlement"
            call = calls.leave(proven, wishes.to)
            yield Step(StepKind.LEAVE, vault, rest, 0, False, needs, call)
    elif rest or balance.deposits:
        yield _request(moment, calls, rest, wishes)


def _deposit_step(moment: Moment, calls: VaultCalls, deposit: OwnDeposit, wishes: Wishes) -> Step:
    amount, number = deposit.amount, deposit.index
    if not deposit.noticed_at and not moment.has_ended:
        call = calls.give_notice(number)
        due = wishes.notice and not moment.is_due
        needs = "a notice, for a deposit that no settlement counts"
        if moment.is_due:
            needs = "the declared end, after which it needs no notice"
        return Step(StepKind.GIVE_NOTICE, calls.vault, amount, number, due, needs, call)
    call, since = calls.take_back(number, wishes.to), deposit.noticed_at + NOTICE_PERIOD_S
    if moment.has_ended:
        needs = "the venue has ended"
        return Step(StepKind.TAKE_BACK, calls.vault, amount, number, True, needs, call)
    ends, standing = void_from(moment.standing), moment.standing
    if ends is not None and number <= standing.flows_committed:
        since = max(since, ends)
    needs = f"a day after the notice, and no open batch that counts it: {utc(since)}"
    due = moment.now >= since
    return Step(StepKind.TAKE_BACK, calls.vault, amount, number, due, needs, call)


def _request(moment: Moment, calls: VaultCalls, rest: int, wishes: Wishes) -> Step:
    amount = wishes.request
    due = bool(amount) and not moment.is_due
    needs = "a request; the next settlement grants what positions do not need"
    if moment.is_due:
        needs = "the end of the venue, which is due: no settlement answers a request any more"
    call = calls.request(ALL if amount is None else amount)
    told = rest if amount is None or amount == ALL else amount
    return Step(StepKind.REQUEST, calls.vault, told, 0, due, needs, call)


def _ending(moment: Moment) -> Iterator[Step]:
    since = declarable_from(moment.standing)
    if since is None:
        return
    due = moment.now >= since
    needs = f"no settlement until {utc(since)}"
    if due:
        needs = f"a request waited too long, or no settlement came, until {utc(since)}"
    yield Step(StepKind.DECLARE, None, 0, 0, due, needs, declare(moment.settlement))
