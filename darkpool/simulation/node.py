"""The node of this machine, which all keypers of a local committee share."""

from __future__ import annotations

import threading
from dataclasses import replace

from darkpool.chain.evidence import SETTLEMENT_TIMEOUT_S, BatchEvidence, BlockPoint
from darkpool.chain.finality import Finality
from darkpool.chain.reader import RecordedVenue
from darkpool.chain.reading import ReadableChain
from darkpool.clock import Clock
from darkpool.keyper.identity import KeyperSenses, RequireReferences
from darkpool.record.forms import VenueRecord
from darkpool.units import Interval
from darkpool.verification.evidence import ChainEvidence, ChainReader


class _Shared:
    """Asks for one keyper at a time: a chain's client is for one thread."""

    def __init__(self, chain: ReadableChain, finality: Finality) -> None:
        self._chain = chain
        self._finality = finality
        self._lock = threading.Lock()

    def open_batch(self, interval: Interval) -> BatchEvidence | None:
        with self._lock:
            batch = open_batch(self._chain, interval)
        if batch is not None:
            self.require_final(batch.point)
        return batch

    def require_final(self, point: BlockPoint) -> None:
        with self._lock:
            self._chain.require_final(point, self._finality, "the batch")

    def recorded(self, venue: VenueRecord) -> ChainReader:
        return _SharedReader(RecordedVenue(self._chain, venue), self._lock)


class _SharedReader:
    def __init__(self, reader: RecordedVenue, lock: threading.Lock) -> None:
        self._reader = reader
        self._lock = lock

    def chain_id(self) -> int:
        """Return the number of the chain."""
        with self._lock:
            return self._reader.chain_id()

    def evidence(self, interval: int, blocks: tuple[int, int]) -> ChainEvidence:
        """Return all that the chain says about an interval."""
        with self._lock:
            return self._reader.evidence(interval, blocks)


def open_batch(chain: ReadableChain, interval: Interval) -> BatchEvidence | None:
    """The batch of an interval that can still be settled, and how long; None where there is none.

    Raises:
        ChainUnavailable: the node gives no answer that can be used.
    """
    standing = chain.standing()
    if not standing.is_open or standing.committed != interval or standing.declared_at:
        return None
    batch = chain.evidence(interval).batch
    left = standing.committed_at + SETTLEMENT_TIMEOUT_S - chain.time()
    return None if batch is None else replace(batch, seconds_left=left)


def node_senses(
    chain: ReadableChain,
    finality: Finality,
    clock: Clock,
    require_references: RequireReferences,
    reporters: tuple[bytes, frozenset[bytes]],
) -> KeyperSenses:
    """What every keyper of this machine asks for itself.

    `reporters` are who signs references, and who reports prices: 20 bytes each.
    """
    shared = _Shared(chain, finality)
    return KeyperSenses(
        clock,
        shared.open_batch,
        shared.require_final,
        shared.recorded,
        require_references,
        *reporters,
    )
