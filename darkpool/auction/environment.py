"""What the operator runs intervals with, and what an interval is run under."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from crypto.threshold.evaluators import Evaluators
from darkpool.admission.register import AdmissionRegister
from darkpool.chain.client import Chain
from darkpool.clock import Clock
from darkpool.committee.committee import KeyperCommittee
from darkpool.committee.masks import MaskSource
from darkpool.crossing.arrivals import Arrivals
from darkpool.margin.model.intent_margin import IntentMargin
from darkpool.protocol.terms import IntervalTerms
from darkpool.record.writer import RecordSink
from darkpool.settlement.custody import Custody

NO_SETTLEMENT: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class Environment:
    """What the operator runs intervals with.

    Attributes:
        evaluators: of both rings.
        arrivals: workers for what is computed of an intent when it arrives.
        register: remembers intents across intervals.
        record: takes what becomes public while an interval runs.
        progress: is told the step that begins.
        confirmations: blocks after which a transaction is final.
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
    confirmations: int


@dataclass(frozen=True, slots=True)
class OpenInterval:
    """What one interval is run under, and where it begins.

    Attributes:
        margin: the prices that margin is computed at.
        custody: what stands after the last settlement.
        previous_settlement: hash of that settlement, 32 bytes; zero before the first.
    """

    terms: IntervalTerms
    margin: IntentMargin
    custody: Custody
    previous_settlement: bytes = NO_SETTLEMENT
