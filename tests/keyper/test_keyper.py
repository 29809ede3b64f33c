from collections.abc import Callable
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from crypto.bfv.lanes import LaneShape
from crypto.circuits.packing import LANES_LEVEL
from crypto.errors import HoldersDisagree, MissingShare, WrongEpoch
from crypto.signing.ecdsa import verify_signature
from crypto.threshold.attestation import mask_attestation_digest, mask_context, opening_context
from crypto.threshold.masks import Draw
from crypto.threshold.revealing import ShareRequest
from darkpool.keyper import store as store_module
from darkpool.keyper.errors import Equivocation
from darkpool.keyper.keyper import LocalKeyper
from darkpool.keyper.references import ReferenceWatch
from darkpool.limits import REFERENCE_AGE_AT_CLOSE_MAX_MS
from darkpool.protocol.keyper import BeaconRequest, ContributionRequest, MaskUse
from darkpool.protocol.refusals import MaskUsed, MissingReference, OpeningRefused, StaleReference
from darkpool.simulation.clock import SimulatedClock
from darkpool.units import InstrumentId, Interval, PriceGrid
from tests.support.epochs import EPOCH
from tests.support.house import COMMITTED_IN, DOMAIN, House, HouseCommittee, batch_of, certified
from tests.support.opening_requests import (
    begun,
    covered_of,
    finished_mask,
    masked_of,
    request_of,
    require_silence,
)
from tests.support.reference_prices import NOW_MS, REPORTER


@pytest.fixture
def committee(house: House) -> HouseCommittee:
    return house.committee()


@pytest.fixture
def keyper(committee: HouseCommittee) -> LocalKeyper:
    return committee.keypers[1]


def test_a_keyper_answers_for_every_share_but_its_own(
    house: House, committee: HouseCommittee, keyper: LocalKeyper
) -> None:
    request = request_of(begun(house, committee), covered_of(house))
    assert set(keyper.announce(request)) == {0, 2, 3}
    assert keyper.send(ShareRequest(request, 0)).shape == (
        LANES_LEVEL,
        house.parameters.order_ring.degree,
    )
    with pytest.raises(MissingShare):
        keyper.send(ShareRequest(request, keyper.number))


def test_nothing_is_sent_that_was_not_announced(
    house: House, committee: HouseCommittee, keyper: LocalKeyper
) -> None:
    context = begun(house, committee)
    with pytest.raises(OpeningRefused):
        keyper.send(ShareRequest(request_of(context, covered_of(house)), 0))
    keyper.announce(request_of(context, covered_of(house)))
    for other in (
        request_of(context, covered_of(house, 6)),
        request_of(context, covered_of(house), purpose="more bits"),
        request_of(context, covered_of(house), sequence=1),
    ):
        with pytest.raises(OpeningRefused):
            keyper.send(ShareRequest(other, 0))


def test_another_epoch_is_refused(
    house: House, committee: HouseCommittee, keyper: LocalKeyper
) -> None:
    context = begun(house, committee)
    for epoch in (EPOCH - 1, EPOCH + 1):
        require_silence(keyper, request_of(context, covered_of(house), epoch=epoch), WrongEpoch)
        shape = LaneShape(house.parameters, 128)
        draw = Draw(epoch, 1, 0, shape, np.ones(shape.lanes, dtype=np.int64))
        with pytest.raises(WrongEpoch):
            keyper.contribution(ContributionRequest(draw, 0))


def test_a_context_nobody_began_is_refused(house: House, keyper: LocalKeyper) -> None:
    context = opening_context(b"\x01" * 32, COMMITTED_IN)
    require_silence(keyper, request_of(context, covered_of(house)), OpeningRefused)
    require_silence(keyper, request_of(mask_context(EPOCH, 0), covered_of(house)), OpeningRefused)


def test_openings_come_in_sequence_and_each_has_one_ciphertext(
    house: House, committee: HouseCommittee, keyper: LocalKeyper
) -> None:
    context = begun(house, committee)
    require_silence(keyper, request_of(context, covered_of(house), sequence=1), OpeningRefused)
    first = request_of(context, covered_of(house))
    assert keyper.announce(first) == keyper.announce(first)
    require_silence(keyper, request_of(context, covered_of(house, 6)), OpeningRefused)
    require_silence(keyper, request_of(context, covered_of(house, 6), sequence=2), OpeningRefused)
    keyper.announce(request_of(context, covered_of(house, 6), sequence=1))


def test_the_log_survives_a_restart(house: House) -> None:
    seats = house.seats()
    committee = house.committee(seats)
    interval = house.closed(committee)
    context = committee.begin_auction(interval, lambda _revealed: None).context
    first = request_of(context, covered_of(house))
    answer = committee.keypers[1].announce(first)
    again = house.committee(seats).keypers[1]
    require_silence(again, first, OpeningRefused)
    assert again.begin_auction(interval) == context
    assert again.announce(first) == answer
    require_silence(again, request_of(context, covered_of(house, 6)), OpeningRefused)


