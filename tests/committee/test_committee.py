# ruff: noqa: ARG002  # keypers that misbehave do not look at what they are asked
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np
import pytest

from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.lanes import LaneShape
from crypto.circuits.packing import LANES_LEVEL
from crypto.errors import HoldersDisagree
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.ring.ring import Words
from crypto.signing.ecdsa import verify_signature
from crypto.threshold.attestation import mask_attestation_digest
from crypto.threshold.keys import PublicMaterial
from crypto.threshold.masks import Contribution, Draw, contribute
from crypto.threshold.revealing import OpeningRequest, Revealed, selected
from darkpool.committee.errors import KeyperFailed, MaskPreparationFailed
from darkpool.keyper import share_work
from darkpool.keyper.keyper import LocalKeyper
from darkpool.protocol.keyper import (
    BatchProposal,
    BeaconRequest,
    ContributionRequest,
    SettlementProposal,
    TranscriptRequest,
)
from darkpool.protocol.refusals import MaskUsed, OpeningRefused
from darkpool.simulation.committee import view_of
from darkpool.simulation.mask_factory import MaskFactory
from tests.support.house import DOMAIN, House, HouseCommittee
from tests.support.settlement_proposals import proposal_of, settlement_of
from tests.support.true_masks import (
    Lanes,
    digits_in_tables,
    draw_of,
    number_of,
    order_slots,
    true_mask,
)

T = TEST_INSECURE_SMALL.order_ring.plain_modulus
WIDE = LaneShape(TEST_INSECURE_SMALL, 1024)
NARROW = LaneShape(TEST_INSECURE_SMALL, 128)
CONTEXT = b"\x07" * 32


def start_at(committee: HouseCommittee, number: int) -> None:
    """Let the next mask have this number."""
    for keyper in committee.keypers:
        if number:
            keyper.issue_mask(number - 1)


def excess_of(house: House, shape: LaneShape, number: int) -> Lanes:
    return (true_mask(house.epoch, draw_of(shape, number)) >= T).astype(np.int64)


def replaced_mask(house: House, shape: LaneShape, number: int) -> Lanes:
    """r after the second draw."""
    excess = excess_of(house, shape, number)
    first = true_mask(house.epoch, draw_of(shape, number))
    second = true_mask(house.epoch, draw_of(shape, number, excess))
    return np.where(excess == 1, second, first)


def needs_one_replacement(house: House, shape: LaneShape, number: int) -> bool:
    usable = replaced_mask(house, shape, number).max() < T
    return bool(usable and excess_of(house, shape, number).any())


def first_number(accept: Callable[[int], bool]) -> int:
    return next(number for number in itertools.count() if accept(number))


def test_a_mask_without_excess_is_the_first_draw(house: House) -> None:
    number = first_number(lambda n: not excess_of(house, NARROW, n).any())
    committee = house.committee()
    start_at(committee, number)
    attested = committee.prepare_mask(NARROW)
    assert attested.mask.draw.number == number
    expected = true_mask(house.epoch, draw_of(NARROW, number))
    oracle = house.epoch.oracle(house.parameters.order_ring)
    assert np.array_equal(order_slots(oracle, attested.mask), NARROW.to_order(expected))


@pytest.mark.parametrize("shape", [WIDE, NARROW], ids=lambda shape: str(shape.lanes))
@pytest.mark.parametrize("size", [3, 4])
def test_lanes_at_or_above_t_are_replaced(
    house_of: Callable[[int], House], shape: LaneShape, size: int
) -> None:
    house = house_of(size)
    number = first_number(lambda n: needs_one_replacement(house, shape, n))
    committee = house.committee()
    start_at(committee, number)
    attested = committee.prepare_mask(shape)
    assert attested.mask.draw.number == number
    expected = replaced_mask(house, shape, number)
    slots = order_slots(house.epoch.oracle(house.parameters.order_ring), attested.mask)
    assert np.array_equal(slots, shape.to_order(expected))
    tables = digits_in_tables(house.epoch.oracle(house.parameters.comparison_ring), attested.mask)
    assert np.array_equal(number_of(tables), expected)
    for keyper, signature in attested.attestations.items():
        digest = mask_attestation_digest(DOMAIN, attested.mask.digest())
        address = bytes.fromhex(committee.addresses[keyper][2:])
        verify_signature(digest, signature, address)


def test_a_number_whose_second_draw_is_no_better_is_given_up(house: House) -> None:
    number = first_number(lambda n: bool(replaced_mask(house, WIDE, n).max() >= T))
    committee = house.committee()
    start_at(committee, number)
    attested = committee.prepare_mask(WIDE)
    assert attested.mask.draw.number > number
    assert replaced_mask(house, WIDE, attested.mask.draw.number).max() < T


