"""Whole auctions in this process alone, on keys that are dealt and masks that are drawn once.

Most of what a run costs is two worker processes that start, and masks that the first of them draws.
Tests of what is traded, published and audited need neither; tests of the processes, of the masks
and of the command line have them.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest
from coincurve import PrivateKey

from crypto.bfv.lanes import LaneShape
from crypto.ring.params import TEST_INSECURE_SMALL, ParameterSet
from crypto.threshold.keys import PublicMaterial
from crypto.threshold.masks import DrawnMask
from darkpool.auction.terms import KEYPERS, VenueTerms
from darkpool.chain.client import Chain
from darkpool.committee.committee import KeyperCommittee
from darkpool.committee.masks import AttestedMask
from darkpool.crossing import arrivals
from darkpool.keyper.identity import KeyperIdentity
from darkpool.simulation import mask_factory, venue
from darkpool.simulation.clients import Stranger
from darkpool.simulation.committee import CommitteeSeat
from darkpool.simulation.local_venue import FIRST_EPOCH
from darkpool.simulation.order_file import Order
from darkpool.simulation.result import VenueResult
from darkpool.simulation.venue import Places, Progress, VenueSetting, run_orders
from tests.support.epochs import dealt

P = ParamSpec("P")
T = TypeVar("T")

DRAWN: dict[tuple[int, int, int, int], DrawnMask] = {}
"""Masks by key epoch, number of keypers, lanes, and a number that tells those of a shape apart."""


class InThisProcess(Executor):
    """An executor that has done all when it is given it."""

    def __init__(
        self,
        _workers: int,
        _context: object,
        initializer: Callable[..., None],
        initargs: tuple[object, ...],
    ) -> None:
        initializer(*initargs)

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(call(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  # the caller that asks for the result gets it
            done.set_exception(error)
        return done


def seats(
    parameters: ParameterSet, state: Path
) -> tuple[PublicMaterial, tuple[CommitteeSeat, ...]]:
    """Seats with memories and signing keys of their own, on keys that are dealt once."""
    epoch = dealt(parameters, KEYPERS, FIRST_EPOCH)
    return epoch.material, tuple(
        CommitteeSeat(
            KeyperIdentity(own, PrivateKey().secret), state / f"keyper-{own.keyper}.sqlite"
        )
        for own in epoch.secrets
    )


def recycled(committee: KeyperCommittee, shape: LaneShape, which: int = 0) -> AttestedMask:
    """A drawn mask under the next number: results do not depend on r, privacy does."""
    members = committee.material.committee
    name = (members.epoch, members.size, shape.lanes, which)
    if name not in DRAWN:
        attested = committee.prepare_mask(shape)
        DRAWN[name] = attested.mask
        return attested
    number = max(keyper.next_mask() for keyper in committee.keypers)
    for keyper in committee.keypers:
        keyper.issue_mask(number)
    mask = replace(DRAWN[name], draw=replace(DRAWN[name].draw, number=number))
    return AttestedMask(mask, {k.number: k.attest_mask(mask) for k in committee.keypers})


def prepare(shape: LaneShape) -> AttestedMask:
    assert mask_factory._worker is not None
    return recycled(mask_factory._worker, shape)


@contextmanager
def one_process() -> Iterator[None]:
    """What runs inside starts no process, deals no keys and draws no mask of a known shape."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(venue, "deal_seats", seats)
        patch.setattr(mask_factory, "ProcessPoolExecutor", InThisProcess)
        patch.setattr(arrivals, "ProcessPoolExecutor", InThisProcess)
        patch.setattr(mask_factory, "_prepare", prepare)
        patch.setattr(mask_factory, "_worker", None)
        patch.setattr(arrivals, "_tools", None)
        yield


def run_here(
    orders: Sequence[Order],
    terms: VenueTerms,
    connect: Callable[[], Chain] = Chain.embedded,
    places: Places = Places(),  # noqa: B008
    progress: Progress = lambda *_: None,
    strangers: Sequence[Stranger] = (),
) -> VenueResult:
    """`run_orders` on the small rings, in this process."""
    with one_process():
        setting = VenueSetting(TEST_INSECURE_SMALL, connect, places, progress)
        return run_orders(orders, terms, setting, strangers)