def test_nothing_begins_before_the_root_is_final_and_signed(
    house: House, committee: HouseCommittee, keyper: LocalKeyper
) -> None:
    interval = Interval(next(house.intervals))
    with pytest.raises(OpeningRefused):
        keyper.begin_auction(interval)
    proposal = house.batch(committee, interval)
    keyper.sign_batch_root(proposal)
    root = proposal.root
    with pytest.raises(OpeningRefused):
        keyper.begin_auction(interval)
    others: dict[str, Any] = {
        "root": b"\x06" * 32,
        "count": root.count + 1,
        "previous_settlement": b"\x06" * 32,
        "terms": b"\x06" * 32,
        "plan": b"\x06" * 32,
        "commit_by": root.commit_by + 1,
    }
    assert {*others, "interval"} == {field.name for field in fields(root)}
    for name, other in others.items():
        house.commit(replace(root, **{name: other}))
        with pytest.raises(OpeningRefused, match=root.struct_hash().hex()):
            keyper.begin_auction(interval)
    house.commit(root)
    assert keyper.begin_auction(interval) == opening_context(root.digest(DOMAIN), COMMITTED_IN)
    unsigned = committee.keypers[2]
    with pytest.raises(OpeningRefused):
        unsigned.begin_auction(interval)


def test_nothing_begins_without_a_reference_price_that_is_fresh_enough(house: House) -> None:
    clock = SimulatedClock(NOW_MS)
    watch = ReferenceWatch(DOMAIN, REPORTER.address, clock)
    committee = house.committee(require_references=watch.require)
    interval, keyper = house.closed(committee), committee.keypers[0]
    with pytest.raises(MissingReference):
        keyper.begin_auction(interval)
    with pytest.raises(MissingReference):
        committee.begin_auction(interval, lambda _revealed: None)
    grid, name = PriceGrid(Decimal(1), Decimal(5), 3), InstrumentId(bytes(32))
    watch.accept(interval, REPORTER.sign(grid, [name], interval, DOMAIN))
    keyper.begin_auction(interval)
    clock.advance(REFERENCE_AGE_AT_CLOSE_MAX_MS + 1)
    with pytest.raises(StaleReference):
        keyper.begin_auction(interval)


def test_a_keyper_signs_one_root_an_interval_also_after_a_restart(house: House) -> None:
    seats = house.seats()
    committee = house.committee(seats)
    keyper = committee.keypers[0]
    proposal = house.batch(committee, Interval(1))
    signature = keyper.sign_batch_root(proposal)
    verify_signature(proposal.root.digest(DOMAIN), signature, bytes.fromhex(keyper.address[2:]))
    terms = house.terms(committee, Interval(1))
    others = [
        batch_of(terms, [certified(terms, committee.keypers)]),
        batch_of(terms, [*proposal.batch.intents, certified(terms, committee.keypers)]),
        batch_of(terms, []),
        *(
            replace(proposal, root=replace(proposal.root, **change))
            for change in (
                {"previous_settlement": b"\x06" * 32},
                {"commit_by": proposal.root.commit_by + 1},
            )
        ),
    ]
    for again in (keyper, house.committee(seats).keypers[0]):
        assert again.sign_batch_root(proposal) == signature
        for other in others:
            with pytest.raises(Equivocation):
                again.sign_batch_root(other)


def test_a_mask_covers_one_auction_alone(
    house: House, committee: HouseCommittee, keyper: LocalKeyper
) -> None:
    one, other = begun(house, committee), begun(house, committee)
    keyper.issue_mask(3)
    require_silence(keyper, request_of(one, masked_of(house, 3, 0)), MaskUsed)
    with pytest.raises(MaskUsed):
        keyper.consume_mask(MaskUse(3, other))
    keyper.attest_mask(finished_mask(house, 3))
    with pytest.raises(MaskUsed):
        keyper.attest_mask(finished_mask(house, 3, 1))
    keyper.consume_mask(MaskUse(3, other))
    require_silence(keyper, request_of(one, masked_of(house, 3, 0)), MaskUsed)
    require_silence(keyper, request_of(other, masked_of(house, 4, 0)), MaskUsed)
    keyper.announce(request_of(other, masked_of(house, 3, 0)))
    with pytest.raises(MaskUsed):
        keyper.consume_mask(MaskUse(3, one))
    with pytest.raises(MaskUsed):
        keyper.consume_mask(MaskUse(4, one))


def test_a_part_of_a_mask_covers_one_ciphertext(
    house: House, committee: HouseCommittee, keyper: LocalKeyper
) -> None:
    context = begun(house, committee)
    keyper.issue_mask(3)
    keyper.attest_mask(finished_mask(house, 3))
    keyper.consume_mask(MaskUse(3, context))
    keyper.announce(request_of(context, masked_of(house, 3, 0)))
    with pytest.raises(MaskUsed):
        keyper.announce(request_of(context, masked_of(house, 3, 0, 6), sequence=1))
    keyper.announce(request_of(context, masked_of(house, 3, 1, 6), sequence=1))
    for part in (2, -1, None):
        covered = replace(covered_of(house, 7), mask_number=3, mask_part=part)
        require_silence(keyper, request_of(context, covered, sequence=2), MaskUsed)
    covered = replace(covered_of(house, 7), mask_part=0)
    require_silence(keyper, request_of(context, covered, sequence=2), OpeningRefused)


