"""One keyper of four answers with objects that are not what they seem, or that it changes later.

What is checked is what is used: the result is that of four honest keypers.
"""
# ruff: noqa: ARG002  # keypers that misbehave do not look at what they are asked

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.lanes import LaneShape
from crypto.bfv.low_noise import encrypt_low_noise
from crypto.ring import slots
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.ring.ring import Words
from crypto.threshold.masks import Contribution
from crypto.threshold.revealing import CoveredCiphertext, OpeningRequest, Revealed, ShareRequest
from darkpool.committee.errors import InvalidCommittee, KeyperFailed
from darkpool.errors import InvalidAccount
from darkpool.keyper.keyper import LocalKeyper
from darkpool.protocol.keyper import BeaconRequest, ContributionRequest, SettlementProposal
from darkpool.units import AccountId, Interval
from tests.support.house import House
from tests.support.opening_requests import covered_of
from tests.support.settlement_proposals import signers

SHAPE = LaneShape(TEST_INSECURE_SMALL, 128)
Groups = tuple[tuple[Ciphertext, ...], ...]


def zeros(keyper: LocalKeyper, seed: int) -> Words:
    """Words of an encryption of zero: in place of every sign they make a mask that is known."""
    key = keyper._material.order_keys.public
    nothing = np.zeros(key.ring.degree, dtype=np.int64)
    return encrypt_low_noise(key, nothing, seed.to_bytes(32, "big")).words


def spoil(keyper: LocalKeyper, groups: Groups) -> None:
    for k, group in enumerate(groups):
        for ciphertext in group:
            try:
                ciphertext.words.setflags(write=True)
                ciphertext.words[...] = zeros(keyper, k)
            except ValueError:
                object.__setattr__(ciphertext, "words", zeros(keyper, k))


def with_words(groups: Groups, change: Callable[[Words], Any]) -> Groups:
    return tuple(tuple(Ciphertext(c.ring, change(c.words)) for c in group) for group in groups)


class Later(LocalKeyper):
    """Changes what it sent for one share when it is asked for another."""

    def contribution(self, request: ContributionRequest) -> Contribution:
        right = super().contribution(request)
        sent = replace(right, order_ciphertexts=with_words(right.order_ciphertexts, np.array))
        if request.share == 1:
            self.first = sent
        elif request.share == 3:
            spoil(self, self.first.order_ciphertexts)
        return sent


class LaterBytes(Later):
    """The same, with arrays that look as if no flag could make them writable."""

    def contribution(self, request: ContributionRequest) -> Contribution:
        right = super(Later, self).contribution(request)
        kept: list[Words] = []

        def change(words: Words) -> Words:
            sent, writes = writable_over_bytes(words)
            kept.append(writes)
            return sent

        sent = replace(right, order_ciphertexts=with_words(right.order_ciphertexts, change))
        if request.share == 1:
            self.kept = kept
        elif request.share == 3:
            for k, writes in enumerate(self.kept):
                writes[...] = zeros(self, k)
        return sent


class Groupwise(tuple[Any, ...]):  # noqa: SLOT001  # what it shows is an attribute
    """Holds one thing when it is run through, and another one when it is indexed."""

    shown: list[Any]

    def __getitem__(self, index: Any) -> Any:
        return (self.shown[index],)


class TwoFaced(LocalKeyper):
    def contribution(self, request: ContributionRequest) -> Contribution:
        right = super().contribution(request)
        groups = Groupwise(right.order_ciphertexts)
        ring = right.order_ciphertexts[0][0].ring
        groups.shown = [Ciphertext(ring, zeros(self, k)) for k in range(len(groups))]
        return replace(right, order_ciphertexts=groups)


class Spoiling(LocalKeyper):
    """Writes into the contribution that the keypers of its process compute once between them."""

    def contribution(self, request: ContributionRequest) -> Contribution:
        right = super().contribution(request)
        if request.share == 1:
            spoil(self, right.order_ciphertexts)
        return right


