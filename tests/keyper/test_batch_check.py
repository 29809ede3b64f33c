"""A keyper signs a root of exactly the intents that have to be in the batch."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from crypto.signing.ecdsa import address_of, verify_signature
from darkpool.keyper.errors import AdmissionNotOpen, BatchRefused, CancelledIntent, OmittedIntent
from darkpool.protocol.intents import CertifiedIntent, SignedCancellation
from darkpool.protocol.refusals import AuctionClosed
from darkpool.protocol.terms import IntervalTerms
from darkpool.simulation.clock import SimulatedClock
from darkpool.simulation.committee import CommitteeSeat
from darkpool.units import Interval, account_bytes
from tests.support.house import (
    DOMAIN,
    House,
    HouseCommittee,
    batch_of,
    cancelled,
    certificate,
    certified,
)
from tests.support.reference_prices import NOW_MS, renewed

KEYS = [bytes([n]) * 32 for n in range(1, 6)]
intervals = itertools.count(1)


@dataclass
class Room:
    house: House
    seats: tuple[CommitteeSeat, ...]
    committee: HouseCommittee
    terms: IntervalTerms
    clock: SimulatedClock

    def intent(self, account: int = 0, nonce: int = 1) -> CertifiedIntent:
        return certified(self.terms, self.committee.keypers, KEYS[account], nonce)

    def taken_back(self, intent: CertifiedIntent, account: int = 0) -> SignedCancellation:
        return cancelled(self.terms, intent.sealed, KEYS[account])

    def show(self, intent: CertifiedIntent, keypers: Sequence[int] = range(4)) -> None:
        for number in keypers:
            self.committee.keypers[number].show(intent)

    def cancel(self, taken_back: SignedCancellation, keypers: Sequence[int] = range(4)) -> None:
        for number in keypers:
            self.committee.keypers[number].cancel(taken_back)

    def close(self, *, restart: bool = False) -> None:
        self.clock.advance(60_000)
        for keyper in self.committee.keypers:
            keyper.close_admission(self.terms.interval)
        if restart:
            self.committee = self.house.committee(self.seats, clock=self.clock)

    def sign(
        self, intents: Sequence[CertifiedIntent], taken_back: Sequence[SignedCancellation] = ()
    ) -> list[int]:
        """Keypers that sign the batch."""
        proposal = batch_of(self.terms, intents, taken_back)
        signatures = self.committee.sign_batch_root(proposal)
        for keyper, signature in signatures.items():
            address = account_bytes(self.committee.addresses[keyper])
            verify_signature(proposal.root.digest(DOMAIN), signature, address)
        return sorted(signatures)


@pytest.fixture
def room(house: House) -> Room:
    seats, clock = house.seats(), SimulatedClock(NOW_MS)
    committee = house.committee(seats, clock=clock)
    terms = house.terms(committee, Interval(next(intervals)), NOW_MS + 60_000)
    for keyper in committee.keypers:
        keyper.open_admission(terms)
    return Room(house, seats, committee, terms, clock)


def test_a_batch_of_certified_intents_is_signed(room: Room) -> None:
    intents = [room.intent(account) for account in range(5)]
    room.show(intents[2])
    room.close()
    assert room.sign(intents) == [0, 1, 2, 3]


def test_no_root_is_signed_while_intents_can_be_certified(room: Room) -> None:
    with pytest.raises(AdmissionNotOpen):
        room.sign([room.intent()])
    room.clock.advance(60_000)
    with pytest.raises(AdmissionNotOpen):
        room.sign([room.intent()])
    room.close()
    room.sign([room.intent()])


@pytest.mark.parametrize("restart", [False, True])
def test_a_batch_without_an_intent_that_was_shown_is_refused(room: Room, restart: bool) -> None:
    victim, other = room.intent(0), room.intent(1)
    room.show(victim, [0, 2])
    room.show(other)
    room.close(restart=restart)
    for keyper in (0, 2):
        with pytest.raises(OmittedIntent) as caught:
            room.committee.keypers[keyper].sign_batch_root(batch_of(room.terms, [other]))
        assert caught.value.intent == victim.sealed.digest(DOMAIN)
        assert caught.value.sealed == victim.sealed
        assert caught.value.intent.hex() in str(caught.value)
    with pytest.raises(OmittedIntent):
        room.sign([other])
    for keyper in (0, 2):
        room.committee.keypers[keyper].sign_batch_root(batch_of(room.terms, [victim, other]))


def test_a_certificate_can_be_shown_until_the_venue_ends_certification(room: Room) -> None:
    victim = room.intent()
    room.clock.advance(60_000)
    room.show(victim, [0, 1])
    room.close()
    with pytest.raises(AuctionClosed):
        room.show(victim, [2])
    for keyper in (0, 1):
        with pytest.raises(OmittedIntent):
            room.committee.keypers[keyper].sign_batch_root(batch_of(room.terms, []))
    assert room.sign([victim]) == [0, 1, 2, 3]


@pytest.mark.parametrize("restart", [False, True])
def test_a_batch_with_a_cancelled_intent_is_refused(room: Room, restart: bool) -> None:
    intent, other = room.intent(0), room.intent(1)
    room.show(intent, [0, 1])
    room.cancel(room.taken_back(intent), [1, 2, 3])
    room.close(restart=restart)
    for keyper in (1, 2, 3):
        with pytest.raises(CancelledIntent) as caught:
            room.committee.keypers[keyper].sign_batch_root(batch_of(room.terms, [intent, other]))
        assert caught.value.intent == intent.sealed.digest(DOMAIN)
    with pytest.raises(OmittedIntent):
        room.committee.keypers[0].sign_batch_root(batch_of(room.terms, [other]))
    assert room.sign([other], [room.taken_back(intent)]) == [0, 1, 2, 3]


def test_only_its_own_account_excuses_an_omission(room: Room) -> None:
    victim = room.intent(0)
    room.show(victim)
    room.close()
    right = room.taken_back(victim)
    message = replace(right.cancellation, account=address_of(KEYS[1]))
    for excuse in (
        room.taken_back(victim, 1),
        replace(right, signature=bytes(65)),
        replace(right, cancellation=message),
        room.taken_back(room.intent(0, nonce=2)),
    ):
        with pytest.raises(Exception) as caught:  # noqa: PT011  # one of two, both looked at
            room.sign([], [excuse])
        assert type(caught.value).__name__ in ("OmittedIntent", "InvalidSignature")
    assert room.sign([], [right]) == [0, 1, 2, 3]


def test_a_replaced_intent_takes_part_in_the_place_of_the_first(room: Room) -> None:
    first, second = room.intent(), room.intent(nonce=2)
    room.show(first)
    room.cancel(room.taken_back(first))
    room.show(second)
    room.close()
    with pytest.raises(BatchRefused):
        room.sign([first, second], [room.taken_back(first)])
    with pytest.raises(CancelledIntent):
        room.sign([first])
    with pytest.raises(OmittedIntent):
        room.sign([])
    assert room.sign([second]) == [0, 1, 2, 3]


def test_two_certified_intents_of_one_place_do_not_stop_the_rest(room: Room) -> None:
    """A corrupt keyper certifies twice; the honest one that did holds the first's cancellation."""
    first, second, other = room.intent(), room.intent(nonce=2), room.intent(1)
    room.cancel(room.taken_back(first), [1])
    room.show(first, [1, 2])
    room.show(second, [1, 3])
    room.show(other)
    room.close()
    known = [k.close_admission(room.terms.interval) for k in room.committee.keypers]
    cancellations = [c for one in known for c in one.cancellations]
    assert room.sign([second, other], cancellations) == [0, 1, 2, 3]