def test_the_preparation_of_a_mask_ends_with_its_attestation(
    house: House, committee: HouseCommittee, keyper: LocalKeyper
) -> None:
    """Else the digits of a mask could be opened, as those of discarded lanes are, after its use."""
    context = begun(house, committee)
    preparing = mask_context(EPOCH, 3)
    keyper.accept_preparation(3)
    require_silence(keyper, request_of(preparing, covered_of(house)), MaskUsed)
    keyper.issue_mask(3)
    keyper.announce(request_of(preparing, covered_of(house)))
    keyper.attest_mask(finished_mask(house, 3))
    require_silence(keyper, request_of(preparing, covered_of(house, 6), sequence=1), OpeningRefused)
    keyper.accept_preparation(3)
    require_silence(keyper, request_of(preparing, covered_of(house, 6), sequence=1), MaskUsed)
    keyper.consume_mask(MaskUse(3, context))
    require_silence(keyper, request_of(preparing, covered_of(house, 6), sequence=1), MaskUsed)
    keyper.accept_preparation(3)
    require_silence(keyper, request_of(preparing, covered_of(house)), MaskUsed)


def test_the_last_opening_of_an_epoch_is_answered_and_no_other(
    house: House,
    committee: HouseCommittee,
    keyper: LocalKeyper,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store_module, "KEY_EPOCH_OPENINGS_MAX", 2)
    context = begun(house, committee)
    for sequence in (0, 1):
        request = request_of(context, covered_of(house, sequence), sequence=sequence)
        keyper.announce(request)
        assert keyper.send(ShareRequest(request, 0)).any()
    last = request_of(context, covered_of(house, 9), sequence=2)
    require_silence(keyper, last, OpeningRefused)


def test_shares_depend_on_the_ciphertext_alone(
    house: House, committee: HouseCommittee, keyper: LocalKeyper
) -> None:
    """Asked in two auctions, and after a restart, a keyper adds the same noise."""
    covered = covered_of(house)
    shares = []
    for _ in range(2):
        request = request_of(begun(house, committee), covered)
        keyper.announce(request)
        shares.append(keyper.send(ShareRequest(request, 0)).tobytes())
    assert shares[0] == shares[1]


def test_the_beacon_waits_for_the_final_root(house: House, committee: HouseCommittee) -> None:
    interval = house.closed(committee)
    root = house.root_of(interval)
    for wrong in (b"\x00" * 32, root[::-1]):
        with pytest.raises(OpeningRefused):
            committee.beacon(interval, wrong)
    with pytest.raises(OpeningRefused):
        committee.beacon(Interval(interval + 1), root)
    beacon = committee.beacon(interval, root)
    assert len(set(beacon.shares)) == 4
    assert committee.beacon(interval, root) == beacon
    other = house.closed(committee)
    assert committee.beacon(other, house.root_of(other)).value != beacon.value
    # One keyper alone misses a share, so that it cannot know the beacon beforehand.
    for keyper in committee.keypers:
        known = keyper.beacon_shares(BeaconRequest(interval, root))
        assert set(committee.material.committee.members) - set(known) == {keyper.number}


class Biasing(LocalKeyper):
    """Answers for the beacon with what it likes."""

    def beacon_shares(self, request: BeaconRequest) -> dict[int, bytes]:
        return dict.fromkeys(super().beacon_shares(request), b"\x00" * 32)


def test_one_of_four_cannot_bias_the_beacon_and_one_of_three_stops_it(
    house_of: Callable[[int], House],
) -> None:
    house, seats = house_of(4), house_of(4).seats()
    honest = house.committee(seats)
    interval = house.closed(honest)
    root = house.root_of(interval)
    for liar in range(4):
        beacon = house.committee(seats, {liar: Biasing}).beacon(interval, root)
        assert beacon == honest.beacon(interval, root)
    three = house_of(3)
    committee = three.committee(kinds={1: Biasing})
    interval = three.closed(committee)
    with pytest.raises(HoldersDisagree):
        committee.beacon(interval, three.root_of(interval))


def test_a_mask_is_attested_under_the_keypers_address(house: House, keyper: LocalKeyper) -> None:
    keyper.issue_mask(3)
    mask = finished_mask(house, 3)
    signature = keyper.attest_mask(mask)
    digest = mask_attestation_digest(DOMAIN, mask.digest())
    verify_signature(digest, signature, bytes.fromhex(keyper.address[2:]))


def test_a_keyper_does_not_show_its_secrets(keyper: LocalKeyper) -> None:
    shown = repr(keyper) + repr(vars(keyper))
    for seed in keyper._secrets.seeds.values():
        assert repr(seed)[2:-1] not in shown
        assert seed.hex() not in shown