class Deactivating(LocalKeyper):
    """Writes into the draw that it is asked about."""

    def contribution(self, request: ContributionRequest) -> Contribution:
        right = super().contribution(request)
        try:
            request.draw.active.setflags(write=True)
            request.draw.active[...] = 0
        except ValueError:
            object.__setattr__(request.draw, "active", np.zeros_like(request.draw.active))
        return right


def of_type(change: Callable[[Words], Any]) -> type[LocalKeyper]:
    class Retyping(LocalKeyper):
        def contribution(self, request: ContributionRequest) -> Contribution:
            right = super().contribution(request)
            return replace(right, order_ciphertexts=with_words(right.order_ciphertexts, change))

    return Retyping


MASK_ATTACKS = [
    (Later, 0),
    (LaterBytes, 0),
    (TwoFaced, 0),
    (Spoiling, 0),
    (Spoiling, 3),
    (Deactivating, 0),
    (Deactivating, 3),
    (of_type(lambda words: words.astype(">u8")), 0),
    (of_type(lambda words: words.astype(np.int64)), 0),
    (of_type(lambda words: words.astype(object)), 0),
]


@pytest.mark.parametrize(("kind", "number"), MASK_ATTACKS)
def test_a_mask_is_that_of_honest_keypers(
    house: House, kind: type[LocalKeyper], number: int
) -> None:
    honest = house.committee().prepare_mask(SHAPE).mask
    attested = house.committee(kinds={number: kind}).prepare_mask(SHAPE)
    assert attested.mask.digest() == honest.digest()
    assert {0, 1, 2, 3} - {number} <= attested.attestations.keys()


def shifted(ciphertext: Ciphertext, words: Words) -> Words:
    """A share, or c0, with a plaintext of seven in nine slots added: what opens is another."""
    ring, primes = ciphertext.ring, ciphertext.ring.data_primes[: ciphertext.level]
    values = np.zeros(ring.degree, dtype=np.int64)
    values[:9] = 7
    coefficients, scale = slots.encode(ring, values), prod(primes) // ring.plain_modulus
    added = [[int(c) * (scale % p) % p for c in coefficients] for p in primes]
    moduli = np.array(primes, dtype=np.uint64)[:, None]
    total: Words = (words + np.array(added, dtype=np.uint64)) % moduli
    return total


class Hooked(np.ndarray):
    """Changes itself when its shape is read for the second time."""

    wish: npt.NDArray[np.uint64]
    reads = 0

    @property  # type: ignore[misc]
    def shape(self) -> Any:
        self.reads += 1
        if self.reads == 2:
            np.asarray(self)[...] = self.wish
        return np.asarray(self).shape


class SendingHooked(LocalKeyper):
    def send(self, request: ShareRequest) -> Words:
        right = super().send(request)
        hooked = right.copy().view(Hooked)
        hooked.wish = shifted(request.opening.covered.ciphertext, right)
        return hooked


class Keeping(LocalKeyper):
    """Changes the share that it sent as soon as another auction begins."""

    sent: Words | None = None
    wish: Words

    def send(self, request: ShareRequest) -> Words:
        self.sent = super().send(request).copy()
        self.wish = shifted(request.opening.covered.ciphertext, self.sent)
        return self.sent

    def begin_auction(self, interval: Interval) -> bytes:
        if self.sent is not None:
            self.sent[...] = self.wish
        return super().begin_auction(interval)


class Ending(np.ndarray):
    @property  # type: ignore[misc]
    def shape(self) -> Any:
        raise SystemExit("ended by a keyper")


def writable_over_bytes(words: Words) -> tuple[Words, Words]:
    """An array over bytes, as what is read-only has it, and one that writes into these bytes."""
    octets = np.ascontiguousarray(words).tobytes()
    writes: Any = np.empty(0, dtype=np.uint64)
    writes.__setstate__((1, words.shape, words.dtype, False, octets))
    return np.frombuffer(octets, np.uint64).reshape(words.shape), writes


