from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from crypto import labels
from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.lanes import DIGIT_VALUES, LaneShape, digits_of
from crypto.bfv.products import coefficient_form
from crypto.errors import OutOfRange
from crypto.ring.params import TEST_INSECURE_SMALL, ParameterSet
from crypto.ring.sampling import derive_seed
from crypto.threshold.masks import (
    TABLE_LEVEL,
    Contribution,
    Draw,
    contribute,
    digit_values,
    known_lanes,
    replace_lanes,
)
from tests.support.epochs import EPOCH, Epoch, chi_square_excess
from tests.support.true_masks import (
    SHAPES,
    EvaluatorOf,
    T,
    combined,
    digits_in_tables,
    draw_of,
    name,
    number_of,
    order_slots,
    true_mask,
)


@pytest.mark.parametrize("shape", SHAPES, ids=name)
@pytest.mark.parametrize("size", [3, 4])
def test_a_mask_is_the_xor_of_the_parties_bits_in_both_rings(
    small: Epoch, small_three: Epoch, evaluator_of: EvaluatorOf, shape: LaneShape, size: int
) -> None:
    epoch = small if size == 4 else small_three
    draw = draw_of(shape, 11)
    mask, r = combined(epoch, evaluator_of, draw), true_mask(epoch, draw)
    slots = order_slots(epoch.oracle(shape.parameters.order_ring), mask)
    assert np.array_equal(slots, shape.to_order(r % T))
    digits = digits_in_tables(epoch.oracle(shape.parameters.comparison_ring), mask)
    assert np.array_equal(digits, digits_of(r))


def test_every_party_flips_a_bit_that_no_other_knows(small: Epoch) -> None:
    """Without any one of the signs, the mask is another in half of all bits."""
    draw = draw_of(SHAPES[0], 12)
    whole = true_mask(small, draw)
    for missing in small.seeds:
        rest = {j: seed for j, seed in small.seeds.items() if j != missing}
        partial = true_mask(replace_seeds(small, rest), draw)
        flips = [((whole ^ partial) >> bit & 1).mean() for bit in range(26)]
        assert max(abs(share - 0.5) for share in flips) < 0.1


def replace_seeds(epoch: Epoch, seeds: dict[int, bytes]) -> Epoch:
    class Partial(Epoch):
        @property
        def seeds(self) -> dict[int, bytes]:
            return seeds

    return Partial(epoch.parameters, epoch.committee, epoch.material, epoch.secrets)


def fields_of(contribution: Contribution) -> list[Ciphertext]:
    groups = (*contribution.order_ciphertexts, *contribution.comparison_ciphertexts)
    return [ciphertext for group in groups for ciphertext in group]


def test_no_two_encryptions_share_their_randomness(small: Epoch) -> None:
    """c1 depends on the randomness alone: equal c1 would leak the difference of two plaintexts."""
    shape, first = SHAPES[2], np.ones(SHAPES[2].lanes, dtype=np.int64)
    second = first.copy()
    second[3] = 0
    base = Draw(EPOCH, 1, 0, shape, first)
    draws = [
        base,
        replace(base, epoch=EPOCH + 1),
        replace(base, number=2),
        replace(base, attempt=1),
        replace(base, active=second),
        draw_of(SHAPES[1], 1),
        draw_of(SHAPES[3], 1),
    ]
    seen: set[bytes] = set()
    values: set[bytes] = set()
    expected = 0
    for draw in draws:
        for j, seed in small.seeds.items():
            parts = fields_of(contribute(small.material, draw, j, seed))
            seen |= {np.ascontiguousarray(c.words[1]).tobytes() for c in parts}
            expected += len(parts)
            values.add(derive_seed(labels.MASK_SIGNS, seed, *draw.fields()))
    assert len(seen) == expected
    assert len(values) == len(draws) * len(small.seeds)


def test_holders_of_a_share_compute_the_same_bytes(small: Epoch) -> None:
    draw, seed = draw_of(SHAPES[3], 5), small.seeds[2]
    one, other = (contribute(small.material, draw, 2, seed) for _ in range(2))
    assert one.digest() == other.digest()


