"""What runs at a client, for one account: sealing, the agent with its store, opening files.

This is the public face: what is listed here is what users import.
"""

from crypto.signing.messages import instrument_id
from darkpool.client.agent import Agent
from darkpool.client.opening_file import OpeningFile
from darkpool.client.plan import CoverPolicy
from darkpool.client.sealing import PublicLimits, SealedOrder, seal_order, smallest_cap
from darkpool.client.signer import KeySigner, Signer
from darkpool.client.standing_orders import StandingOrder
from darkpool.client.store import AgentStore
from darkpool.protocol.intents import LimitOrder, SealedSubmission
from darkpool.protocol.terms import IntervalTerms
from darkpool.units import Interval, Lots, PriceUnits, Side, Tick

__all__ = [
    "Agent",
    "AgentStore",
    "CoverPolicy",
    "Interval",
    "IntervalTerms",
    "KeySigner",
    "LimitOrder",
    "Lots",
    "OpeningFile",
    "PriceUnits",
    "PublicLimits",
    "SealedOrder",
    "SealedSubmission",
    "Side",
    "Signer",
    "StandingOrder",
    "Tick",
    "instrument_id",
    "seal_order",
    "smallest_cap",
]