class KeepingBytes(Keeping):
    """The same, with an array that looks as if no flag could make it writable."""

    def send(self, request: ShareRequest) -> Words:
        sent, self.sent = writable_over_bytes(super().send(request))
        assert self.sent.flags.writeable, "NumPy lets it be written: else this is no attack"
        return sent


class SendingEnding(LocalKeyper):
    def send(self, request: ShareRequest) -> Words:
        return super().send(request).copy().view(Ending)


class Like(bytes):
    """Zeros that count as the right bytes wherever they are compared."""

    like: bytes

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash(self.like)


def alike(right: Mapping[int, bytes]) -> dict[int, bytes]:
    made = {}
    for share, data in right.items():
        made[share] = Like(len(data))
        made[share].like = data
    return made  # type: ignore[return-value]


class Alike(LocalKeyper):
    def announce(self, request: OpeningRequest) -> dict[int, bytes]:
        return alike(super().announce(request))

    def beacon_shares(self, request: BeaconRequest) -> dict[int, bytes]:
        return alike(super().beacon_shares(request))


class Overwriting(LocalKeyper):
    """Writes into the ciphertext that it is asked to open, and renames the opening."""

    def announce(self, request: OpeningRequest) -> dict[int, bytes]:
        announced, ciphertext = super().announce(request), request.covered.ciphertext
        other = ciphertext.words.copy()
        other[0] = shifted(ciphertext, other[0])
        try:
            ciphertext.words.setflags(write=True)
            ciphertext.words[...] = other
        except ValueError:
            object.__setattr__(ciphertext, "words", other)
        object.__setattr__(request, "purpose", "something else")
        return announced


def writable(covered: CoveredCiphertext) -> CoveredCiphertext:
    ciphertext = covered.ciphertext
    return replace(covered, ciphertext=Ciphertext(ciphertext.ring, ciphertext.words.copy()))


OPENING_ATTACKS = [SendingHooked, SendingEnding, Alike, Overwriting]


@pytest.mark.parametrize("kind", OPENING_ATTACKS)
@pytest.mark.parametrize("number", [0, 3])
def test_an_opening_is_that_of_honest_keypers(
    house: House, kind: type[LocalKeyper], number: int
) -> None:
    committee = house.committee(kinds={number: kind})
    interval = house.closed(committee)
    published: list[Revealed] = []
    session = committee.begin_auction(interval, published.append)
    covered = writable(covered_of(house, 5))
    assert session.open("bits", covered)[:10].tolist() == [5] * 9 + [0]
    assert published[0].request == OpeningRequest(
        session.context, house.material.committee.epoch, 0, "bits", covered
    )
    beacon = committee.beacon(interval, house.root_of(interval))
    assert beacon == house.committee().beacon(interval, house.root_of(interval))
    assert {type(share) for share in beacon.shares} == {bytes}
    terms = house.terms(committee, interval).digest
    assert {0, 1, 2, 3} - {number} <= committee.sign_transcript(session, terms, beacon).keys()


@pytest.mark.parametrize("kind", [Keeping, KeepingBytes])
def test_a_published_share_does_not_change_with_the_senders(
    house: House, kind: type[LocalKeyper]
) -> None:
    committee = house.committee(kinds={2: kind})
    interval, published = house.closed(committee), list[Revealed]()
    committee.begin_auction(interval, published.append).open("bits", covered_of(house, 5))
    shares = [share.copy() for share in published[0].shares]
    attacker = committee.keypers[2]
    assert isinstance(attacker, Keeping)
    assert attacker.sent is not None
    assert any(np.array_equal(attacker.sent, share) for share in shares), "it was asked for one"
    committee.begin_auction(interval, published.append)
    assert np.array_equal(attacker.sent, attacker.wish)
    for share, before in zip(published[0].shares, shares, strict=True):
        assert np.array_equal(share, before)
        with pytest.raises(ValueError, match="WRITEABLE"):
            share.setflags(write=True)


