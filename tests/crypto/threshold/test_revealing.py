from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.lanes import LaneCiphertext, LaneShape
from crypto.bfv.low_noise import encrypt_low_noise
from crypto.bfv.seal import Evaluator
from crypto.circuits.packing import LANES_LEVEL
from crypto.errors import (
    HoldersDisagree,
    MissingShare,
    NoiseBudgetTooSmall,
    UncoveredSlot,
    WrongEpoch,
)
from crypto.ring.params import TEST_INSECURE_SMALL, RingParameters
from crypto.ring.ring import Words
from crypto.threshold.decryption import DECODING_BITS, budget_bits_min, decryption_share
from crypto.threshold.keys import KeyperSecrets, RingKeys
from crypto.threshold.masks import DrawnMask
from crypto.threshold.replicated import share_digest
from crypto.threshold.revealing import (
    CoveredCiphertext,
    OpeningRequest,
    Revealed,
    ShareRequest,
    masked,
    reveal,
    selected,
    selected_sum,
)
from darkpool.committee.quorum import KeyperPanel
from tests.support.epochs import EPOCH, Epoch
from tests.support.true_masks import SHAPES, masks_without_excess

Lanes = npt.NDArray[np.int64]
EvaluatorOf = Callable[[RingKeys], Evaluator]
ORDER, COMPARISON = TEST_INSECURE_SMALL.order_ring, TEST_INSECURE_SMALL.comparison_ring
T = ORDER.plain_modulus
CONTEXT = b"\x07" * 32


@dataclass
class Honest:
    """A keyper reduced to its shares; keeps what it was asked."""

    secrets: KeyperSecrets
    asked: list[tuple[str, int]] = field(default_factory=list)

    @property
    def number(self) -> int:
        return self.secrets.keyper

    def share(self, request: OpeningRequest, share: int) -> Words:
        self.secrets.require_epoch(request.epoch)
        ciphertext = request.covered.ciphertext
        return decryption_share(ciphertext, request.epoch, self.secrets.seeds[share])

    def announced(self, request: OpeningRequest, share: int) -> bytes:
        octets = self.share(request, share).astype("<u8").tobytes()
        return share_digest(share, request.share_purpose(), octets)

    def announce(self, request: OpeningRequest) -> dict[int, bytes]:
        self.asked.append(("announce", -1))
        return {j: self.announced(request, j) for j in self.secrets.seeds}

    def send(self, request: ShareRequest) -> Words:
        self.asked.append(("send", request.share))
        return self.share(request.opening, request.share)


class Shifting(Honest):
    """Adds a wish to every share: floor(q / t) times an encoded difference goes unnoticed alone."""

    def share(self, request: OpeningRequest, share: int) -> Words:
        words = super().share(request, share).copy()
        primes = request.covered.ciphertext.basis.primes[:, None]
        return (words + np.uint64(12345)) % primes


class Silent(Honest):
    """Has nothing to say about any share."""

    def announce(self, request: OpeningRequest) -> dict[int, bytes]:
        self.asked.append((request.purpose, -1))
        return {}


@dataclass
class Sending(Honest):
    """Announces what is right and sends something else."""

    spoil: Callable[[Words], npt.NDArray[np.generic]] = lambda words: words

    def send(self, request: ShareRequest) -> Words:
        return cast("Words", self.spoil(super().send(request)))


SPOILT: dict[str, Callable[[Words], npt.NDArray[np.generic]]] = {
    "another word": lambda words: words ^ np.uint64(1),
    "flat": lambda words: words.reshape(-1),
    "turned": lambda words: words.reshape(words.shape[::-1]),
    "signed": lambda words: words.astype(np.int64),
    "big-endian": lambda words: words.astype(">u8"),
    "floating": lambda words: words.astype(np.float64),
    "one row": lambda words: words[:1],
    "empty": lambda words: words[:0],
}


def keypers(epoch: Epoch, **others: type[Honest]) -> list[Honest]:
    kinds = {int(name[1:]): kind for name, kind in others.items()}
    return [kinds.get(s.keyper, Honest)(s) for s in epoch.secrets]


def sealed(epoch: Epoch, ring: RingParameters, values: Lanes) -> Ciphertext:
    return encrypt_slots(epoch.ring_keys(ring).public, values, bytes(32))


def values_of(ring: RingParameters) -> Lanes:
    return np.random.default_rng(1).integers(1, ring.plain_modulus, ring.degree)


