from bisect import bisect_right
from decimal import Decimal, localcontext
from itertools import pairwise
from math import exp, log2, pi, prod, sqrt

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.bfv import flooding
from crypto.bfv.ciphertext import level_basis
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL
from crypto.ring.ring import RnsBasis
from tests.support.epochs import chi_square_excess

KEY = bytes(range(32))
TAIL = 7168
DEVIATION = 512
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")
BASES = [
    level_basis(ring, level)
    for ring in (TEST_INSECURE_SMALL.order_ring, TEST_INSECURE_SMALL.comparison_ring)
    for level in (1, 2, len(ring.data_primes))
]


def _integers(words: npt.NDArray[np.uint64], moduli: tuple[int, ...]) -> list[int]:
    """Centred Chinese remainder representatives."""
    q = prod(moduli)
    weights = [q // p * pow(q // p, -1, p) for p in moduli]
    totals = [
        sum(int(x) * w for x, w in zip(column, weights, strict=True)) % q for column in words.T
    ]
    return [total - q if total > q // 2 else total for total in totals]


def test_table_is_exact_to_its_last_bits() -> None:
    # Another route than the one under test: densities by recurrence, the sum by Poisson summation.
    table, _ = flooding.cumulative_table()
    with localcontext() as context:
        context.prec = 80
        scale = Decimal(2 * DEVIATION**2)
        ratio = (-1 / scale).exp()
        density, step = Decimal(1), ratio
        densities = [density]
        for _ in range(TAIL):
            density *= step
            step *= ratio * ratio
            densities.append(density)
        total = DEVIATION * (2 * PI).sqrt()
        running = Decimal(0)
        worst = Decimal(0)
        for x in range(-TAIL, TAIL):
            running += densities[abs(x)]
            exact = running / total * (1 << 128)
            worst = max(worst, abs(exact - table[x + TAIL]))
    assert worst < 1 << 8


def test_table_is_increasing_and_symmetric() -> None:
    table, high = flooding.cumulative_table()
    assert len(table) == 2 * TAIL
    assert all(a <= b for a, b in pairwise(table))
    assert table[0] >= 0
    assert table[-1] < 1 << 128
    # P(X <= x) + P(X <= -x - 1) = 1, but for the last, rounded-down bits.
    mirrored = [table[i] + table[-1 - i] - (1 << 128) for i in range(TAIL)]
    assert max(map(abs, mirrored)) <= 2
    assert high.tolist() == [value >> 64 for value in table]


def test_tails_are_cut_beyond_any_use() -> None:
    cut = 2 * exp(-(TAIL**2) / (2 * DEVIATION**2))
    draws_an_epoch = 4 * 43 * 2**14 * 2**20
    assert log2(cut * draws_an_epoch) < -90


def test_smoothing_condition_of_every_digit() -> None:
    # Adding 256^i g to i digits: k = 256^i times an integer Gaussian of deviation s, where
    # s = 1 / sqrt(1 / a^2 + 1 / b^2) / k must exceed the smoothing parameter of the integers.
    for digits in range(1, 44):
        radix = 256.0**digits
        low = DEVIATION * sqrt(sum(65536.0 ** (i - digits) for i in range(digits))) * radix
        high = DEVIATION * radix
        ratio = 1 / sqrt(1 / low**2 + 1 / high**2) / radix
        assert log2(2 * exp(-2 * pi**2 * ratio**2)) < -112


@pytest.mark.parametrize("centre", [0, 1 << 16, -5 << 15])
def test_two_digits_have_the_density_of_one_wide_gaussian(centre: int) -> None:
    with localcontext() as context:
        context.prec = 60
        narrow = Decimal(2 * DEVIATION**2)
        wide = narrow * (1 + 256 * 256)
        ratios = []
        for x in range(centre, centre + 256, 5):
            middle = x // 256
            density = sum(
                (-Decimal((x - 256 * g) ** 2 + g * g) / narrow).exp()
                for g in range(middle - 60, middle + 61)
            )
            ratios.append(density / (-Decimal(x * x) / wide).exp())
        spread = max(ratios) / min(ratios) - 1
    assert spread < Decimal(2) ** -100


def test_draws_invert_the_table() -> None:
    table, _ = flooding.cumulative_table()
    words = flooding._keystream(KEY, 0, 20_000)
    low = flooding._keystream(KEY, 1, 20_000)
    expected = [
        bisect_right(table, int(h) << 64 | int(v)) - TAIL for h, v in zip(words, low, strict=True)
    ]
    assert flooding.draws(KEY, 20_000).tolist() == expected


def test_lookup_at_every_edge_of_the_table_and_of_the_guide() -> None:
    table, high = flooding.cumulative_table()
    edges = np.arange(1 << 16, dtype=np.uint64) << np.uint64(48)
    one = np.uint64(1)
    words = np.concatenate([high, high - one, high + one, edges, edges - one, edges + one])
    words = np.concatenate([words, np.array([0, 1, (1 << 64) - 1], dtype=np.uint64)])
    out = np.empty(words.size, dtype=np.int16)
    ties = np.empty(words.size, dtype=np.int64)
    tied = flooding._lookup(words, high, flooding._guide(), out, ties)
    expected = np.searchsorted(high, words, side="right")
    assert np.array_equal(out, expected - TAIL)
    assert ties[:tied].tolist() == np.flatnonzero(np.isin(words, high)).tolist()
    assert len(table) == high.size


def test_ties_of_the_high_word_are_decided_by_the_low_one(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 400
    high = [int(word) for word in flooding._keystream(KEY, 0, count)]
    low = [int(word) for word in flooding._keystream(KEY, 1, count)]
    offsets = (-1, 0, 1)
    values = {
        (h << 64 | v) + offsets[i % 3] for i, (h, v) in enumerate(zip(high, low, strict=True))
    }
    values |= {(h << 64) + k for h in high[:50] for k in (0, 7)}
    exact = tuple(sorted(values))
    table = (exact, np.array([value >> 64 for value in exact], dtype=np.uint64))
    monkeypatch.setattr(flooding, "cumulative_table", lambda: table)
    monkeypatch.setattr(flooding, "_guide", flooding._guide.__wrapped__)
    expected = [bisect_right(exact, h << 64 | v) - TAIL for h, v in zip(high, low, strict=True)]
    by_high_word_alone = np.searchsorted(table[1], np.array(high, dtype=np.uint64), "right") - TAIL
    assert flooding.draws(KEY, count).tolist() == expected
    assert by_high_word_alone.tolist() != expected


def test_frozen_vectors() -> None:
    assert flooding.draws(KEY, 8).tolist() == [459, 2, 647, -363, 330, 130, -459, -215]
    basis = level_basis(TEST_INSECURE_SMALL.comparison_ring, 3)
    sample = flooding.flooding(KEY, 16, basis)
    assert _integers(sample, basis.moduli)[0] == -365500673162036250070843390763595709749
    assert [int(x) for x in sample[:, -1]] == [
        10776410345686857,
        749150908992692,
        13264785679829094,
    ]


def test_shorter_draws_are_prefixes_and_keys_are_unrelated() -> None:
    assert np.array_equal(flooding.draws(KEY, 100), flooding.draws(KEY, 5000)[:100])
    other = flooding.draws(bytes(32), 5000).astype(np.int64)
    mine = flooding.draws(KEY, 5000).astype(np.int64)
    correlation = (mine * other).sum() / (5000 * DEVIATION**2)
    assert abs(correlation) < 5 / np.sqrt(5000)


@settings(max_examples=25)
@given(st.binary(min_size=32, max_size=32), st.integers(1, 43), st.sampled_from(BASES))
def test_flooding_composes_its_digits(key: bytes, digits: int, basis: RnsBasis) -> None:
    base = flooding.draws(key, digits * basis.degree).reshape(digits, -1).astype(object)
    exact = sum(base[d] * 256**d for d in range(digits))
    got = flooding.flooding(key, digits, basis)
    for k, prime in enumerate(basis.moduli):
        assert got[k].tolist() == [int(value) % prime for value in exact]


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("digits", [1, 6, 7, 8, 14, 15, 43])
def test_composition_does_not_overflow_at_the_extremes(sign: int, digits: int) -> None:
    for ring in (STANDARD.order_ring, STANDARD.comparison_ring):
        basis = level_basis(ring, len(ring.data_primes))
        base = np.full((digits, 4), sign * TAIL, dtype=np.int16)
        out = np.empty((len(basis.moduli), 4), dtype=np.uint64)
        flooding._compose(base, out, basis.primes, basis.ratios, flooding._biases(basis))
        value = sign * TAIL * sum(256**d for d in range(digits))
        assert out.tolist() == [[value % prime] * 4 for prime in basis.moduli]


def test_draws_have_the_mean_variance_and_shape_of_the_gaussian() -> None:
    count = 1 << 20
    draws = flooding.draws(KEY, count).astype(np.int64)
    assert abs(draws.mean()) < 5 * DEVIATION / sqrt(count)
    assert abs(draws.var() / DEVIATION**2 - 1) < 5 * sqrt(2 / count)
    table, _ = flooding.cumulative_table()
    bins = np.arange(-1600, 1601, 50)
    cumulative = np.array([table[x + TAIL - 1] / 2**128 for x in bins])
    counts = np.histogram(draws, bins=bins - 0.5)[0]
    assert abs(chi_square_excess(counts, np.diff(cumulative) * count)) < 5


def test_low_bits_are_as_random_as_high_ones() -> None:
    count = 1 << 20
    base = flooding.draws(KEY, 3 * count).reshape(3, count).astype(np.int64)
    values = base[0] + 256 * base[1] + 65536 * base[2]
    low = np.bincount(values & 0xFFFF, minlength=1 << 16)
    assert abs(chi_square_excess(low, np.full(1 << 16, count / (1 << 16)))) < 5
    for bit in range(16):
        assert abs((values >> bit & 1).mean() - 0.5) < 5 / (2 * sqrt(count))


def test_wide_noise_has_its_deviation_and_no_zero_low_bits() -> None:
    ring = STANDARD.comparison_ring
    basis = level_basis(ring, 7)
    values = _integers(flooding.flooding(KEY, 43, basis), basis.moduli)
    deviation = 2 ** (8 * 43 + 1)
    scaled = np.array([value / deviation for value in values])
    assert abs(scaled.mean()) < 5 / sqrt(ring.degree)
    assert abs(scaled.var() - 1) < 5 * sqrt(2 / ring.degree)
    assert np.abs(scaled).max() < 6
    for bits in (8, 16):
        low = np.array([value >> (bits - 8) & 0xFF for value in values])
        counts = np.bincount(low, minlength=256)
        assert abs(chi_square_excess(counts, np.full(256, ring.degree / 256))) < 5
