import hashlib
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.ring.params import STANDARD
from crypto.ring.sampling import absorb, binomial, derive_seed, signs, stream, ternary, uniform
from tests.support.epochs import chi_square_excess

SEED = bytes(range(32))
SIZE = 1 << 17
seeds = st.binary(min_size=32, max_size=32)
fields = st.lists(st.binary(max_size=12), min_size=1, max_size=4)


@given(fields, fields)
def test_absorbing_is_injective(a: list[bytes], b: list[bytes]) -> None:
    assert (absorb(*a) == absorb(*b)) == (a == b)


def test_moving_a_byte_between_fields_changes_everything() -> None:
    splits = [derive_seed(b"label", b"abcdef"[:k], b"abcdef"[k:]) for k in range(7)]
    assert len(set(splits)) == len(splits)


def test_streams_are_shake256_over_length_prefixed_fields() -> None:
    expected = hashlib.shake_256(
        (3).to_bytes(8, "little") + b"tag" + (32).to_bytes(8, "little") + SEED
    ).digest(100)
    assert stream(SEED, b"tag", 100).tobytes() == expected
    assert stream(SEED, b"tag", 40).tobytes() == expected[:40]


def _bits(octets: bytes) -> list[int]:
    return [octet >> k & 1 for octet in octets for k in range(8)]


@given(seeds, st.integers(1, 300))
def test_ternary_as_specified(seed: bytes, size: int) -> None:
    bits = _bits(stream(seed, b"t", 4 * size + 64).tobytes())
    pairs = [low + 2 * high for low, high in zip(bits[::2], bits[1::2], strict=True)]
    expected = [pair - 1 for pair in pairs if pair < 3][:size]
    assert ternary(seed, b"t", size).tolist() == expected


@given(seeds, st.integers(1, 100))
def test_binomial_as_specified(seed: bytes, size: int) -> None:
    octets = stream(seed, b"b", 6 * size).tobytes()
    expected = []
    for i in range(size):
        bits = _bits(octets[6 * i : 6 * i + 6])
        expected.append(sum(bits[:21]) - sum(bits[24:45]))
    assert binomial(seed, b"b", size).tolist() == expected


@given(seeds, st.integers(1, 200), st.integers(1, (1 << 32) - 1))
def test_uniform_as_specified(seed: bytes, size: int, modulus: int) -> None:
    mask = (1 << modulus.bit_length()) - 1
    octets = stream(seed, b"u", 16 * size + 4096).tobytes()
    words = [int.from_bytes(octets[i : i + 4], "little") for i in range(0, len(octets), 4)]
    expected = [word & mask for word in words if word & mask < modulus][:size]
    assert uniform(seed, b"u", modulus, size).tolist() == expected


@given(seeds, st.integers(1, 200))
def test_signs_as_specified(seed: bytes, size: int) -> None:
    bits = _bits(stream(seed, b"s", (size + 7) // 8).tobytes())[:size]
    assert signs(seed, b"s", size).tolist() == [1 - 2 * bit for bit in bits]


@given(seeds, st.integers(1, 500), st.integers(0, 500))
def test_a_shorter_draw_is_a_prefix_of_a_longer_one(seed: bytes, size: int, more: int) -> None:
    for draw in (ternary, binomial, signs):
        assert np.array_equal(draw(seed, b"p", size + more)[:size], draw(seed, b"p", size))
    longer = uniform(seed, b"p", 65537, size + more)
    assert np.array_equal(longer[:size], uniform(seed, b"p", 65537, size))


def test_ternary_is_uniform() -> None:
    counts = np.bincount(ternary(SEED, b"t", SIZE) + 1, minlength=3)
    assert abs(chi_square_excess(counts, np.full(3, SIZE / 3))) < 5


def test_binomial_has_the_exact_distribution_of_21_coin_pairs() -> None:
    draws = binomial(SEED, b"b", SIZE)
    weights = np.array([comb(42, k) for k in range(43)], dtype=np.float64) * SIZE / 2**42
    inner = slice(21 - 11, 21 + 12)
    counts = np.bincount(draws + 21, minlength=43)
    assert abs(chi_square_excess(counts[inner], weights[inner])) < 5
    assert abs(draws.mean()) < 5 * np.sqrt(10.5 / SIZE)
    assert abs(draws.var() / 10.5 - 1) < 5 * np.sqrt(2 / SIZE)
    assert np.abs(draws).max() <= 21


@pytest.mark.parametrize("modulus", [STANDARD.order_ring.plain_modulus, 65537, 3])
def test_uniform_reaches_everything_equally(modulus: int) -> None:
    draws = uniform(SEED, b"u", modulus, SIZE)
    assert draws.min() >= 0
    assert draws.max() < modulus
    bins = min(modulus, 1024)
    edges = -(-np.arange(bins + 1) * modulus // bins)
    counts = np.histogram(draws, bins=edges - 0.5)[0]
    assert abs(chi_square_excess(counts, np.diff(edges) * SIZE / modulus)) < 5


def test_signs_are_fair_and_uncorrelated() -> None:
    draws = signs(SEED, b"s", SIZE)
    assert set(np.unique(draws).tolist()) == {-1, 1}
    assert abs(draws.sum()) < 5 * np.sqrt(SIZE)
    assert abs((draws[1:] * draws[:-1]).sum()) < 5 * np.sqrt(SIZE)


def test_purposes_and_seeds_give_unrelated_streams() -> None:
    streams = [
        stream(seed, tag, 64).tobytes() for seed in (SEED, bytes(32)) for tag in (b"a", b"b")
    ]
    assert all(a != b for a, b in combinations(streams, 2))


def test_frozen_vectors() -> None:
    assert (
        derive_seed(b"label", b"secret", 7).hex()
        == "2e10eae65b5f9b037af85c50be22e2e7c58f927dfe4b04b09fcd8373bbc200b2"
    )
    assert ternary(SEED, b"t", 12).tolist() == [1, 1, 0, 0, 1, -1, -1, -1, 1, 0, 0, 0]
    assert binomial(SEED, b"b", 12).tolist() == [-3, 0, 0, -2, 3, -3, 1, -2, 4, 0, -2, 5]
    assert uniform(SEED, b"u", 67043329, 4).tolist() == [19241159, 43970203, 1877996, 8377193]
    assert signs(SEED, b"s", 12).tolist() == [-1, 1, 1, -1, 1, -1, -1, 1, -1, 1, 1, 1]