def some(ring: RingParameters) -> npt.NDArray[np.bool_]:
    keep: npt.NDArray[np.bool_] = np.arange(ring.degree) % 5 == 2
    return keep


def request_of(covered: CoveredCiphertext, **other: Any) -> OpeningRequest:
    return replace(OpeningRequest(CONTEXT, EPOCH, 0, "bits", covered), **other)


@pytest.fixture
def covered(small: Epoch, evaluator_of: EvaluatorOf) -> CoveredCiphertext:
    ciphertext = sealed(small, ORDER, values_of(ORDER))
    return selected(evaluator_of(small.material.order_keys), ciphertext, some(ORDER), LANES_LEVEL)


def expected() -> Lanes:
    return np.where(some(ORDER), values_of(ORDER), 0)


@pytest.mark.parametrize("ring", [ORDER, COMPARISON], ids=lambda ring: ring.name)
@pytest.mark.parametrize("size", [3, 4])
def test_selected_slots_open_and_all_others_are_zero(
    small: Epoch, small_three: Epoch, evaluator_of: EvaluatorOf, ring: RingParameters, size: int
) -> None:
    epoch = small if size == 4 else small_three
    evaluator = evaluator_of(epoch.ring_keys(ring))
    keep = some(ring)
    covered = selected(evaluator, sealed(epoch, ring, values_of(ring)), keep, LANES_LEVEL)
    assert covered.ciphertext.level == LANES_LEVEL
    assert (covered.mask_number, covered.mask_part) == (None, None)
    revealed = reveal(request_of(covered), epoch.committee, KeyperPanel(keypers(epoch)))
    assert np.array_equal(revealed.values, np.where(keep, values_of(ring), 0))
    assert revealed.liars == ()
    assert len(revealed.shares) == size
    assert revealed.budget_before_bits == budget_bits_min(ring, LANES_LEVEL)
    assert revealed.budget_after_bits >= DECODING_BITS


def test_what_is_selected_does_not_change_with_the_callers_array(
    small: Epoch, evaluator_of: EvaluatorOf
) -> None:
    keep = some(ORDER)
    evaluator = evaluator_of(small.material.order_keys)
    covered = selected(evaluator, sealed(small, ORDER, values_of(ORDER)), keep, LANES_LEVEL)
    keep[:] = True
    assert np.array_equal(covered.support, some(ORDER))


@pytest.mark.parametrize("ring", [ORDER, COMPARISON], ids=lambda ring: ring.name)
def test_a_selected_sum_opens_where_any_term_has_a_weight(
    small: Epoch, evaluator_of: EvaluatorOf, ring: RingParameters
) -> None:
    evaluator, t = evaluator_of(small.ring_keys(ring)), ring.plain_modulus
    draw, slots = np.random.default_rng(6), np.arange(ring.degree)
    values = draw.integers(0, t, (3, ring.degree))
    weights = np.stack([slots % 5 == 2, slots % 3 == 0, slots % 15 == 12]).astype(np.int64)
    weights[1] *= draw.integers(1, t, ring.degree)
    weights[2] *= -1
    terms = [(sealed(small, ring, v), w) for v, w in zip(values, weights, strict=True)]
    covered = selected_sum(evaluator, terms, LANES_LEVEL)
    assert covered.ciphertext.level == LANES_LEVEL
    assert (covered.mask_number, covered.mask_part) == (None, None)
    assert np.array_equal(covered.support, (slots % 5 == 2) | (slots % 3 == 0))
    revealed = reveal(request_of(covered), small.committee, KeyperPanel(keypers(small)))
    expected_ = sum((v * w % t for v, w in zip(values, weights, strict=True)), np.zeros(1)) % t
    assert np.array_equal(revealed.values, expected_)
    assert not revealed.values[~covered.support].any()


def test_a_selected_sum_of_one_term_is_that_term_selected(
    small: Epoch, evaluator_of: EvaluatorOf
) -> None:
    evaluator, ciphertext = (
        evaluator_of(small.material.order_keys),
        sealed(small, ORDER, values_of(ORDER)),
    )
    keep = some(ORDER)
    one = selected_sum(evaluator, [(ciphertext, keep.astype(np.int64))], LANES_LEVEL)
    other = selected(evaluator, ciphertext, keep, LANES_LEVEL)
    assert one.ciphertext.digest() == other.ciphertext.digest()
    assert np.array_equal(one.support, other.support)


def mask_of(epoch: Epoch, evaluator_of: EvaluatorOf, shape: LaneShape) -> tuple[DrawnMask, Lanes]:
    return next(masks_without_excess(epoch, evaluator_of, shape))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape.lanes))
