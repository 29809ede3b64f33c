"""An account's agent, what it is given, and the terms that it seals for."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from crypto.signing.ecdsa import address_of
from crypto.signing.messages import instrument_id
from darkpool.client.agent import Agent
from darkpool.client.plan import CoverPolicy
from darkpool.client.signer import KeySigner, Signer
from darkpool.client.standing_orders import StandingOrder
from darkpool.client.store import AgentStore
from darkpool.protocol.intents import SealedSubmission
from darkpool.protocol.terms import IntervalTerms
from darkpool.units import InstrumentId, Interval, Lots, PriceGrid, PriceUnits, Side, account_id
from tests.support.admission_venue import AdmissionVenue
from tests.support.reference_prices import renewed

KEY = b"\x01" * 32


ACCOUNT = account_id("0x" + address_of(KEY).hex())


ES, NQ = InstrumentId(instrument_id("ES")), InstrumentId(instrument_id("NQ"))


DEADLINE_S = 2_000_000_000


ALWAYS = CoverPolicy(1_000_000, Lots(50))


def order(size: Any = 10, limit: Any = 4_805_000_000, **other: object) -> StandingOrder:
    """A buy of ES at 4805, the reference, for any interval."""
    base = StandingOrder(
        ACCOUNT, ES, Side.BUY, Lots(size), PriceUnits(limit), Interval(1000), Lots(50)
    )
    return replace(base, **other)  # type: ignore[arg-type]


def collected(submissions: AsyncIterator[SealedSubmission]) -> list[SealedSubmission]:
    """All that an agent has sealed for an interval."""

    async def collect() -> list[SealedSubmission]:
        return [submission async for submission in submissions]

    return asyncio.run(collect())


@dataclass(frozen=True)
class Desk:
    """A venue's terms, and the files of an account's agents."""

    venue: AdmissionVenue
    path: Path

    def terms(self, interval: int, reference: str = "4805") -> IntervalTerms:
        grid = PriceGrid(Decimal("0.25"), Decimal(reference), 100)
        return renewed(self.venue.terms, interval=Interval(interval), grid=grid)

    def store(self) -> AgentStore:
        return AgentStore(self.path, ACCOUNT, self.venue.terms.domain)

    def agent(
        self,
        store: AgentStore,
        cover: Mapping[InstrumentId, CoverPolicy] | None = None,
        signer: Signer = KeySigner(KEY),  # noqa: B008
    ) -> Agent:
        return Agent(store, signer, {} if cover is None else cover)

    def sent(self, agent: Agent, interval: int, reference: str = "4805") -> list[SealedSubmission]:
        return collected(agent.submissions(self.terms(interval, reference), DEADLINE_S))