def test_uncertified_intents_are_in_no_batch(room: Room) -> None:
    intent = room.intent()
    room.close()
    keypers, terms = room.committee.keypers, room.terms
    two = replace(intent, certificate=certificate(terms, keypers[:2], intent.sealed))
    later = replace(terms, closes_ms=terms.closes_ms + 1)
    other_close = replace(intent, certificate=certificate(later, keypers, intent.sealed))
    another = room.intent(1).certificate
    twice = {**two.certificate.signatures, 2: two.certificate.signatures[0]}
    for wrong in (
        two,
        other_close,
        replace(intent, certificate=another),
        replace(two, certificate=replace(two.certificate, signatures=twice)),
    ):
        with pytest.raises(BatchRefused):
            room.sign([wrong])


def test_foreign_and_double_intents_are_in_no_batch(room: Room) -> None:
    room.close()
    later = renewed(room.terms, interval=Interval(room.terms.interval + 1000))
    foreign = certified(later, room.committee.keypers, KEYS[0])
    intent = room.intent()
    for wrong in ([foreign], [intent, intent], [intent, room.intent(nonce=2)]):
        with pytest.raises(BatchRefused):
            room.sign(wrong)


def test_a_root_is_derived_and_not_believed(room: Room) -> None:
    intents = [room.intent(0), room.intent(1)]
    room.close()
    proposal = batch_of(room.terms, intents)
    root = proposal.root
    for wrong in (
        replace(root, root=bytes(32)),
        replace(root, count=3),
        batch_of(room.terms, intents[::-1]).root,
        batch_of(room.terms, intents[:1]).root,
        replace(root, interval=root.interval + 1000),
        replace(root, terms=bytes(32)),
        replace(root, plan=bytes(32)),
    ):
        with pytest.raises((BatchRefused, AdmissionNotOpen)):
            room.committee.sign_batch_root(replace(proposal, root=wrong))
    assert len(room.committee.sign_batch_root(proposal)) == 4