def test_a_digest_covers_every_ciphertext_in_its_place(small: Epoch) -> None:
    contribution = contribute(small.material, draw_of(SHAPES[1], 6), 1, small.seeds[1])
    seen = {contribution.digest()}
    for ring in ("order_ciphertexts", "comparison_ciphertexts"):
        groups = getattr(contribution, ring)
        for number in (0, len(groups) - 1):
            changed = list(groups)
            changed[number] = (changed[number][0].add(changed[number][0]), *changed[number][1:])
            seen.add(replace(contribution, **{ring: tuple(changed)}).digest())
        seen.add(replace(contribution, **{ring: tuple(reversed(groups))}).digest())
    assert len(seen) == 7


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_replaced_lanes_carry_the_second_draw_and_the_others_stay(
    small: Epoch, evaluator_of: EvaluatorOf, shape: LaneShape
) -> None:
    first = draw_of(shape, 21)
    gone = (np.arange(shape.lanes) % 37 == 5).astype(np.int64)
    second = draw_of(shape, 21, gone)
    old, new = true_mask(small, first), true_mask(small, second)
    assert not (new * (1 - gone)).any()
    known = np.where(gone == 1, old, -7)
    mask = replace_lanes(
        combined(small, evaluator_of, first), known, combined(small, evaluator_of, second)
    )
    expected = np.where(gone == 1, new, old)
    slots = order_slots(small.oracle(shape.parameters.order_ring), mask)
    assert np.array_equal(slots, shape.to_order(expected % T))
    digits = digits_in_tables(small.oracle(shape.parameters.comparison_ring), mask)
    assert np.array_equal(number_of(digits), expected)


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_a_second_draw_is_zero_where_it_is_not_active(
    small: Epoch, evaluator_of: EvaluatorOf, shape: LaneShape
) -> None:
    active = np.zeros(shape.lanes, dtype=np.int64)
    active[[0, 7, shape.lanes - 1]] = 1
    draw = draw_of(shape, 22, active)
    mask, r = combined(small, evaluator_of, draw), true_mask(small, draw)
    slots = order_slots(small.oracle(shape.parameters.order_ring), mask)
    assert np.array_equal(slots, shape.to_order(r % T))
    digits = digits_in_tables(small.oracle(shape.parameters.comparison_ring), mask)
    assert (digits[:, active == 0] == -1).all()
    assert np.array_equal(digits[:, active == 1], digits_of(r[active == 1]))


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_opened_digits_give_the_number_back(
    small: Epoch, evaluator_of: EvaluatorOf, shape: LaneShape
) -> None:
    draw = draw_of(shape, 23)
    mask = combined(small, evaluator_of, draw)
    oracle = small.oracle(shape.parameters.comparison_ring)
    opened = [digit_values(mask, position) for position in range(shape.positions)]
    assert {ciphertext.level for ciphertext in opened} == {TABLE_LEVEL}
    values = [oracle.slots(ciphertext) for ciphertext in opened]
    assert max(int(v.max()) for v in values) < DIGIT_VALUES
    assert np.array_equal(known_lanes(shape, values), true_mask(small, draw))


def test_a_mask_digest_covers_number_lanes_and_every_word(
    small: Epoch, evaluator_of: EvaluatorOf
) -> None:
    mask = combined(small, evaluator_of, draw_of(SHAPES[3], 24))
    tables = mask.tables.copy()
    tables[-1, -1, -1, -1, -1] ^= np.uint64(1)
    changed = (
        mask,
        replace(mask, tables=tables),
        replace(
            mask, order_ciphertexts=(mask.order_ciphertexts[0].add(mask.order_ciphertexts[0]),)
        ),
        replace(mask, draw=replace(mask.draw, number=25)),
        replace(mask, draw=replace(mask.draw, attempt=1)),
        replace(mask, draw=replace(mask.draw, epoch=EPOCH + 1)),
    )
    assert len({m.digest() for m in changed}) == len(changed)


def test_opened_lanes_are_uniform_whatever_they_cover(
    small: Epoch, evaluator_of: EvaluatorOf
) -> None:
    """x + r over masks without excess: chi-square on 64 buckets, for a constant x at each end."""
    shape, oracle = SHAPES[0], small.oracle(TEST_INSECURE_SMALL.order_ring)
    numbers = (n for n in count(100) if true_mask(small, draw_of(shape, n)).max() < T)
    lanes = np.concatenate(
        [
            shape.from_order(
                order_slots(oracle, combined(small, evaluator_of, draw_of(shape, next(numbers))))
            )
            for _ in range(4)
        ]
    )
    edges = np.arange(65) * T // 64
    expected = np.diff(edges) * lanes.size / T
    for x in (0, 1, T // 2, T - 1):
        counts, _ = np.histogram((lanes + x) % T, edges)
        assert abs(chi_square_excess(counts, expected)) < 6


@pytest.mark.parametrize("attempt", [-1, 2])
def test_there_are_two_attempts_and_one_flag_for_each_lane(attempt: int) -> None:
    lanes = np.ones(SHAPES[0].lanes, dtype=np.int64)
    with pytest.raises(OutOfRange):
        Draw(EPOCH, 1, attempt, SHAPES[0], lanes)
    with pytest.raises(OutOfRange):
        Draw(EPOCH, 1, 0, SHAPES[0], lanes[1:])


def test_the_budget_of_a_mask_suffices_for_its_use(
    standard: Epoch, evaluator_of: EvaluatorOf
) -> None:
    parameters: ParameterSet = standard.parameters
    shape = LaneShape(parameters, parameters.comparison_ring.degree >> 3)
    draw = draw_of(shape, 1)
    mask = combined(standard, evaluator_of, draw)
    oracle = standard.oracle(parameters.order_ring)
    assert np.array_equal(order_slots(oracle, mask), shape.to_order(true_mask(standard, draw) % T))
    assert min(oracle.budget(ciphertext) for ciphertext in mask.order_ciphertexts) >= 55
    tables = standard.oracle(parameters.comparison_ring)
    indicators = (
        coefficient_form(parameters.comparison_ring, words.copy()) for words in mask.tables[0][::5]
    )
    assert min(map(tables.budget, indicators)) >= 225