def test_what_preparation_opens_says_nothing_of_the_lanes_that_stay(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened are the flags of excess, which all kept lanes share, and the r that is thrown away."""
    number = first_number(lambda n: needs_one_replacement(house, WIDE, n))
    seen: list[OpeningRequest] = []
    honest = LocalKeyper.announce

    def recorded(keyper: LocalKeyper, request: OpeningRequest) -> dict[int, bytes]:
        if keyper.number == 0:
            seen.append(request)
        return honest(keyper, request)

    monkeypatch.setattr(LocalKeyper, "announce", recorded)
    committee = house.committee()
    start_at(committee, number)
    committee.prepare_mask(WIDE)
    oracle = house.epoch.oracle(house.parameters.comparison_ring)
    opened = [oracle.slots(request.covered.ciphertext) for request in seen]
    purposes = [request.purpose for request in seen]
    digits = [f"discarded digits {p}" for p in range(WIDE.positions)]
    assert purposes == ["mask lanes", *digits, "replaced lanes"]
    excess = excess_of(house, WIDE, number)
    assert np.array_equal(opened[0], WIDE.first_block(1 - excess))
    assert np.array_equal(opened[-1], WIDE.first_block(np.ones(WIDE.lanes, dtype=np.int64)))
    gone = WIDE.first_block(excess) == 1
    for values in opened[1:-1]:
        assert not values[~gone].any()


def test_contributions_are_kept_until_their_mask_is_attested(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []

    def counted(material: PublicMaterial, draw: Draw, share: int, seed: bytes) -> Contribution:
        computed.append(share)
        return contribute(material, draw, share, seed)

    monkeypatch.setattr(share_work, "contribute", counted)
    number = first_number(lambda n: not excess_of(house, NARROW, n).any())
    committee = house.committee()
    start_at(committee, number)
    committee.prepare_mask(NARROW)
    assert computed == list(house.material.committee.members)
    committee.keypers[0].contribution(ContributionRequest(draw_of(NARROW, number), 1))
    assert computed[-1:] == [1]
    assert len(computed) == 1 + house.material.committee.size


class Altering(LocalKeyper):
    """Contributes another ciphertext to a mask than the share's seed gives."""

    def contribution(self, request: ContributionRequest) -> Contribution:
        right = super().contribution(request)
        first = right.order_ciphertexts[0][0]
        wrong = ((first.add(first), *right.order_ciphertexts[0][1:]), *right.order_ciphertexts[1:])
        return replace(right, order_ciphertexts=wrong)


def test_a_false_contribution_is_outvoted_by_four(house: House) -> None:
    number = first_number(lambda n: bool(replaced_mask(house, NARROW, n).max() < T))
    expected = replaced_mask(house, NARROW, number)
    digests = set()
    for kinds in ({}, {0: Altering}, {3: Altering}):
        committee = house.committee(kinds=kinds)
        start_at(committee, number)
        attested = committee.prepare_mask(NARROW)
        slots = order_slots(house.epoch.oracle(house.parameters.order_ring), attested.mask)
        assert np.array_equal(slots, NARROW.to_order(expected))
        digests.add(attested.mask.digest())
    assert len(digests) == 1


def test_a_false_contribution_stops_three_and_names_two(house_of: Callable[[int], House]) -> None:
    committee = house_of(3).committee(kinds={1: Altering})
    with pytest.raises(HoldersDisagree) as caught:
        committee.prepare_mask(NARROW)
    assert 1 in caught.value.suspects
    assert len(caught.value.suspects) == 2


def test_numbers_go_on_after_a_restart_and_past_what_two_keypers_issued(house: House) -> None:
    seats = house.seats()
    first = house.committee(seats).prepare_mask(NARROW).mask.draw.number
    again = house.committee(seats)
    second = again.prepare_mask(NARROW).mask.draw.number
    assert second > first
    for keyper in again.keypers[2:]:
        keyper.issue_mask(second + 5)
    assert again.prepare_mask(NARROW).mask.draw.number > second + 5


def test_a_mask_is_consumed_once_by_whatever_committee_object(house: House) -> None:
    seats = house.seats()
    committee = house.committee(seats)
    attested = committee.prepare_mask(NARROW)
    assert committee.consume_mask(attested, CONTEXT) is attested.mask
    for again in (committee, house.committee(seats)):
        for context in (CONTEXT, b"\x08" * 32):
            with pytest.raises(MaskUsed):
                again.consume_mask(attested, context)


class Refusing(LocalKeyper):
    """Claims that every number was issued before."""

    def issue_mask(self, number: int) -> None:
        raise MaskUsed(number, "a number never issued", "one issued before")


def test_preparation_ends_when_no_number_can_be_had(house: House) -> None:
    with pytest.raises(MaskPreparationFailed):
        house.committee(kinds={1: Refusing, 2: Refusing}).prepare_mask(NARROW)


class Failing(LocalKeyper):
    """Fails at whatever it is asked, each time in another way."""

    def announce(self, request: OpeningRequest) -> dict[int, bytes]:
        raise RuntimeError("no")

    def next_mask(self) -> int:
        return 2**70

    def contribution(self, request: ContributionRequest) -> Contribution:
        return cast("Contribution", None)

    def beacon_shares(self, request: BeaconRequest) -> dict[int, bytes]:
        return cast("dict[int, bytes]", {0: 7, 2: b"short"})

    def sign_batch_root(self, proposal: BatchProposal) -> bytes:
        raise ValueError("no")

    def sign_transcript(self, request: TranscriptRequest) -> bytes:
        return bytes(65)

    def sign_settlement(self, proposal: SettlementProposal) -> bytes:
        raise KeyError("no")


@pytest.mark.usefixtures("checks")
def test_one_failing_keyper_of_four_stops_nothing(house: House) -> None:
    committee = house.committee(kinds={1: Failing})
    interval = house.closed(committee)
    terms = house.terms(committee, interval).digest
    beacon = committee.beacon(interval, house.root_of(interval))
    assert beacon == house.committee().beacon(interval, house.root_of(interval))
    session = committee.begin_auction(interval, lambda _revealed: None)
    attested = committee.prepare_mask(NARROW)
    assert committee.consume_mask(attested, session.context) is attested.mask
    ring = house.parameters.order_ring
    values = np.arange(ring.degree, dtype=np.int64)
    ciphertext = encrypt_slots(house.material.order_keys.public, values, bytes(32))
    covered = selected(house.evaluators.order, ciphertext, values < 9, LANES_LEVEL)
    assert session.open("bits", covered)[:10].tolist() == [*range(9), 0]
    assert sorted(committee.sign_transcript(session, terms, beacon)) == [0, 2, 3]
    settled = committee.sign_settlement(proposal_of(interval), settlement_of(interval))
    assert sorted(settled) == [0, 2, 3]


def test_a_failing_keyper_of_three_stops_all(house_of: Callable[[int], House]) -> None:
    house = house_of(3)
    committee = house.committee(kinds={1: Failing})
    with pytest.raises(KeyperFailed, match="keyper 1: expected an answer, got ValueError: no"):
        house.closed(committee)


class Lying(LocalKeyper):
    """Shifts every decryption share it answers for."""

    def _share(self, request: OpeningRequest, share: int) -> Words:
        words = super()._share(request, share)
        primes = request.covered.ciphertext.basis.primes[:, None]
        shifted: Words = (words + np.uint64(1)) % primes
        return shifted


def test_a_session_numbers_its_openings_and_publishes_each(house: House) -> None:
    ring = house.parameters.order_ring
    keep = np.arange(ring.degree) < 4
    committee = house.committee(kinds={2: Lying})
    published: list[Revealed] = []
    session = committee.begin_auction(house.closed(committee), published.append)
    for value in (3, 4):
        values = np.full(ring.degree, value, dtype=np.int64)
        ciphertext = encrypt_slots(house.material.order_keys.public, values, bytes([value]) * 32)
        opened = session.open(
            f"value {value}", selected(house.evaluators.order, ciphertext, keep, LANES_LEVEL)
        )
        assert np.array_equal(opened, value * keep)
    assert [r.request.sequence for r in published] == [0, 1]
    assert {r.request.context for r in published} == {session.context}
    assert {r.liars for r in published} == {(2,)}


def test_two_sessions_of_one_auction_cannot_open_two_things_under_one_number(
    house: House,
) -> None:
    """A crashed auction goes on with the same ciphertexts or not at all."""
    ring = house.parameters.order_ring
    keep = np.arange(ring.degree) < 4
    seats = house.seats()
    committee = house.committee(seats)
    interval = house.closed(committee)
    covered = [
        selected(
            house.evaluators.order,
            encrypt_slots(
                house.material.order_keys.public,
                np.full(ring.degree, value, dtype=np.int64),
                bytes([value]) * 32,
            ),
            keep,
            LANES_LEVEL,
        )
        for value in (3, 4)
    ]
    session = committee.begin_auction(interval, lambda _revealed: None)
    session.open("first", covered[0])
    for again in (committee, house.committee(seats)):
        other = again.begin_auction(interval, lambda _revealed: None)
        with pytest.raises(OpeningRefused):
            other.open("first", covered[1])
        assert np.array_equal(other.open("first", covered[0]), 3 * keep)


def test_a_factory_hands_out_each_mask_once(house: House) -> None:
    seats = house.seats()
    committee = house.committee(seats)
    with MaskFactory(view_of(house.material, DOMAIN, seats), seats, 2) as factory:
        factory.order(NARROW)
        factory.require([NARROW, NARROW, NARROW])
        taken = [factory.take(NARROW) for _ in range(4)]
    numbers = [attested.mask.draw.number for attested in taken]
    assert len(set(numbers)) == len(numbers)
    oracle = house.epoch.oracle(house.parameters.order_ring)
    for attested in taken:
        assert sorted(attested.attestations) == [0, 1, 2, 3]
        mask = committee.consume_mask(attested, CONTEXT)
        expected = replaced_mask(house, NARROW, mask.draw.number)
        assert np.array_equal(order_slots(oracle, mask), NARROW.to_order(expected))