def test_masked_lanes_open_to_value_plus_mask(
    small: Epoch, evaluator_of: EvaluatorOf, shape: LaneShape
) -> None:
    evaluator = evaluator_of(small.material.order_keys)
    mask, r = mask_of(small, evaluator_of, shape)
    x = np.random.default_rng(2).integers(0, T, shape.lanes)
    opened = []
    for part, slots in enumerate(shape.to_order(x)):
        fresh = encrypt_low_noise(small.material.order_keys.public, slots, bytes(32), LANES_LEVEL)
        covered = masked(evaluator, LaneCiphertext(fresh, slots != 0), mask, part)
        assert (covered.mask_number, covered.mask_part) == (mask.draw.number, part)
        request = request_of(covered, sequence=part)
        opened.append(reveal(request, small.committee, KeyperPanel(keypers(small))).values)
    assert np.array_equal(shape.from_order(np.stack(opened)), (x + r) % T)


def test_a_lane_outside_the_mask_is_not_covered(small: Epoch, evaluator_of: EvaluatorOf) -> None:
    evaluator, shape = evaluator_of(small.material.order_keys), SHAPES[-1]
    mask, _ = mask_of(small, evaluator_of, shape)
    slots = np.zeros(ORDER.degree, dtype=np.int64)
    slots[shape.width] = 9
    ciphertext = encrypt_low_noise(small.material.order_keys.public, slots, bytes(32), LANES_LEVEL)
    with pytest.raises(UncoveredSlot) as caught:
        masked(evaluator, LaneCiphertext(ciphertext, slots != 0), mask, 0)
    assert caught.value.slot == shape.width


def test_a_value_where_zero_was_claimed_is_refused(small: Epoch) -> None:
    """A ciphertext that claims less support than it has: the result is not handed out."""
    slots = np.zeros(ORDER.degree, dtype=np.int64)
    slots[[3, 400]] = 5
    support = np.arange(ORDER.degree) == 3
    low = encrypt_low_noise(small.material.order_keys.public, slots, bytes(32), LANES_LEVEL)
    request = request_of(CoveredCiphertext(low, support, None, None))
    with pytest.raises(UncoveredSlot) as caught:
        reveal(request, small.committee, KeyperPanel(keypers(small)))
    assert (caught.value.purpose, caught.value.slot) == ("bits", 400)


def test_one_liar_of_four_is_outvoted_and_named(small: Epoch, covered: CoveredCiphertext) -> None:
    for liar in small.committee.members:
        holders = keypers(small, **{f"k{liar}": Shifting})
        revealed = reveal(request_of(covered), small.committee, KeyperPanel(holders))
        assert np.array_equal(revealed.values, expected())
        assert revealed.liars == (liar,)
        assert not [kind for kind, _ in holders[liar].asked if kind == "send"]


def test_one_liar_of_three_stops_the_opening_and_two_are_named(
    small_three: Epoch, evaluator_of: EvaluatorOf
) -> None:
    ciphertext = sealed(small_three, ORDER, values_of(ORDER))
    evaluator = evaluator_of(small_three.material.order_keys)
    covered = selected(evaluator, ciphertext, some(ORDER), LANES_LEVEL)
    for liar in small_three.committee.members:
        holders = keypers(small_three, **{f"k{liar}": Shifting})
        with pytest.raises(HoldersDisagree) as caught:
            reveal(request_of(covered), small_three.committee, KeyperPanel(holders))
        assert liar in caught.value.suspects
        assert len(caught.value.suspects) == 2
        assert not [kind for holder in holders for kind, _ in holder.asked if kind == "send"]


@pytest.mark.parametrize("how", SPOILT)
def test_whoever_sends_other_bytes_than_announced_is_named_and_another_holder_asked(
    small: Epoch, covered: CoveredCiphertext, how: str
) -> None:
    holders: list[Honest] = [Sending(small.secrets[0], spoil=SPOILT[how]), *keypers(small)[1:]]
    revealed = reveal(request_of(covered), small.committee, KeyperPanel(holders))
    assert np.array_equal(revealed.values, expected())
    assert revealed.liars == (0,)


@pytest.mark.parametrize("how", SPOILT)
def test_when_no_holder_sends_the_announced_bytes_all_are_suspects(
    small: Epoch, covered: CoveredCiphertext, how: str
) -> None:
    holders = [Sending(s, spoil=SPOILT[how]) for s in small.secrets]
    with pytest.raises(HoldersDisagree) as caught:
        reveal(request_of(covered), small.committee, KeyperPanel(holders))
    assert (caught.value.share, caught.value.suspects) == (0, (1, 2, 3))


