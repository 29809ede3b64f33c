"""A batch names masks that its keypers finished for it, before anybody knows what they cover."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from darkpool.keyper.errors import BatchRefused, Equivocation
from darkpool.keyper.keyper import LocalKeyper
from darkpool.protocol.intents import CertifiedIntent
from darkpool.protocol.keyper import BatchProposal, MaskUse
from darkpool.protocol.refusals import MaskUsed
from darkpool.protocol.terms import IntervalTerms
from darkpool.record.forms import PlannedMask
from darkpool.simulation.committee import CommitteeSeat
from darkpool.units import Interval
from tests.support.house import House, HouseCommittee, batch_of
from tests.support.opening_requests import finished_mask

CONTEXT = b"\x07" * 32


def planned(house: House, number: int, word: int = 0) -> PlannedMask:
    mask = finished_mask(house, number, word)
    return PlannedMask(number, mask.draw.shape.lanes, mask.digest())


def finish(house: House, keyper: LocalKeyper, number: int) -> None:
    keyper.issue_mask(number)
    keyper.attest_mask(finished_mask(house, number))


@dataclass
class Closed:
    """An interval that has closed, whose keypers finished masks 3 and 4."""

    house: House
    seats: tuple[CommitteeSeat, ...]
    committee: HouseCommittee
    terms: IntervalTerms
    intents: tuple[CertifiedIntent, ...]

    @property
    def keyper(self) -> LocalKeyper:
        return self.committee.keypers[1]

    def batch(self, *masks: PlannedMask) -> BatchProposal:
        return batch_of(self.terms, self.intents, masks=masks)


@pytest.fixture
def closed(house: House) -> Closed:
    seats = house.seats()
    committee = house.committee(seats)
    interval = Interval(next(house.intervals))
    intents = house.batch(committee, interval).batch.intents
    for keyper in committee.keypers:
        finish(house, keyper, 3)
        finish(house, keyper, 4)
    return Closed(house, seats, committee, house.terms(committee, interval), intents)


def test_masks_that_keypers_finished_can_be_set_aside(closed: Closed) -> None:
    house = closed.house
    signed = closed.committee.sign_batch_root(closed.batch(planned(house, 4), planned(house, 3)))
    assert sorted(signed) == [0, 1, 2, 3]


def never_issued(house: House, _keyper: LocalKeyper) -> PlannedMask:
    return planned(house, 9)


def in_preparation(house: House, keyper: LocalKeyper) -> PlannedMask:
    keyper.issue_mask(9)
    return planned(house, 9)


def of_another_digest(house: House, _keyper: LocalKeyper) -> PlannedMask:
    return planned(house, 4, word=1)


def used(house: House, keyper: LocalKeyper) -> PlannedMask:
    keyper.consume_mask(MaskUse(4, CONTEXT))
    return planned(house, 4)


@pytest.mark.parametrize("bad", [never_issued, in_preparation, of_another_digest, used])
def test_a_mask_that_this_keyper_did_not_finish_or_that_is_used_is_refused(
    closed: Closed, bad: Callable[[House, LocalKeyper], PlannedMask]
) -> None:
    house, keyper = closed.house, closed.keyper
    good = planned(house, 3)
    mask = bad(house, keyper)
    for masks in ((mask,), (good, mask), (mask, good)):
        with pytest.raises(MaskUsed) as caught:
            keyper.sign_batch_root(closed.batch(*masks))
        assert caught.value.subject == f"mask {mask.number}"
    # what was refused was not signed: the keyper is free to sign the interval's batch
    keyper.sign_batch_root(closed.batch(good))


def test_a_plan_is_of_the_masks_that_are_shown(closed: Closed) -> None:
    one, other = planned(closed.house, 3), planned(closed.house, 4)
    proposal = closed.batch(one, other)
    for masks in ((), (one,), (other, one), (one, other, other), (one, replace(other, lanes=4))):
        with pytest.raises(BatchRefused, match="plan"):
            closed.keyper.sign_batch_root(replace(proposal, masks=masks))
    closed.keyper.sign_batch_root(proposal)


def test_another_plan_of_the_same_batch_is_a_second_batch(closed: Closed) -> None:
    one, other = planned(closed.house, 3), planned(closed.house, 4)
    closed.keyper.sign_batch_root(closed.batch(one, other))
    for masks in ((), (one,), (other, one)):
        with pytest.raises(Equivocation):
            closed.keyper.sign_batch_root(closed.batch(*masks))


@pytest.mark.parametrize("restart", [False, True])
def test_a_batch_whose_masks_are_in_use_is_signed_again_as_it_was(
    closed: Closed, restart: bool
) -> None:
    """A keyper that restarts in an auction is shown its batch again, or it could not settle."""
    proposal = closed.batch(planned(closed.house, 3))
    keyper = closed.keyper
    signature = keyper.sign_batch_root(proposal)
    keyper.consume_mask(MaskUse(3, CONTEXT))
    if restart:
        keyper = closed.house.committee(closed.seats).keypers[1]
    assert keyper.sign_batch_root(proposal) == signature
    later = replace(proposal.root, commit_by=proposal.root.commit_by + 1)
    with pytest.raises(MaskUsed):
        keyper.sign_batch_root(replace(proposal, root=later))
