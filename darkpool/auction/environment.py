"""What the operator runs intervals with, and what an interval is run under."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crypto.threshold.evaluators import Evaluators
from darkpool.admission.register import AdmissionRegister
from darkpool.chain.client import Chain
from darkpool.chain.finality import Finality
from darkpool.clock import Clock
from darkpool.committee.committee import KeyperCommittee
from darkpool.committee.masks import MaskSource
from darkpool.crossing.arrivals import Arrivals
from darkpool.margin.model.intent_margin import IntentMargin
from darkpool.protocol.keyper import VoidInterval
from darkpool.protocol.terms import IntervalTerms
from darkpool.record.margin_forms import MarginInputs
from darkpool.record.writer import RecordSink
from darkpool.settlement.between import Between, due_between
from darkpool.settlement.custody import Custody


@dataclass(frozen=True, slots=True)
class LastSettlement:
    """The settlement that an interval builds on; all zero before the first.

    Attributes:
        hash: struct hash of what was signed, 32 bytes.
        market_ms: time of its market, Unix milliseconds.
        prices: what margin was computed from.
    """

    hash: bytes = bytes(32)
    market_ms: int = 0
    prices: MarginInputs | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """What the operator runs intervals with.

    Attributes:
        evaluators: of both rings.
        arrivals: workers for what is computed of an intent when it arrives.
        register: remembers intents across intervals.
        record: takes what becomes public while an interval runs.
        progress: is told the step that begins.
        finality: when a block of the chain is final.
    """

    evaluators: Evaluators
    committee: KeyperCommittee
    masks: MaskSource
    arrivals: Arrivals
    chain: Chain
    register: AdmissionRegister
    clock: Clock
    record: RecordSink
    progress: Callable[[str], None]
    finality: Finality


@dataclass(frozen=True, slots=True)
class OpenInterval:
    """What one interval is run under, and where it begins.

    Attributes:
        margin: the prices that margin is computed at.
        custody: what stands after the last settlement.
        last: that settlement.
        voids: intervals that were committed and ended void since then, in order.
        must_be_empty: whether the contract takes no batch but an empty one, after a void one.
    """

    terms: IntervalTerms
    margin: IntentMargin
    custody: Custody
    last: LastSettlement
    voids: tuple[VoidInterval, ...] = ()
    must_be_empty: bool = False


def due_in(opened: OpenInterval) -> Between:
    """What is booked when an interval settles, besides flows and fills.

    Raises:
        OutOfBounds: its market is earlier than the one before it.
        NoPrice: it has no index or mark for a contract with open positions.
    """
    custody, market = opened.custody, opened.margin.inputs.market
    return due_between(custody.accounts, custody.between, opened.terms.interval, market)