@pytest.mark.parametrize("absent", [Silent, None], ids=["silent", "gone"])
def test_four_go_on_without_one_that_stalls_and_three_do_not(
    small: Epoch,
    small_three: Epoch,
    covered: CoveredCiphertext,
    evaluator_of: EvaluatorOf,
    absent: type[Honest] | None,
) -> None:
    def without(epoch: Epoch, number: int) -> list[Honest]:
        if absent is None:
            return [k for k in keypers(epoch) if k.number != number]
        return keypers(epoch, **{f"k{number}": absent})

    for number in small.committee.members:
        revealed = reveal(request_of(covered), small.committee, KeyperPanel(without(small, number)))
        assert np.array_equal(revealed.values, expected())
        assert revealed.liars == ()
    ciphertext = sealed(small_three, ORDER, values_of(ORDER))
    evaluator = evaluator_of(small_three.material.order_keys)
    three = selected(evaluator, ciphertext, some(ORDER), LANES_LEVEL)
    with pytest.raises(MissingShare) as caught:
        reveal(request_of(three), small_three.committee, KeyperPanel(without(small_three, 1)))
    assert (caught.value.expected, caught.value.got) == (2, 1)


def test_a_share_that_only_one_holder_answers_for_is_missing(
    small: Epoch, covered: CoveredCiphertext
) -> None:
    with pytest.raises(MissingShare):
        reveal(request_of(covered), small.committee, KeyperPanel(keypers(small)[:2]))


def test_another_epoch_is_refused_by_the_keypers(small: Epoch, covered: CoveredCiphertext) -> None:
    with pytest.raises(WrongEpoch):
        reveal(request_of(covered, epoch=EPOCH + 1), small.committee, KeyperPanel(keypers(small)))


@pytest.mark.parametrize(("ring", "level"), [(ORDER, 1), (COMPARISON, 1)])
def test_a_level_without_room_for_flooding_is_refused_before_anybody_is_asked(
    small: Epoch, evaluator_of: EvaluatorOf, ring: RingParameters, level: int
) -> None:
    evaluator = evaluator_of(small.ring_keys(ring))
    low = selected(evaluator, sealed(small, ring, values_of(ring)), some(ring), level)
    holders = keypers(small)
    with pytest.raises(NoiseBudgetTooSmall):
        reveal(request_of(low), small.committee, KeyperPanel(holders))
    assert not any(holder.asked for holder in holders)


def test_a_result_that_noise_may_have_changed_is_refused(small: Epoch) -> None:
    """c1 of another ciphertext: what comes out is noise."""
    one = sealed(small, ORDER, values_of(ORDER))
    other = encrypt_slots(small.material.order_keys.public, values_of(ORDER), bytes([9]) * 32)
    mixed = Ciphertext(ORDER, np.stack([one.words[0], other.words[1]]))
    everything = np.ones(ORDER.degree, dtype=np.bool_)
    request = request_of(CoveredCiphertext(mixed, everything, None, None))
    with pytest.raises(NoiseBudgetTooSmall):
        reveal(request, small.committee, KeyperPanel(keypers(small)))


def test_shares_are_announced_for_one_context_sequence_and_purpose(
    small: Epoch, covered: CoveredCiphertext
) -> None:
    holder = keypers(small)[0]
    requests = [
        request_of(covered),
        request_of(covered, context=b"\x08" * 32),
        request_of(covered, sequence=1),
        request_of(covered, purpose="other bits"),
    ]
    digests = [tuple(holder.announce(request).values()) for request in requests]
    assert len(set(digests)) == len(digests)
    # Yet the shares are the same bytes: asking again tells nothing new.
    shares = [holder.send(ShareRequest(request, 1)).tobytes() for request in requests]
    assert len(set(shares)) == 1


def test_the_published_shares_add_up_to_the_published_values(
    small: Epoch, covered: CoveredCiphertext
) -> None:
    revealed: Revealed = reveal(request_of(covered), small.committee, KeyperPanel(keypers(small)))
    own: Sequence[Words] = [
        decryption_share(covered.ciphertext, EPOCH, small.seeds[j]) for j in small.committee.members
    ]
    assert all(np.array_equal(a, b) for a, b in zip(revealed.shares, own, strict=True))
