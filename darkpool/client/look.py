"""One look at what an account has at a venue; and sending what is due."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from darkpool.chain.client import Chain
from darkpool.chain.evidence import Deployment, TransactionReceiptInfo
from darkpool.chain.reading import ReadableChain
from darkpool.client.leaving import LeafSource, VaultBalance, VenueBalances
from darkpool.client.leaving_steps import Moment, Step, StepKind, Wishes, steps_of
from darkpool.units import AccountId


@dataclass(frozen=True, slots=True)
class ExitLook:
    """What an account has, and its steps, by one state of the chain.

    Attributes:
        interval: of the last settlement; None before the first.
    """

    deployment: Deployment
    account: AccountId
    moment: Moment
    interval: int | None
    balances: tuple[VaultBalance, ...]
    wishes: Wishes
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """A step that is in a block."""

    step: Step
    receipt: TransactionReceiptInfo


def look_at(
    chain: ReadableChain,
    account: AccountId,
    sources: Sequence[LeafSource],
    wishes: Wishes,
    only: AccountId | None = None,
) -> ExitLook:
    """What an account has at the venue that a chain is attached to; `only` names one vault.

    Raises:
        LeavesMissing, LeavesUnproven, ChainUnavailable: as `VenueBalances`.
    """
    venue, deployment = VenueBalances(chain, sources), chain.deployment
    moment = Moment(deployment.settlement, venue.standing, chain.time())
    balances = tuple(
        balance for balance in venue.of(account) if only in (None, balance.vault.address)
    )
    interval = None if venue.settled is None else venue.settled.interval
    steps = steps_of(moment, balances, wishes)
    return ExitLook(deployment, account, moment, interval, balances, wishes, steps)


def send_due(
    chain: Chain,
    key: bytes,
    look: Callable[[], ExitLook],
    told: Callable[[Step], None],
) -> tuple[Sent, ...]:
    """Send what is due, as the account of a 32-byte key; after a declaration what follows it.

    `told` hears of each step before it is sent. The end is declared once, whatever the node says
    of it afterwards.

    Raises:
        TransactionReverted, TransactionRefused, ChainUnavailable: a step failed; later ones were
            not sent.
    """
    sent: list[Sent] = []
    for declared in (False, True):
        due = [step for step in look().steps if step.due]
        for step in due:
            if step.kind is StepKind.DECLARE and declared:
                continue
            told(step)
            sent.append(Sent(step, chain.send(step.call, key)))
        if all(step.kind is not StepKind.DECLARE for step in due):
            break
    return tuple(sent)
