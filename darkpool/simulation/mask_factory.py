"""Masks prepared ahead of time, in processes of their own.

Preparing a mask takes seconds of homomorphic products and concerns the committee alone, so it
happens off line. SEAL holds Python's global lock, so workers are processes; they are spawned, not
forked, because a forked child would share the parent's native memory pools.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import groupby
from multiprocessing import get_context
from typing import Self

from crypto.bfv.lanes import LaneShape
from crypto.threshold.evaluators import Evaluators
from darkpool.clock import Clock, SystemClock
from darkpool.committee.committee import KeyperCommittee
from darkpool.committee.masks import AttestedMask
from darkpool.keyper.errors import SettlementRefused
from darkpool.keyper.identity import CommitteeView, KeyperSenses
from darkpool.record.forms import VenueRecord
from darkpool.simulation.committee import CommitteeSeat, local_committee
from darkpool.verification.evidence import ChainReader
from darkpool.workers import end_with_parent

_worker: KeyperCommittee | None = None


def _start(view: CommitteeView, seats: Sequence[CommitteeSeat]) -> None:
    global _worker
    end_with_parent()
    _worker = local_committee(view, seats, unseeing(SystemClock()), Evaluators.of(view.material))


def unseeing(clock: Clock) -> KeyperSenses:
    """What a keyper without a node asks: no batch is ever open, so it opens and settles nothing."""
    return KeyperSenses(
        clock, lambda _: None, lambda _: None, _no_chain, lambda _: None, bytes(20), frozenset()
    )


def _no_chain(venue: VenueRecord) -> ChainReader:
    raise SettlementRefused("chain", "a node", f"none for 0x{venue.settlement.hex()}")


def _prepare(shape: LaneShape) -> AttestedMask:
    if _worker is None:
        raise RuntimeError("expected a started worker, got none")
    return _worker.prepare_mask(shape)


class MaskFactory:
    """A pool of masks by shape, filled by worker processes.

    Use as a context manager: leaving it ends the workers.
    """

    def __init__(
        self,
        view: CommitteeView,
        seats: Sequence[CommitteeSeat],
        workers: int,
    ) -> None:
        self._executor = ProcessPoolExecutor(
            workers, get_context("spawn"), _start, (view, tuple(seats))
        )
        self._ready: dict[int, deque[Future[AttestedMask]]] = defaultdict(deque)

    def order(self, shape: LaneShape) -> None:
        """Ask for one more mask of a shape."""
        self._ready[shape.lanes].append(self._executor.submit(_prepare, shape))

    def require(self, shapes: Iterable[LaneShape]) -> None:
        """Wait until there is a mask for each of some shapes, ordering those that are missing.

        Raises:
            MaskPreparationFailed: from a worker.
        """
        for lanes, group in groupby(sorted(shapes, key=lambda s: s.lanes), lambda s: s.lanes):
            wanted = list(group)
            queue = self._ready[lanes]
            while len(queue) < len(wanted):
                self.order(wanted[0])
        for queue in self._ready.values():
            for future in queue:
                future.result()

    def take(self, shape: LaneShape) -> AttestedMask:
        """Give out a mask of a shape, the oldest first; prepares one where none was ordered."""
        if not self._ready[shape.lanes]:
            self.order(shape)
        return self._ready[shape.lanes].popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)
