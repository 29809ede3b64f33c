"""A venue whose intervals end void, in the ways in which they can."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from darkpool.auction.environment import OpenInterval
from darkpool.auction.outcome import IntervalOutcome
from darkpool.chain.errors import ChainUnavailable
from darkpool.chain.evidence import SETTLEMENT_TIMEOUT_S
from darkpool.errors import DarkpoolError
from darkpool.protocol.keyper import VoidInterval
from darkpool.settlement.between import Between
from darkpool.simulation.clients import Stranger
from darkpool.units import InstrumentName, Lots, identifier
from darkpool.wargames.intruders import Intruder
from tests.support.venue_story import ONE, Story, embedded, story

PERPETUAL = ("BTC-PERP", "ETH-PERP")
PAIRS = (("BTC-PERP", "alice", "bob", 6), ("BTC-MAR", "alice", "carol", 4))


@dataclass
class VoidStory:
    """A story whose chain can be told to take no settlement.

    Attributes:
        first: the interval that settled, and `settled` what it came to.
    """

    story: Story
    patch: pytest.MonkeyPatch
    first: OpenInterval
    settled: IntervalOutcome

    @property
    def opened(self) -> OpenInterval:
        opened = self.story.standing.last_opened
        assert opened is not None
        return opened

    def wait(self, hours: int) -> None:
        """Let time pass between two intervals, for the market as well."""
        clock = self.story.standing.venue.clock
        clock.skip_to(clock.unix_ms() + hours * 3_600_000)

    def unsent(
        self,
        *pairs: tuple[str, str, str, int],
        names: Sequence[str] = PERPETUAL,
        strangers: Sequence[Stranger] = (),
    ) -> IntervalOutcome:
        """An interval whose settlement keypers sign and no block takes."""

        def refuse(*_: object) -> None:
            raise ChainUnavailable("the node", "nothing")

        with self.patch.context() as patch:
            patch.setattr(self.story.chain, "settle_kept", refuse)
            outcome = self.story.interval(*pairs, names=names, strangers=strangers)
        assert not outcome.settlement.is_final
        return outcome

    def too_late(
        self, *pairs: tuple[str, str, str, int], strangers: Sequence[Stranger] = ()
    ) -> DarkpoolError:
        """An interval whose openings cannot begin any more; returns why."""
        chain, final = self.story.chain, self.story.chain.wait_final

        def wait(*arguments: object) -> None:
            final(*arguments)  # type: ignore[arg-type]
            self.story.machine.travel(SETTLEMENT_TIMEOUT_S // 2 + 1)

        with self.patch.context() as patch:
            patch.setattr(chain, "wait_final", wait)
            with pytest.raises(DarkpoolError) as refused:
                self.story.interval(*pairs, names=PERPETUAL, strangers=strangers)
        return refused.value

    def end(self, outcome: IntervalOutcome | None) -> bool:
        """Let the hour pass, and end the interval."""
        self.travel_past()
        return self.story.standing.venue.end_void(self.opened, outcome)

    def refused(self, between: Between, intervals: tuple[VoidInterval, ...]) -> str:
        """What keypers say to an empty interval that an operator settles with other dues; it voids.

        The operator books what is wrong as if it was right, so that all else agrees with it.
        """
        venue = self.story.standing.venue
        kept = venue.between, venue.voids
        venue.between, venue.voids = between, intervals
        outcome = self.story.interval(names=PERPETUAL)
        assert not outcome.settlement.signatures
        venue.between, venue.voids = kept
        opened = self.opened
        opened.custody.between = venue.between
        self.travel_past()
        assert venue.end_void(replace(opened, voids=venue.voids), None)
        return str(outcome.settlement.transaction)

    def travel_past(self) -> None:
        """Let the hour of a batch pass."""
        self.story.machine.travel(SETTLEMENT_TIMEOUT_S + 1)

    def intruder(self) -> Intruder:
        """Somebody who seals what is no order."""
        swap, key = identifier(InstrumentName(PERPETUAL[0])), self.story.standing.key("mallory")
        stranger = Intruder("hump", swap, Lots(10), key)
        assert stranger.fault == "shape"
        return stranger


@contextmanager
def void_story(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[VoidStory]:
    """After an interval in which positions were taken, two of them in what expires in four days."""
    with story(embedded(), folder) as venue:
        names = ("alice", "bob", "carol", "mallory")
        venue.standing.deposit(**dict.fromkeys(names, 2_000_000 * ONE))
        settled = venue.interval(*PAIRS)
        assert settled.settlement.is_final
        first = venue.standing.last_opened
        assert first is not None
        yield VoidStory(venue, patch, first, settled)