class Shown(bytes):
    """Zeros that show a signature when they are indexed."""

    shown: bytes

    def __getitem__(self, index: Any) -> Any:
        return self.shown[index]


class Forging(LocalKeyper):
    def sign_settlement(self, proposal: SettlementProposal) -> bytes:
        zeros = Shown(65)
        zeros.shown = super().sign_settlement(proposal)
        return zeros


class Mutable(LocalKeyper):
    def sign_settlement(self, proposal: SettlementProposal) -> bytes:
        return cast("bytes", bytearray(super().sign_settlement(proposal)))


@pytest.mark.usefixtures("checks")
@pytest.mark.parametrize("kind", [Forging, Mutable])
def test_a_signature_is_bytes_and_nothing_like_them(house: House, kind: type[LocalKeyper]) -> None:
    for number in (0, 3):
        assert signers(house, house.committee(kinds={number: kind})) == {0, 1, 2, 3} - {number}


def numbered(said: object) -> type[LocalKeyper]:
    class Numbered(LocalKeyper):
        @property
        def number(self) -> int:
            if isinstance(said, Exception):
                raise said
            return cast("int", said)

    return Numbered


def addressed(said: object) -> type[LocalKeyper]:
    class Addressed(LocalKeyper):
        @property
        def address(self) -> AccountId:
            if isinstance(said, BaseException):
                raise said
            return cast("AccountId", said)

    return Addressed


def test_a_number_with_very_many_digits_is_no_keypers(house: House) -> None:
    with pytest.raises(InvalidCommittee, match="got 0, 1, 2, a number of 33220 bits"):
        house.committee(kinds={3: numbered(10**10_000)})


@pytest.mark.parametrize("said", [-1, 0, 4, 7])
def test_keypers_are_numbered_from_0_each_once(house: House, said: int) -> None:
    with pytest.raises(InvalidCommittee, match="expected 0, 1, 2, 3, got 0, 1, 2, "):
        house.committee(kinds={3: numbered(said)})


@pytest.mark.parametrize(
    ("kind", "error", "text"),
    [
        (numbered(RuntimeError("no")), KeyperFailed, "keyper 3: expected an answer"),
        (numbered("3"), Exception, "answer of a keyper: type: expected int, got str"),
        (addressed("nonsense"), InvalidAccount, "account"),
        (addressed(SystemExit("no")), KeyperFailed, "keyper 3: expected an answer"),
    ],
)
def test_a_committee_begins_with_numbers_and_addresses_alone(
    house: House, kind: type[LocalKeyper], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        house.committee(kinds={3: kind})


class Failing(LocalKeyper):
    def issue_mask(self, number: int) -> None:
        raise ValueError("no")


@pytest.mark.parametrize("kinds", [{}, {0: Failing}])
def test_a_number_that_an_honest_keyper_knows_as_issued_is_given_up(
    house: House, kinds: dict[int, type[LocalKeyper]]
) -> None:
    committee = house.committee(kinds=kinds)
    committee.keypers[2].issue_mask(0)
    if not kinds:
        committee.keypers[0].issue_mask(0)
    assert committee.prepare_mask(SHAPE).mask.draw.number == 1


class Escape(BaseException):
    pass


class Escaping(LocalKeyper):
    def sign_settlement(self, proposal: SettlementProposal) -> bytes:
        raise Escape


@pytest.mark.usefixtures("checks")
def test_nothing_that_a_keyper_raises_leaves_its_thread(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    escaped: list[object] = []
    monkeypatch.setattr(threading, "excepthook", escaped.append)
    committee = house.committee(kinds={1: Escaping})
    assert signers(house, committee) == {0, 2, 3}
    assert not escaped
