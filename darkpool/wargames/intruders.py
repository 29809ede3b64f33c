"""Attackers who mix with the orders of a file: half seal what is no order, half out of bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import SystemRandom
from typing import Final

import numpy as np
from coincurve import PrivateKey

from crypto.signing.ecdsa import address_of
from darkpool.client.sealing import PublicLimits
from darkpool.errors import OutOfBounds
from darkpool.limits import TICKS_MAX
from darkpool.protocol.intents import SealedSubmission
from darkpool.protocol.terms import IntervalTerms
from darkpool.units import AccountId, InstrumentId, Lots, account_of
from darkpool.wargames.attacker import seal_as_attacker
from darkpool.wargames.combined import OVER_CAP
from darkpool.wargames.draft import TICKS_MIN
from darkpool.wargames.malformed import MALFORMED
from darkpool.wargames.minimums import NO_MINIMUM

INTRUDER_CAP: Final = Lots(10)
INTRUDERS_MAX: Final = 256
_OUT_OF_BOUNDS: Final = {**OVER_CAP, **NO_MINIMUM}


@dataclass(frozen=True, slots=True)
class Intruder:
    """One attacker with an account and one intent.

    Attributes:
        kind: name in `MALFORMED`, `OVER_CAP` or `NO_MINIMUM`.
        instrument: that it attacks.
        cap: its public cap.
    """

    kind: str
    instrument: InstrumentId
    cap: Lots
    _key: bytes = field(repr=False)

    @property
    def account(self) -> AccountId:
        """Where its collateral is."""
        return account_of(address_of(self._key))

    @property
    def fault(self) -> str:
        """What it has to be taken out for: `shape` or `cap`."""
        return "shape" if self.kind in MALFORMED else "cap"

    @property
    def minimum_fill(self) -> bool:
        """Whether it says that it is a minimum-fill order."""
        return self.kind in NO_MINIMUM

    def submission(self, terms: IntervalTerms, nonce: int, deadline_s: int) -> SealedSubmission:
        """Seal the attack; everything about it is in order but what is inside."""
        ring, ticks = terms.material.parameters.order_ring, terms.grids[self.instrument].ticks
        rng = np.random.default_rng(SystemRandom().getrandbits(128))
        if self.kind in MALFORMED:
            vector = MALFORMED[self.kind](ring, ticks, rng)
        else:
            vector = _OUT_OF_BOUNDS[self.kind](ring, ticks, self.cap, rng)
        limits = PublicLimits(deadline_s, self.cap)
        return seal_as_attacker(
            vector, self.instrument, terms, self._key, nonce, limits, self.minimum_fill
        )


def draw_intruders(
    count: int, instruments: Sequence[InstrumentId], ticks: int
) -> tuple[Intruder, ...]:
    """Attackers of different kinds, as far as there are that many, on instruments in turn.

    Raises:
        OutOfBounds: more than INTRUDERS_MAX, or too few ticks for some kinds.
    """
    if not 0 <= count <= INTRUDERS_MAX:
        raise OutOfBounds("attackers", 0, INTRUDERS_MAX, count)
    if count and ticks < TICKS_MIN:
        raise OutOfBounds("ticks of a grid with attackers", TICKS_MIN, TICKS_MAX, ticks)
    draw = SystemRandom()
    kinds = [draw.sample(sorted(names), len(names)) for names in (MALFORMED, _OUT_OF_BOUNDS)]
    chosen = []
    for number in range(count):
        names = kinds[number % 2]
        kind = names[number // 2 % len(names)]
        instrument = instruments[number % len(instruments)]
        chosen.append(Intruder(kind, instrument, INTRUDER_CAP, PrivateKey().secret))
    return tuple(chosen)
