"""The five identities of the shape check accept orders and nothing else: by exhaustion.

The proof for every prime and every size of ring is in docs/protocol/shape.md; here each of its
steps is held against all vectors of small ones.
"""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.shape_model import (
    BUY,
    CHAIN,
    EMPTY,
    EQUAL_SIZES,
    IDENTITIES,
    LEVEL,
    ONE_SIDE,
    SELL,
    Columns,
    Flags,
    ShapeModel,
    Term,
    all_columns,
)

COMPLETE = [
    ShapeModel(2, 4, 1),
    ShapeModel(3, 4, 1),
    ShapeModel(5, 4, 1),
    ShapeModel(2, 6, 1),
    ShapeModel(2, 6, 2),
    ShapeModel(3, 6, 1),
    ShapeModel(3, 6, 2),
    ShapeModel(2, 8, 1),
    ShapeModel(2, 8, 2),
    ShapeModel(2, 8, 3),
]
LARGER = [
    ShapeModel(t, 2 * half, ticks)
    for t in (3, 5, 7)
    for half in (2, 3, 4)
    for ticks in range(1, half)
]
SMALL_T = [ShapeModel(3, 6, 1), ShapeModel(3, 6, 2), ShapeModel(3, 4, 1), ShapeModel(5, 4, 1)]


def as_set(vectors: Columns) -> set[tuple[int, ...]]:
    return set(map(tuple, vectors.T.tolist()))


def linear_solutions(model: ShapeModel) -> Columns:
    """All vectors that satisfy all identities but those of chains and sides, by construction.

    They are one size and any curves: 1 + 2 * ticks free values.
    """
    free = all_columns(model.t, 1 + 2 * model.ticks)
    rows = np.zeros((2, model.row, free.shape[1]), dtype=np.int8)
    rows[:, model.half :] = free[0]
    rows[0, : model.ticks] = free[1 : 1 + model.ticks]
    rows[1, : model.ticks] = free[1 + model.ticks :]
    return rows.reshape(2 * model.row, -1)


@pytest.mark.parametrize("model", COMPLETE, ids=str)
def test_of_all_vectors_exactly_the_orders_are_accepted(model: ShapeModel) -> None:
    vectors = all_columns(model.t, 2 * model.row)
    accepted = as_set(vectors[:, model.accepted(vectors)])
    assert accepted == as_set(model.orders())
    assert len(accepted) == 1 + (model.t - 1) * 2 * model.ticks


@pytest.mark.parametrize("model", COMPLETE, ids=str)
def test_a_minimum_fill_order_is_an_order_with_anything_at_one_slot(model: ShapeModel) -> None:
    model = replace(model, minimum_fill=True)
    vectors = all_columns(model.t, 2 * model.row)
    accepted = as_set(vectors[:, model.accepted(vectors)])
    assert accepted == as_set(model.orders())
    assert len(accepted) == model.t * (1 + (model.t - 1) * 2 * model.ticks)


@pytest.mark.parametrize("model", SMALL_T, ids=str)
@pytest.mark.parametrize("identity", IDENTITIES)
def test_without_an_identity_something_else_is_a_minimum_fill_order(
    model: ShapeModel, identity: str
) -> None:
    model = replace(model, minimum_fill=True)
    terms = frozenset(term for term in model.names() if term.identity == identity)
    if not terms or (identity == LEVEL and model.half == 2):
        assert identity == LEVEL
        return
    assert not follows_from_the_others(model, terms, all_columns(model.t, 2 * model.row))


@pytest.mark.parametrize("model", SMALL_T, ids=str)
def test_the_construction_has_every_vector_that_satisfies_its_identities(model: ShapeModel) -> None:
    chains_and_sides = frozenset(
        term for term in model.names() if term.identity in {CHAIN, ONE_SIDE}
    )
    vectors = all_columns(model.t, 2 * model.row)
    assert as_set(vectors[:, model.accepted(vectors, chains_and_sides)]) == as_set(
        linear_solutions(model)
    )


@pytest.mark.parametrize("model", LARGER, ids=str)
def test_of_all_curves_exactly_the_orders_are_accepted(model: ShapeModel) -> None:
    vectors = linear_solutions(model)
    assert as_set(vectors[:, model.accepted(vectors)]) == as_set(model.orders())


@given(
    half=st.integers(2, 40),
    t=st.sampled_from([2, 3, 65537, 67043329]),
    side=st.sampled_from([BUY, SELL]),
    data=st.data(),
)
def test_every_order_is_accepted(half: int, t: int, side: int, data: st.DataObject) -> None:
    model = ShapeModel(t, 2 * half, data.draw(st.integers(1, half - 1)))
    size = data.draw(st.integers(0, t - 1))
    assert model.accepted(model.order(side, size, data.draw(st.integers(0, model.ticks - 1)))).all()


@pytest.mark.parametrize("t", [4, 6, 8, 9, 10])
def test_a_modulus_with_divisors_of_zero_accepts_what_is_no_order(t: int) -> None:
    model = ShapeModel(t, 6, 2)
    vectors = linear_solutions(model)
    assert as_set(vectors[:, model.accepted(vectors)]) > as_set(model.orders())


