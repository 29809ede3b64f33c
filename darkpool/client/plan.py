"""What is sent in an interval: for each instrument an order, cover traffic, or nothing."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from crypto.signing.messages import Intent
from darkpool.client.sealing import draw_intent
from darkpool.client.standing_orders import INTERVAL_MAX, PlacedOrder, interval_order
from darkpool.protocol.terms import IntervalTerms
from darkpool.units import InstrumentId, Interval, Lots, require_bucket, within

COVER_ONE_PPM: Final = 1_000_000
"""Every interval: the largest rate of cover traffic, and its scale."""


@dataclass(frozen=True, slots=True)
class CoverPolicy:
    """How often an instrument without a live order gets cover traffic.

    Attributes:
        rate_ppm: probability of an interval, in parts per million. Whatever is below one million
            tells those who count: an account that sends has an order more likely than not sending.
        cap: public cap of cover traffic until the account has placed an order of the instrument;
            afterwards it is that of the latest order.

    Raises:
        WrongType, OutOfBounds, NoBucket: the rate is no probability, or the cap no bucket.
    """

    rate_ppm: int
    cap: Lots

    def __post_init__(self) -> None:
        rate_ppm = within("rate of cover traffic in ppm", 0, COVER_ONE_PPM, self.rate_ppm)
        object.__setattr__(self, "rate_ppm", rate_ppm)
        object.__setattr__(self, "cap", require_bucket("cap", self.cap))


@dataclass(frozen=True, slots=True)
class NotedTerms:
    """What the intents of an interval are sealed under, as it is kept.

    Attributes:
        interval: number.
        key_epoch: of the committee.
        ticks: of every grid.
        grids: all grids, as text that is the same for the same grids.
        deadline_s: of the intents, in Unix seconds.
    """

    interval: Interval
    key_epoch: int
    ticks: int
    grids: str
    deadline_s: int


@dataclass(frozen=True, slots=True)
class PlannedIntent:
    """The one intent of an auction; `order` is the number of its order, None for cover."""

    intent: Intent
    cap: Lots
    order: int | None


@dataclass(frozen=True, slots=True)
class Situation:
    """What a plan for an instrument may depend on.

    Attributes:
        instrument: whose intent is to be planned.
        live: its live order, if any.
        latest_cap: of the latest order ever placed for it, if any.
        nonce: for the intent, if there is to be one.
    """

    instrument: InstrumentId
    live: PlacedOrder | None
    latest_cap: Lots | None
    nonce: int


Plan = Callable[[Situation], PlannedIntent | None]


def interval_terms(terms: IntervalTerms, deadline_s: int) -> NotedTerms:
    """What is kept of an interval's terms; material of one epoch is the same.

    Raises:
        WrongType, OutOfBounds: the deadline is no time.
    """
    deadline_s = within("deadline in Unix seconds", 0, INTERVAL_MAX, deadline_s)
    grids = {
        instrument.hex(): [str(grid.tick_units), str(grid.units_of(grid.reference_tick))]
        for instrument, grid in terms.grids.items()
    }
    ticks = max((grid.ticks for grid in terms.grids.values()), default=0)
    text = json.dumps({"ticks": ticks, "grids": grids}, sort_keys=True)
    return NotedTerms(terms.interval, terms.material.committee.epoch, ticks, text, deadline_s)


def interval_plan(
    terms: IntervalTerms, cover: Mapping[InstrumentId, CoverPolicy], account: bytes
) -> Plan:
    """The agent's plan for an interval.

    A live order is always sent, as itself or as cover; without one the operating system's generator
    decides, at the instrument's rate. Both ways draw, and are drawn, by the same code.
    """

    def plan(situation: Situation) -> PlannedIntent | None:
        instrument, live = situation.instrument, situation.live
        policy = cover.get(instrument)
        rate_ppm = 0 if policy is None else policy.rate_ppm
        drawn = secrets.randbelow(COVER_ONE_PPM) < rate_ppm
        cap = situation.latest_cap if policy is None else situation.latest_cap or policy.cap
        if cap is None or (live is None and not drawn):
            return None
        order = interval_order(live, terms.grids[instrument])
        intent = draw_intent(order, instrument, terms.interval, account, situation.nonce)
        number = live.number if live is not None and order.size else None
        return PlannedIntent(intent, cap, number)

    return plan