# None of the identities follows from the others, and of their terms only those that are named.


def follows_from_the_others(model: ShapeModel, terms: frozenset[Term], vectors: Columns) -> bool:
    return as_set(vectors[:, model.accepted(vectors, terms)]) == as_set(model.orders())


@pytest.mark.parametrize("model", SMALL_T, ids=str)
@pytest.mark.parametrize("identity", IDENTITIES)
def test_without_an_identity_something_else_is_accepted(model: ShapeModel, identity: str) -> None:
    terms = frozenset(term for term in model.names() if term.identity == identity)
    assert terms
    assert not follows_from_the_others(model, terms, all_columns(model.t, 2 * model.row))


@pytest.mark.parametrize("model", SMALL_T, ids=str)
def test_the_terms_that_follow_from_the_others_are_two(model: ShapeModel) -> None:
    """Row 0's first link always does; with a single tick row 1's does too, but never both."""
    vectors = all_columns(model.t, 2 * model.row)
    first = Term(CHAIN, 0, model.row - 1), Term(CHAIN, 1, model.row - 1)
    found = {
        term for term in model.names() if follows_from_the_others(model, frozenset([term]), vectors)
    }
    assert found == set(first if model.ticks == 1 else first[:1])
    assert not follows_from_the_others(model, frozenset(first), vectors)


@pytest.mark.parametrize("model", [m for m in LARGER if m.ticks > 1], ids=str)
def test_every_link_of_a_chain_but_one_is_needed(model: ShapeModel) -> None:
    """The links at the last slot of a row, between ticks, and the last one, at tick ticks - 2."""
    vectors = linear_solutions(model)
    for term in model.names():
        if term.identity == CHAIN:
            spare = term == Term(CHAIN, 0, model.row - 1)
            assert follows_from_the_others(model, frozenset([term]), vectors) == spare, term
    last = [Term(CHAIN, row, model.ticks - 2) for row in (0, 1)]
    assert set(last) <= set(model.names())


@pytest.mark.parametrize("slot", ["ticks", "half - 1"])
def test_both_ends_of_the_empty_slots_are_covered(slot: str) -> None:
    model = ShapeModel(3, 12, 3)
    for row in (0, 1):
        vector = model.order(SELL, 2, 1)
        where = {"ticks": model.ticks, "half - 1": model.half - 1}[slot]
        vector[row * model.row + where] = 1
        assert not model.accepted(vector).any()
        assert model.accepted(vector, frozenset([Term(EMPTY, row, where)])).all()


def test_sizes_of_the_two_rows_are_compared() -> None:
    """Row 0 says 1 lot, row 1 offers 2: only the comparison of the rows refuses it."""
    model = ShapeModel(3, 6, 2)
    vector = model.order(SELL, 2, 1)
    vector[model.half : model.row] = 1
    assert not model.accepted(vector).any()
    assert model.accepted(vector, frozenset([Term(EQUAL_SIZES, 0, model.half + 1)])).all()


# The random combination: intent k's terms, times r_k, are added up slot by slot.


def rank(matrix: Columns, t: int) -> int:
    """Rank modulo a prime, by elimination."""
    rows = [list(map(int, row)) for row in matrix]
    found = 0
    for column in range(matrix.shape[1]):
        pivot = next((row for row in rows[found:] if row[column] % t), None)
        if pivot is None:
            continue
        rows.remove(pivot)
        rows.insert(found, pivot)
        inverse = pow(pivot[column], -1, t)
        for i in range(len(rows)):
            if i != found and rows[i][column] % t:
                factor = rows[i][column] * inverse
                rows[i] = [(a - factor * b) % t for a, b in zip(rows[i], pivot, strict=True)]
        found += 1
    return found


def all_weights(t: int, intents: int) -> Columns:
    """Every choice of weights from 1 to t - 1, shape (intents, cases)."""
    return all_columns(t - 1, intents).astype(np.int64) + 1


@pytest.mark.parametrize(("t", "intents"), [(3, 3), (3, 4), (5, 2), (5, 3), (7, 2)])
def test_one_bad_term_is_always_seen_and_more_pass_for_one_weight_in_t_less_one(
    t: int, intents: int
) -> None:
    """Exactly: m bad terms cancel for ((t-1)^m + (-1)^m (t-1)) / t of their (t-1)^m weights."""
    weights = all_weights(t, intents)
    for terms in all_columns(t, intents).astype(np.int64).T:
        passed = int((terms @ weights % t == 0).sum())
        bad = int((terms != 0).sum())
        cancelling = ((t - 1) ** bad + (-1) ** bad * (t - 1)) // t
        assert passed == cancelling * (t - 1) ** (intents - bad)
        assert passed == 0 or bad != 1
        assert passed * (t - 1) <= weights.shape[1] or bad == 0


@pytest.mark.parametrize(("t", "intents", "slots"), [(2, 3, 2), (3, 2, 2), (3, 3, 2), (5, 2, 2)])
def test_more_slots_pass_for_the_kernel_of_their_terms(t: int, intents: int, slots: int) -> None:
    """Over all weights, 0 among them, 1 in t^rank passes; without 0 never more than 1 in t - 1."""
    weights = all_columns(t, intents).astype(np.int64)
    from_one = (weights > 0).all(axis=0)
    for case in all_columns(t, intents * slots).astype(np.int64).T:
        terms = case.reshape(slots, intents)
        passed = (terms @ weights % t == 0).all(axis=0)
        assert passed.sum() == t ** (intents - rank(terms, t))
        assert passed[from_one].sum() * (t - 1) <= from_one.sum() or not terms.any()


def combined(model: ShapeModel, vectors: Columns, weights: Columns) -> Columns:
    """Weighted sums of the intents' terms, shape (terms, cases of weights)."""
    return np.stack([values @ weights % model.t for _, values in model.terms(vectors)])


@pytest.mark.parametrize("t", [3, 5, 7])
def test_a_batch_with_two_bad_intents_passes_rarely_and_both_sums_for_the_square(t: int) -> None:
    model = ShapeModel(t, 6, 2)
    bad = model.order(BUY, 2, 1)
    bad[1] = 1
    batch = np.concatenate([model.order(SELL, 2, 0), bad, model.order(BUY, 1, 0), bad], axis=1)
    weights = all_weights(t, 4)
    passed = (combined(model, batch, weights) == 0).all(axis=0)
    assert passed.sum() * (t - 1) == weights.shape[1]
    assert np.array_equal(passed, (weights[1] + weights[3]) % t == 0)
    both = passed[:, None] & passed[None, :]
    assert both.sum() * (t - 1) ** 2 == both.size
    alone = (combined(model, batch[:, :3], weights[:3]) == 0).all(axis=0)
    assert not alone.any()


@given(
    sizes=st.lists(st.integers(0, 4), min_size=2, max_size=5),
    weights=st.lists(st.integers(1, 4), min_size=6, max_size=6),
    place=st.integers(0, 15),
    change=st.integers(1, 4),
)
def test_the_sums_are_those_of_the_bad_intents_alone(
    sizes: list[int], weights: list[int], place: int, change: int
) -> None:
    """A simulator that knows the bad vectors and the weights writes down everything opened."""
    model = ShapeModel(5, 8, 3)
    honest = [model.order(size % 2, size, size % 3) for size in sizes]
    bad = model.order(BUY, 3, 1)
    bad[place] = (bad[place] + change) % model.t
    drawn = np.array(weights[: len(honest) + 1], dtype=np.int64).reshape(-1, 1)
    batch = np.concatenate([*honest, bad], axis=1)
    simulated = combined(model, bad, drawn[-1:])
    assert np.array_equal(combined(model, batch, drawn), simulated)


def test_weights_that_are_known_beforehand_stop_nobody() -> None:
    """Three intents with dirty slots pass in both sums, whatever the weights are."""
    model = ShapeModel(3, 4, 1)
    dirt = all_columns(model.t, 3).astype(np.int64)[:, 1:]
    for weights in all_weights(model.t, 6).T:
        passing = [d for d in dirt.T if not (weights.reshape(2, 3) @ d % model.t).any()]
        assert passing
        batch = np.concatenate([model.order(BUY, 1, 0)] * 3, axis=1)
        batch[model.ticks] = passing[0]
        assert not model.accepted(batch).all()
        assert not combined(model, batch, weights.reshape(2, 3).T).any()


def survivors(sums_are_zero: dict[tuple[int, int], Flags], first: int, last: int) -> Flags:
    """Intents first .. last - 1 that bisection leaves in the batch, shape (last - first, cases)."""
    passed = sums_are_zero[first, last]
    if last - first == 1:
        return passed[None, :]
    middle = (first + last) // 2
    left = survivors(sums_are_zero, first, middle)
    right = survivors(sums_are_zero, middle, last)
    kept: Flags = passed[None, :] | np.concatenate([left, right])
    return kept


@pytest.mark.parametrize(
    "bad", [c for n in range(1, 5) for c in combinations(range(4), n)], ids=str
)
def test_bisection_takes_out_no_order_and_leaves_a_bad_one_in_few_cases(
    bad: tuple[int, ...],
) -> None:
    """All weights of both sums, four intents of which `bad` have one bad term each."""
    t, intents = 3, 4
    terms = np.array([1 + k % 2 if k in bad else 0 for k in range(intents)], dtype=np.int64)
    weights = all_weights(t, 2 * intents).reshape(2, intents, -1)
    nodes = [(0, 4), (0, 2), (2, 4), (0, 1), (1, 2), (2, 3), (3, 4)]
    zero = {
        (a, b): (np.tensordot(terms[a:b], weights[:, a:b], ([0], [1])) % t == 0).all(axis=0)
        for a, b in nodes
    }
    left = survivors(zero, 0, intents)
    assert all(left[k].all() for k in range(intents) if k not in bad)
    shared = sum(sum(a <= k < b for k in bad) > 1 for a, b in nodes)
    missed = left[list(bad)].any(axis=0).mean()
    assert missed <= shared / (t - 1) ** 2
    assert (missed > 0) == (len(bad) > 1)
